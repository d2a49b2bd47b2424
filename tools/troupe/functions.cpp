#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

std::string show(const value& found) {
  table shown({"FUNCTION", "KIND", "RETURNS", "WHAT"});
  for (const value& each : found.items() ? *found.items() : list()) {
    std::string arguments;
    const value* types = each.find("arguments");
    for (const value& type : types && types->items() ? *types->items() : list())
      arguments += (arguments.empty() ? "" : ", ") + plain(type);
    shown.row({plain_at(each, "name") + "(" + arguments + ")", plain_at(each, "kind"), plain_at(each, "returns"),
               plain_at(each, "doc")});
  }
  return shown.text();
}

int run(const parsed_options& given) {
  list asked;
  if (given.has("PREFIX")) asked.emplace_back(given.text("PREFIX"));
  return ask_and_show("functions", given, "troupe.functions", std::move(asked), show);
}

}  // namespace

command functions_command() {
  command_table rows;
  rows.name = "functions";
  rows.summary = "What a node offers by name: functions to call, processes to spawn.";
  rows.arguments = {node_argument(), {"PREFIX", "only names that begin so", false}};
  rows.options = with_session({});
  rows.example = "troupe functions exercise exercise.";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
