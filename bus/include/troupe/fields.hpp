#pragma once
// TROUPE_FIELDS: the one line that makes a struct encodable; what it means on the wire is in <troupe/codec.hpp>.
#include <cstddef>
#include <utility>

#define TROUPE_DETAIL_PARENS ()
#define TROUPE_DETAIL_EXPAND(...) \
  TROUPE_DETAIL_EXPAND1(TROUPE_DETAIL_EXPAND1(TROUPE_DETAIL_EXPAND1(TROUPE_DETAIL_EXPAND1(__VA_ARGS__))))
#define TROUPE_DETAIL_EXPAND1(...) \
  TROUPE_DETAIL_EXPAND2(TROUPE_DETAIL_EXPAND2(TROUPE_DETAIL_EXPAND2(TROUPE_DETAIL_EXPAND2(__VA_ARGS__))))
#define TROUPE_DETAIL_EXPAND2(...) \
  TROUPE_DETAIL_EXPAND3(TROUPE_DETAIL_EXPAND3(TROUPE_DETAIL_EXPAND3(TROUPE_DETAIL_EXPAND3(__VA_ARGS__))))
#define TROUPE_DETAIL_EXPAND3(...) __VA_ARGS__
// Calls `macro` with each argument, separated by `,` (list) or nothing (each).
#define TROUPE_DETAIL_LIST(macro, ...) __VA_OPT__(TROUPE_DETAIL_EXPAND(TROUPE_DETAIL_LIST_NEXT(macro, __VA_ARGS__)))
#define TROUPE_DETAIL_LIST_NEXT(macro, first, ...) \
  macro(first) __VA_OPT__(, TROUPE_DETAIL_LIST_AGAIN TROUPE_DETAIL_PARENS(macro, __VA_ARGS__))
#define TROUPE_DETAIL_LIST_AGAIN() TROUPE_DETAIL_LIST_NEXT
#define TROUPE_DETAIL_EACH(macro, ...) __VA_OPT__(TROUPE_DETAIL_EXPAND(TROUPE_DETAIL_EACH_NEXT(macro, __VA_ARGS__)))
#define TROUPE_DETAIL_EACH_NEXT(macro, first, ...) \
  macro(first) __VA_OPT__(TROUPE_DETAIL_EACH_AGAIN TROUPE_DETAIL_PARENS(macro, __VA_ARGS__))
#define TROUPE_DETAIL_EACH_AGAIN() TROUPE_DETAIL_EACH_NEXT

#define TROUPE_DETAIL_PARAMETER(field) decltype(field) field##_given
#define TROUPE_DETAIL_INIT(field) field(std::move(field##_given))
#define TROUPE_DETAIL_VISIT(field) &&troupe_visit(#field, troupe_self.field)
#define TROUPE_DETAIL_ONE(field) +1

// Inside a struct, after its fields: gives it a constructor from them and makes it encodable. The constructor is there
// so that the struct is no aggregate: GCC 12 destroys aggregate temporaries of an await expression twice.
#define TROUPE_FIELDS(Type, ...)                                                                                     \
  Type() = default;                                                                                                  \
  __VA_OPT__(Type(TROUPE_DETAIL_LIST(TROUPE_DETAIL_PARAMETER, __VA_ARGS__)) : TROUPE_DETAIL_LIST(TROUPE_DETAIL_INIT, \
                                                                                                 __VA_ARGS__){})     \
  static constexpr std::size_t troupe_field_count() { return 0 TROUPE_DETAIL_EACH(TROUPE_DETAIL_ONE, __VA_ARGS__); } \
  template <class TroupeSelf, class TroupeVisit>                                                                     \
  static bool troupe_each([[maybe_unused]] TroupeSelf& troupe_self, [[maybe_unused]] TroupeVisit&& troupe_visit) {   \
    return true TROUPE_DETAIL_EACH(TROUPE_DETAIL_VISIT, __VA_ARGS__);                                                \
  }
