#pragma once
// This node among others: connections, signals to and from other nodes, the work that they ask for.
//
// Design notes
// * A signal is encoded by the thread that sends it, appended to its peer's outbox under the peer's mutex, and leaves
//   in a frame with whatever came until the bus's loop got round to it: coalescing costs no timer and no wait. One
//   mutex orders everything to a peer, so the order of each pair holds for all kinds of signals.
// * Sending to a node that is not connected dials it in the background; what is sent meanwhile waits in the same
//   outbox, bounded. A dial that fails and a connection that is lost end the same way: `lose`.
// * `obligations` are noted when a signal is appended or arrives, under the same mutex. `lose` takes them out at once,
//   so each monitor, link and call is settled exactly once: by the signal that arrived, or by noconnection.
// * Order at the end of a connection (hub_events): every frame that had arrived, then the early subscribers
//   (peer_watcher), then DOWNs and EXITs and failed calls, then `nodedown`. All come from the loop's thread, so each
//   process sees them in that order.
// * What cannot leave at once waits in a queue of its sender's own (backlog.cpp). A sender above the mark
//   (`queue_bytes`) is parked at its next wait; until then what it sends is kept, so that none of it is lost between
//   two messages that arrive, up to `sender_bytes`: then it ends. Who asked for it (when_full::refuse), and a thread,
//   which cannot be parked, is refused instead: messages, calls and orders. Everything else is let through, and the hub
//   ends the connection when its reserve for that overflows.
// * Who connects to whom is mesh.cpp: a send to a node dials it, and by the policy `automatic` a visible node dials the
//   visible nodes that those it meets know.
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include <troupe/bus/hub.hpp>
#include <troupe/bus/run_directory.hpp>
#include <troupe/cluster.hpp>

#include "dist/call_numbers.hpp"
#include "dist/leading.hpp"
#include "dist/peer.hpp"
#include "dist/peer_watcher.hpp"
#include "runtime/core.hpp"

namespace troupe::internal {

struct distribution_options {
  std::shared_ptr<bus::loop> loop;              // may be shared by nodes
  std::unique_ptr<bus::transport> transport;    // on that loop
  std::optional<bus::run_directory> directory;  // where nodes of this host are found
  std::unique_ptr<bus::name_claim> claim;       // of a node that listens: its ipc endpoint and its control key
  std::vector<bus::endpoint> listen;            // further endpoints
  std::vector<bus::endpoint> advertise;         // told to other nodes in place of what is listened on
  std::map<std::string, std::vector<bus::endpoint>, std::less<>> peers;  // where nodes are that no run directory knows
  std::vector<std::string> wanted;  // nodes to be connected to, whenever and for as long as that is possible
  std::string cookie;
  std::vector<std::string> features;  // told in the handshake besides those of `dist`
  duration retry_first = std::chrono::milliseconds(100), retry_last = std::chrono::seconds(30);
  std::size_t queue_bytes = 4u << 20;  // that wait for one peer: then senders are parked, or refused
  // That one process may have waiting for one peer beside its first signal, when it goes on without ever waiting
  // itself, so that it cannot be parked: past it that process ends (`overloaded`).
  std::size_t sender_bytes = 256u << 20;
  // Of one peer; more are answered overloaded. Functions that run for it; processes that it has spawned here and that
  // live; monitors of its processes on ours; links, whoever asked for them.
  std::size_t rpcs_at_once = 8192, spawns_at_once = 65'536, monitors_at_once = 262'144, links_at_once = 262'144;
  std::size_t told_at_once = 1024;  // nodes that others have told of and that are neither met nor given up
  std::size_t dials_at_once = 32;   // of nodes that others have told of
};

struct distribution_counters {
  std::atomic<std::uint64_t> refused_overloaded{0}, refused_too_large{0}, dropped_noconnection{0}, stale{0},
      late_replies{0}, parked{0}, ended_overloaded{0}, bad_signals{0}, ignored_signals{0}, rpc_served{0},
      rpc_refused{0}, told_refused{0}, spawns_served{0}, spawns_refused{0}, monitors_refused{0}, links_refused{0};
};

// Owner: its node's core, as a service. Thread-safe; the events come on the loop's thread.
class distribution final : public detail::service, public detail::router, private bus::hub_events {
 public:
  distribution(detail::core& core, distribution_options options);
  ~distribution() override;
  [[nodiscard]] result<void> start();  // the hub
  // Endpoints, dials, announcement: from now on others come. Who watches them begins before, or misses what they say
  // first. errc: what `listen` says, and what announcing does.
  [[nodiscard]] result<void> open();
  void stop(time_point deadline) override;  // goodbye to everybody

  // -- detail::router
  errc route(pid to, detail::envelope* e) override;
  errc route(const std::string& name, const std::string& node, detail::envelope* e) override;

  // -- requests; each is answered by a reply or reply_error to `from` with `id`
  void connect(const std::string& node, pid from, std::uint64_t id);
  void request(const std::string& node, const work_order& order, pid sender);
  // Nobody waits for that answer any more; a linked process that it would have told of is ended.
  void abandon(const std::string& node, pid from, std::uint64_t id);
  // Whether that node has yet to answer this call, and somebody waits for it.
  [[nodiscard]] bool awaits(const std::string& node, pid from, std::uint64_t id) const;

  // -- who is there
  [[nodiscard]] std::vector<std::string> nodes(node_class which) const;
  bool disconnect(std::string_view node);
  void leave();
  [[nodiscard]] error last_failure(std::string_view node) const;
  void admit_only(std::vector<std::string> allow, std::vector<std::string> deny);
  void monitor_nodes(pid subscriber, bool on, node_class which);
  void monitor_node(pid watcher, const std::string& node, bool on);
  // The watcher is told at once of who is there already. Once `unwatch` has returned it is told nothing more; never
  // called by a watcher's own hook.
  void watch(peer_watcher& who);
  void unwatch(peer_watcher& who);
  // Asks that node for a sign of life; the connection ends when none comes within `patience`. Any thread.
  void probe(const std::string& node, duration patience);
  // Nodes that others are connected to, and this one is not: each is dialled once, where the mesh would. Any thread.
  void reach_again(std::vector<std::string> names);
  [[nodiscard]] const std::vector<bus::endpoint>& endpoints() const noexcept { return endpoints_; }
  [[nodiscard]] const distribution_counters& counters() const noexcept { return counters_; }
  // {peers = {{name, creation, class, endpoint, bytes_in, …}, …}, endpoints = {…}, counters = {…}}
  [[nodiscard]] value info();
  [[nodiscard]] bus::hub& hub() noexcept { return *hub_; }

 private:
  using peer_ptr = std::shared_ptr<peer>;
  result<void> announce();
  // Once a second on the loop's thread: what a cleaner of tmp took away is made again.
  void look_after_files();
  struct subscription {
    pid who;
    node_class which;
  };
  // What to note when a signal is appended.
  struct outgoing {
    detail::signal kind = detail::signal::message;
    pid from, to;
    std::uint64_t id = 0;
    std::string_view name;
    const work_order* order = nullptr;
  };
  enum class verdict : std::uint8_t {
    accepted,
    again,
    no_connection,
    not_allowed,
    overloaded,
    overrun,
    too_large,
    stale
  };
  struct passage {
    verdict outcome = verdict::accepted;
    bool waits = false;  // in its sender's backlog
    bool holds = false;  // and its sender with it
  };

  // routing.cpp: any thread
  [[nodiscard]] peer_ptr find(std::string_view name) const;
  [[nodiscard]] peer_ptr make(const std::string& name);
  errc send(const std::string& node, pid to, const std::string& name, detail::envelope* e);
  [[nodiscard]] verdict append(const peer_ptr& p, wire_buffer& signal, const node_life* assumed, const outgoing& what);
  [[nodiscard]] passage judge(const peer_ptr& p, const outgoing& what, std::size_t size);
  bool note(peer& p, const outgoing& what);
  void put_frame(peer& p, std::span<const std::byte> signal);
  errc refuse(verdict why, const peer_ptr& p, pid to, const std::string& name, detail::envelope* e);
  void post(std::move_only_function<void()> work);
  void flush_locked(peer& p);
  [[nodiscard]] error refusal(verdict why, const peer_ptr& p);

  // backlog.cpp: put_backlog on any thread, the rest on the loop's
  void put_backlog(peer& p, pid from, wire_buffer& encoded, bool hold);
  void pump(const peer_ptr& p);
  void pump(peer& p, std::vector<ticket>& refused, std::vector<pid>& relieved);
  [[nodiscard]] bool take_turn(peer& p, pid from, backlog& b, std::vector<ticket>& refused);
  void refuse_long(const bytes& whole, peer& p, std::vector<ticket>& refused);
  void relieve(pid sender);
  void relieved(bus::connection_id connection) override;
  [[nodiscard]] result<void> arrived_chunk(const peer_ptr& p, const arrival& a);

  // mesh.cpp: may_connect on any thread, the rest on the loop's
  [[nodiscard]] bool may_connect(std::string_view name) const;
  [[nodiscard]] std::string not_allowed_text(std::string_view name) const;
  [[nodiscard]] bool in_mesh(const bus::identity& who) const;
  void meet_mesh(const peer_ptr& p);
  void tell_nodes(peer& p, const std::vector<known_node>& known);
  void introduced(const peer_ptr& p);
  void arrived_nodes(const peer_ptr& p, const arrival& a);
  [[nodiscard]] bool take_told(const peer_ptr& teller, const std::string& name);
  void forget_told(const std::string& name);
  void say_unreached(const peer& p, const peer* teller) const;
  [[nodiscard]] std::vector<bus::endpoint> advertised() const;     // where others are told to dial this node
  [[nodiscard]] std::vector<bus::endpoint> own_endpoints() const;  // all that lead here
  void want(const peer_ptr& p, wish how);
  void arm_retry(const peer_ptr& p);
  void retry_later(const peer_ptr& p);
  void retry(const peer_ptr& p);

  // dialling.cpp: the loop's thread, but for begin_dial
  void begin_dial(const peer_ptr& p);  // with its mutex held
  void resolve(const peer_ptr& p);
  struct attempt {
    bus::endpoint where;
    bus::dial_options how;
  };
  struct dial_plan {
    peer_ptr target;
    std::deque<attempt> left;
    error failure;
    attempt now;  // the one that is under way
  };
  [[nodiscard]] bool encrypts_behind(const dial_plan& plan, const error& reason) const;
  void try_next(dial_plan plan);
  void dial_waiting();
  [[nodiscard]] result<std::deque<attempt>> attempts_for(const std::string& name,
                                                         std::span<const bus::endpoint> told) const;
  void dial_failed(bus::dial_id dial, const error& reason) override;
  void dial_joined(bus::dial_id dial, bus::connection_id connection) override;

  // connections.cpp: the loop's thread
  [[nodiscard]] result<void> admit(const bus::peer_info& peer) override;
  [[nodiscard]] bool is_member(const std::string& name) const;
  void up(const bus::peer_info& peer) override;
  void frame(bus::connection_id connection, std::span<const std::byte> payload) override;
  void down(bus::connection_id connection, const error& reason) override;
  void lose(const peer_ptr& p, const error& reason, bool was_up);
  void settle_losses(const peer& p, obligations& owed, const error& reason, bool was_up);
  void tell_subscribers(std::string_view event, const std::string& name, bool hidden, const error* reason);
  [[nodiscard]] static peer_event event_of(const peer& p);
  void forget_idle();
  void forget_tool(const peer_ptr& p);

  // arrivals.cpp: the loop's thread
  [[nodiscard]] result<void> arrived(const peer_ptr& p, arrival& a);
  void arrived_content(const peer_ptr& p, arrival& a);
  void arrived_down(const peer_ptr& p, arrival& a);
  void arrived_link_signal(const peer_ptr& p, arrival& a);
  void arrived_monitor(const peer_ptr& p, arrival& a);
  void arrived_demonitor(const peer_ptr& p, arrival& a);
  void arrived_order(const peer_ptr& p, work_order& order);
  void arrived_rpc(const peer_ptr& p, work_order& order);
  [[nodiscard]] bool keep_link(peer& p, pid ours, pid theirs);  // with its mutex held; false: too many
  void settle_call(const peer_ptr& p, ticket answered, const arrival& a);
  void kill_late_spawn(const peer_ptr& p, ticket caller, pid child);
  void deliver(const arrival& a, detail::envelope* e);

  detail::core& core_;
  distribution_options options_;
  std::unique_ptr<bus::hub> hub_;
  std::unique_ptr<leading> leading_;
  std::vector<bus::endpoint> endpoints_;
  distribution_counters counters_;
  const call_numbers numbers_;
  std::atomic<bool> stopping_{false};
  bus::timer_id files_timer_ = 0;  // the loop's thread, as the next
  bool files_missing_ = false;     // and it was logged

  mutable std::shared_mutex peers_mutex_;
  std::map<std::string, peer_ptr, std::less<>> peers_;
  mutable std::mutex subscribers_mutex_;
  std::vector<subscription> subscribers_;
  mutable std::shared_mutex admission_mutex_;
  std::vector<std::string> allow_, deny_;  // globs; from the node's options at first

  // the loop's thread
  struct connection {
    peer_ptr of;
    bool broken = false;  // sent something malformed: the rest is not read
  };
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::map<bus::connection_id, connection> connections_;
  std::map<bus::dial_id, dial_plan> dials_;
  std::vector<peer_watcher*> watchers_;
  std::size_t peers_swept_ = 0;                           // so many were left when idle ones were last forgotten
  std::map<std::string, peer_ptr, std::less<>> told_of_;  // by whom; neither met nor given up yet
  std::deque<peer_ptr> told_line_;                        // of them: those to be dialled when others are through
  bool left_ = false;                                     // the mesh, until something is connected by name again
};

// Attached to the core, and its router. errc: bad_name for a node without a name, and what the hub says. Not yet open.
[[nodiscard]] result<distribution*> attach_distribution(detail::core& core, distribution_options options);

}  // namespace troupe::internal
