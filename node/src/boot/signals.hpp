#pragma once
// The signals of a program that run() owns: blocked in every thread, read by one.
#include <functional>
#include <thread>

#include "unique_fd.hpp"

namespace troupe::internal {

// Blocks every signal that can be waited for in this thread and in those that it starts from now on; ignores SIGPIPE.
// Call it before the first thread.
void block_signals();

// Soft limit of open files up to the hard one.
void raise_file_limit() noexcept;

// One thread that waits for SIGTERM, SIGINT, SIGHUP and SIGCHLD. As process 1 of a container it reaps whoever is left
// to it; in any other process the children belong to the program. Owner: run(); its end ends the thread.
class signal_watch {
 public:
  // Called on the thread with SIGTERM, SIGINT or SIGHUP; SIGHUP not when it was ignored from the start (nohup).
  explicit signal_watch(std::function<void(int)> handler);
  ~signal_watch();
  signal_watch(const signal_watch&) = delete;
  signal_watch& operator=(const signal_watch&) = delete;

 private:
  void watch();

  std::function<void(int)> handler_;
  unique_fd signals_, wake_;
  std::thread thread_;
};

}  // namespace troupe::internal
