#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>
#include <mutex>

#include <troupe/config.hpp>

#include "boot/toml.hpp"

namespace troupe {

struct config::table {
  struct slot {
    value current;
    std::string source = "default";
  };
  config_schema schema;
  std::mutex mutex;  // guards the slots
  std::map<std::string, slot, std::less<>> slots;
};

namespace {

using kind = config_key::kind;

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += between;
    out += word;
  }
  return out;
}

// As one writes it in the file.
std::string show(const config_key& key, const value& v) {
  if (key.secret) return "…";
  if (key.type == kind::time) return quoted(print_time(duration(v.integer() ? *v.integer() : 0)));
  if (const std::string* text = v.text()) return quoted(*text);
  if (const list* items = v.items()) {
    std::vector<std::string> words;
    for (const value& item : *items) words.push_back(item.print());
    return "[" + joined(words, ", ") + "]";
  }
  return v.print();
}

std::string bound_text(const config_key& key, double bound) {
  if (key.type == kind::time) return print_time(duration(static_cast<std::int64_t>(bound)));
  if (bound == std::floor(bound) && std::fabs(bound) < 1e15) return std::to_string(static_cast<std::int64_t>(bound));
  return value(bound).print();
}

result<value> checked(const config_key& key, value v) {
  if (auto number = v.number(); number && key.type != kind::boolean) {
    bool below = key.least && *number < *key.least;
    bool above = key.most && *number > *key.most;
    if (below || above) {
      std::string range = key.least && key.most
                              ? "from " + bound_text(key, *key.least) + " to " + bound_text(key, *key.most)
                          : key.least ? "at least " + bound_text(key, *key.least)
                                      : "at most " + bound_text(key, *key.most);
      return error(errc::bad_config, show(key, v) + " is out of range: " + range + " is allowed");
    }
  }
  if (const std::string* text = v.text(); text && !key.choices.empty()) {
    if (std::find(key.choices.begin(), key.choices.end(), *text) == key.choices.end()) {
      return error(errc::bad_config, quoted(*text) + " is none of " + joined(key.choices, ", "));
    }
  }
  return v;
}

std::string_view written_as(value::kind type) { return type == value::kind::real ? "number" : to_string(type); }

error wrong_type(const config_key& key, std::string_view found) {
  std::string expected = key.type == kind::time ? "a time such as \"500ms\"" : std::string(to_string(key.type));
  return error(errc::bad_config, expected + " expected, " + std::string(found) + " found");
}

// A value of the file, to the form in which it is kept.
result<value> from_file(const config_key& key, const value& given) {
  switch (key.type) {
    case kind::boolean:
      if (given.boolean()) return checked(key, given);
      break;
    case kind::integer:
      if (given.integer()) return checked(key, given);
      break;
    case kind::number:
      if (auto number = given.number()) return checked(key, value(*number));
      break;
    case kind::text:
      if (given.text()) return checked(key, given);
      break;
    case kind::time:
      if (const std::string* text = given.text()) {
        auto time = parse_time(*text);
        if (!time) return error(errc::bad_config, quoted(*text) + ": " + time.error().text());
        return checked(key, value(time->count()));
      }
      break;
    case kind::texts:
      if (const list* items = given.items()) {
        for (const value& item : *items) {
          if (!item.text()) return wrong_type(key, "a list with " + std::string(written_as(item.type())));
        }
        return checked(key, given);
      }
      break;
  }
  return wrong_type(key, written_as(given.type()));
}

// A value of the command line or the environment, where everything is text.
result<value> from_text(const config_key& key, std::string_view text) {
  std::string kept(text);
  switch (key.type) {
    case kind::boolean:
      if (text == "true" || text == "false") return value(text == "true");
      break;
    case kind::integer: {
      std::int64_t number = 0;
      auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (!text.empty() && failed == std::errc() && end == text.data() + text.size())
        return checked(key, value(number));
      break;
    }
    case kind::number: {
      char* end = nullptr;
      double number = std::strtod(kept.c_str(), &end);
      if (!kept.empty() && *end == '\0' && std::isfinite(number)) return checked(key, value(number));
      break;
    }
    case kind::text: return checked(key, value(std::move(kept)));
    case kind::time: return from_file(key, value(std::move(kept)));
    case kind::texts: {
      auto items = internal::parse_texts(text);
      if (!items) return items.error();
      return from_file(key, value(std::move(*items)));
    }
  }
  return wrong_type(key, quoted(text));
}

std::string unknown_key(const config_schema& schema, std::string_view path) {
  std::string text = std::string(path) + ": no such key";
  auto near = schema.near_matches(path);
  if (!near.empty()) text += "; did you mean " + joined(near, " or ") + "?";
  return text;
}

}  // namespace

// -- config
// ------------------------------------------------------------------------------------------------------------

result<value> config::lookup(std::string_view path, std::optional<config_key::kind> wanted) const {
  if (!table_) return error(errc::not_found, std::string(path) + ": this node has no configuration");
  const config_key* key = table_->schema.find(path);
  if (!key) return error(errc::not_found, unknown_key(table_->schema, path));
  bool widened = wanted == kind::number && key->type == kind::integer;
  if (wanted && *wanted != key->type && !widened) {
    return error(errc::bad_argument, std::string(path) + " is a " + std::string(to_string(key->type)) +
                                         ", asked for as " + std::string(to_string(*wanted)));
  }
  std::lock_guard guard(table_->mutex);
  return table_->slots.find(path)->second.current;
}

result<void> config::set(std::string_view path, std::string_view text, std::string_view source) {
  if (!table_) return error(errc::not_found, std::string(path) + ": this node has no configuration");
  const config_key* key = table_->schema.find(path);
  if (!key) return error(errc::not_found, unknown_key(table_->schema, path));
  auto taken = from_text(*key, text);
  if (!taken) return error(taken.error().code(), std::string(path) + ": " + taken.error().text());
  std::lock_guard guard(table_->mutex);
  auto& slot = table_->slots.find(path)->second;
  slot.current = std::move(*taken);
  slot.source = source;
  return {};
}

result<void> config::set_value(std::string_view path, const value& given, std::string_view source) {
  if (!table_) return error(errc::not_found, std::string(path) + ": this node has no configuration");
  const config_key* key = table_->schema.find(path);
  if (!key) return error(errc::not_found, unknown_key(table_->schema, path));
  auto taken = from_file(*key, given);
  if (!taken) return error(taken.error().code(), std::string(path) + ": " + taken.error().text());
  std::lock_guard guard(table_->mutex);
  auto& slot = table_->slots.find(path)->second;
  slot.current = std::move(*taken);
  slot.source = source;
  return {};
}

std::vector<config_line> config::explain() const {
  std::vector<config_line> out;
  if (!table_) return out;
  std::lock_guard guard(table_->mutex);
  for (const auto& [path, slot] : table_->slots) {
    const config_key& key = *table_->schema.find(path);
    value shown = key.secret ? value() : slot.current;
    out.push_back({path, std::move(shown), show(key, slot.current), slot.source, show(key, key.standard), key.doc});
  }
  return out;
}

// -- config_loader
// -------------------------------------------------------------------------------------------------------

config_loader::config_loader(config_schema schema) : table_(std::make_shared<config::table>()) {
  for (const config_key& key : schema.keys()) table_->slots[key.path].current = key.standard;
  table_->schema = std::move(schema);
}

config_loader::~config_loader() = default;

config_loader& config_loader::problem(std::string text) {
  problems_.push_back(std::move(text));
  return *this;
}

config_loader& config_loader::skip_unknown() {
  skips_unknown_ = true;
  return *this;
}

config_loader& config_loader::file(const std::string& path) {
  auto text = internal::read_whole_file(path);
  if (!text) {
    problem(text.error().text());
    return *this;
  }
  return toml(*text, path);
}

config_loader& config_loader::toml(std::string_view text, const std::string& name) {
  auto entries = internal::parse_toml(text, name);
  if (!entries) {
    problem(entries.error().text());
    return *this;
  }
  for (const internal::toml_entry& entry : *entries) {
    std::string place = name + ":" + std::to_string(entry.line);
    if (entry.empty_table) {  // [exercise] with nothing in it is fine where keys may follow
      auto& keys = table_->schema.keys();
      bool section = std::any_of(keys.begin(), keys.end(),
                                 [&](const config_key& key) { return key.path.starts_with(entry.path + "."); });
      if (!section && !skips_unknown_) problem(place + ": " + unknown_key(table_->schema, entry.path));
      continue;
    }
    const config_key* key = table_->schema.find(entry.path);
    if (!key) {
      if (!skips_unknown_) problem(place + ": " + unknown_key(table_->schema, entry.path));
      continue;
    }
    auto taken = from_file(*key, entry.content);
    if (taken) table_->slots[entry.path] = {std::move(*taken), place};
    else problem(place + ": " + entry.path + ": " + taken.error().text());
  }
  return *this;
}

config_loader& config_loader::assignment(std::string_view text, std::string_view source) {
  std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    problem(std::string(source) + " " + std::string(text) + ": key=value expected");
    return *this;
  }
  return set(text.substr(0, equals), text.substr(equals + 1), source);
}

config_loader& config_loader::set(std::string_view path, std::string_view text, std::string_view source) {
  const config_key* key = table_->schema.find(path);
  if (!key) {
    if (!skips_unknown_) problem(std::string(source) + ": " + unknown_key(table_->schema, path));
    return *this;
  }
  auto taken = from_text(*key, text);
  if (taken) table_->slots[std::string(path)] = {std::move(*taken), std::string(source)};
  else problem(std::string(source) + ": " + std::string(path) + ": " + taken.error().text());
  return *this;
}

config_loader& config_loader::fix(std::string_view path, std::string_view text, std::string_view source) {
  auto found = table_->slots.find(path);
  if (found != table_->slots.end() && found->second.source != "default") {
    problem(found->second.source + ": " + std::string(path) + " cannot be set there");
  }
  return set(path, text, source);
}

result<config> config_loader::finish() {
  if (!problems_.empty()) return error(errc::bad_config, joined(problems_, "\n"));
  config made;
  made.table_ = table_;
  return made;
}

}  // namespace troupe
