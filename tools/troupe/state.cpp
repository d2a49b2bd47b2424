#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

int run(const parsed_options& given) {
  return ask_and_show("state", given, "troupe.state", {parse_argument(given.text("PROCESS"))},
                      [](const value& found) { return found.print(64, 1u << 20) + "\n"; });
}

}  // namespace

command state_command() {
  command_table rows;
  rows.name = "state";
  rows.summary = "What a server holds.";
  rows.arguments = {node_argument(), {"PROCESS", "a registered name or a pid"}};
  rows.options = with_session({});
  rows.example = "troupe state exercise exercise.calculator";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
