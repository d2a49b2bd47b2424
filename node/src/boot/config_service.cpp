#include "boot/config_service.hpp"

#include <troupe/node.hpp>
#include <troupe/process.hpp>

#include "observe/log_writer.hpp"
#include "runtime/core.hpp"

namespace troupe {
namespace {

// Attached to the node; set once, before its processes ask.
class config_holder final : public detail::service {
 public:
  explicit config_holder(config values) : values_(std::move(values)) {}
  [[nodiscard]] const config& values() const noexcept { return values_; }

 private:
  config values_;
};

config config_in(detail::core& core) {
  auto* holder = core.find<config_holder>();
  return holder ? holder->values() : config();
}

constexpr std::string_view log_level_key = "log.level";

// The node's own keys are looked at when it starts, and never again.
bool read_at_start(std::string_view key) {
  return (key.starts_with("node.") || key.starts_with("log.")) && key != log_level_key;
}

result<void> set_running(process& self, std::string_view key, const value& given) {
  constexpr std::string_view source = "set at run time";
  config values(self);
  const bool known = node_config_schema().find(key) != nullptr;
  if (known && read_at_start(key)) {
    return error(errc::not_allowed,
                 std::string(key) + " is read when the node starts: change the configuration, restart");
  }
  auto done = given.text() ? values.set(key, *given.text(), source) : values.set_value(key, given, source);
  if (!done || key != log_level_key) return done;
  auto* writer = dynamic_cast<internal::log_writer*>(self.core().log());
  if (auto level = values.get<std::string>(key); writer && level) {
    if (auto parsed = parse_log_level(*level)) writer->level(*parsed);
  }
  return done;
}

value line_value(const config_line& line) {
  return map_of({{"key", line.path},
                 {"value", line.current},
                 {"shown", line.shown},
                 {"source", line.source},
                 {"default", line.standard},
                 {"doc", line.doc}});
}

}  // namespace

config::config(process& self) : config(config_in(self.core())) {}
config::config(troupe::node& n) : config(config_in(n.core())) {}

void attach_config(node& n, config values) { n.core().attach(std::make_unique<config_holder>(std::move(values))); }

namespace internal {

void offer_config(catalogue& offers) {
  offers.function(
      "troupe.config",
      [](process& self) {
        list lines;
        for (const config_line& line : config(self).explain()) lines.push_back(line_value(line));
        return value(std::move(lines));
      },
      "every key with its value, where it comes from, its default and what it means");
  offers.function(
      "troupe.config_set", [](process& self, std::string key, value given) { return set_running(self, key, given); },
      "troupe.config_set(key, value): changes a value in the running node, not those that are read at its start; "
      "nothing "
      "is written to a file");
}

}  // namespace internal
}  // namespace troupe
