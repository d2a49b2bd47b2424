#include <troupe/value.hpp>

#include <array>

namespace troupe {

std::optional<double> value::number() const noexcept {
  if (auto* r = real()) return *r;
  if (auto* i = integer()) return static_cast<double>(*i);
  if (auto* u = unsigned_integer()) return static_cast<double>(*u);
  return std::nullopt;
}

const value* value::find(std::string_view key) const noexcept {
  if (auto* all = entries()) {
    for (const auto& [name, item] : *all) {
      if (auto* text = name.text(); text && *text == key) return &item;
    }
  }
  return nullptr;
}

std::string_view value::text_at(std::string_view key, std::string_view otherwise) const noexcept {
  const value* found = find(key);
  const std::string* text = found ? found->text() : nullptr;
  return text ? std::string_view(*text) : otherwise;
}

std::int64_t value::integer_at(std::string_view key, std::int64_t otherwise) const noexcept {
  const value* found = find(key);
  const std::int64_t* number = found ? found->integer() : nullptr;
  return number ? *number : otherwise;
}

bool operator==(const value& a, const value& b) noexcept { return a.data_ == b.data_; }

// For people: both integers are integers to them.
std::string_view to_string(value::kind kind) noexcept {
  constexpr std::array<std::string_view, 12> names{"nil",   "boolean", "integer", "integer", "float", "text",
                                                   "bytes", "list",    "map",     "pid",     "ref",   "extension"};
  const auto index = static_cast<std::size_t>(kind);
  return index < names.size() ? names[index] : "unknown";
}

}  // namespace troupe
