#pragma once
// For tables by text that are looked into with a std::string_view.
#include <functional>
#include <string_view>

namespace troupe::internal {

struct text_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
};

}  // namespace troupe::internal
