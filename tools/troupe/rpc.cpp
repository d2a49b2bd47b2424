#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

int run(const parsed_options& given) {
  list arguments;
  for (const std::string& word : given.all("ARGUMENTS")) arguments.push_back(parse_argument(word));
  return ask_and_show("rpc", given, given.text("FUNCTION"), std::move(arguments), [](const value& found) {
    return found.is_nil() ? std::string() : found.print(64, 1u << 20) + "\n";
  });
}

}  // namespace

command rpc_command() {
  command_table rows;
  rows.name = "rpc";
  rows.summary = "Calls a function that a node offers.";
  rows.arguments = {node_argument(),
                    {"FUNCTION", "its name: `troupe functions NODE` lists them"},
                    {"ARGUMENTS", "JSON, a pid, or else a text", false, true}};
  rows.options = with_session({});
  rows.notes =
      "What the function prints comes first. A nil result prints nothing. After `--` words that begin with a dash are "
      "arguments.";
  rows.example =
      "troupe rpc exercise exercise.calculator.push 5\ntroupe rpc exercise exercise.calculator.operator + --json";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
