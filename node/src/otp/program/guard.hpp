#pragma once
// What ends the programs of a node that was itself killed by SIGKILL: a shell that knows their process groups, and
// reads from a socket whose other end only the node has. When that ends, the groups left get SIGTERM, and after 5 s
// SIGKILL. (PR_SET_PDEATHSIG would do for one process, not for its group, follows a thread instead of the node, and
// cannot be set by posix_spawn.) Between a program's start and the line that tells of it there are some microseconds.
#include <mutex>
#include <string>

#include <troupe/log.hpp>

#include "otp/program/spawn.hpp"

namespace troupe::internal {

// Thread-safe. Owner: the node's program_watch. The shell starts with the first program and ends with this.
class program_guard {
 public:
  explicit program_guard(log_sink* log) : log_(log) {}
  ~program_guard();
  program_guard(const program_guard&) = delete;
  program_guard& operator=(const program_guard&) = delete;

  void add(pid_t group);
  void remove(pid_t group);
  bool flush();  // something waits for the shell to read: to be called again

 private:
  void tell(char what, pid_t group);
  void send_rest();
  void lose(std::string why);

  std::mutex mutex_;
  log_sink* log_;
  spawned_program shell_;
  std::string unsent_;  // lines, of the first perhaps a part
  bool started_ = false;
};

}  // namespace troupe::internal
