#include "boot/readiness.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace troupe::internal {
namespace {

std::string take_variable(const char* name) {
  const char* found = std::getenv(name);
  std::string out = found ? found : "";
  unsetenv(name);
  return out;
}

}  // namespace

readiness::readiness() {
  std::string number = take_variable(ready_fd_variable);
  daemon_ = !take_variable(daemon_variable).empty();
  notify_socket_ = take_variable("NOTIFY_SOCKET");
  const std::string every = take_variable("WATCHDOG_USEC");
  const std::string whose = take_variable("WATCHDOG_PID");
  std::int64_t microseconds = 0;
  std::from_chars(every.data(), every.data() + every.size(), microseconds);
  if (microseconds > 0 && !notify_socket_.empty() && (whose.empty() || whose == std::to_string(getpid())))
    watchdog_ = std::chrono::microseconds(microseconds) / 2;
  if (!number.empty()) {
    char* end = nullptr;
    long fd = std::strtol(number.c_str(), &end, 10);
    struct stat about{};
    if (*end == '\0' && fd > 2 && fd < 1'000'000 && fstat(static_cast<int>(fd), &about) == 0 &&
        (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode)) && fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC) == 0)
      pipe_ = static_cast<int>(fd);
  }
}

readiness::~readiness() {
  if (pipe_ >= 0) close(pipe_);
}

void readiness::ready(std::string_view node_name) {
  tell_parent("ready " + std::string(node_name) + "\n");
  tell_systemd("READY=1\nSTATUS=" + std::string(node_name) + " is ready\nMAINPID=" + std::to_string(getpid()));
}

void readiness::failed(std::string_view cause) {
  tell_parent("failed " + std::string(cause) + "\n");
  tell_systemd("STATUS=did not start: " + std::string(cause.substr(0, cause.find('\n'))));
}

void readiness::stopping() { tell_systemd("STOPPING=1"); }

void readiness::tell_parent(std::string_view text) {
  if (pipe_ < 0) return;
  while (!text.empty()) {
    ssize_t written = write(pipe_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;  // nobody waits any more
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  close(pipe_);
  pipe_ = -1;
}

// sd_notify(3): one datagram; '@' stands for the zero byte of an abstract name.
void readiness::alive() const { tell_systemd("WATCHDOG=1"); }

void readiness::tell_systemd(std::string_view text) const {
  sockaddr_un to{};
  if (notify_socket_.empty() || notify_socket_.size() >= sizeof(to.sun_path)) return;
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, notify_socket_.data(), notify_socket_.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + notify_socket_.size());
  (void)sendto(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&to), length);
  close(fd);
}

}  // namespace troupe::internal
