#include <troupe/ids.hpp>

#include <cmath>
#include <iostream>

#include "boot/local_nodes.hpp"
#include "troupe/output.hpp"
#include "troupe/release_commands.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

// What the run directory knows of NODE, without asking the node itself: its lock says whether it lives.
result<internal::local_node> find_here(const parsed_options& given) {
  auto name = complete_node_name(given.text("NODE"));
  if (!name) return name.error();
  return internal::find_local_node(*name);
}

int not_running(std::string_view command, const error& why) {
  if (why == errc::bad_name) {
    complain(command, why);
    return internal::exit_usage;
  }
  if (why != errc::noproc) return complain(command, why);
  emit(why.text() + "\n");
  return internal::exit_unreachable;
}

std::string time_since(double seconds) {
  auto whole = static_cast<std::int64_t>(std::floor(seconds));
  std::string out;
  struct unit {
    std::int64_t size;
    const char* name;
  };
  for (const unit& each : {unit{86400, "d"}, unit{3600, "h"}, unit{60, "min"}}) {
    if (whole < each.size) continue;
    out += std::to_string(whole / each.size) + " " + each.name + " ";
    whole %= each.size;
  }
  return out + std::to_string(whole) + " s";
}

int run_pid(const parsed_options& given) {
  auto found = find_here(given);
  if (!found) {
    if (found.error() == errc::noproc) {  // standard output is for the number alone
      std::cerr << found.error().text() << "\n";
      return internal::exit_unreachable;
    }
    return not_running("release pid", found.error());
  }
  emit(std::to_string(found->os_pid) + "\n");
  return internal::exit_ok;
}

// As the help says: who holds the name and does not answer in time is not reached.
int unanswered(int status) { return status == internal::exit_timeout ? internal::exit_unreachable : status; }

int run_status(const parsed_options& given) {
  auto found = find_here(given);
  if (!found) return not_running("release status", found.error());
  int status = internal::exit_ok;
  auto here = session::open("release status", given, status);
  if (!here) return unanswered(status);  // it holds its name and does not answer: said already
  auto info = here->ask("troupe.info");
  if (!info) return unanswered(here->fail(info.error()));
  const value* release = info->find("release");
  const std::string version(release != nullptr && release->entries() ? release->text_at("version") : found->version);
  const value* up = info->find("uptime");
  double seconds = up && up->number() ? *up->number() : 0;
  if (given.has("json")) {
    emit_json(map_of({{"name", value(found->name)},
                      {"application", value(found->application)},
                      {"version", value(version)},
                      {"application_version", value(found->version)},
                      {"pid", value(found->os_pid)},
                      {"uptime", value(seconds)},
                      {"state", value("running")}}));
    return internal::exit_ok;
  }
  emit(found->name + " is running\n  version  " + version + " (application " + found->application + " " +
       found->version + ")\n  os pid   " + std::to_string(found->os_pid) + "\n  up       " + time_since(seconds) +
       "\n");
  return internal::exit_ok;
}

}  // namespace

command release_status_command() {
  command_table rows;
  rows.name = "release status";
  rows.summary = "Is a node of this host running, since when, as which process and version?";
  rows.arguments = {node_here_argument()};
  rows.options = with_session_here({});
  rows.example = "troupe release status exercise";
  rows.notes = "Exit code 0: it runs; 3: it does not, or does not answer.";
  return {std::move(rows), run_status};
}

command release_pid_command() {
  command_table rows;
  rows.name = "release pid";
  rows.summary = "The process id of a node of this host, without asking the node.";
  rows.arguments = {node_here_argument()};
  rows.example = "troupe release pid exercise";
  return {std::move(rows), run_pid};
}

}  // namespace troupe::tool
