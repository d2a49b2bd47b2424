#pragma once
// What the bus tells about its connections: who is at the other end, what arrives, why it ended.
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/bus/endpoint.hpp>
#include <troupe/bus/security.hpp>
#include <troupe/limits.hpp>

namespace troupe::bus {

// Local handles, never reused in the life of a hub; 0 is none.
using connection_id = std::uint64_t;
using dial_id = std::uint64_t;

struct peer_info {
  connection_id id = 0;
  identity who;
  endpoint via;                      // what was dialled, by us or, where it was accepted, by them (of our endpoints)
  std::optional<endpoint> from;      // accepted by tcp: the address of their side, which nobody can dial
  limits theirs;                     // frame_bytes, credit_bytes and tick are the peer's own
  unsigned protocol = 0;             // agreed on
  secret proved = secret::cookie;    // by the dialler
  std::chrono::milliseconds tick{};  // agreed on: the smaller of both, one second with a tool
  unsigned silent_ticks = 4;         // after so many the connection is down: three with a tool
  bool dialled_by_us = false;
  bool encrypted = false;
  dial_id dial = 0;  // the dial of ours that this connection answers; also when the peer's dial crossed it and won
};

// Called on the loop's thread, one at a time. For one connection: `up`, `frame`s, `down`, then nothing more; every
// frame that had arrived comes before `down`. A callback may call everything of the hub except `stop` and its
// destructor. It must be quick: all connections of the loop wait for it.
class hub_events {
 public:
  virtual ~hub_events() = default;

  // The peer has proved its secret; an error refuses it and is told to it (not_allowed, name_taken, shutting_down, …).
  // Asked on both sides, before `up`.
  [[nodiscard]] virtual result<void> admit(const peer_info& peer) {
    static_cast<void>(peer);
    return {};
  }
  virtual void up(const peer_info& peer) = 0;
  // `payload` is a sequence of msgpack arrays, not yet looked at, and lives for this call only. Its cost stays charged
  // to the peer until `hub::consumed`.
  virtual void frame(connection_id connection, std::span<const std::byte> payload) = 0;
  // closed or shutting_down: the peer left in order, or `hub::close` gave this reason. noconnection: it was lost, the
  // text says how (silent for 3 s, gone, replaced by a new connection of the same life). overloaded: the reserve for
  // frames that must be delivered overflowed. bad_message: it broke the protocol.
  virtual void down(connection_id connection, const error& reason) = 0;
  // A dial ended without a connection. The typed refusal of the other side comes here: bad_cookie, unsupported,
  // name_taken, not_allowed, too_large, bad_message, timeout; noconnection when nobody answers there. Where one side
  // encrypts: not_allowed when the other speaks plain text, unsupported when it alone encrypts, bad_cookie.
  virtual void dial_failed(dial_id dial, const error& reason) = 0;
  // A dial ended because a connection to that node was up already.
  virtual void dial_joined(dial_id dial, connection_id connection) {
    static_cast<void>(dial);
    static_cast<void>(connection);
  }
  // A send was refused with errc::overloaded and now the queue is half empty; or what `hub::relieve` asked for.
  virtual void relieved(connection_id connection) { static_cast<void>(connection); }
};

struct connection_counters {
  connection_id id = 0;
  std::string name;
  bool dialled_by_us = false;
  bool encrypted = false;
  std::uint64_t frames_in = 0, frames_out = 0;  // of signals, without ticks and credit
  std::uint64_t bytes_in = 0, bytes_out = 0;    // on the wire, all frames
  std::size_t queued_bytes = 0;                 // waiting for credit
  std::size_t in_flight_bytes = 0;              // sent, credit not yet returned
  std::size_t unconsumed_bytes = 0;             // arrived, `consumed` not yet called
  duration heard_ago{};                         // since the last frame of any kind
  std::optional<duration> rtt;                  // of the last tick that was answered
  std::uint64_t peer_health = 0;                // as `hub::set_health` of the peer, from its last answer
};

struct hub_counters {
  std::size_t connections = 0, half_handshakes = 0, dials = 0;
  std::uint64_t accepted = 0, dialled = 0;
  // By cause: "stranger", "wrong_key", "encrypted", "wrong_connection_id", "ended_connection", "bad_cookie",
  // "turned_away", "stranger_limit", "half_handshake_limit", "no_descriptor", "no_memory", "unsent_answers",
  // "rate_limit", "too_large", "bad_message", …; only causes that happened.
  std::vector<std::pair<std::string, std::uint64_t>> drops;
  std::vector<connection_counters> peers;
};

}  // namespace troupe::bus
