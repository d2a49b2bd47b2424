#pragma once
// Stands between a dialler and a listener, plain or encrypted, and harms one byte of the first connection that it
// carries.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/bus/endpoint.hpp>

#include "support/temp_dir.hpp"
#include "unit/bus/tcp_tap.hpp"

namespace troupe::test {

enum class harm { none, flip, cut, reset };

inline std::string_view to_string(harm which) {
  switch (which) {
    case harm::none: return "none";
    case harm::flip: return "flip";
    case harm::cut: return "cut";
    case harm::reset: return "reset";
  }
  return "";
}

// What happens to the byte `at` of one direction. A flip is followed by a reset when the relay ends.
struct fault {
  harm what = harm::none;
  bool to_listener = true;
  std::size_t at = 0;
};

class fault_relay {
 public:
  fault_relay(bus::endpoint target, fault what) : target_(std::move(target)), fault_(what) {
    if (::pipe2(stop_.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    where_ = target_;
    if (target_.kind == bus::endpoint::scheme::tcp) {
      where_.host = "127.0.0.1";
      where_.port = listener_.listen();
    } else {
      where_.host = (folder_ / "relay").string();
      listener_ = tcp_socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_un at = unix_address(where_.host);
      if (::bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
          ::listen(listener_.fd(), 16) != 0) {
        throw std::runtime_error("no unix socket");
      }
    }
    thread_ = std::thread([this] { run(); });
  }
  ~fault_relay() {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
  }
  [[nodiscard]] const bus::endpoint& where() const noexcept { return where_; }
  // Bytes of the first connection so far.
  [[nodiscard]] std::size_t carried(bool to_listener) const noexcept { return carried_[to_listener ? 1 : 0]; }

 private:
  struct route {
    tcp_socket dialler, listener;
    bool first = false;
    bool done = false;
  };

  static sockaddr_un unix_address(const std::string& path) {
    sockaddr_un out{};
    out.sun_family = AF_UNIX;
    path.copy(out.sun_path, sizeof out.sun_path - 1);
    return out;
  }
  [[nodiscard]] tcp_socket dial() const {
    if (target_.kind == bus::endpoint::scheme::tcp) {
      tcp_socket out;
      return out.connect(target_.port) ? std::move(out) : tcp_socket(-1);
    }
    tcp_socket out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un at = unix_address(target_.host);
    return ::connect(out.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 ? std::move(out)
                                                                                       : tcp_socket(-1);
  }
  static void reset(route& one) {
    const linger now{.l_onoff = 1, .l_linger = 0};
    for (const tcp_socket* end : {&one.dialler, &one.listener}) {
      ::setsockopt(end->fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    one.done = true;
  }
  void carry(route& one, bool to_listener) {
    const tcp_socket& from = to_listener ? one.dialler : one.listener;
    const tcp_socket& to = to_listener ? one.listener : one.dialler;
    std::string data = from.receive(0);
    if (data.empty()) {
      one.done = true;
      return;
    }
    if (one.first) {
      const std::size_t before = carried_[to_listener ? 1 : 0].fetch_add(data.size());
      const bool hit = fault_.what != harm::none && fault_.to_listener == to_listener && fault_.at >= before &&
                       fault_.at < before + data.size();
      if (hit && fault_.what == harm::flip) data[fault_.at - before] ^= static_cast<char>(1 << (fault_.at % 8));
      if (hit && fault_.what != harm::flip) {
        to.send(std::string_view(data).substr(0, fault_.at - before));
        if (fault_.what == harm::reset) reset(one);
        one.done = true;
        return;
      }
    }
    to.send(data);
  }
  void run() {
    std::list<route> routes;
    bool first = true;
    for (;;) {
      std::vector<pollfd> wanted{{stop_[0], POLLIN, 0}, {listener_.fd(), POLLIN, 0}};
      for (const route& one : routes) {
        wanted.push_back({one.dialler.fd(), POLLIN, 0});
        wanted.push_back({one.listener.fd(), POLLIN, 0});
      }
      if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;
      if (wanted[0].revents != 0) break;
      std::size_t i = 2;
      for (route& one : routes) {
        if (wanted[i].revents != 0) carry(one, true);
        if (!one.done && wanted[i + 1].revents != 0) carry(one, false);
        i += 2;
      }
      std::erase_if(routes, [](const route& one) { return one.done; });
      if (wanted[1].revents != 0) {
        route one{listener_.accept(), dial(), std::exchange(first, false)};
        if (one.listener.fd() >= 0) routes.push_back(std::move(one));
      }
    }
    for (route& one : routes) reset(one);
  }

  bus::endpoint target_, where_;
  fault fault_;
  temp_dir folder_;
  tcp_socket listener_;
  std::array<int, 2> stop_{-1, -1};
  std::array<std::atomic<std::size_t>, 2> carried_{};
  std::thread thread_;
};

}  // namespace troupe::test
