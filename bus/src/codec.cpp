#include <troupe/codec.hpp>

#include "quoted.hpp"
#include "value_codec.hpp"

namespace troupe {

void writer::put_value(const value& v) { internal::put_tree(*this, v); }

bool reader::read_value(value& out) { return internal::take_tree(*this, out); }

bool reader::fail(errc code, std::string_view what) {
  if (failed_) return false;
  failed_ = true;
  std::string text = path_text();
  if (!text.empty()) text += ": ";
  failure_ = error(code, text.append(what));
  return false;
}

bool reader::mismatch(std::string_view expected) {
  if (failed_) return false;
  return fail(std::string(expected) + " expected, " + std::string(to_string(peek())) + " found");
}

void codec<map>::put(writer& w, const map& in) {
  w.begin_map(in.size());
  for (const auto& [key, item] : in) {
    w.put_value(key);
    w.put_value(item);
  }
}

bool codec<map>::take(reader& r, map& out) {
  value whole;
  if (!internal::take_map(r, whole)) return false;
  out = std::move(*whole.entries());
  return true;
}

// items[3].name; a key that is no identifier, as only a foreign sender's can be, as ["…"].
std::string reader::path_text() const {
  constexpr std::size_t longest = 256;
  std::string text;
  for (std::size_t i = 0; i < path_size_; ++i) {
    if (i == max_depth || text.size() > longest) return text + "…";
    if (path_[i].field == nullptr) {
      text += '[' + std::to_string(path_[i].size) + ']';
      continue;
    }
    const std::string_view field(path_[i].field, path_[i].size);
    if (internal::is_identifier(field) && field.size() <= longest) {
      if (!text.empty()) text += '.';
      text += field;
    } else {
      text += '[' + internal::quoted(field) + ']';
    }
  }
  return text;
}

}  // namespace troupe
