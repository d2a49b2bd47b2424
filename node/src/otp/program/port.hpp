#pragma once
// The process that stands for an external program.
//
// Design notes
// * It asks its node's program_watch for one chunk of a stream at a time, cuts it into events, and sends these to the
//   owner while fewer than `most_waiting` wait there (program_flow). Only when a chunk is used up does it ask for the
//   next. With `drop_oldest` it always asks, and keeps the newest events in a ring.
// * All that ends the program comes here: close, the end of the owner (a monitor), an exit signal (it traps exits), the
//   idle time, too much output of a `run_program`. Then it waits for `program_gone`, the watch's last word, answers
//   those who closed it, tells the owner, and ends with what became of the program as its reason.
// * While it is stopped, an owner that has enough and takes nothing is waited for as long as the program may take to
// end.
//   Then the rest is dropped: the process must not outlive the program because its owner waits for its DOWN alone.
// * Killed, it is destroyed, and program_hold has the watch do what is left.
#include <deque>
#include <memory>
#include <optional>

#include "otp/program/flow.hpp"
#include "otp/program/lines.hpp"
#include "otp/program/watch.hpp"

namespace troupe::internal {

// What becomes of the output: events of the owner, lines of a child for its handler or the log, one result.
enum class program_use : std::uint8_t { owned, child, collected };

// To the process of a `run_program`: answered when the program is gone.
struct ask_program_result {
  using troupe_builtin_message = void;
};

struct port_plan {
  port_plan(program_hold held, command::plan what_given, program_use use_given)
      : hold(std::move(held)), what(std::move(what_given)), use(use_given) {}
  program_hold hold;
  command::plan what;
  program_use use;
  pid parent;                  // of a child: its supervisor
  std::string id;              // of a child
  std::size_t most_bytes = 0;  // of a result
};

// Owner and thread: its process.
class program_port {
 public:
  explicit program_port(port_plan plan);
  void begin(process& self);
  void take(process& self, message got);
  void too_long_idle(process& self);
  [[nodiscard]] duration patience(const process& self) const;  // until too_long_idle: of the program, or its owner
  [[nodiscard]] bool over() const;
  [[nodiscard]] exit_reason finish(process& self);

 private:
  struct stream {
    explicit stream(std::size_t line_bytes) : lines(line_bytes) {}
    line_cutter lines;
    bool asked = false, ended = false;
  };
  [[nodiscard]] stream& of(program_stream which) { return which == program_stream::output ? output_ : errors_; }
  void on_chunk(process& self, program_chunk& got);
  void on_call(process& self, message got);
  result<void> on_request(process& self, message& got);
  void on_write(process& self, message got);
  void on_info(process& self, message& got) const;
  void stop(process& self, exit_reason reason, bool silent);
  void own(process& self, pid owner);

  void pump(process& self);
  void pump_to_owner(process& self);
  void pump_ring(process& self);
  void drop_rest();
  [[nodiscard]] bool has_room();
  std::optional<program_output> next_event(program_stream which);
  void send(process& self, program_output event);
  void use_here(process& self, program_output event);
  void ask_for_more();
  void write_next();

  port_plan plan_;
  stream output_, errors_;
  std::shared_ptr<detail::program_flow> flow_;
  std::deque<program_output> ring_;
  std::uint64_t lost_ = 0;  // dropped since the last event that was sent
  pid owner_;
  ref watch_of_owner_;
  std::deque<message> writers_;  // program_write that wait, the first of them under way
  std::vector<message> closers_;
  std::optional<message> asker_;
  program_result result_;
  std::optional<error> failure_;       // of a result
  std::optional<exit_reason> reason_;  // it is being stopped
  std::optional<program_gone> gone_;
  bool silent_ = false, paused_ = false, input_ended_ = false;
  bool given_up_ = false;      // it is being stopped, and its owner takes no more
  time_point heard_{};         // when something came from either, or the stop began
  std::uint64_t untaken_ = 0;  // dropped because of that
  std::uint64_t events_ = 0, bytes_ = 0, dropped_ = 0;
};

// Its body.
[[nodiscard]] task<> serve_program(process& self, std::unique_ptr<program_port> port);

}  // namespace troupe::internal
