#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

int run(const parsed_options& given) {
  auto show = [](const value& found) { return lines_of(found); };
  if (!given.has("PROCESS")) return ask_and_show("info", given, "troupe.info", {}, show);
  list asked{parse_argument(given.text("PROCESS"))};
  if (given.has("messages")) {
    asked.push_back(list_of({"pid", "name", "entry", "status", "queue", "messages"}));
  }
  return ask_and_show("info", given, "troupe.process_info", std::move(asked), show);
}

}  // namespace

command info_command() {
  command_table rows;
  rows.name = "info";
  rows.summary = "What a node is and has counted; or one of its processes.";
  rows.arguments = {node_argument(), {"PROCESS", "a registered name or a pid", false}};
  rows.options = with_session({{"--messages", takes::nothing, "", "of a process: the messages that wait for it"}});
  rows.example = "troupe info exercise\ntroupe info exercise exercise.calculator";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
