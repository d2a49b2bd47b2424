#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

int run(const parsed_options& given) {
  return ask_and_show("log", given, "troupe.logs", {value(given.count("lines", 100))}, [](const value& found) {
    std::string out;
    for (const value& line : found.items() ? *found.items() : list()) {
      out += plain(line);
      if (!out.ends_with('\n')) out += '\n';
    }
    return out;
  });
}

}  // namespace

command log_command() {
  command_table rows;
  rows.name = "log";
  rows.summary = "The last lines of a node's log, reports whole.";
  rows.arguments = {node_argument()};
  rows.options = with_session({{"-n,--lines", takes::count, "N", "so many; 100 if not said"}});
  rows.example = "troupe log exercise -n 20";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
