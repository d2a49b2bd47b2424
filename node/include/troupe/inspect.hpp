#pragma once
// What a node can say of itself and its processes, as values: the same that tools and the shell get through the
// catalogue's `troupe.*` functions. All of it is of this node; for another one call those by rpc.
#include <cstddef>
#include <string>

#include <troupe/catalogue.hpp>
#include <troupe/process.hpp>

namespace troupe::inspect {

struct process_list_options {
  enum class key : std::uint8_t { id, queue, memory, reductions };
  key sort = key::id;         // by id ascending, else the largest first
  std::size_t limit = 1'000;  // at most `most_listed`
  std::string name;           // a glob of registered names; empty: every process
};
inline constexpr std::size_t most_listed = 10'000;  // what one reply can carry

// {pid, name, entry, status, queue, memory, reductions} of each. Reads what the processes publish and disturbs none, so
// that it answers at once however many there are; `self` yields in between.
[[nodiscard]] task<list> processes(process& self, process_list_options options = {});

// {name, creation, pid (of the OS), uptime (seconds), application, version, processes, max_processes, memory (resident
// bytes), workers, alive, crash_reports, counters = {…}, log = {…}, trace = {…}, network = {peers, endpoints,
// counters}}: every cause of a drop has its counter.
[[nodiscard]] value node_info(node& where);

// A pid, its text, or a registered name. errc: noproc, stale, bad_argument (of another node, or neither).
[[nodiscard]] result<pid> find_process(node& where, const value& target);

// {pid, name, entry, status, queue, memory, reductions, at (the await it is parked on), calls (whose answer it waits
// for: a pid, or {name, node} as it asked), label, links, monitors, monitored_by, group_leader, parent, trap_exits,
// held, metadata}; with `items` just those, in that order. "messages" (the first 100, large ones cut) only when asked
// for. A process that does not come to a turn within a second is shown from outside, and `busy` is true. errc: noproc,
// bad_argument.
[[nodiscard]] task<result<value>> process_info(process& self, value target, list items = {});

// {pid, to, at} of the processes of this node that wait for the answer of a call. Each is asked, so it is for the
// moment when something hangs: at most 100,000 that wait, and a second.
[[nodiscard]] task<list> calls(process& self);

// {id, name, pid, type, children} of a supervisor, all the way down; of all roots when `root` is nil (then a list).
[[nodiscard]] task<result<value>> tree(process& self, value root = {});

// What a server holds (sys.get_state). errc: noproc, timeout, unsupported (no server).
[[nodiscard]] task<result<value>> state(process& self, value target);

// {name, arguments, returns, doc, kind} of each entry whose name begins with `prefix`.
[[nodiscard]] list functions(const catalogue& offers, std::string_view prefix = {});

}  // namespace troupe::inspect
