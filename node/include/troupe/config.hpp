#pragma once
// Configuration is data with a schema (node/DESIGN.md, Configuration): the program declares its keys, a TOML file and
// the command line give values, and whatever the schema refuses is an error of the start that names file, line and key.
//     troupe::config_schema keys;
//     keys.time("exercise.tick", 500ms, "how often the simulated user acts").between(1ms, 1h);
//     …
//     auto tick = config(self).get<std::chrono::milliseconds>("exercise.tick").or_exit();
// Later wins: default of the schema, config/config.toml (or --config FILE), config/{dev,test,prod}.toml as --env or
// TROUPE_ENV says, the file of TROUPE_CONFIG, variables such as TROUPE__EXERCISE__TICK, --set key=value. The key
// `node.environment` says which environment it is.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/codec.hpp>
#include <troupe/time.hpp>

namespace troupe {

class node;
class process;

// One key. `standard` and the bounds are in the form in which values are kept: a time is an integer of nanoseconds.
struct config_key {
  enum class kind : std::uint8_t { boolean, integer, number, text, time, texts };

  std::string path;  // "exercise.tick": words of lower-case letters, digits and '_', joined by dots
  kind type = kind::text;
  value standard;
  std::string doc;                    // one line
  std::optional<double> least, most;  // of integers, numbers and times, both included
  std::vector<std::string> choices;   // of texts; empty: any
  bool secret = false;                // shown as "…" by explain

  config_key& at_least(double bound);
  config_key& at_most(double bound);
  config_key& between(double low, double high) { return at_least(low).at_most(high); }
  config_key& between(duration low, duration high);
  config_key& one_of(std::vector<std::string> words);
  config_key& hide();
};

[[nodiscard]] std::string_view to_string(config_key::kind kind) noexcept;  // "boolean", …, "time", "list of texts"

// Filled by the program before the node starts. A path that is bad or given twice is a programming error and throws
// std::invalid_argument. The returned key is valid until the next call.
class config_schema {
 public:
  config_key& boolean(std::string path, bool standard, std::string doc);
  config_key& integer(std::string path, std::int64_t standard, std::string doc);
  config_key& number(std::string path, double standard, std::string doc);
  config_key& text(std::string path, std::string standard, std::string doc);
  config_key& time(std::string path, duration standard, std::string doc);
  config_key& texts(std::string path, std::vector<std::string> standard, std::string doc);
  config_key& add(config_key key);
  void merge(const config_schema& other);

  [[nodiscard]] const config_key* find(std::string_view path) const noexcept;
  [[nodiscard]] const std::vector<config_key>& keys() const noexcept { return keys_; }  // in the order of adding
  // Up to three paths that resemble it, best first.
  [[nodiscard]] std::vector<std::string> near_matches(std::string_view path) const;

 private:
  std::vector<config_key> keys_;
};

// The keys of every node: `node.*` and `log.*`.
[[nodiscard]] const config_schema& node_config_schema();

// "500ms", "1.5s", "2m", "1h", "250us", "100ns"; a number without unit is refused, but for 0.
[[nodiscard]] result<duration> parse_time(std::string_view text);
[[nodiscard]] std::string print_time(duration time);  // "500ms": the longest unit that divides it

struct config_line {
  std::string path;
  value current;
  std::string shown;   // the value as one writes it in the file
  std::string source;  // "default", "config/config.toml:3", "--set"
  std::string standard;
  std::string doc;
};

// A cheap value: all copies show the same table, which lives as long as one of them. Thread-safe.
class config {
 public:
  config() = default;
  explicit config(process& self);  // the node's; empty when the node was started without
  explicit config(troupe::node& n);

  // errc::not_found for a key that the schema has not (the text names near ones); bad_argument when T is not its type.
  template <class T>
  [[nodiscard]] result<T> get(std::string_view path) const;
  // Changes a value in the running program, under the schema's rules; who reads later sees it. `source` is for explain.
  result<void> set(std::string_view path, std::string_view text, std::string_view source = "set at run time");
  // The same with a value as a file would have it: 5, true, {"a", "b"}, "5s" for a time.
  result<void> set_value(std::string_view path, const value& given, std::string_view source = "set at run time");
  [[nodiscard]] std::vector<config_line> explain() const;  // sorted by path
  [[nodiscard]] explicit operator bool() const noexcept { return table_ != nullptr; }

 private:
  friend class config_loader;
  struct table;
  [[nodiscard]] result<value> lookup(std::string_view path, std::optional<config_key::kind> wanted) const;
  std::shared_ptr<table> table_;
};

// Collects the sources in their order, then makes the table or says all that is wrong, one line each:
//     config/config.toml:3: exercise.tik: no such key; did you mean exercise.tick?
class config_loader {
 public:
  explicit config_loader(config_schema schema);
  ~config_loader();
  config_loader(const config_loader&) = delete;
  config_loader& operator=(const config_loader&) = delete;

  config_loader& file(const std::string& path);                         // a missing one is an error
  config_loader& toml(std::string_view text, const std::string& name);  // the same with the text at hand
  config_loader& assignment(std::string_view text, std::string_view source = "--set");  // "exercise.tick=5ms"
  config_loader& set(std::string_view path, std::string_view text, std::string_view source);
  // The same for a key that nothing else may have set.
  config_loader& fix(std::string_view path, std::string_view text, std::string_view source);
  config_loader& problem(std::string text);  // one more line of what is wrong
  // From now on: keys that the schema has not are another program's.
  config_loader& skip_unknown();
  [[nodiscard]] result<config> finish();  // errc::bad_config

 private:
  std::shared_ptr<config::table> table_;
  std::vector<std::string> problems_;
  bool skips_unknown_ = false;
};

// Makes `values` what config(self) and config(node) see. Before the node's processes ask.
void attach_config(node& n, config values);

namespace detail {

template <class T>
constexpr std::optional<config_key::kind> config_kind() {
  using kind = config_key::kind;
  if constexpr (std::same_as<T, bool>) return kind::boolean;
  else if constexpr (std::is_integral_v<T>) return kind::integer;
  else if constexpr (std::is_floating_point_v<T>) return kind::number;
  else if constexpr (std::same_as<T, std::string>) return kind::text;
  else if constexpr (std::same_as<T, std::vector<std::string>>) return kind::texts;
  else if constexpr (requires { std::chrono::duration_cast<T>(duration()); }) return kind::time;
  else return std::nullopt;
}

}  // namespace detail

template <class T>
result<T> config::get(std::string_view path) const {
  constexpr auto wanted = detail::config_kind<T>();
  static_assert(wanted || std::same_as<T, value>,
                "bool, an integer, a float, std::string, a duration, vector<string> or value");
  auto found = lookup(path, wanted);
  if (!found) return result<T>(found.error());
  return from_value<T>(*found);
}

}  // namespace troupe
