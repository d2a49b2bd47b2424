#include "boot/config_service.hpp"

#include <troupe/node.hpp>
#include <troupe/process.hpp>

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
      "troupe.config_set",
      [](process& self, std::string key, value given) -> result<void> {
        std::string text = given.text() ? *given.text() : given.print();
        config values(self);
        return values.set(key, text, "set at run time");
      },
      "troupe.config_set(key, value): changes a value in the running node; nothing is written to a file");
}

}  // namespace internal
}  // namespace troupe
