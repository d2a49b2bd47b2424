#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <string_view>

#include "troupe/output.hpp"
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

std::string locks_table(const value& found) {
  table shown({"RESOURCE", "STATE", "PID", "REQUESTER", "FENCE", "WAITED_MS"});
  for (const value& each : items_of(found.find("locks"))) {
    shown.row({plain_at(each, "resource"), plain_at(each, "state"), plain_at(each, "pid"), plain_at(each, "requester"),
               plain_at(each, "fence"), plain_at(each, "waited_ms")});
  }
  std::string out = shown.text();
  for (const value& cycle : items_of(found.find("cycles"))) {
    out += "each waits for the next:";
    for (const value& who : items_of(&cycle)) out += " " + plain(who);
    out += "\n";
  }
  for (const value& node : items_of(found.find("missing"))) out += plain(node) + " has not answered\n";
  return out;
}

constexpr std::array<std::string_view, 4> kinds{"local", "global", "groups", "locks"};

int run(const parsed_options& given) {
  const std::string what = given.has("KIND") ? given.text("KIND") : "local";
  if (std::ranges::find(kinds, what) == kinds.end()) {
    std::cerr << "troupe registry: \"" << what << "\" is none of local, global, groups and locks\n";
    return internal::exit_usage;
  }
  const std::string glob = given.has("name") ? given.text("name") : std::string();
  const auto show = [&what](const value& found) {
    if (what == "groups") return groups_table(found);
    return what == "locks" ? locks_table(found) : names_table(found, what == "global");
  };
  const auto filter = [&](value& found) {
    if (what != "locks") return keep_fitting(found, "name", glob);
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
      "The registered names of a node, or the global names, groups or locks of the cluster as that node knows them.";
  rows.arguments = {node_argument(), {"KIND", "local (if not said), global, groups or locks", false}};
  rows.options =
      with_session({{"--name", takes::text, "GLOB", "only names, or resources of locks, that fit: 'todo*'"}});
  rows.example = "troupe registry exercise global --name 'todo*'";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
