#include "observe/json.hpp"

#include <troupe/utf8.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace troupe::internal {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(const bytes& data) {
  std::string out;
  out.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < data.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < data.size() ? std::to_integer<std::uint32_t>(data[i + k]) : 0);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > data.size() ? '=' : base64_digits[group >> (18 - 6 * k) & 63];
    }
  }
  return out;
}

bool from_base64(std::string_view text, bytes& out) {
  if (text.size() % 4 != 0) return false;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  out.clear();
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const std::size_t digit = i + k >= text.size() - padding ? 0 : base64_digits.find(text[i + k]);
      if (digit == std::string_view::npos) return false;
      group = group << 6 | static_cast<std::uint32_t>(digit);
    }
    for (std::size_t k = 0; k < 3; ++k) out.push_back(static_cast<std::byte>(group >> (16 - 8 * k) & 255));
  }
  out.resize(out.size() - padding);
  return true;
}

json shape(const value& from, std::size_t depth);

bool is_object(const map& entries) {
  for (auto at = entries.begin(); at != entries.end(); ++at) {
    const std::string* key = at->first.text();
    if (!key) return false;
    if (std::any_of(entries.begin(), at, [&](const map_entry& earlier) { return *earlier.first.text() == *key; }))
      return false;
  }
  return true;
}

json shape_map(const map& entries, std::size_t depth) {
  // Looking for a key given twice is quadratic: a large map is written as one only when it is small enough to look.
  constexpr std::size_t searchable = 4096;
  if (entries.size() <= searchable && is_object(entries)) {
    json out = json::object();
    auto& object = out.get_ref<json::object_t&>();
    for (const auto& [key, item] : entries) object.emplace_back(*key.text(), shape(item, depth));
    return out;
  }
  json pairs = json::array();
  for (const auto& [key, item] : entries) pairs.push_back(json::array({shape(key, depth), shape(item, depth)}));
  json out = json::object();
  out["$map"] = std::move(pairs);
  return out;
}

json shape_real(double number) {
  if (std::isfinite(number)) return number;
  json out = json::object();
  out["$float"] = std::isnan(number) ? "nan" : number > 0 ? "inf" : "-inf";
  return out;
}

json shape(const value& from, std::size_t depth) {
  if (depth == 0 && (from.items() || from.entries())) return "…";
  switch (from.type()) {
    case value::kind::nil: return nullptr;
    case value::kind::boolean: return *from.boolean();
    case value::kind::integer: return *from.integer();
    case value::kind::unsigned_integer: return *from.unsigned_integer();
    case value::kind::real: return shape_real(*from.real());
    case value::kind::text: return *from.text();
    case value::kind::pid: return from.process()->text();
    case value::kind::ref: return from.reference()->text();
    case value::kind::map: return shape_map(*from.entries(), depth - 1);
    case value::kind::bytes: {
      json out = json::object();
      out["$bytes"] = to_base64(*from.binary());
      return out;
    }
    case value::kind::ext: {
      json out = json::object();
      out["$ext"] = json::array({static_cast<int>(from.ext()->type), to_base64(from.ext()->data)});
      return out;
    }
    case value::kind::list: {
      json out = json::array();
      for (const auto& item : *from.items()) out.push_back(shape(item, depth - 1));
      return out;
    }
  }
  return nullptr;
}

// Nesting is bounded before the parser sees the text: what it makes is taken apart by recursion.
bool nested_too_deep(std::string_view text, std::size_t depth) noexcept {
  std::size_t level = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      else if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++level > depth) return true;
    } else if ((c == ']' || c == '}') && level > 0) {
      --level;
    }
  }
  return false;
}

value unshape(const json& from);

// One of the forms above, or nothing when the object is an ordinary one.
std::optional<value> unshape_special(const std::string& key, const json& content) {
  if (key == "$bytes" && content.is_string()) {
    bytes data;
    if (from_base64(content.get_ref<const std::string&>(), data)) return value(std::move(data));
  } else if (key == "$float" && content.is_string()) {
    const auto& name = content.get_ref<const std::string&>();
    if (name == "nan") return value(std::numeric_limits<double>::quiet_NaN());
    if (name == "inf") return value(std::numeric_limits<double>::infinity());
    if (name == "-inf") return value(-std::numeric_limits<double>::infinity());
  } else if (key == "$ext" && content.is_array() && content.size() == 2 && content[0].is_number_integer() &&
             content[1].is_string()) {
    extension out;
    out.type = static_cast<std::int8_t>(content[0].get<int>());
    if (from_base64(content[1].get_ref<const std::string&>(), out.data)) return value(std::move(out));
  } else if (key == "$map" && content.is_array()) {
    map entries;
    for (const auto& pair : content) {
      if (!pair.is_array() || pair.size() != 2) return std::nullopt;
      entries.emplace_back(unshape(pair[0]), unshape(pair[1]));
    }
    return value(std::move(entries));
  }
  return std::nullopt;
}

value unshape(const json& from) {
  switch (from.type()) {
    case json::value_t::boolean: return from.get<bool>();
    case json::value_t::number_integer: return from.get<std::int64_t>();
    case json::value_t::number_unsigned: return from.get<std::uint64_t>();
    case json::value_t::number_float: return from.get<double>();
    case json::value_t::string: return from.get<std::string>();
    case json::value_t::array: {
      list out;
      out.reserve(from.size());
      for (const auto& item : from) out.push_back(unshape(item));
      return value(std::move(out));
    }
    case json::value_t::object: {
      const auto& object = from.get_ref<const json::object_t&>();
      if (object.size() == 1) {
        if (auto special = unshape_special(object.front().first, object.front().second)) return std::move(*special);
      }
      map out;
      out.reserve(object.size());
      for (const auto& [key, item] : object) out.emplace_back(value(key), unshape(item));
      return value(std::move(out));
    }
    default: return {};
  }
}

void add_escaped(std::string& out, std::string_view character) {
  const std::string quoted = json(json::string_t(character)).dump(-1, ' ', true);  // "\u202e"; two above U+FFFF
  out.append(quoted, 1, quoted.size() - 2);
}

// JSON leaves C1 and what turns the order of a text as they are, and it is read at terminals.
std::string without_controls(std::string json_text) {
  std::string out;
  std::size_t clean = 0;  // up to here nothing is left to copy
  for (std::size_t i = 0; i < json_text.size();) {
    const std::string_view rest = std::string_view(json_text).substr(i);
    const std::size_t used = rest[0] == '\n' ? 1 : printable_character(rest);
    if (used != 0) {
      i += used;
      continue;
    }
    const auto head = static_cast<unsigned char>(rest[0]);
    const std::size_t size = head >= 0xf0 ? 4 : head >= 0xe0 ? 3 : head >= 0xc0 ? 2 : 1;
    out.append(json_text, clean, i - clean);
    add_escaped(out, rest.substr(0, size));
    clean = i += size;
  }
  if (clean == 0) return json_text;
  return out.append(json_text, clean);
}

}  // namespace

std::string to_json(const value& from, int indent, std::size_t depth) {
  return without_controls(shape(from, depth).dump(indent, ' ', false, json::error_handler_t::replace));
}

result<value> from_json(std::string_view text, const limits& budget) {
  if (nested_too_deep(text, budget.depth)) {
    return error(errc::too_large, "JSON nested deeper than " + std::to_string(budget.depth));
  }
  try {
    return result<value>(unshape(json::parse(text)));
  } catch (const json::exception& e) {
    return error(errc::bad_message, e.what());
  }
}

}  // namespace troupe::internal
