#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

std::string show(const value& found) {
  table shown({"KEY", "VALUE", "SOURCE", "DEFAULT", "WHAT"});
  for (const value& each : found.items() ? *found.items() : list()) {
    shown.row({plain_at(each, "key"), plain_at(each, "shown"), plain_at(each, "source"), plain_at(each, "default"),
               plain_at(each, "doc")});
  }
  return shown.text();
}

int run(const parsed_options& given) {
  if (!given.has("KEY")) return ask_and_show("config", given, "troupe.config", {}, show);
  return ask_and_show("config", given, "troupe.config_set", {value(given.text("KEY")), value(given.text("VALUE"))},
                      [](const value&) { return std::string(); });
}

}  // namespace

command config_command() {
  command_table rows;
  rows.name = "config";
  rows.summary = "The configuration of a running node: each value and where it comes from; or sets one.";
  rows.arguments = {node_argument(), {"KEY", "the key to set", false}, {"VALUE", "to what", false}};
  rows.options = with_session({});
  rows.notes =
      "What is set lasts until the node stops: no file is written. Parts that read a key at their start see it at "
      "their next.";
  rows.example = "troupe config exercise\ntroupe config exercise exercise.tick 50ms";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
