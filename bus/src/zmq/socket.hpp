#pragma once
// libzmq, through cppzmq, behind a thin wrapper: no exceptions, one part at a time. Only this file includes <zmq.hpp>.
//
// cppzmq throws on whatever is no success, EAGAIN alone excepted. In setting up, that is translated here (`socket.cpp`,
// `set`). What happens while frames flow is no exception: EHOSTUNREACH is how a ROUTER says that a peer is gone, EINTR
// comes at any time, a property that a peer's connection lacks is its sender's choice. So sending, receiving, asking
// for events and for properties go by the handles, and so do bind and connect, which are repeated after EINTR.
#include <zmq.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <troupe/bus/loop.hpp>
#include <troupe/error.hpp>

namespace troupe::bus::internal {

class zap_handler;

// What libzmq's errno says, in words.
[[nodiscard]] error zmq_failure(errc code, std::string_view what);

// Owner: a loop, shared by its transports. Sockets count themselves in; the end waits for the linger of those that were
// closed, which is short. With a socket still open zmq_ctx_term would wait for ever, so then the context is left
// behind.
class zmq_context {
 public:
  [[nodiscard]] static result<std::shared_ptr<zmq_context>> make(const loop& on, unsigned io_threads);
  ~zmq_context();
  zmq_context(const zmq_context&) = delete;
  zmq_context& operator=(const zmq_context&) = delete;

  [[nodiscard]] zmq::context_t& get() noexcept { return *context_; }
  [[nodiscard]] const loop& on() const noexcept { return on_; }
  [[nodiscard]] std::string next_monitor_name() { return "inproc://troupe-monitor-" + std::to_string(++monitors_); }

  [[nodiscard]] std::weak_ptr<zap_handler>& zap() noexcept { return zap_; }

  void opened() noexcept { ++open_; }
  void closed() noexcept { --open_; }

 private:
  zmq_context(const loop& on, std::unique_ptr<zmq::context_t> context) : on_(on), context_(std::move(context)) {}
  const loop& on_;
  std::unique_ptr<zmq::context_t> context_;
  std::size_t open_ = 0;  // all sockets of a context live on one loop
  std::uint64_t monitors_ = 0;
  std::weak_ptr<zap_handler> zap_;
};

class zmq_message {
 public:
  // Room for `size` bytes; what it held before is gone. False when there is no memory.
  [[nodiscard]] bool resize(std::size_t size) noexcept;
  [[nodiscard]] std::span<std::byte> data() noexcept {
    return {static_cast<std::byte*>(message_.data()), message_.size()};
  }
  [[nodiscard]] std::string_view text() noexcept {
    return {static_cast<const char*>(message_.data()), message_.size()};
  }
  [[nodiscard]] bool more() const noexcept { return message_.more(); }
  // The descriptor it came in by, -1 when libzmq does not tell.
  [[nodiscard]] int source_fd() noexcept { return zmq_msg_get(message_.handle(), ZMQ_SRCFD); }
  // Does libzmq tell this of the connection that it came in by?
  [[nodiscard]] bool has_property(const char* name, std::string_view wanted) noexcept {
    const char* text = zmq_msg_gets(message_.handle(), name);
    return text != nullptr && wanted == text;
  }
  // What libzmq tells of it; empty when it does not.
  [[nodiscard]] std::string property(const char* name) noexcept {
    const char* text = zmq_msg_gets(message_.handle(), name);
    return text == nullptr ? std::string() : std::string(text);
  }
  [[nodiscard]] zmq_msg_t* handle() noexcept { return message_.handle(); }

 private:
  zmq::message_t message_;
};

enum class zmq_outcome : std::uint8_t { done, again, unreachable, failed };

// Used by the thread that leads the context's loop alone; debug builds check that.
class zmq_socket_handle {
 public:
  [[nodiscard]] static result<zmq_socket_handle> open(std::shared_ptr<zmq_context> context, zmq::socket_type type);
  zmq_socket_handle() = default;
  zmq_socket_handle(zmq_socket_handle&& other) noexcept = default;
  zmq_socket_handle& operator=(zmq_socket_handle&& other) noexcept;
  ~zmq_socket_handle() { close(); }

  [[nodiscard]] explicit operator bool() const noexcept { return socket_.handle() != nullptr; }
  // One of zmq::sockopt. False when libzmq refuses it: zmq_failure says why.
  template <class Option, class Value>
  [[nodiscard]] bool set(Option option, const Value& to) try {
    check_thread();
    socket_.set(option, to);
    return true;
  } catch (const zmq::error_t&) {
    return false;
  }
  template <class Option>
  [[nodiscard]] bool set_key(Option option, std::span<const std::byte, 32> key) {
    return set(option, zmq::buffer(key.data(), key.size()));
  }
  [[nodiscard]] int fd() const;
  // Looks at what libzmq's other thread has told this socket: readable?
  [[nodiscard]] bool readable() const;
  [[nodiscard]] std::string last_endpoint() const;
  [[nodiscard]] result<void> bind(const std::string& address);
  [[nodiscard]] result<void> unbind(const std::string& address);
  [[nodiscard]] result<void> connect(const std::string& address);
  [[nodiscard]] zmq_outcome send(zmq_message& message, bool more);
  // A part with these bytes.
  [[nodiscard]] bool send(std::string_view bytes, bool more);
  [[nodiscard]] zmq_outcome receive(zmq_message& message);
  // A PAIR that reads this socket's events.
  [[nodiscard]] result<zmq_socket_handle> monitor(int events);
  void stop_monitor();
  void close();

 private:
  void check_thread() const;

  std::shared_ptr<zmq_context> context_;
  mutable zmq::socket_t socket_;  // zmq_getsockopt takes what is not const
};

struct zmq_event {
  int event = 0;
  int number = 0;  // a descriptor, or a code: see zmq_socket_monitor(3)
  std::string address;
};

// The next event of a monitor; false when none waits. By hand: zmq::monitor_t waits in a poll of its own, and throws.
[[nodiscard]] bool next_event(zmq_socket_handle& monitor, zmq_event& out);

}  // namespace troupe::bus::internal
