#include "zmq/socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <troupe/expect.hpp>

namespace troupe::bus::internal {

error zmq_failure(errc code, std::string_view what) {
  return error(code, std::string(what) + ": " + zmq_strerror(zmq_errno()));
}

result<std::shared_ptr<zmq_context>> zmq_context::make(const loop& on, unsigned io_threads) {
  int major = 0;
  int minor = 0;
  int patch = 0;
  zmq_version(&major, &minor, &patch);
  if (major * 10000 + minor * 100 + patch < 40303) {
    return error(errc::unsupported, "libzmq older than 4.3.3 lets strangers crash a node");
  }
  void* raw = zmq_ctx_new();
  if (raw == nullptr) return zmq_failure(errc::system_limit, "no ZeroMQ context");
  zmq_ctx_set(raw, ZMQ_BLOCKY, 0);
  zmq_ctx_set(raw, ZMQ_IO_THREADS, static_cast<int>(std::clamp(io_threads, 1u, 16u)));
  zmq_ctx_set(raw, ZMQ_MAX_SOCKETS, std::min(8192, zmq_ctx_get(raw, ZMQ_SOCKET_LIMIT)));  // three a dialled peer
  return std::shared_ptr<zmq_context>(new zmq_context(on, raw));
}

zmq_context::~zmq_context() {
  zmq_ctx_shutdown(context_);
  if (open_ != 0) return;
  while (zmq_ctx_term(context_) != 0 && zmq_errno() == EINTR) {
  }
}

result<zmq_socket_handle> zmq_socket_handle::open(std::shared_ptr<zmq_context> context, int type) {
  zmq_socket_handle out;
  out.socket_ = zmq_socket(context->raw(), type);
  if (out.socket_ == nullptr) return zmq_failure(errc::system_limit, "no ZeroMQ socket");
  out.context_ = std::move(context);
  out.context_->opened();
  return out;
}

zmq_socket_handle::zmq_socket_handle(zmq_socket_handle&& other) noexcept
    : context_(std::move(other.context_)), socket_(std::exchange(other.socket_, nullptr)) {}

zmq_socket_handle& zmq_socket_handle::operator=(zmq_socket_handle&& other) noexcept {
  if (this != &other) {
    close();
    context_ = std::move(other.context_);
    socket_ = std::exchange(other.socket_, nullptr);
  }
  return *this;
}

void zmq_socket_handle::check_thread() const {
  TROUPE_EXPECT(!context_ || context_->on().inside());  // sockets belong to the loop that made them
}

void zmq_socket_handle::close() {
  if (socket_ == nullptr) return;
  check_thread();
  zmq_close(std::exchange(socket_, nullptr));
  context_->closed();
  context_.reset();
}

bool zmq_socket_handle::set_bytes(int option, std::span<const std::byte> data) {
  check_thread();
  return zmq_setsockopt(socket_, option, data.data(), data.size()) == 0;
}

bool zmq_socket_handle::set(int option, int number) {
  check_thread();
  return zmq_setsockopt(socket_, option, &number, sizeof number) == 0;
}

bool zmq_socket_handle::set64(int option, std::int64_t number) {
  check_thread();
  return zmq_setsockopt(socket_, option, &number, sizeof number) == 0;
}

int zmq_socket_handle::fd() const {
  int out = -1;
  std::size_t size = sizeof out;
  return zmq_getsockopt(socket_, ZMQ_FD, &out, &size) == 0 ? out : -1;
}

bool zmq_socket_handle::readable() const {
  check_thread();
  int events = 0;
  std::size_t size = sizeof events;
  while (zmq_getsockopt(socket_, ZMQ_EVENTS, &events, &size) != 0) {
    if (zmq_errno() != EINTR) return false;
  }
  return (events & ZMQ_POLLIN) != 0;
}

std::string zmq_socket_handle::last_endpoint() const {
  std::array<char, 512> text{};
  std::size_t size = text.size();
  if (zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, text.data(), &size) != 0 || size == 0) return {};
  return std::string(text.data(), size - 1);
}

result<void> zmq_socket_handle::bind(const std::string& address) {
  check_thread();
  while (zmq_bind(socket_, address.c_str()) != 0) {
    if (zmq_errno() != EINTR) return zmq_failure(errc::io, "cannot listen at " + address);
  }
  return {};
}

result<void> zmq_socket_handle::unbind(const std::string& address) {
  check_thread();
  while (zmq_unbind(socket_, address.c_str()) != 0) {
    if (zmq_errno() != EINTR) return zmq_failure(errc::io, "cannot stop listening at " + address);
  }
  return {};
}

result<void> zmq_socket_handle::connect(const std::string& address) {
  check_thread();
  while (zmq_connect(socket_, address.c_str()) != 0) {
    if (zmq_errno() != EINTR) return zmq_failure(errc::noconnection, "cannot dial " + address);
  }
  return {};
}

zmq_outcome zmq_socket_handle::send(zmq_message& message, bool more) {
  check_thread();
  while (zmq_msg_send(message.raw(), socket_, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0) {
    switch (zmq_errno()) {
      case EINTR: continue;
      case EAGAIN: return zmq_outcome::again;
      case EHOSTUNREACH: return zmq_outcome::unreachable;
      default: return zmq_outcome::failed;
    }
  }
  return zmq_outcome::done;
}

zmq_outcome zmq_socket_handle::receive(zmq_message& message) {
  check_thread();
  while (zmq_msg_recv(message.raw(), socket_, ZMQ_DONTWAIT) < 0) {
    switch (zmq_errno()) {
      case EINTR: continue;
      case EAGAIN: return zmq_outcome::again;
      default: return zmq_outcome::failed;
    }
  }
  return zmq_outcome::done;
}

result<zmq_socket_handle> zmq_socket_handle::monitor(int events) {
  check_thread();
  const std::string name = context_->next_monitor_name();
  auto pair = open(context_, ZMQ_PAIR);
  if (!pair) return pair;
  if (!pair->set(ZMQ_LINGER, 0) || zmq_socket_monitor(socket_, name.c_str(), events) != 0) {
    return zmq_failure(errc::system_limit, "no monitor");
  }
  if (auto joined = pair->connect(name); !joined) {
    stop_monitor();
    return joined.error();
  }
  return pair;
}

void zmq_socket_handle::stop_monitor() {
  if (socket_ != nullptr) zmq_socket_monitor(socket_, nullptr, 0);
}

bool next_event(zmq_socket_handle& monitor, zmq_event& out) {
  zmq_message head;
  if (monitor.receive(head) != zmq_outcome::done) return false;
  out = {};
  if (head.data().size() == 6) {
    std::uint16_t event = 0;
    std::int32_t number = 0;
    std::memcpy(&event, head.data().data(), sizeof event);
    std::memcpy(&number, head.data().data() + sizeof event, sizeof number);
    out.event = event;
    out.number = number;
  }
  for (bool more = head.more(); more;) {
    zmq_message part;
    if (monitor.receive(part) != zmq_outcome::done) break;
    more = part.more();
    const auto text = part.data();
    out.address.assign(reinterpret_cast<const char*>(text.data()), text.size());
  }
  return true;
}

}  // namespace troupe::bus::internal
