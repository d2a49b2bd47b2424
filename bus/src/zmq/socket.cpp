#include "zmq/socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <troupe/expect.hpp>

namespace troupe::bus::internal {

error zmq_failure(errc code, std::string_view what) {
  return error(code, std::string(what) + ": " + zmq_strerror(zmq_errno()));
}

result<std::shared_ptr<zmq_context>> zmq_context::make(const loop& on, unsigned io_threads) try {
  const auto [major, minor, patch] = zmq::version();
  if (major * 10000 + minor * 100 + patch < 40303) {
    return error(errc::unsupported, "libzmq older than 4.3.3 lets strangers crash a node");
  }
  auto made = std::make_unique<zmq::context_t>();
  made->set(zmq::ctxopt::blocky, 0);
  made->set(zmq::ctxopt::io_threads, static_cast<int>(std::clamp(io_threads, 1u, 16u)));
  // Three a dialled peer.
  made->set(zmq::ctxopt::max_sockets, std::min(8192, made->get(zmq::ctxopt::socket_limit)));
  return std::shared_ptr<zmq_context>(new zmq_context(on, std::move(made)));
} catch (const zmq::error_t&) {
  return zmq_failure(errc::system_limit, "no ZeroMQ context");
}

zmq_context::~zmq_context() {
  context_->shutdown();
  if (open_ != 0) static_cast<void>(context_.release());
}

bool zmq_message::resize(std::size_t size) noexcept try {
  message_ = zmq::message_t(size);
  return true;
} catch (const zmq::error_t&) {
  return false;
}

result<zmq_socket_handle> zmq_socket_handle::open(std::shared_ptr<zmq_context> context, zmq::socket_type type) try {
  zmq_socket_handle out;
  out.socket_ = zmq::socket_t(context->get(), type);
  out.context_ = std::move(context);
  out.context_->opened();
  return out;
} catch (const zmq::error_t&) {
  return zmq_failure(errc::system_limit, "no ZeroMQ socket");
}

zmq_socket_handle& zmq_socket_handle::operator=(zmq_socket_handle&& other) noexcept {
  if (this != &other) {
    close();
    context_ = std::move(other.context_);
    socket_ = std::move(other.socket_);
  }
  return *this;
}

void zmq_socket_handle::check_thread() const {
  TROUPE_EXPECT(!context_ || context_->on().inside());  // sockets belong to the loop that made them
}

void zmq_socket_handle::close() {
  if (!*this) return;
  check_thread();
  socket_.close();
  context_->closed();
  context_.reset();
}

int zmq_socket_handle::fd() const try { return socket_.get(zmq::sockopt::fd); } catch (const zmq::error_t&) {
  return -1;
}

bool zmq_socket_handle::readable() const {
  check_thread();
  int events = 0;
  std::size_t size = sizeof events;
  while (zmq_getsockopt(socket_.handle(), ZMQ_EVENTS, &events, &size) != 0) {
    if (zmq_errno() != EINTR) return false;
  }
  return (events & ZMQ_POLLIN) != 0;
}

std::string zmq_socket_handle::last_endpoint() const try {
  return socket_.get(zmq::sockopt::last_endpoint);
} catch (const zmq::error_t&) {
  return {};
}

result<void> zmq_socket_handle::bind(const std::string& address) {
  check_thread();
  while (zmq_bind(socket_.handle(), address.c_str()) != 0) {
    if (zmq_errno() != EINTR) return zmq_failure(errc::io, "cannot listen at " + address);
  }
  return {};
}

result<void> zmq_socket_handle::unbind(const std::string& address) {
  check_thread();
  while (zmq_unbind(socket_.handle(), address.c_str()) != 0) {
    if (zmq_errno() != EINTR) return zmq_failure(errc::io, "cannot stop listening at " + address);
  }
  return {};
}

result<void> zmq_socket_handle::connect(const std::string& address) {
  check_thread();
  while (zmq_connect(socket_.handle(), address.c_str()) != 0) {
    if (zmq_errno() != EINTR) return zmq_failure(errc::noconnection, "cannot dial " + address);
  }
  return {};
}

zmq_outcome zmq_socket_handle::send(zmq_message& message, bool more) {
  check_thread();
  while (zmq_msg_send(message.handle(), socket_.handle(), ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0) {
    switch (zmq_errno()) {
      case EINTR: continue;
      case EAGAIN: return zmq_outcome::again;
      case EHOSTUNREACH: return zmq_outcome::unreachable;
      default: return zmq_outcome::failed;
    }
  }
  return zmq_outcome::done;
}

bool zmq_socket_handle::send(std::string_view bytes, bool more) {
  zmq_message message;
  if (!message.resize(bytes.size())) return false;
  std::ranges::copy(std::as_bytes(std::span(bytes)), message.data().begin());
  return send(message, more) == zmq_outcome::done;
}

zmq_outcome zmq_socket_handle::receive(zmq_message& message) {
  check_thread();
  while (zmq_msg_recv(message.handle(), socket_.handle(), ZMQ_DONTWAIT) < 0) {
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
  auto pair = open(context_, zmq::socket_type::pair);
  if (!pair) return pair;
  if (!pair->set(zmq::sockopt::linger, 0) || zmq_socket_monitor(socket_.handle(), name.c_str(), events) != 0) {
    return zmq_failure(errc::system_limit, "no monitor");
  }
  if (auto joined = pair->connect(name); !joined) {
    stop_monitor();
    return joined.error();
  }
  return pair;
}

void zmq_socket_handle::stop_monitor() {
  if (*this) zmq_socket_monitor(socket_.handle(), nullptr, 0);
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
    out.address = part.text();
  }
  return true;
}

}  // namespace troupe::bus::internal
