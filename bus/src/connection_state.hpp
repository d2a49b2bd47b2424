#pragma once
// What a hub keeps of one connection, of one handshake under way, and of one dial.
#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <troupe/bus/hub.hpp>

#include "drop_log.hpp"
#include "frames.hpp"
#include "handshake.hpp"

namespace troupe::bus::internal {

// What any thread may look at before it sends. Shared by the hub's table and by senders.
struct gate {
  std::size_t frame_limit = 0;
  std::atomic<std::size_t> queued = 0;  // from `send` until the transport has it
  std::atomic<bool> open = true;
  // `relieved` is wanted when no more than this is queued.
  static constexpr std::size_t nobody = SIZE_MAX;
  std::atomic<std::size_t> relief = nobody;
};

// Owner: the hub; the loop's thread.
struct connection {
  peer_info info;
  pipe_id pipe = 0;
  wire_id wire{};
  std::shared_ptr<gate> door;

  // Credit. Out: we may begin a frame while `in_flight` is below the peer's credit_bytes. In: `charged` is what arrived
  // and was not given back yet; of it `unreturned` has been consumed and waits to be told in one go.
  std::deque<frame_payload> queue;
  std::size_t in_flight = 0;
  std::size_t charged = 0;
  std::size_t unreturned = 0;

  // Ticks.
  time_point heard{};
  timer_id tick = 0;
  time_point tick_due{};
  std::uint64_t pings = 0;
  std::uint64_t timed_ping = 0;  // the one whose answer gives rtt
  time_point ping_sent{};
  std::optional<duration> rtt;
  std::uint64_t peer_health = 0;
  token_bucket pings_in{512, 256};  // a peer asks once a tick, of 10 ms at least, and when others want its name

  // Others who want its name, waiting for an answer to ping `probe_ping`.
  std::vector<pipe_id> contenders;
  std::uint64_t probe_ping = 0;
  timer_id probe = 0;

  bool leaving = false;  // no more is sent but what is queued, then a goodbye
  bool said_bye = false;
  error leave_reason;
  timer_id leave = 0;
  std::uint64_t frames_in = 0, frames_out = 0, bytes_in = 0, bytes_out = 0;
};

// A handshake under way. An accepted one has a timer of its own, a dialled one that of its dial.
struct half {
  enum class state : std::uint8_t { hello, challenge, proof, welcome, contending, refusing };
  state waits_for = state::hello;
  pipe_id pipe = 0;
  dial_id dial = 0;  // 0: accepted
  std::string key;   // the secret that is proved
  transcript frames;
  peer_info peer;
  wire_id wire{};
  timer_id timer = 0;
  bool far = false;       // accepted, from another host
  bool crossing = false;  // contends with a connection of the same life that we dialled
};

struct pending_dial {
  endpoint where;
  dial_options how;
  pipe_id pipe = 0;  // 0: refused because the peer's own dial crosses ours and wins
  std::string name;  // expected, or learned from the challenge
  timer_id timer = 0;
};

// A connection that we have said goodbye to: only the peer's answer is waited for.
struct farewell {
  wire_id wire{};
  timer_id timer = 0;
};

}  // namespace troupe::bus::internal
