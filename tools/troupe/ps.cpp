#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string_view>

#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

// A process that holds its worker, and how long it has: "running 3.2 s".
std::string status_of(const value& each) {
  const value* held = each.find("held");
  char time[32] = "";
  if (held && held->number()) std::snprintf(time, sizeof time, " %.1f s", *held->number());
  return plain_at(each, "status") + time;
}

int run(const parsed_options& given) {
  map asked;
  static constexpr std::string_view keys[] = {"id", "queue", "memory", "reductions"};
  if (given.has("sort") && std::find(std::begin(keys), std::end(keys), given.text("sort")) == std::end(keys)) {
    std::cerr << "troupe ps: --sort: id, queue, memory or reductions expected, not \"" << given.text("sort") << "\"\n";
    return internal::exit_usage;
  }
  if (given.has("sort")) asked.emplace_back(value("sort"), value(given.text("sort")));
  if (given.has("name")) asked.emplace_back(value("name"), value(given.text("name")));
  asked.emplace_back(value("limit"), value(given.count("limit", 1000)));
  return ask_and_show("ps", given, "troupe.ps", {value(std::move(asked))}, [](const value& found) {
    table shown({"PID", "NAME", "ENTRY", "STATUS", "QUEUE", "MEMORY", "REDUCTIONS"});
    for (const value& each : found.items() ? *found.items() : list()) {
      shown.row({plain_at(each, "pid"), plain_at(each, "name"), plain_at(each, "entry"), status_of(each),
                 plain_at(each, "queue"), plain_at(each, "memory"), plain_at(each, "reductions")});
    }
    return shown.text();
  });
}

}  // namespace

command ps_command() {
  command_table rows;
  rows.name = "ps";
  rows.summary = "The processes of a node.";
  rows.arguments = {node_argument()};
  rows.options =
      with_session({{"--sort", takes::text, "KEY", "id (if not said), queue, memory or reductions: the largest first"},
                    {"-n,--limit", takes::count, "N", "at most so many; 1000 if not said"},
                    {"--name", takes::text, "GLOB", "only those whose registered name fits: 'exercise.*'"}});
  rows.notes = "A time behind the status: so long that process has held its worker in one go.";
  rows.example = "troupe ps exercise --sort memory --limit 10";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
