#pragma once
// What this node keeps of another one.
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <troupe/bus/hub.hpp>

#include "dist/signals.hpp"

namespace troupe::internal {

// Who waits for something, and under which number: a call, a monitor.
struct ticket {
  pid who;
  std::uint64_t id = 0;
  friend bool operator==(const ticket&, const ticket&) = default;
  friend auto operator<=>(const ticket&, const ticket&) = default;
};
struct ticket_hash {
  std::size_t operator()(const ticket& t) const noexcept {
    return std::hash<pid>{}(t.who) ^ (t.id * 0x9e3779b97f4a7c15ull);
  }
};

// What must be said when the connection is lost, and who said so; nothing else of a signal outlives its encoding.
struct obligations {
  struct watched {
    pid process;  // empty when by name
    std::string name;
  };
  struct call {
    bool sent = false;        // the other side may have got it
    std::uint64_t watch = 0;  // of a spawn: the monitor to settle when its pid is known
    bool connects = false;    // waits for the connection alone
    bool abandoned = false;   // nobody waits any more
    bool linked = false;      // of a spawn
  };
  std::unordered_map<ticket, watched, ticket_hash> watching;  // monitors by our processes of theirs
  std::unordered_map<ticket, pid, ticket_hash> watched_by;    // monitors by theirs of ours: whom
  std::set<std::pair<pid, pid>> links;                        // ours, theirs
  std::unordered_map<ticket, call, ticket_hash> calls;        // not answered yet
  std::vector<pid> node_watchers;                             // monitor_node: one for each active call

  [[nodiscard]] bool empty() const noexcept {
    return watching.empty() && watched_by.empty() && links.empty() && calls.empty() && node_watchers.empty();
  }
};

enum class peer_state : std::uint8_t { idle, dialling, up };

// Shared by the table of nodes and by whoever is sending; `mutex` guards everything but the name. Nothing calls out
// with the mutex held, except `hub::send`.
struct peer {
  explicit peer(std::string given) : name(std::move(given)) {}

  const std::string name;
  std::mutex mutex;
  peer_state state = peer_state::idle;
  bool gone = false;    // no longer in the table: look again
  bus::peer_info info;  // when up
  held_life life;       // when up
  time_point up_since{};

  // Encoded and not yet given to the hub, in order. One frame each.
  std::deque<bytes> outbox;
  std::size_t outbox_bytes = 0, outbox_signals = 0;
  bool flush_posted = false;
  bool congested = false;

  obligations owed;

  time_point retry_at{};  // after a failed dial: until then sends are refused at once
  duration retry_wait{};
  error last_failure;

  std::uint64_t signals_out = 0, signals_in = 0, refused = 0, dropped = 0;
};

}  // namespace troupe::internal
