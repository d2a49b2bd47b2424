#pragma once
// `--daemon`: this program once more, in a session of its own, waited for until it is ready. By posix_spawn, never by
// fork: at that point neither a thread nor a zmq context exists, and none may (bus/DESIGN.md, libzmq).
#include <string>
#include <vector>

#include <troupe/time.hpp>

namespace troupe::internal {

struct daemon_options {
  std::string program;             // what the messages call it
  std::string called;              // its argv[0], by which `ps` names it
  std::vector<std::string> words;  // its arguments, without the program and without --daemon
  std::string log_file;            // its standard output and error, appended
  duration ready_within{};
};

// Returns the exit code of this, the parent: 0 when the child is ready, 1 when it ended or could not start (cause and
// the last lines of its log on stderr), 4 when it was not ready in time; it has been ended then.
[[nodiscard]] int start_daemon(const daemon_options& options);

}  // namespace troupe::internal
