#pragma once
// The bus of one node: connections that are authenticated, watched by ticks and bounded by credit.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <troupe/bus/connection.hpp>
#include <troupe/bus/loop.hpp>
#include <troupe/bus/payload.hpp>
#include <troupe/bus/security.hpp>
#include <troupe/bus/transport.hpp>
#include <troupe/limits.hpp>
#include <troupe/log_sink.hpp>
#include <troupe/time.hpp>
#include <troupe/value.hpp>

namespace troupe::bus {

struct hub_options {
  identity self;
  bus::security security;
  troupe::limits limits;
  std::shared_ptr<random_source> random;      // system_random() when empty
  log_sink* log = nullptr;                    // outlives the hub
  std::unique_ptr<bus::transport> transport;  // zmtp_transport(loop), inproc_transport(…), simulator::attach(…)
  std::size_t queue_bytes = 4u << 20;         // of frames that wait for credit, a connection: then `send` is refused
  std::size_t reserve_bytes = 4u << 20;       // beyond it, for frames that must be delivered: then the connection ends
};

// Refused by `send` above the bound, or kept in the reserve (exits, DOWNs, replies).
enum class delivery : std::uint8_t { ordinary, must };

struct dial_options {
  std::string expected_name;  // empty: whoever answers
  bus::secret prove = bus::secret::cookie;
  std::string control_key;  // of the node that is dialled, for secret::control_key
  bool encrypted = false;   // over tcp, though channel_over says plain: for the near end of a tunnel
};

// Owner: the node. All functions are thread-safe unless they say otherwise; events come on the loop's thread. Lifetime:
// `events`, the log and the loop outlive it. The destructor ends every connection without a goodbye and without events;
// it must not run on a threaded loop's own thread.
class hub {
 public:
  virtual ~hub() = default;

  [[nodiscard]] static result<std::unique_ptr<hub>> make(hub_options options, hub_events& events);

  // errc::not_allowed for a tool, and for tcp off loopback with a weak cookie (channel_over decides what is encrypted);
  // io with the system's reason. Blocks until the loop has done it. The result has the real port.
  [[nodiscard]] virtual result<endpoint> listen(const endpoint& where) = 0;
  // Connections that were accepted there stay; but those that libzmq carries end.
  virtual void unlisten(const endpoint& where) = 0;

  // One attempt; ends in exactly one of `up` (peer_info::dial), `dial_failed`, `dial_joined`, always after this
  // returned when called on the loop's thread.
  dial_id dial(const endpoint& where, dial_options how = {}) { return start_dial(where, std::move(how)); }
  virtual void cancel_dial(dial_id dial) = 0;

  // Sends a sequence of encoded signals as one frame; keeps the order of the calls. Errors: noconnection, too_large
  // (the peer's limits::frame_bytes), overloaded (ordinary frames over the bound; `relieved` follows).
  [[nodiscard]] virtual result<void> send(connection_id connection, frame_payload payload,
                                          delivery how = delivery::ordinary) = 0;
  // What frames brought has reached its mailboxes: `payload_bytes` in all of `frames` frames. Credit goes back.
  virtual void consumed(connection_id connection, std::size_t payload_bytes, std::size_t frames = 1) = 0;
  [[nodiscard]] virtual std::size_t queued(connection_id connection) const noexcept = 0;  // bytes that wait for credit
  // `relieved` comes once, as soon as no more than so many bytes wait; at the next turn when that is so already. A
  // later call, or a send that is refused, takes its place.
  virtual void relieve(connection_id connection, std::size_t queued_bytes) = 0;

  // Tells the peer `reason` and ends the connection; `down` comes with that reason.
  virtual void close(connection_id connection, error reason = errc::closed) = 0;
  // Asks a peer for a sign of life now, and ends the connection if none comes within `patience`.
  virtual void probe(connection_id connection, duration patience) = 0;

  // Work for the loop's thread, in order with the events.
  void post(std::move_only_function<void()> work) { on().post(std::move(work)); }
  [[nodiscard]] virtual loop& on() noexcept = 0;

  // Carried by our answers to ticks, for the peer's counters: say, how late the scheduler is, in microseconds.
  virtual void set_health(std::uint64_t health) noexcept = 0;
  // For handshakes that begin from now on; an encrypted endpoint keeps the keys of the cookie under which it was
  // listened to.
  virtual void set_security(bus::security security) = 0;

  // Says goodbye (errc::shutting_down) to every peer after what is queued, waits for their answers at most `within`,
  // and closes everything; every connection gets its `down`, every dial its `dial_failed`. Blocks, except on a loop
  // that is not threaded: there it begins, and `stopped` says when it is done. Not on a threaded loop's own thread.
  virtual void stop(std::chrono::milliseconds within = std::chrono::seconds(1)) = 0;
  [[nodiscard]] virtual bool stopped() const noexcept = 0;

  [[nodiscard]] virtual hub_counters counters() = 0;  // asks the loop, blocks shortly
  [[nodiscard]] virtual const identity& self() const noexcept = 0;

 protected:
  virtual dial_id start_dial(const endpoint& where, dial_options how) = 0;
};

}  // namespace troupe::bus
