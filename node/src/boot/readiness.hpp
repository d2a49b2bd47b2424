#pragma once
// Telling whoever started this program that it is ready, or why it is not: the `--daemon` parent through a pipe,
// systemd through its datagram socket.
#include <string>
#include <string_view>

#include <troupe/time.hpp>

namespace troupe::internal {

// Made once, first thing in run(): takes its variables out of the environment, so that children of ours do not speak in
// our name, and makes the pipe close-on-exec. A number that is no pipe or socket belongs to somebody else and is left
// alone. Thread: main.
class readiness {
 public:
  readiness();
  ~readiness();
  readiness(const readiness&) = delete;
  readiness& operator=(const readiness&) = delete;

  [[nodiscard]] bool daemon() const noexcept { return daemon_; }  // this is the process that --daemon started
  void ready(std::string_view node_name);                         // once
  void failed(std::string_view cause);                            // instead of it
  void stopping();
  // How often systemd wants a sign of life, halved; zero: never.
  [[nodiscard]] duration watchdog() const noexcept { return watchdog_; }
  void alive() const;  // that sign; any thread

 private:
  void tell_parent(std::string_view text);
  void tell_systemd(std::string_view text) const;

  int pipe_ = -1;
  bool daemon_ = false;
  std::string notify_socket_;
  duration watchdog_{};
};

inline constexpr const char* ready_fd_variable = "TROUPE_READY_FD";
inline constexpr const char* daemon_variable = "TROUPE_DAEMON";

}  // namespace troupe::internal
