#include "zmq/greeting.hpp"

#include <array>

namespace troupe::bus::internal {
namespace {

constexpr int never_reconnect_ms = 3'600'000;
// Signature and major version of ZMTP 3.
constexpr std::array<unsigned char, 11> opening{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3};
constexpr std::size_t mechanism_at = 12;
constexpr std::size_t mechanism_bytes = 20;

greeting_probe::answer understood(std::string_view greeting) {
  const bool zmtp = greeting[0] == '\xff' && (greeting[9] & 1) != 0;
  const std::string_view name = greeting.substr(mechanism_at, mechanism_bytes);
  if (zmtp && name == std::string("CURVE") + std::string(15, '\0')) return greeting_probe::answer::curve;
  if (zmtp && name == std::string("NULL") + std::string(16, '\0')) return greeting_probe::answer::plain;
  return greeting_probe::answer::other;
}

}  // namespace

class greeting_probe::monitor_reader final : public watched {
 public:
  monitor_reader(greeting_probe& owner, watch_list& list) : watched(list), owner_(owner) {}
  bool read() override {
    zmq_event event;
    while (next_event(socket, event)) {
      // A STREAM that was cut off says so itself, after what it had read; one that met nobody does not.
      if (event.event != ZMQ_EVENT_DISCONNECTED) owner_.finish(answer::nobody);
    }
    return false;
  }

 private:
  greeting_probe& owner_;
};

greeting_probe::greeting_probe(watch_list& list, std::function<void(answer)> done)
    : watched(list), list_(list), done_(std::move(done)) {}

greeting_probe::~greeting_probe() { shut(); }

result<void> greeting_probe::open(const std::shared_ptr<zmq_context>& context, const endpoint& where, bool ipv6) {
  auto made = zmq_socket_handle::open(context, zmq::socket_type::stream);
  if (!made) return made.error();
  socket = std::move(*made);
  const bool set = socket.set(zmq::sockopt::linger, 0) && socket.set(zmq::sockopt::reconnect_ivl, never_reconnect_ms) &&
                   socket.set(zmq::sockopt::connect_timeout, 3000) && socket.set(zmq::sockopt::ipv6, ipv6);
  if (!set) return zmq_failure(errc::io, "a STREAM cannot be set up");
  auto events = socket.monitor(ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECT_RETRIED);
  if (!events) return events.error();
  monitor_ = std::make_unique<monitor_reader>(*this, list_);
  monitor_->socket = std::move(*events);
  if (auto joined = socket.connect(where.text()); !joined) return joined;
  if (auto added = list_.add(*this); !added) return added;
  return list_.add(*monitor_);
}

void greeting_probe::shut() {
  if (!socket) return;
  list_.remove(*this);
  if (monitor_) list_.remove(*monitor_);
  socket.stop_monitor();
  if (monitor_) monitor_->socket.close();
  socket.close();
  done_ = nullptr;
}

// STREAM: each message is the route and some bytes; none at the beginning, and none at the end.
bool greeting_probe::read() {
  zmq_message route;
  zmq_message bytes;
  while (done_ && socket.receive(route) == zmq_outcome::done) {
    if (!route.more() || socket.receive(bytes) != zmq_outcome::done) break;
    const std::string_view data = bytes.text();
    if (data.empty() && greeted_) finish(answer::other);
    else if (data.empty()) greet(route.text());
    else got_.append(data);
    if (got_.size() >= mechanism_at + mechanism_bytes || (!got_.empty() && got_[0] != '\xff')) {
      finish(got_[0] == '\xff' ? understood(got_) : answer::other);
    }
  }
  return false;
}

void greeting_probe::greet(std::string_view route) {
  greeted_ = true;
  list_.sent_on(*this);
  const std::string_view data(reinterpret_cast<const char*>(opening.data()), opening.size());
  if (!socket.send(route, true) || !socket.send(data, false)) finish(answer::nobody);
}

void greeting_probe::finish(answer what) {
  if (auto done = std::exchange(done_, nullptr)) done(what);
}

}  // namespace troupe::bus::internal
