#pragma once
// Patterns of names: `*` is any text (dots too), `?` one byte; everything else stands for itself. Linear in practice:
// one place to come back to, never a recursion, so that a hostile pattern cannot hold a worker.
#include <string_view>

namespace troupe::internal {

[[nodiscard]] bool glob_match(std::string_view pattern, std::string_view text) noexcept;
[[nodiscard]] inline bool is_glob(std::string_view pattern) noexcept {
  return pattern.find_first_of("*?") != std::string_view::npos;
}
// A pattern of functions: a glob of the whole name, or a bare module, which means all of its functions.
[[nodiscard]] bool function_match(std::string_view pattern, std::string_view function) noexcept;

}  // namespace troupe::internal
