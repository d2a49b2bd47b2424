#pragma once
// TROUPE_FIELDS: the one line that makes a struct encodable; what it means on the wire is in <troupe/codec.hpp>.
#include <cstddef>
#include <utility>

namespace troupe::detail {

inline constexpr std::size_t most_fields = 256;

// Of "name, amount", as the preprocessor writes a list of names.
consteval std::size_t count_names(const char* text) {
  std::size_t commas = 0;
  for (; *text; ++text) commas += *text == ',';
  return commas + 1;
}

}  // namespace troupe::detail

// Calls `macro` with each argument, `between()` between them. A macro does not expand inside itself: so eight that call
// each other take eight arguments, and the list is scanned 32 times more for those that are left.
#define TROUPE_DETAIL_PARENS ()
#define TROUPE_DETAIL_COMMA() ,
#define TROUPE_DETAIL_NOTHING()
#define TROUPE_DETAIL_A(macro, between, first, ...) \
  macro(first) __VA_OPT__(between() TROUPE_DETAIL_B(macro, between, __VA_ARGS__))
#define TROUPE_DETAIL_B(macro, between, first, ...) \
  macro(first) __VA_OPT__(between() TROUPE_DETAIL_C(macro, between, __VA_ARGS__))
#define TROUPE_DETAIL_C(macro, between, first, ...) \
  macro(first) __VA_OPT__(between() TROUPE_DETAIL_D(macro, between, __VA_ARGS__))
#define TROUPE_DETAIL_D(macro, between, first, ...) \
  macro(first) __VA_OPT__(between() TROUPE_DETAIL_E(macro, between, __VA_ARGS__))
#define TROUPE_DETAIL_E(macro, between, first, ...) \
  macro(first) __VA_OPT__(between() TROUPE_DETAIL_F(macro, between, __VA_ARGS__))
#define TROUPE_DETAIL_F(macro, between, first, ...) \
  macro(first) __VA_OPT__(between() TROUPE_DETAIL_G(macro, between, __VA_ARGS__))
#define TROUPE_DETAIL_G(macro, between, first, ...) \
  macro(first) __VA_OPT__(between() TROUPE_DETAIL_H(macro, between, __VA_ARGS__))
#define TROUPE_DETAIL_H(macro, between, first, ...) \
  macro(first) __VA_OPT__(between() TROUPE_DETAIL_AGAIN TROUPE_DETAIL_PARENS(macro, between, __VA_ARGS__))
#define TROUPE_DETAIL_AGAIN() TROUPE_DETAIL_A
#define TROUPE_DETAIL_SCANS(...) TROUPE_DETAIL_SCAN_16(TROUPE_DETAIL_SCAN_16(__VA_ARGS__))
#define TROUPE_DETAIL_SCAN_16(...) \
  TROUPE_DETAIL_SCAN_4(TROUPE_DETAIL_SCAN_4(TROUPE_DETAIL_SCAN_4(TROUPE_DETAIL_SCAN_4(__VA_ARGS__))))
#define TROUPE_DETAIL_SCAN_4(...) \
  TROUPE_DETAIL_SCAN(TROUPE_DETAIL_SCAN(TROUPE_DETAIL_SCAN(TROUPE_DETAIL_SCAN(__VA_ARGS__))))
#define TROUPE_DETAIL_SCAN(...) __VA_ARGS__
#define TROUPE_DETAIL_LIST(macro, ...) \
  __VA_OPT__(TROUPE_DETAIL_SCANS(TROUPE_DETAIL_A(macro, TROUPE_DETAIL_COMMA, __VA_ARGS__)))
#define TROUPE_DETAIL_EACH(macro, ...) \
  __VA_OPT__(TROUPE_DETAIL_SCANS(TROUPE_DETAIL_A(macro, TROUPE_DETAIL_NOTHING, __VA_ARGS__)))

#define TROUPE_DETAIL_PARAMETER(field) decltype(field) field##_given
#define TROUPE_DETAIL_INIT(field) field(std::move(field##_given))
#define TROUPE_DETAIL_VISIT(field) &&troupe_visit(#field, troupe_self.field)
#define TROUPE_DETAIL_EXPLICIT(first, ...) explicit(true __VA_OPT__(&&false))
#define TROUPE_DETAIL_COUNT(...) ::troupe::detail::count_names(#__VA_ARGS__)  // after the list itself was expanded

// Inside a struct, after its fields, up to 256: gives it a constructor from them and makes it encodable. The
// constructor is there so that the struct is no aggregate: GCC 12 destroys aggregate temporaries of an await expression
// twice. That from one field is explicit: a text is not a message, nor a number an answer, because somebody declared
// one.
#define TROUPE_FIELDS(Type, ...)                                                                                   \
  __VA_OPT__(static_assert(TROUPE_DETAIL_COUNT(__VA_ARGS__) <= ::troupe::detail::most_fields,                      \
                           "a struct has at most 256 fields: put some of them into a struct of their own");)       \
  Type() = default;                                                                                                \
  __VA_OPT__(TROUPE_DETAIL_EXPLICIT(__VA_ARGS__) Type(TROUPE_DETAIL_LIST(                                          \
      TROUPE_DETAIL_PARAMETER, __VA_ARGS__)) : TROUPE_DETAIL_LIST(TROUPE_DETAIL_INIT, __VA_ARGS__){})              \
  static constexpr std::size_t troupe_field_count() { return 0 __VA_OPT__(+TROUPE_DETAIL_COUNT(__VA_ARGS__)); }    \
  template <class TroupeSelf, class TroupeVisit>                                                                   \
  static bool troupe_each([[maybe_unused]] TroupeSelf& troupe_self, [[maybe_unused]] TroupeVisit&& troupe_visit) { \
    return true TROUPE_DETAIL_EACH(TROUPE_DETAIL_VISIT, __VA_ARGS__);                                              \
  }
