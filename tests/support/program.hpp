#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/wait.hpp"

namespace troupe::test {

struct program_options {
  std::map<std::string, std::optional<std::string>> environment;  // added to ours; nullopt takes a variable away
  std::string directory;                                          // empty: ours
  std::string input;                                              // what it reads; then the end, unless keep_input
  bool keep_input = false;                                        // its standard input stays open for write()
};

// The environment of a child: ours with the changes of `options` applied, as "NAME=value".
std::vector<std::string> child_environment(const program_options& options);

// A program in the background, in a process group of its own, which is killed with this object. What it writes is
// collected by a thread, so it never stalls on a full pipe. Any one thread may use the object.
class program {
 public:
  explicit program(const std::vector<std::string>& command, const program_options& options = {});
  ~program();
  program(const program&) = delete;
  program& operator=(const program&) = delete;

  pid_t pid() const { return pid_; }
  std::string out() const;
  std::string err() const;

  void signal(int number) const;      // to the program alone
  void write(std::string_view text);  // needs keep_input
  void close_input();

  // True when its output (both streams, each by itself) has shown the text before the deadline.
  [[nodiscard]] bool wait_output(std::string_view text, std::chrono::milliseconds deadline = default_deadline) const;
  // The exit code, 128 + N when signal N ended it, nullopt when it still runs at the deadline. When it has ended,
  // all that it wrote has been collected.
  [[nodiscard]] std::optional<int> wait_exit(std::chrono::milliseconds deadline = default_deadline);

 private:
  void collect(int out, int err);

  pid_t pid_ = -1;
  int input_ = -1;
  int wake_ = -1;  // an eventfd: tells the collector to stop
  std::optional<int> exit_code_;
  mutable std::mutex mutex_;
  std::string out_, err_;
  std::atomic<bool> collected_ = false;
  std::thread collector_;
};

struct outcome {
  int exit_code = -1;      // 128 + N when signal N ended it
  bool timed_out = false;  // it was killed at the deadline; exit_code is 137
  std::string out, err;
};

// Runs a program to its end.
outcome run_program(const std::vector<std::string>& command, const program_options& options = {},
                    std::chrono::milliseconds deadline = default_deadline);

// True when the process exists (a zombie counts).
bool process_exists(pid_t pid);

}  // namespace troupe::test
