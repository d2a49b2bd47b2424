#include "observe/value_size.hpp"

namespace troupe::internal {

std::size_t approximate_size(const map& of, std::size_t enough) noexcept {
  std::size_t total = 0;
  for (const auto& [key, item] : of) {
    if (total >= enough) break;
    total += approximate_size(key, enough - total);
    if (total >= enough) break;
    total += approximate_size(item, enough - total);
  }
  return total;
}

std::size_t approximate_size(const value& of, std::size_t enough) noexcept {
  std::size_t total = sizeof(value);
  if (const auto* text = of.text()) return total + text->size();
  if (const auto* data = of.binary()) return total + data->size();
  if (const auto* ext = of.ext()) return total + ext->data.size();
  if (const auto* entries = of.entries())
    return total + (enough > total ? approximate_size(*entries, enough - total) : 0);
  if (const auto* items = of.items()) {
    for (const auto& item : *items) {
      if (total >= enough) break;
      total += approximate_size(item, enough - total);
    }
  }
  return total;
}

}  // namespace troupe::internal
