#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

int run(const parsed_options& given) {
  return ask_and_show("registry", given, "troupe.registry", {}, [](const value& found) {
    table shown({"NAME", "PID"});
    for (const value& each : found.items() ? *found.items() : list())
      shown.row({plain_at(each, "name"), plain_at(each, "pid")});
    return shown.text();
  });
}

}  // namespace

command registry_command() {
  command_table rows;
  rows.name = "registry";
  rows.summary = "The registered names of a node.";
  rows.arguments = {node_argument()};
  rows.options = with_session({});
  rows.example = "troupe registry exercise";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
