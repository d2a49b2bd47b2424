#include "troupe/command.hpp"

#include <algorithm>
#include <iostream>

#include "troupe/output.hpp"
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

// "release": the first word of several.
std::vector<command> family(const std::vector<command>& known, const std::string& word) {
  std::vector<command> out;
  for (const command& each : known) {
    if (each.table.name.starts_with(word + " ")) out.push_back(each);
  }
  return out;
}

// How many letters must be put in, taken out, changed, or swapped with their neighbour.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t k = 0; k <= b.size(); ++k) {
      if (i == 0 || k == 0) {
        cost[i][k] = i + k;
        continue;
      }
      cost[i][k] = std::min({cost[i - 1][k] + 1, cost[i][k - 1] + 1, cost[i - 1][k - 1] + (a[i - 1] != b[k - 1])});
      if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
        cost[i][k] = std::min(cost[i][k], cost[i - 2][k - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

// The commands that may be meant: ": did you mean X or Y?", nothing when none is near.
std::string suggestion(const std::vector<command>& known, const std::string& word) {
  constexpr std::size_t longest = 40;  // the cost is that of both lengths
  if (word.size() > longest) return {};
  std::vector<std::string> near;
  std::size_t best = 3;
  for (const command& each : known) {
    const std::string& name = each.table.name;
    std::size_t far = distance(word, name);
    if (word.size() > 2 && name.starts_with(word)) far = std::min<std::size_t>(far, 1);
    if (far > best || far >= std::max(word.size(), std::size_t{2})) continue;
    if (far < best) near.clear();
    best = far;
    near.push_back(name);
  }
  std::string out;
  for (std::size_t i = 0; i < near.size(); ++i)
    out += (i == 0 ? ": did you mean " : i + 1 == near.size() ? " or " : ", ") + near[i];
  return out.empty() ? out : out + "?";
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

std::vector<option_row> with_session_here(std::vector<option_row> own, bool json) {
  if (json) own.push_back({"--json", takes::nothing, "", "as JSON, in a shape that stays"});
  own.push_back({"--transport", takes::text, "KIND",
                 "who carries the connection: direct, if not said, or zeromq, as node.transport of a node"});
  own.push_back({"--timeout", takes::time, "TIME", "how long to wait for the node; 5s if not said"});
  own.push_back(
      {"--cookie-file", takes::text, "FILE", "the cluster's cookie (0600), where the node's own key cannot be read"});
  return own;
}

std::vector<option_row> with_session(std::vector<option_row> own, bool json) {
  own = with_session_here(std::move(own), json);
  own.push_back({"--peer", takes::text, "NODE=ENDPOINT", "where NODE is: exercise@hostb=tcp://hostb:4370", true});
  own.push_back({"--config", takes::text, "FILE",
                 "where else a node is: node.peers of this configuration; ~/.troupe/peers if not said", true});
  return own;
}

namespace {

int unknown(const std::vector<command>& known, const std::string& word) {
  const std::string meant = suggestion(known, word);
  std::cerr << "troupe: unknown command \"" << word << "\"" << meant << "\n";
  if (meant.empty()) std::cerr << "\n" << overview(known);
  else std::cerr << "`troupe --help` lists all.\n";
  return internal::exit_usage;
}

// `troupe help ps`, `troupe help release`, `troupe release --help`.
int help_of(const std::vector<command>& known, std::vector<std::string> words) {
  std::string name;
  for (const std::string& word : words) name += (name.empty() ? "" : " ") + word;
  const command* wanted = find(known, words);
  if (wanted && words.empty()) {
    command_table table = wanted->table;
    table.name = "troupe " + table.name;
    emit(internal::help_text(table));
    return internal::exit_ok;
  }
  const std::vector<command> several = family(known, name);
  if (several.empty()) return unknown(known, name);
  emit(overview(several));
  return internal::exit_ok;
}

}  // namespace

int dispatch(const std::vector<command>& known, std::vector<std::string> words) {
  const auto asks = [](const std::string& word) { return word == "--help" || word == "-h" || word == "help"; };
  if (words.empty()) {
    std::cerr << overview(known);
    return internal::exit_usage;
  }
  if (asks(words[0])) {
    words.erase(words.begin());
    if (!words.empty()) return help_of(known, std::move(words));
    emit(overview(known));
    return internal::exit_ok;
  }
  if (words[0] == "--version") words[0] = "version";
  const std::string name = words[0];
  const command* wanted = find(known, words);
  if (!wanted) {
    const std::vector<command> several = family(known, name);
    if (several.empty()) return unknown(known, name);
    if (words.size() == 2 && asks(words[1])) return help_of(known, {name});
    if (words.size() > 1) return unknown(known, name + " " + words[1]);
    std::cerr << overview(several);
    return internal::exit_usage;
  }
  command_table table = wanted->table;
  table.name = "troupe " + table.name;
  auto parsed = internal::parse_command(table, std::move(words));
  if (!parsed.values) {
    if (parsed.status == internal::exit_ok) emit(parsed.text);
    else std::cerr << parsed.text;
    return parsed.status;
  }
  return wanted->run(*parsed.values);
}

}  // namespace troupe::tool
