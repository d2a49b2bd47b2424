#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include <troupe/cluster.hpp>
#include <troupe/config.hpp>

#include "boot/local_nodes.hpp"
#include "boot/other_hosts.hpp"
#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

using namespace std::chrono_literals;
using steady_time = std::chrono::steady_clock;

constexpr duration whole_patience = 40s;  // what a node takes that says nothing else, and its name
constexpr duration longest_patience = 24h;

// A process of the operating system that still runs; a zombie has ended, whoever forgot to wait for it.
bool runs(std::int64_t os_pid) {
  std::ifstream in("/proc/" + std::to_string(os_pid) + "/stat");
  std::string text;
  if (!std::getline(in, text)) return false;
  std::size_t after = text.rfind(')');  // its name may hold anything
  return after != std::string::npos && after + 2 < text.size() && text[after + 2] != 'Z' && text[after + 2] != 'X';
}

// Is that number, as seen from here, the process that holds the node's lock? In a container's shared folder the node
// may say "1" and mean another 1 than ours: such a process is neither waited for nor killed.
bool holds_lock(std::int64_t os_pid, const std::filesystem::path& lock) {
  std::error_code failed;
  std::filesystem::directory_iterator files("/proc/" + std::to_string(os_pid) + "/fd", failed);
  if (failed) return false;
  for (const auto& file : files) {
    // The file itself, not its name: the run directory may be reached through a link (/var/run).
    if (std::filesystem::equivalent(file.path(), lock, failed)) return true;
  }
  return false;
}

bool name_is_free(const internal::local_node& of) {
  auto now = internal::find_local_node(of.name);
  if (now) return now->os_pid != of.os_pid;  // a successor has the name already
  return now.error() == errc::noproc;
}

// True when name and process are gone. The process last: it frees its name a moment before it ends.
bool wait_gone(const internal::local_node& of, bool visible, duration limit) {
  auto until = steady_time::now() + limit;
  for (;;) {
    if (name_is_free(of) && (!visible || !runs(of.os_pid))) return true;
    if (steady_time::now() >= until) return false;
    std::this_thread::sleep_for(10ms);
  }
}

int report(const parsed_options& given, const std::string& name, const char* what) {
  if (given.has("json")) emit_json(map_of({{"name", value(name)}, {"result", value(what)}}));
  else emit(name + ": " + what + "\n");
  return internal::exit_ok;
}

// What is left is waiting, and no session reads the signals any more.
void let_signals_end_us() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

struct request {
  int status = internal::exit_ok;
  duration within = whole_patience;  // it is gone
};

// Whether the node has taken it. The node may be gone before its answer is: what counts is that it goes.
request ask(session& here) {
  request out;
  auto asked = here.ask("troupe.stop", {value("asked by `troupe stop`")});
  if (asked) {
    const std::int64_t* within = asked->integer();
    if (within) out.within = std::chrono::milliseconds(std::clamp<std::int64_t>(*within, 0, longest_patience / 1ms));
  } else if (asked.error() != errc::noconnection && asked.error() != errc::closed &&
             asked.error() != errc::shutting_down) {
    out.status = here.fail(asked.error());
  }
  return out;
}
request ask(const parsed_options& given) {
  request out;
  auto here = session::open("stop", given, out.status);
  return here ? ask(*here) : out;
}

// Of another host nothing is seen but the connection, which ends when the node has.
int stop_elsewhere(const parsed_options& given, const std::string& name) {
  if (given.has("kill")) {
    std::cerr << "troupe stop: --kill ends a process of this host, and " << name << " is elsewhere: use it there\n";
    return internal::exit_usage;
  }
  int status = internal::exit_ok;
  auto here = session::open("stop", given, status);
  if (!here) return status;
  const auto began = steady_time::now();
  const request asked = ask(*here);
  if (asked.status != internal::exit_ok) return asked.status;
  const duration limit = given.time("timeout", asked.within);
  const auto end = began + limit;
  bool gone = false;
  auto body = [&gone, &name, end](process& self) -> task<> {
    monitor_node(self, name);
    gone = (co_await self.receive(std::max<duration>(end - steady_time::now(), 0s))).has_value();
  };
  auto waited = here->run(limit + 1s, body);
  if (!waited) return here->fail(waited.error());
  if (gone) return report(given, name, "stopped");
  std::cerr << "troupe stop: " << name << " has been asked and is still there after " << print_time(limit) << "\n";
  return internal::exit_timeout;
}

// May a node of that name have run here? A lock that was held once stays.
bool is_of_this_host(const std::string& name) {
  const std::string host = name.substr(name.find('@') + 1);
  char own[256] = {};
  if (host == "localhost" || (gethostname(own, sizeof own - 1) == 0 && host == own)) return true;
  auto folder = internal::local_nodes_folder();
  std::error_code failed;
  return folder && std::filesystem::exists(std::filesystem::path(*folder) / (name + ".lock"), failed);
}

int not_here(const parsed_options& given, const std::string& name) {
  // Stopping what does not run succeeds: a script that stops twice is not wrong.
  if (is_of_this_host(name)) return report(given, name, "was not running");
  return complain("stop", error(errc::noconnection, name +
                                                        " does not run here, and never did; if it runs elsewhere, "
                                                        "say where: --peer " +
                                                        name + "=tcp://HOST:PORT"));
}

// A node of this host that does not take the request is told by the system, which needs none of its workers. One that
// says no is left alone.
bool tell_by_signal(const internal::local_node& of, bool visible, int status) {
  if (!visible || (status != internal::exit_timeout && status != internal::exit_unreachable)) return false;
  if (kill(static_cast<pid_t>(of.os_pid), SIGTERM) != 0) return false;
  std::cerr << "troupe stop: " << of.name << " (os pid " << of.os_pid << ") does not take the request; sent SIGTERM\n";
  return true;
}

int run(const parsed_options& given) {
  auto name = complete_node_name(given.text("NODE"));
  if (!name) {
    (void)complain("stop", name.error());
    return internal::exit_usage;
  }
  auto others = internal::find_other_hosts(given, *name, environ);
  if (!others) {
    (void)complain("stop", others.error());
    return others.error() == errc::bad_argument ? internal::exit_usage : internal::exit_failed;
  }
  if (others->elsewhere) return stop_elsewhere(given, *name);
  auto entry = internal::find_local_node(*name);
  if (!entry && entry.error() == errc::noproc) return not_here(given, *name);
  if (!entry) return complain("stop", entry.error());
  const bool visible = holds_lock(entry->os_pid, entry->lock);
  time_point began = system_clock()->now();
  auto [status, within] = ask(given);
  const duration limit = given.time("timeout", within);
  let_signals_end_us();
  if (status != internal::exit_ok && !name_is_free(*entry) && tell_by_signal(*entry, visible, status)) {
    status = internal::exit_ok;
    began = system_clock()->now();
  }
  if (status != internal::exit_ok && !given.has("kill"))
    return name_is_free(*entry) ? report(given, *name, "stopped") : status;
  duration left = std::max<duration>(limit - (system_clock()->now() - began), 0s);
  if (status == internal::exit_ok && wait_gone(*entry, visible, left)) return report(given, *name, "stopped");
  if (!given.has("kill")) {
    std::cerr << "troupe stop: " << *name << " (os pid " << entry->os_pid << ") has been asked and still runs after "
              << print_time(limit) << "; --kill would end it\n";
    return internal::exit_timeout;
  }
  if (!visible)
    return complain("stop",
                    error(errc::not_allowed, *name + " runs in another container: it cannot be killed from here"));
  if (kill(static_cast<pid_t>(entry->os_pid), SIGKILL) != 0 && errno != ESRCH) {
    return complain("stop", error(errc::not_allowed, "cannot kill os pid " + std::to_string(entry->os_pid)));
  }
  if (!wait_gone(*entry, visible, 5s)) return complain("stop", error(errc::timeout, *name + " still runs"));
  return report(given, *name, "killed");
}

}  // namespace

command stop_command() {
  command_table rows;
  rows.name = "stop";
  rows.summary = "Stops a node in order and waits until it is gone.";
  rows.arguments = {node_argument()};
  rows.options = with_session({{"--kill", takes::nothing, "", "end it by force when it has not ended in time"}});
  for (option_row& row : rows.options) {
    if (std::string_view(row.name) == "--timeout") row.help = "how long it may take; if not said, what the node says";
  }
  rows.notes =
      "A node of this host that does not take the request within 5 s, or --timeout, gets SIGTERM. The node says how\n"
      "long it may take: node.stop_within and 10 s for what has to go by force; one that says nothing has 40 s.\n"
      "Exit code 0 too when no such node runs on this host. 4: it was asked and has not ended in time.";
  rows.example = "troupe stop exercise --timeout 1m";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
