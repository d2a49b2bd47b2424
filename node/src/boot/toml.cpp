#include "boot/toml.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace troupe::internal {
namespace {

bool plain_key(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

class reader {
 public:
  explicit reader(const std::string& name) : name_(name) {}

  result<std::vector<toml_entry>> read(const toml::table& root) {
    table(root, {});
    if (failure_.code() != errc::none) return failure_;
    // toml++ keeps keys sorted; people read their file from the top.
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const toml_entry& a, const toml_entry& b) { return a.line < b.line; });
    return std::move(entries_);
  }

 private:
  void fail(const toml::source_region& where, const std::string& what) {
    if (failure_.code() == errc::none) {
      failure_ = error(errc::bad_config, name_ + ":" + std::to_string(where.begin.line) + ": " + what);
    }
  }

  void table(const toml::table& from, const std::string& prefix) {
    for (auto&& [key, node] : from) {
      if (!plain_key(key.str()))
        fail(key.source(), "\"" + std::string(key.str()) + "\" is no key: letters, digits, '_' and '-' make one");
      std::string path = prefix.empty() ? std::string(key.str()) : prefix + "." + std::string(key.str());
      if (const toml::table* inner = node.as_table(); inner && !inner->empty()) {
        table(*inner, path);
      } else {
        entries_.push_back(
            {path, inner ? value() : convert(node), inner != nullptr, static_cast<unsigned>(key.source().begin.line)});
      }
    }
  }

  value convert(const toml::node& node) {
    if (auto* text = node.as_string()) return value(text->get());
    if (auto* number = node.as_integer()) return value(number->get());
    if (auto* number = node.as_floating_point()) return value(number->get());
    if (auto* flag = node.as_boolean()) return value(flag->get());
    if (auto* items = node.as_array()) {
      list out;
      for (const auto& item : *items) out.push_back(convert(item));
      return value(std::move(out));
    }
    if (auto* entries = node.as_table()) {
      map out;
      for (auto&& [key, item] : *entries) out.emplace_back(value(key.str()), convert(item));
      return value(std::move(out));
    }
    fail(node.source(), "dates and times are not used here; write a text");
    return {};
  }

  const std::string& name_;
  std::vector<toml_entry> entries_;
  error failure_;
};

}  // namespace

result<std::vector<toml_entry>> parse_toml(std::string_view text, const std::string& name) {
  try {
    return reader(name).read(toml::parse(text, name));
  } catch (const toml::parse_error& e) {
    return error(errc::bad_config,
                 name + ":" + std::to_string(e.source().begin.line) + ": " + std::string(e.description()));
  }
}

namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace

result<list> parse_texts(std::string_view text) {
  text = trimmed(text);
  list out;
  if (text.starts_with('[')) {
    auto read = parse_toml("list = " + std::string(text), "list");
    const list* items = read && read->size() == 1 ? read->front().content.items() : nullptr;
    if (items == nullptr) {
      return error(errc::bad_config, "\"" + std::string(text) +
                                         "\" is no list: [\"a\", \"b\"] or a, b expected; a text that begins with [ "
                                         "is quoted: [\"[ab]@*\"]");
    }
    out = *items;
    for (value& item : out) {
      if (const std::string* one = item.text()) item = value(trimmed(*one));
    }
  } else {
    for (std::size_t at = 0; !text.empty() && at <= text.size();) {
      const std::size_t comma = std::min(text.find(',', at), text.size());
      out.emplace_back(trimmed(text.substr(at, comma - at)));
      at = comma + 1;
    }
  }
  if (std::any_of(out.begin(), out.end(), [](const value& item) { return item == value(""); })) {
    return error(errc::bad_config, "\"" + std::string(text) + "\" has an empty item");
  }
  return out;
}

result<std::string> read_whole_file(const std::string& path) {
  constexpr std::size_t most = 16u << 20;
  std::ifstream in(path, std::ios::binary);
  if (!in) return error(errno == ENOENT ? errc::not_found : errc::io, path + ": " + std::strerror(errno));
  std::string text(most + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return error(errc::io, path + ": " + std::strerror(errno));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > most) return error(errc::too_large, path + ": longer than 16 MiB");
  return text;
}

result<std::vector<toml_entry>> read_toml(const std::string& path) {
  auto text = read_whole_file(path);
  if (!text) return text.error();
  return parse_toml(*text, path);
}

}  // namespace troupe::internal
