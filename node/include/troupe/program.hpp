#pragma once
// External programs (OTP's ports of spawn_executable): one that runs beside the node, whose output comes as messages.
//     troupe::command what("journalctl", "--follow");
//     what.lines(1024).idle(30s);
//     auto log = co_await troupe::start_program(self, what);          // result<program>
//     auto line = co_await self.receive<troupe::program_output>(1s);  // line->data, line->eol
//     auto end = co_await self.receive<troupe::program_ended>(1s);    // the last one: end->status, end->signal
//     co_await log->close(self);                                      // TERM to its group, KILL after stop_within
//
//     auto listed = co_await troupe::run_program(self, troupe::command("ls", "-l"), 5s);     // result<program_result>
//     supervise("edge").child(troupe::program_child("proxy", troupe::command("haproxy", "-f", path)));
//
// A program is owned by one process, which gets its output (a server in `on_other`); the process that stands for it,
// `program::id()`, is monitored, linked and listed like any other. It gives exactly one DOWN, when the program and its
// group are gone: normal after status 0 or `close`; else {"exit_status", 3}, {"exit_signal", "SIGSEGV"} or {"timeout",
// "…"} (idle), which a program with an owner wraps in {"shutdown", …}, since its owner has been told.
// * No shell is between: the arguments arrive as they are. It runs in a process group of its own, with no descriptor
//   of the node, no blocked signal, and every signal at its default.
// * It ends with its owner, with `close`, with an exit signal to `id()`, with the node: SIGTERM to the group, SIGKILL
//   after `stop_within`. What it leaves running in its group when it ends by itself is ended in the same way. A node
//   that is killed by SIGKILL leaves that to a small shell (/bin/sh) beside it, one for all programs of the node.
//   What has left the group (setsid, a daemon) is no longer ours, and its hold of our pipes is given up.
// * Its output is read as fast as its owner takes it out of the mailbox: `most_waiting` events may wait there, the rest
//   stays in the pipe, and the program with it (or, by `drop_oldest`, the oldest are dropped and counted). Once it is
//   being stopped, an owner who takes nothing for `stop_within` gets no more of it: the rest is dropped, and counted in
//   the log. (Until it is stopped, the end of a program waits behind output that its owner does not take.)
// Not for simulated nodes: errc::unsupported.
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <troupe/call.hpp>
#include <troupe/supervisor.hpp>

namespace troupe {

struct program_output;

// apart: events of their own. with_output: both in one stream, in the order in which they were written. dropped: to
// /dev/null.
enum class program_errors : std::uint8_t { apart, with_output, dropped };
// What happens to output that its owner does not take. pause: the program waits. drop_oldest: it never does, and the
// newest `most_waiting` events are kept.
enum class program_full : std::uint8_t { pause, drop_oldest };

// What to run and how. A value; no aggregate, so that it may stand in an await expression.
class command {
 public:
  using handler = std::function<void(process& self, const program_output& line)>;

  // `program` is a path, or a name that is looked for in the PATH of the node.
  template <class... Words>
  explicit command(std::string program, Words... words)
      : command(std::vector<std::string>{std::move(program), std::string(std::move(words))...}) {}
  explicit command(std::vector<std::string> words);

  command& argument(std::string word);
  // Of its environment, which is else the node's.
  command& variable(std::string name, std::string content);
  command& without_variable(std::string name);
  command& directory(std::filesystem::path where);
  command& input(bool piped = true);          // for program::write; else it reads /dev/null
  command& errors(program_errors where);      // apart
  command& lines(std::size_t most_bytes);     // 8192; a longer one comes in parts without eol
  command& chunks();                          // as it comes, up to 16 KiB
  command& most_waiting(std::size_t events);  // 1000; and as many writes
  command& when_full(program_full what);      // pause
  command& idle(duration limit);              // without output for so long: it is stopped. wait_forever
  command& stop_within(duration limit);       // from SIGTERM to SIGKILL: 5 s
  command& owner(pid who);                    // of its output: whoever starts it
  command& handle(handler each);              // of a child: each line, in the program's own process; else the log

  struct plan {
    std::vector<std::string> words;
    std::map<std::string, std::optional<std::string>> environment;
    std::filesystem::path directory;
    bool input = false, by_line = true;
    program_errors errors = program_errors::apart;
    program_full full = program_full::pause;
    std::size_t line_bytes = 8192, most_waiting = 1000;
    duration idle = wait_forever, stop_within = std::chrono::seconds(5);
    pid owner;
    handler each;
  };
  [[nodiscard]] const plan& described() const noexcept { return plan_; }

 private:
  plan plan_;
};

// Where `name` is found by the PATH (System.find_executable); a path is looked at itself. errc: not_found names the
// places, not_allowed what may not be executed.
[[nodiscard]] result<std::string> find_executable(const std::string& name);
// What a start would refuse: bad_argument (a NUL in a word, a name with '=', a bound of 0), not_found, not_allowed.
[[nodiscard]] result<void> check(const command& what);

namespace detail {

struct program_flow;

// Counts an event until it leaves its owner's mailbox: a copy, or what is moved out of the message, counts no more.
class program_credit {
 public:
  program_credit() = default;
  program_credit(const program_credit&) noexcept {}
  // NOLINTNEXTLINE(bugprone-unhandled-self-assignment): nothing is assigned
  program_credit& operator=(const program_credit&) noexcept { return *this; }
  ~program_credit();
  void take(std::shared_ptr<program_flow> from) noexcept;

 private:
  std::shared_ptr<program_flow> flow_;
};

}  // namespace detail

// A line, without its newline, or a chunk. In Lua {port, {"data", {"eol", line}}}, {port, {"data", {"noeol", part}}},
// {port, {"data", chunk}}; "stderr" in place of "data"; a third item of the inner list counts what was dropped before.
struct program_output {
  using troupe_builtin_message = void;
  pid program;
  bool errors = false;        // of its stderr
  bool eol = false;           // the line is complete: a newline followed
  bool chunk = false;         // no line at all
  std::string data;           // any bytes
  std::uint64_t dropped = 0;  // events of this program before this one, by drop_oldest
  detail::program_credit credit;
};

// How a program ended; nothing of it comes after this. In Lua {port, {"exit_status", 3}}, and after a signal
// {port, {"exit_status", 143, "SIGTERM"}}, 128 and its number.
struct program_ended {
  using troupe_builtin_message = void;
  pid program;
  std::int64_t status = 0;  // -1: not known, because somebody else has waited for this child of ours
  std::int64_t signal = 0;  // 0: it ended by itself
  [[nodiscard]] bool ok() const noexcept { return status == 0 && signal == 0; }
  [[nodiscard]] std::string text() const;  // "status 3", "SIGKILL"
};

struct program_result {
  std::int64_t status = 0, signal = 0;
  std::string output, errors;
  TROUPE_FIELDS(program_result, status, signal, output, errors)
  [[nodiscard]] bool ok() const noexcept { return status == 0 && signal == 0; }
};

// -- calls that the process of a program answers; Lua and other nodes send them too
struct program_write {  // answered when the program's pipe has taken all of it. errc: closed, bad_argument (no input),
                        // overloaded (it does not read, and `most_waiting` writes wait)
  value data;           // text or bytes
  using reply = void;
  TROUPE_MESSAGE(program_write, "program.write", data)
};
struct program_end_input {
  using reply = void;
  TROUPE_MESSAGE(program_end_input, "program.end_input")
};
struct program_close {  // answered when it and its group are gone; nothing of it comes after the request
  using reply = void;
  TROUPE_MESSAGE(program_close, "program.close")
};
struct program_signal {  // to the program alone. errc: noproc (it has ended)
  std::int64_t number = 0;
  using reply = void;
  TROUPE_MESSAGE(program_signal, "program.signal", number)
};
struct program_connect {  // from now on this process is its owner
  pid owner;
  using reply = void;
  TROUPE_MESSAGE(program_connect, "program.connect", owner)
};
struct program_info {
  std::vector<std::string> words;
  std::int64_t os_pid = 0;
  std::optional<pid> owner;
  std::uint64_t events = 0, bytes = 0, dropped = 0;  // of output so far
  bool paused = false;                               // its owner does not take what it writes
  TROUPE_FIELDS(program_info, words, os_pid, owner, events, bytes, dropped, paused)
};
struct ask_program {
  using reply = program_info;
  TROUPE_MESSAGE(ask_program, "program.info")
};

// A program that was started. A value; copies mean the same one.
class program {
 public:
  program() = default;
  program(pid process, std::int64_t os_pid, duration stop_within) noexcept
      : process_(process), os_pid_(os_pid), stop_within_(stop_within) {}
  [[nodiscard]] pid id() const noexcept { return process_; }  // the process that stands for it
  [[nodiscard]] std::int64_t os_pid() const noexcept { return os_pid_; }

  // Each is a call, 5 s unless `.within` says otherwise (close: 2 s more than stop_within). noproc: it has ended.
  [[nodiscard]] call_awaiter<void> write(process& self, std::string_view data) const;
  [[nodiscard]] call_awaiter<void> end_input(process& self) const;
  [[nodiscard]] call_awaiter<void> close(process& self) const;
  [[nodiscard]] call_awaiter<void> signal(process& self, int number) const;
  [[nodiscard]] call_awaiter<void> connect(process& self, pid owner) const;
  [[nodiscard]] call_awaiter<program_info> info(process& self) const;

 private:
  pid process_;
  std::int64_t os_pid_ = 0;
  duration stop_within_{};
};

// Completes when the program runs. Errors: what `check` says, and not_found or not_allowed of the system, system_limit
// (descriptors, processes), too_large (arguments), shutting_down, unsupported.
[[nodiscard]] task<result<program>> start_program(process& self, command what);

// Runs it to its end and collects what it writes; owner, input, lines, idle of `what` do not matter. It reads `input`,
// then the end. Errors: those of a start; timeout: it was stopped, and may take stop_within to be gone; too_large: it
// wrote more than `most_bytes`, and was stopped.
[[nodiscard]] task<result<program_result>> run_program(process& self, command what, duration limit,
                                                       std::string input = {}, std::size_t most_bytes = 16u << 20);

// A child that lives as long as its program: normal after status 0, else the reasons above, so that a transient one is
// restarted after a failure. Its output goes to the node's log, a line each (fields program, stream; stderr as a
// warning), unless `what` has a handler. stop_within of the child is that of the program and 2 s more.
[[nodiscard]] child_spec program_child(std::string id, command what, restart_type restart = permanent);

template <>
struct codec<program_output> {
  static void put(writer& w, const program_output& in);
  static bool take(reader& r, program_output& out);
};
template <>
struct codec<program_ended> {
  static void put(writer& w, const program_ended& in);
  static bool take(reader& r, program_ended& out);
};

}  // namespace troupe
