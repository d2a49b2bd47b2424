#pragma once
// Where a node waits for its programs: one thread, asleep in epoll on their pipes and ends, however many there are.
//
// Design notes
// * An entry belongs to the thread; others post what they want of it. It goes through
//     running → ended (its pidfd says so; not yet waited for) → streams at their end → waited for → group empty → gone
//   and `program_gone` is told once, as the last event.
// * A stream is read only when its process has asked for the next chunk (EPOLLONESHOT): what is not asked for stays in
//   the pipe, and stops the program. Of an abandoned entry, whose process has been killed, all is read and dropped.
// * `stop` sends SIGTERM to the group and sets a deadline, at which it gets SIGKILL. The end of the program itself
//   does the same for what it leaves in its group. From that deadline on a pipe that is empty counts as at its end,
//   and so does one that brings more than a pipe holds: whoever has it open has left the group.
// * The program is waited for only when its streams are at their end, so until then no other group can have its
//   number. What is left of the group after that is looked for every few milliseconds, so that the number cannot have
//   gone round in between.
// * Writing to a pipe without a reader raises SIGPIPE: the thread that writes has all signals blocked.
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "otp/program/guard.hpp"
#include "otp/program/spawn.hpp"
#include "runtime/core.hpp"

namespace troupe::internal {

enum class program_stream : std::uint8_t { output, errors };

// What the process of a program is told; never leaves the node.
struct program_chunk {
  using troupe_builtin_message = void;
  program_stream stream = program_stream::output;
  std::string data;
  bool end = false;  // nothing follows
};
struct program_written {
  using troupe_builtin_message = void;
  bool ok = false;  // false: the program has closed its input
};
struct program_gone {
  using troupe_builtin_message = void;
  std::int64_t status = 0, signal = 0;
};

// Thread-safe. Owner: its service in the core, and each program_hold; `finish` ends the thread before the core goes.
class program_watch : public std::enable_shared_from_this<program_watch> {
 public:
  using number = std::uint64_t;

  // Made at the first use. errc::system_limit: no descriptor or thread is left for it.
  [[nodiscard]] static result<std::shared_ptr<program_watch>> of(detail::core& home);
  program_watch(detail::core& home, descriptor epoll, descriptor wake);
  ~program_watch();
  program_watch(const program_watch&) = delete;
  program_watch& operator=(const program_watch&) = delete;

  [[nodiscard]] result<number> start(const command::plan& what, pid_t& os_pid);
  void attach(number which, pid events_to);
  void want(number which, program_stream stream);  // one program_chunk
  void write(number which, std::string data);      // one program_written; the one before it has been told
  void end_input(number which);
  void stop(number which);
  void abandon(number which);             // stop, and no more events
  void signal(number which, int number);  // to the program itself

  void wait_empty(time_point until);  // all stopped and gone, on the core's clock
  void finish();                      // kills what is left, and ends the thread

 private:
  using clock = std::chrono::steady_clock;
  struct entry;
  void post(std::move_only_function<void()> work);
  void begin();  // the thread; throws std::system_error
  [[nodiscard]] result<void> add_all(entry& one);
  void wake_up();
  void run();
  void run_posted();
  void handle(number which, int what);
  void read(entry& one, program_stream stream);
  void arm(entry& one, program_stream stream);
  void arm(const descriptor& fd, number which, int part, std::uint32_t what);
  void flush_input(entry& one);
  void begin_stop(entry& one);
  void drain(entry& one);      // reads and drops from now on
  void cut_short(entry& one);  // the node goes: no grace
  void look_at_end(entry& one);
  void settle(entry& one);  // gone, when all is over
  void set_timer(entry& one, clock::time_point when);
  void on_timer(entry& one);
  template <class Event>
  void tell(const entry& one, Event event);
  [[nodiscard]] entry* find(number which);
  [[nodiscard]] bool over();
  void count_down();

  detail::core& home_;
  program_guard guard_;
  descriptor epoll_, wake_;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::move_only_function<void()>> posted_;
  std::size_t live_ = 0;  // being started, or not gone
  bool finishing_ = false, finished_ = false;
  number next_ = 1;

  // The thread's own.
  std::map<number, std::unique_ptr<entry>> entries_;
  std::set<std::pair<clock::time_point, number>> timers_;
  bool done_ = false;
};

// A started program that nobody may forget: gone, it abandons it.
class program_hold {
 public:
  program_hold() = default;
  program_hold(std::shared_ptr<program_watch> watch, program_watch::number which, pid_t os_pid) noexcept
      : watch_(std::move(watch)), which_(which), os_pid_(os_pid) {}
  program_hold(program_hold&& other) noexcept
      : watch_(std::move(other.watch_)), which_(other.which_), os_pid_(other.os_pid_) {}
  program_hold& operator=(program_hold&& other) noexcept {
    std::swap(watch_, other.watch_);
    std::swap(which_, other.which_);
    std::swap(os_pid_, other.os_pid_);
    return *this;
  }
  ~program_hold() {
    if (watch_) watch_->abandon(which_);
  }
  [[nodiscard]] program_watch& watch() const noexcept { return *watch_; }
  [[nodiscard]] program_watch::number which() const noexcept { return which_; }
  [[nodiscard]] pid_t os_pid() const noexcept { return os_pid_; }
  void release() noexcept { watch_ = nullptr; }  // it is gone already

 private:
  std::shared_ptr<program_watch> watch_;
  program_watch::number which_ = 0;
  pid_t os_pid_ = -1;
};

}  // namespace troupe::internal
