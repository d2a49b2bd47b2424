#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <string_view>

#include "troupe/output.hpp"
#include "troupe/registry_watch.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

// Drops what does not fit --name, so that JSON and tables show the same.
void keep_fitting(value& entries, std::string_view key, const std::string& glob) {
  list* items = entries.items();
  if (glob.empty() || !items) return;
  std::erase_if(*items, [&](const value& each) { return fnmatch(glob.c_str(), plain_at(each, key).c_str(), 0) != 0; });
}

const list& items_of(const value* given) {
  static const list none;
  return given && given->items() ? *given->items() : none;
}

std::string names_table(const value& found, bool with_node) {
  table shown(with_node ? std::vector<std::string>{"NAME", "PID", "NODE"} : std::vector<std::string>{"NAME", "PID"});
  for (const value& each : items_of(&found)) {
    std::vector<std::string> cells{plain_at(each, "name"), plain_at(each, "pid")};
    if (with_node) cells.push_back(plain_at(each, "node"));
    shown.row(std::move(cells));
  }
  return shown.text();
}

std::string groups_table(const value& found) {
  table shown({"GROUP", "SCOPE", "PID", "NODE"});
  for (const value& each : items_of(&found)) {
    for (const value& member : items_of(each.find("members"))) {
      const std::string node = member.process() ? std::string(member.process()->node()) : std::string();
      shown.row({plain_at(each, "name"), plain_at(each, "scope"), plain(member), node});
    }
    if (items_of(each.find("members")).empty()) shown.row({plain_at(each, "name"), plain_at(each, "scope"), "", ""});
  }
  return shown.text();
}

// Of locks, and of waits, which have the calls too.
std::string waits_table(const value& found) {
  table shown({"RESOURCE", "STATE", "PID", "REQUESTER", "FENCE", "WAITED_MS"});
  for (const value& each : items_of(found.find("locks"))) {
    shown.row({plain_at(each, "resource"), plain_at(each, "state"), plain_at(each, "pid"), plain_at(each, "requester"),
               plain_at(each, "fence"), plain_at(each, "waited_ms")});
  }
  std::string out = shown.text();
  if (found.find("calls")) {
    table calls({"CALLER", "WAITS_FOR", "AT"});
    for (const value& each : items_of(found.find("calls"))) {
      calls.row({plain_at(each, "pid"), plain_at(each, "to"), plain_at(each, "at")});
    }
    out += calls.text();
  }
  for (const value& cycle : items_of(found.find("cycles"))) {
    out += "each waits for the next:";
    for (const value& who : items_of(&cycle)) out += " " + plain(who);
    out += "\n";
  }
  for (const value& node : items_of(found.find("missing"))) out += plain(node) + " has not answered\n";
  return out;
}

constexpr std::array<std::string_view, 5> kinds{"local", "global", "groups", "locks", "waits"};

int misused(const std::string& what) {
  std::cerr << "troupe registry: " << what << "\n`troupe registry --help` says more.\n";
  return internal::exit_usage;
}

int run(const parsed_options& given) {
  const bool watch = given.has("watch");
  const std::string what = given.has("KIND") ? given.text("KIND") : watch ? "all" : "local";
  if (std::ranges::find(kinds, what) == kinds.end() && !(watch && what == "all")) {
    std::cerr << "troupe registry: \"" << what << "\" is none of "
              << (watch ? "local, global, groups, locks and all\n" : "local, global, groups, locks and waits\n");
    return internal::exit_usage;
  }
  if (watch && what == "waits") return misused("waits can only be looked at, not followed by --watch");
  for (const char* option : {"interval", "count", "for"}) {
    if (!watch && given.has(option)) return misused("--" + std::string(option) + " goes with --watch");
  }
  if (watch) return watch_registry(given, what);
  const std::string glob = given.has("name") ? given.text("name") : std::string();
  const auto show = [&what](const value& found) {
    if (what == "groups") return groups_table(found);
    return what == "locks" || what == "waits" ? waits_table(found) : names_table(found, what == "global");
  };
  const auto filter = [&](value& found) {
    if (what != "locks" && what != "waits") return keep_fitting(found, "name", glob);
    if (map* parts = found.entries()) {
      for (auto& [key, item] : *parts) {
        if (key == value("locks")) keep_fitting(item, "resource", glob);
      }
    }
  };
  return ask_and_show("registry", given, "troupe.registry", {value(what)}, show, filter);
}

}  // namespace

command registry_command() {
  command_table rows;
  rows.name = "registry";
  rows.summary =
      "The registered names of a node, or the global names, groups or locks of the cluster as that node knows them; or "
      "who waits for whom.";
  rows.arguments = {
      node_argument(),
      {"KIND", "local (if not said), global, groups, locks or waits; with --watch all if not said", false}};
  rows.options =
      with_session({{"--name", takes::text, "GLOB", "only names, groups, or resources of locks, that fit: 'todo*'"},
                    {"--watch", takes::nothing, "", "tell each change from now on, until Ctrl-C; --json: one a line"},
                    {"--interval", takes::time, "TIME", "with --watch: how often the node looks; 250ms if not said"},
                    {"--count", takes::count, "N", "with --watch: end after so many changes"},
                    {"--for", takes::time, "TIME", "with --watch: end after TIME"}});
  rows.notes =
      "With --watch: groups are told by their monitors, each change in order. Names and locks have no monitors: the "
      "node "
      "compares them every --interval, and what came and went between is not seen.\n"
      "waits: the locks, and every process of the cluster that waits for the answer of a call, with the cycles among "
      "them: who is in one goes on only when a deadline passes. It asks each process that waits.";
  rows.example =
      "troupe registry exercise global --name 'todo*'\n"
      "troupe registry exercise waits\n"
      "troupe registry exercise groups --watch --for 10s\n"
      "troupe registry exercise --watch --json --count 5";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
