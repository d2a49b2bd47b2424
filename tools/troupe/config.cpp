#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

void add_row(table& to, const value& line) {
  to.row({plain_at(line, "key"), plain_at(line, "shown"), plain_at(line, "source"), plain_at(line, "default"),
          plain_at(line, "doc")});
}

table empty_table() { return table({"KEY", "VALUE", "SOURCE", "DEFAULT", "WHAT"}); }

std::string show_all(const value& found) {
  table shown = empty_table();
  for (const value& each : found.items() ? *found.items() : list()) add_row(shown, each);
  return shown.text();
}

int show_one(const parsed_options& given) {
  int status = internal::exit_ok;
  auto here = session::open("config", given, status);
  if (!here) return status;
  auto got = here->ask("troupe.config");
  if (!got) return here->fail(got.error());
  const std::string key = given.text("KEY");
  for (const value& each : got->items() ? *got->items() : list()) {
    if (each.text_at("key") != key) continue;
    table shown = empty_table();
    add_row(shown, each);
    if (given.has("json")) emit_json(each);
    else emit(shown.text());
    return internal::exit_ok;
  }
  return here->fail(error(errc::not_found, here->target() + " has no key \"" + key + "\"; `troupe config " +
                                               given.text("NODE") + "` shows all"));
}

int run(const parsed_options& given) {
  if (!given.has("KEY")) return ask_and_show("config", given, "troupe.config", {}, show_all);
  if (!given.has("VALUE")) return show_one(given);
  return ask_and_show("config", given, "troupe.config_set", {value(given.text("KEY")), value(given.text("VALUE"))},
                      [](const value&) { return std::string(); });
}

}  // namespace

command config_command() {
  command_table rows;
  rows.name = "config";
  rows.summary = "The configuration of a running node: each value and where it comes from; or sets one.";
  rows.arguments = {
      node_argument(), {"KEY", "the only one to show, or to set", false}, {"VALUE", "what to set it to", false}};
  rows.options = with_session({});
  rows.notes =
      "Without VALUE nothing is changed. What is set lasts until the node stops: no file is written. Parts that read a "
      "key at their start see it at their next.";
  rows.example =
      "troupe config exercise\n"
      "troupe config exercise exercise.tick\n"
      "troupe config exercise exercise.tick 50ms";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
