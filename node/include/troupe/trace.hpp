#pragma once
// Looking at messages, calls and lives of processes while they run (node/DESIGN.md, Tracing): by process × pattern,
// always under a budget, in sessions that end with whoever asked for them and disturb nobody when slow to read.
//     trace::spec what;
//     what.processes = {"exercise.calculator"};      // a name, followed across restarts
//     what.receive = true;
//     what.limit = 20;
//     auto session = trace::start(self, what).or_exit();
//     auto seen = co_await self.receive<trace::event>(10s);     // then again, and say so:
//     self.send(session.process, trace::more{1});
// A tool on another node spawns the catalogue's process `troupe.trace` with one argument, the spec as a map, and gets
// the same messages. node/TRACE.md has the whole of it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <troupe/process.hpp>

namespace troupe::trace {

struct spec {
  // Whom: a pid (or its text), a registered name, a glob of names ("exercise.*"), "new" for those spawned from now on,
  // "existing", "all" for both; the last two only with `force`. Names and globs follow the name to another process.
  list processes;
  // What: messages received and sent, calls by these processes of functions ("exercise.calculator.push", a glob, or a
  // bare module), with their results if `returns`, and life events (spawn, exit, register).
  bool receive = false, send = false, life = false, returns = false, force = false;
  std::vector<std::string> calls;
  bool wait = false;  // begin although nobody matches, and cover who comes; else that is noproc
  // How much: the session ends when the first of these is reached. Never unbounded.
  std::uint64_t limit = 10'000;  // events told
  std::uint64_t rate = 1'000;    // events that happen within rate_time
  duration rate_time = std::chrono::seconds(1);
  std::uint64_t bytes = 64u << 20;  // of told events, about
  duration time = std::chrono::seconds(60);
  // How far the reader may lag: events told and not yet acknowledged by trace::more. Beyond, events are lost and
  // counted.
  std::size_t window = 1'000;
  pid to;  // who is told; empty: who starts the session

  // {processes = {…}, receive = true, calls = {…}, wait = true, limit = 20, rate = {100, 1000}, seconds = 30, bytes =
  // …, window = …, to = pid}: rate is events and milliseconds. errc::bad_argument names the key.
  [[nodiscard]] static result<spec> from(const value& given);
  [[nodiscard]] value to_value() const;
};

// -- what the reader is sent, in this order
struct started {
  std::uint64_t matched = 0;           // processes covered now
  pid session;                         // whom to acknowledge and to stop
  std::vector<std::string> unoffered;  // of `calls`: what fits no function that this node offers
  TROUPE_MESSAGE(started, "trace.started", matched, session, unoffered)
};
// A map: seq, time (wall, ns), kind, pid, name (when it has one), and by kind
//     receive  message      send    message, to      call  function, arguments      return  function, result
//     spawn    child, function      register  registered (bool), as                 exit    reason
// A content over 64 KiB is its printed beginning, and `truncated` is true.
struct event {
  value what;
  TROUPE_MESSAGE(event, "trace.event", what)
};
struct lost {  // since the last event told: the reader was too slow
  std::uint64_t events = 0;
  TROUPE_MESSAGE(lost, "trace.lost", events)
};
struct done {
  std::string reason;  // "limit", "rate", "bytes", "time", "stopped", "ended": the session's process was ended
  std::string text;    // the same for people
  std::uint64_t events = 0, lost = 0;
  TROUPE_MESSAGE(done, "trace.done", reason, text, events, lost)
};

// -- what the session's process understands
struct more {  // so many events have been read
  std::uint64_t events = 0;
  TROUPE_MESSAGE(more, "trace.more", events)
};
struct stop_request {
  bool now = true;
  TROUPE_MESSAGE(stop_request, "trace.stop", now)
};

struct session {
  pid process;
  std::size_t matched = 0;
};

// Starts a session that ends with `self` and with its reader. errc: bad_argument, not_allowed (all without force),
// noproc (nobody matches and the spec does not wait; or only pids, and none of them lives), unsupported (this node
// observes nothing).
[[nodiscard]] result<session> start(process& self, spec what);
// How many processes of this node `processes` of the spec match now. errc: as start.
[[nodiscard]] result<std::size_t> matching(process& self, spec what);
void stop(process& self, const session& which);
// Ends every session of this node, whoever owns it; all flags are cleared when it returns. How many there were.
std::size_t stop_all(node& where);

struct format_options {
  std::size_t depth = 8, width = 1024;  // of one value
  bool utc = false;                     // else local time
};
// One line, as recon writes it:
//     01:02:03.456789 <exercise@localhost#1f.5> exercise.calculator.push(5)
//     01:02:03.456801 <exercise@localhost#1f.5> exercise.calculator.push/1 --> 6
//     01:02:03.456790 <exercise@localhost#1f.4> <- {"push", {number = 5}}
//     01:02:03.456790 <exercise@localhost#1f.5> exercise.calculator ! {"push", {number = 5}}
[[nodiscard]] std::string format(const value& event, const format_options& options = {});

}  // namespace troupe::trace
