#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

std::string nothing(const value&) { return {}; }

int run_send(const parsed_options& given) {
  return ask_and_show("send", given, "troupe.send",
                      {parse_argument(given.text("PROCESS")), parse_argument(given.text("MESSAGE"))}, nothing);
}

int run_exit(const parsed_options& given) {
  list asked{parse_argument(given.text("PROCESS"))};
  if (given.has("REASON") || given.has("force")) {
    asked.push_back(given.has("REASON") ? parse_argument(given.text("REASON")) : value());
  }
  if (given.has("force")) asked.emplace_back(true);
  return ask_and_show("exit", given, "troupe.exit", std::move(asked), nothing);
}

}  // namespace

command send_command() {
  command_table rows;
  rows.name = "send";
  rows.summary = "Sends a message to a process of a node.";
  rows.arguments = {
      node_argument(), {"PROCESS", "a registered name or a pid"}, {"MESSAGE", "JSON, a pid, or else a text"}};
  rows.options = with_session({});
  rows.example = "troupe send exercise exercise.calculator '[\"push\", {\"number\": 5}]'";
  return {std::move(rows), run_send};
}

command exit_command() {
  command_table rows;
  rows.name = "exit";
  rows.summary = "Sends an exit signal to a process of a node.";
  rows.arguments = {node_argument(),
                    {"PROCESS", "a registered name or a pid"},
                    {"REASON", "JSON or a text; kill if not said", false}};
  rows.options = with_session({{"--force", takes::nothing, "", "also one of the node's own, as troupe.global"}});
  rows.example = "troupe exit exercise exercise.user\ntroupe exit exercise exercise.user shutdown";
  return {std::move(rows), run_exit};
}

}  // namespace troupe::tool
