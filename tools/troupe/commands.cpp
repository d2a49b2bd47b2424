#include "troupe/command.hpp"

#include <algorithm>
#include <iostream>

#include "troupe/release_commands.hpp"

namespace troupe::tool {
namespace {

std::string overview(const std::vector<command>& known) {
  std::string out = "usage: troupe COMMAND [ARGUMENTS]\n\nCommands:\n";
  std::size_t width = 0;
  for (const command& each : known) width = std::max(width, each.table.name.size());
  for (const command& each : known) {
    out += "  " + each.table.name + std::string(width - each.table.name.size() + 2, ' ') + each.table.summary + "\n";
  }
  return out +
         "\n`troupe COMMAND --help` says more, with an example.\n"
         "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 node not reachable, 4 not in time, 5 refused.\n";
}

const command* find(const std::vector<command>& known, std::vector<std::string>& words) {
  for (std::size_t count : {std::size_t{2}, std::size_t{1}}) {
    if (words.size() < count) continue;
    std::string name = count == 2 ? words[0] + " " + words[1] : words[0];
    auto at = std::find_if(known.begin(), known.end(), [&](const command& each) { return each.table.name == name; });
    if (at == known.end()) continue;
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count));
    return &*at;
  }
  return nullptr;
}

}  // namespace

const std::vector<command>& commands() {
  static const std::vector<command> all = [] {
    std::vector<command> made = {shell_command(),  remote_command(),    names_command(), ping_command(),
                                 nodes_command(),  registry_command(),  ps_command(),    info_command(),
                                 tree_command(),   state_command(),     watch_command(), trace_command(),
                                 rpc_command(),    functions_command(), send_command(),  exit_command(),
                                 config_command(), log_command(),       stop_command()};
    made.insert(made.end() - 2, config_explain_command());
    for (command& each : release_commands()) made.push_back(std::move(each));
    made.push_back(keygen_command());
    made.push_back(tidy_command());
    made.push_back(version_command());
    return made;
  }();
  return all;
}

std::vector<option_row> with_session(std::vector<option_row> own, bool json) {
  if (json) own.push_back({"--json", takes::nothing, "", "as JSON, in a shape that stays"});
  own.push_back({"--timeout", takes::time, "TIME", "how long to wait for the node; 5s if not said"});
  own.push_back(
      {"--cookie-file", takes::text, "FILE", "the cluster's cookie (0600), where the node's own key cannot be read"});
  return own;
}

int dispatch(const std::vector<command>& known, std::vector<std::string> words) {
  if (words.empty()) {
    std::cerr << overview(known);
    return internal::exit_usage;
  }
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    std::cout << overview(known);
    return internal::exit_ok;
  }
  if (words[0] == "--version") words[0] = "version";
  std::string name = words[0];
  const command* wanted = find(known, words);
  if (!wanted) {
    std::cerr << "troupe: unknown command \"" << name << "\"\n\n" << overview(known);
    return internal::exit_usage;
  }
  command_table table = wanted->table;
  table.name = "troupe " + table.name;
  auto parsed = internal::parse_command(table, std::move(words));
  if (!parsed.values) {
    (parsed.status == internal::exit_ok ? std::cout : std::cerr) << parsed.text;
    return parsed.status;
  }
  return wanted->run(*parsed.values);
}

}  // namespace troupe::tool
