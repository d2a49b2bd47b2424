#pragma once
// Invariants of Troupe itself, checked in all builds. A broken one is a bug of ours, after which nothing in the program
// can be trusted: it says what was expected, where, the values that show it, and who ran on this thread, and aborts.
// What a program or a peer does wrong is never met with this: that is an error or an exit reason.
//     TROUPE_EXPECT(at < entries_.size(), "at", at, "entries", entries_.size());
#include <charconv>
#include <concepts>
#include <cstddef>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>

// The condition is evaluated once; the names and values behind it only when it fails.
#define TROUPE_EXPECT(condition, ...)                                                                             \
  do {                                                                                                            \
    if (!(condition)) [[unlikely]]                                                                                \
      ::troupe::detail::broken_invariant(#condition, std::source_location::current() __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)

namespace troupe::detail {

// Who runs on the calling thread, in words; empty when that is nobody's. Set by the layer that knows; any thread may
// read it at any time.
using who_runs = std::string (*)();
void set_who_runs(who_runs tell) noexcept;

// Writes the words to standard error in one piece, and aborts.
[[noreturn, gnu::cold]] void abort_with(std::string_view condition, const std::source_location& where,
                                        std::string_view values) noexcept;

void add_value(std::string& out, std::string_view text);  // names come from peers: escaped, and cut
template <class T>
  requires std::integral<T> || std::is_enum_v<T>
void add_value(std::string& out, T number) {
  if constexpr (std::same_as<T, bool>) {
    out += number ? "true" : "false";
  } else if constexpr (std::is_enum_v<T>) {
    add_value(out, static_cast<std::underlying_type_t<T>>(number));
  } else {
    out += std::to_string(number);
  }
}

inline void add_values(std::string&) {}
template <class T, class... More>
void add_values(std::string& out, std::string_view name, const T& value, const More&... more) {
  out.append(out.empty() ? "" : ", ").append(name).append(" = ");
  add_value(out, value);
  add_values(out, more...);
}

// Out of line and cold: what is checked costs one test and one jump.
template <class... NamesAndValues>
[[noreturn, gnu::cold, gnu::noinline]] void broken_invariant(std::string_view condition,
                                                             const std::source_location& where,
                                                             const NamesAndValues&... shown) noexcept {
  std::string values;
  add_values(values, shown...);
  abort_with(condition, where, values);
}

}  // namespace troupe::detail
