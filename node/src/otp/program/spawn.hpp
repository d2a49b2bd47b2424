#pragma once
// A program of the operating system as a child: by posix_spawn, never by fork, since there are threads.
#include <sys/types.h>

#include <string>
#include <utility>

#include <troupe/program.hpp>

namespace troupe::internal {

// Owns a descriptor.
class descriptor {
 public:
  descriptor() = default;
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~descriptor() { close(); }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  void close() noexcept;

 private:
  int fd_ = -1;
};

// A child that runs in a process group of its own. Our ends of its pipes do not block.
struct spawned_program {
  pid_t os_pid = -1;
  descriptor pidfd, input, output, errors;
};

// On any thread; takes about a millisecond, or as long as the disk does. Errors as of start_program.
[[nodiscard]] result<spawned_program> spawn_program(const command::plan& what);

// A shell that runs `script` in a session of its own and reads from `input`, a socket (see guard.hpp).
[[nodiscard]] result<spawned_program> spawn_shell(const char* script, std::string name);

}  // namespace troupe::internal
