#pragma once
// What this node keeps of another one.
#include <atomic>
#include <deque>
#include <map>
#include <memory>
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
  std::map<std::pair<pid, pid>, std::size_t> unlinks;         // by ours of theirs, not acknowledged
  std::unordered_map<ticket, call, ticket_hash> calls;        // not answered yet
  std::vector<pid> node_watchers;                             // monitor_node: one for each active call

  [[nodiscard]] bool empty() const noexcept {
    return watching.empty() && watched_by.empty() && links.empty() && unlinks.empty() && calls.empty() &&
           node_watchers.empty();
  }
};

enum class peer_state : std::uint8_t { idle, dialling, up };

// Does this node want that connection by itself? Nobody's wish; because another node of the mesh has told of it (a few
// tries); because the configuration names it (for ever).
enum class wish : std::uint8_t { none, mesh, always };

// What one process has sent to this node and what could not leave at once, in order. Others' signals pass it; its
// own later ones wait behind. A long signal leaves in chunks.
struct backlog {
  std::deque<bytes> signals;
  std::shared_ptr<const bytes> leaving;  // the first one, which is empty above, once its first chunk has left
  std::size_t sent = 0;                  // of it
  std::size_t waiting = 0;               // bytes in all, without what was sent
  std::uint64_t stream = 0;              // of the first one, once its first chunk has left
  bool holds = false;                    // its sender is parked until all has left

  [[nodiscard]] std::size_t behind() const noexcept {
    return waiting - (leaving ? leaving->size() - sent : signals.front().size());
  }
};

// A long signal that is arriving.
struct assembly {
  pid from;
  std::size_t total = 0;
  bytes data;
};

// Shared by the table of nodes and by whoever is sending; `mutex` guards everything but the name. Nothing calls out
// with the mutex held, except `hub::send`.
struct peer {
  explicit peer(std::string given) : name(std::move(given)) {}

  const std::string name;
  std::mutex mutex;
  peer_state state = peer_state::idle;
  bool gone = false;          // no longer in the table: look again
  bus::peer_info info;        // when up
  bool shown = false;         // when up: the watchers know, so `nodes` may list it
  bool takes_chunks = false;  // when up
  std::size_t longest = 0;    // signal that it takes, when up
  held_life life;             // when up
  time_point up_since{};

  // Encoded and not yet given to the hub, in order. One frame each. Empty unless up.
  std::deque<bytes> outbox;
  std::size_t outbox_bytes = 0, outbox_signals = 0;
  bool flush_posted = false;
  bool congested = false;

  // By sender, and whose turn it is: each in turn sends about a frame. While dialling everything waits here.
  std::unordered_map<pid, backlog> backlogs;
  std::deque<pid> turns;
  std::size_t backlog_bytes = 0;
  std::size_t forced_bytes = 0;  // of it, while dialling: what may not be refused
  std::size_t chunking = 0;      // bytes of the signals whose first chunk has left and whose last has not
  std::size_t chunked = 0;       // how many those are
  std::uint64_t streams = 0;

  // Functions and processes that run here for it.
  const std::shared_ptr<std::atomic<std::size_t>> serving = std::make_shared<std::atomic<std::size_t>>(0);
  const std::shared_ptr<std::atomic<std::size_t>> spawned = std::make_shared<std::atomic<std::size_t>>(0);

  // The loop's thread alone: what arrives in chunks, by stream.
  std::map<std::uint64_t, assembly> assemblies;
  std::atomic<std::size_t> assembling = 0;  // their totals

  std::vector<bus::endpoint> told;  // where it can be dialled, by what nodes have told
  bool introduced = false;          // when up: by itself as well
  wish wanted = wish::none;
  unsigned mesh_tries = 0;
  bool once_more = false;         // for others' views that name it: one try, of which nothing is said
  std::size_t told_nodes = 0;     // the loop's thread: by it, of those in told_of_
  bus::timer_id retry_timer = 0;  // the loop's thread

  obligations owed;

  time_point retry_at{};  // after a failed dial: until then sends are refused at once
  duration retry_wait{};
  error last_failure;

  std::uint64_t signals_out = 0, signals_in = 0, refused = 0, dropped = 0;
};

}  // namespace troupe::internal
