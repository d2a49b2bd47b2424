#pragma once
// Stands between a dialler and a listener on 127.0.0.1 and keeps every byte that goes by.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace troupe::test {

// A socket of 127.0.0.1 that closes itself.
class tcp_socket {
 public:
  tcp_socket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  explicit tcp_socket(int fd) noexcept : fd_(fd) {}
  tcp_socket(tcp_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  tcp_socket& operator=(tcp_socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~tcp_socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool connect(std::uint16_t port) const {
    const sockaddr_in at = loopback(port);
    return ::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
  }
  // The port.
  [[nodiscard]] std::uint16_t listen() const {
    sockaddr_in at = loopback(0);
    socklen_t size = sizeof at;
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || ::listen(fd_, 128) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0) {
      throw std::runtime_error("no port of 127.0.0.1");
    }
    return ntohs(at.sin_port);
  }
  [[nodiscard]] tcp_socket accept() const { return tcp_socket(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)); }
  bool send(std::string_view data) const {
    return ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(data.size());
  }
  // What there is; empty at the end, or when nothing comes within `patience_ms`.
  [[nodiscard]] std::string receive(int patience_ms = 30'000) const {
    pollfd one{.fd = fd_, .events = POLLIN, .revents = 0};
    std::array<char, 65536> data{};
    if (::poll(&one, 1, patience_ms) <= 0) return {};
    const ssize_t count = ::recv(fd_, data.data(), data.size(), 0);
    return count > 0 ? std::string(data.data(), static_cast<std::size_t>(count)) : std::string();
  }
  [[nodiscard]] std::string receive_all(int patience_ms = 30'000) const {
    std::string out;
    for (std::string part = receive(patience_ms); !part.empty(); part = receive(patience_ms)) out += part;
    return out;
  }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return out;
  }
  int fd_;
};

class tcp_tap {
 public:
  explicit tcp_tap(std::uint16_t target) : target_(target), port_(listener_.listen()) {
    if (::pipe(stop_.data()) != 0) throw std::runtime_error("no pipe");
    thread_ = std::thread([this] { run(); });
  }
  ~tcp_tap() {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
  }
  [[nodiscard]] std::string endpoint() const { return "tcp://127.0.0.1:" + std::to_string(port_); }
  // Both directions, in the order in which they went by.
  [[nodiscard]] std::string seen() const {
    std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  struct route {
    tcp_socket from, to;
  };

  void run() {
    std::list<route> routes;
    for (;;) {
      std::vector<pollfd> wanted{{stop_[0], POLLIN, 0}, {listener_.fd(), POLLIN, 0}};
      for (const route& one : routes) wanted.push_back({one.from.fd(), POLLIN, 0});
      if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;
      if (wanted[0].revents != 0) return;
      std::size_t i = 2;
      for (auto it = routes.begin(); it != routes.end(); ++i) {
        auto here = it++;
        if (wanted[i].revents == 0) continue;
        const std::string data = here->from.receive(0);
        if (data.empty()) {
          ::shutdown(here->to.fd(), SHUT_WR);
          routes.erase(here);
          continue;
        }
        here->to.send(data);
        std::lock_guard lock(mutex_);
        seen_ += data;
      }
      if (wanted[1].revents != 0) {
        tcp_socket in = listener_.accept();
        tcp_socket out;
        if (!out.connect(target_)) continue;
        const int back_from = ::fcntl(out.fd(), F_DUPFD_CLOEXEC, 0), back_to = ::fcntl(in.fd(), F_DUPFD_CLOEXEC, 0);
        routes.push_back({std::move(in), std::move(out)});
        routes.push_back({tcp_socket(back_from), tcp_socket(back_to)});
      }
    }
  }

  std::uint16_t target_;
  tcp_socket listener_;
  std::uint16_t port_;
  std::array<int, 2> stop_{-1, -1};
  mutable std::mutex mutex_;
  std::string seen_;
  std::thread thread_;
};

}  // namespace troupe::test
