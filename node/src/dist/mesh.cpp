// Who connects to whom: nodes that are wanted, nodes that others tell of, nodes that are not let in.
//
// By the policy `automatic` (node_options::mesh) two visible nodes that meet tell each other the visible nodes they are
// connected to, and each dials those it did not know: whoever connects to one member is soon connected to all (OTP's
// transitive connections). Hidden nodes and tools are neither told nor told of. One that cannot be reached is given up
// after some tries; while others' views name it, troupe.global has it dialled once a minute (reach_again), so that a
// partition that has healed leaves no gap.
#include <fnmatch.h>

#include <algorithm>

#include <troupe/expect.hpp>

#include "dist/distribution.hpp"
#include "dist/reach.hpp"

namespace troupe::internal {

namespace {

constexpr unsigned mesh_tries = 5;       // for a node that another one has told of
constexpr std::size_t most_told = 4096;  // nodes in one telling

bool fits(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&name](const std::string& glob) { return fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

// What another host, or another user of this one, can dial.
std::vector<std::string> told_endpoints(const std::vector<bus::endpoint>& all) {
  std::vector<std::string> out;
  for (const bus::endpoint& one : all) {
    if (is_dialable_elsewhere(one) && out.size() < most_told_endpoints) out.push_back(one.text());
  }
  return out;
}

// Where `teller` says that `of` can be dialled. One that listens on every address may say so of itself, if it does not
// know better: it is there where it was reached.
std::vector<bus::endpoint> believed(const known_node& of, const peer& teller) {
  std::vector<bus::endpoint> out;
  for (const std::string& text : of.endpoints) {
    auto one = bus::endpoint::parse(text);
    if (!one || out.size() == most_told_endpoints) continue;
    const bus::endpoint& reached = teller.info.via;
    if (is_wildcard(*one) && of.name == teller.name && teller.info.dialled_by_us && is_dialable_elsewhere(reached)) {
      one->host = reached.host;
    }
    if (is_dialable_elsewhere(*one)) out.push_back(std::move(*one));
  }
  return out;
}

}  // namespace

bool distribution::may_connect(std::string_view name) const {
  std::shared_lock lock(admission_mutex_);
  if (allow_.empty() && deny_.empty()) return true;
  const std::string whole(name);
  return !fits(deny_, whole) && (allow_.empty() || fits(allow_, whole));
}

std::string distribution::not_allowed_text(std::string_view name) const {
  std::shared_lock lock(admission_mutex_);
  return core_.life()->name + (fits(deny_, std::string(name)) ? " denies " : " does not allow ") + std::string(name);
}

void distribution::admit_only(std::vector<std::string> allow, std::vector<std::string> deny) {
  {
    std::unique_lock lock(admission_mutex_);
    allow_ = std::move(allow);
    deny_ = std::move(deny);
  }
  post([this] {
    std::vector<peer_ptr> up;
    for (auto& [id, connection] : connections_) up.push_back(connection.of);
    for (const peer_ptr& p : up) {
      std::lock_guard lock(p->mutex);
      if (p->state == peer_state::up && !p->info.who.tool && !may_connect(p->name)) {
        flush_locked(*p);
        hub_->close(p->info.id, error(errc::not_allowed, not_allowed_text(p->name)));
      }
    }
  });
}

bool distribution::in_mesh(const bus::identity& who) const {
  const node_options& own = core_.options();
  return own.mesh == mesh_policy::automatic && !own.hidden && !own.tool && !who.hidden && !who.tool;
}

// A node has come up: it is told who is here.
void distribution::meet_mesh(const peer_ptr& p) {
  std::vector<known_node> known;
  known.push_back({core_.life()->name, told_endpoints(advertised())});
  {
    std::lock_guard lock(p->mutex);
    if (p->state != peer_state::up || !in_mesh(p->info.who)) return;
    p->mesh_tries = 0;
  }
  for (auto& [id, connection] : connections_) {
    peer& other = *connection.of;
    if (&other == p.get()) continue;
    std::lock_guard lock(other.mutex);
    if (other.state != peer_state::up || other.info.who.hidden || other.info.who.tool) continue;
    std::vector<bus::endpoint> where = other.told;
    if (other.info.dialled_by_us && std::find(where.begin(), where.end(), other.info.via) == where.end()) {
      where.push_back(other.info.via);  // that much is certain
    }
    known_node one{other.name, told_endpoints(where)};
    known.push_back(std::move(one));
  }
  tell_nodes(*p, known);
}

void distribution::tell_nodes(peer& p, const std::vector<known_node>& known) {
  wire_buffer encoded;
  encode_nodes(encoded, known);
  std::lock_guard lock(p.mutex);
  if (p.state != peer_state::up || !in_mesh(p.info.who) || encoded.size() > p.info.theirs.frame_bytes) return;
  put_frame(p, encoded.data());
  flush_locked(p);
}

// The first that it says is where it can be dialled itself. Those who have come since were told of it without that.
void distribution::introduced(const peer_ptr& p) {
  known_node one{p->name, {}};
  bus::connection_id since = 0;
  {
    std::lock_guard lock(p->mutex);
    if (p->state != peer_state::up || std::exchange(p->introduced, true)) return;
    one.endpoints = told_endpoints(p->told);
    since = p->info.id;
  }
  if (one.endpoints.empty()) return;
  for (auto& [id, connection] : connections_) {
    if (id > since) tell_nodes(*connection.of, {one});
  }
}

void distribution::arrived_nodes(const peer_ptr& p, const arrival& a) {
  if (!in_mesh(p->info.who) || left_) return;
  if (a.known_nodes.size() > most_told) {
    counters_.told_refused.fetch_add(a.known_nodes.size(), std::memory_order_relaxed);
    return;
  }
  for (const known_node& one : a.known_nodes) {
    if (one.name == core_.life()->name || !check_node_name(one.name)) continue;
    if (!take_told(p, one.name)) continue;
    std::vector<bus::endpoint> where = believed(one, *p);
    for (;;) {
      peer_ptr told = make(one.name);
      std::unique_lock lock(told->mutex);
      if (told->gone) continue;
      if (!where.empty()) told->told = std::move(where);
      lock.unlock();
      if (told != p) want(told, wish::mesh);
      break;
    }
  }
  introduced(p);
}

// False: this node is not to be kept, since its teller has told of so many that nobody could meet yet. Those who are
// met tell of it again.
bool distribution::take_told(const peer_ptr& teller, const std::string& name) {
  if (find(name)) return true;
  if (!may_connect(name)) return false;
  if (teller->told_nodes >= options_.told_at_once) {
    counters_.told_refused.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (told_of_.emplace(name, teller).second) ++teller->told_nodes;
  return true;
}

void distribution::forget_told(const std::string& name) {
  auto found = told_of_.find(name);
  if (found == told_of_.end()) return;
  peer& teller = *found->second;
  TROUPE_EXPECT(teller.told_nodes > 0, "teller", teller.name, "node", name);
  --teller.told_nodes;
  told_of_.erase(found);
}

// Who reads only this node's log must learn that the nodes do not agree about who is there: global names and locks
// then have no common ground.
void distribution::say_unreached(const peer& p, const peer* teller) const {
  if (!core_.log()) return;
  list where, here;
  for (const bus::endpoint& one : p.told) where.emplace_back(one.text());
  for (const std::string& name : nodes(node_class::connected)) here.emplace_back(name);
  logger(core_.log())
      .warning("the views of the nodes differ: one that another is connected to cannot be reached from here",
               {{"node", p.name},
                {"told_by", teller ? teller->name : std::string()},
                {"endpoints", value(std::move(where))},
                {"connected_here", value(std::move(here))},
                {"reason", p.last_failure.message()}});
}

// What listens on every address is told by those of this host, unless it was said where others find it.
std::vector<bus::endpoint> distribution::advertised() const {
  return options_.advertise.empty() ? with_interfaces(endpoints_) : options_.advertise;
}

std::vector<bus::endpoint> distribution::own_endpoints() const {
  std::vector<bus::endpoint> out = with_interfaces(endpoints_);
  out.insert(out.end(), endpoints_.begin(), endpoints_.end());
  out.insert(out.end(), options_.advertise.begin(), options_.advertise.end());
  return out;
}

void distribution::want(const peer_ptr& p, wish how) {
  TROUPE_EXPECT(options_.loop->inside(), "peer", p->name);
  std::lock_guard lock(p->mutex);
  if (p->gone || !may_connect(p->name)) return;
  p->wanted = std::max(p->wanted, how);
  p->mesh_tries = 0;
  if (p->state != peer_state::idle) return;
  if (core_.clock().now() >= p->retry_at) begin_dial(p);
  else if (!p->retry_timer) arm_retry(p);
}

// Not who has left or was sent away, nor who does not let this node in.
void distribution::reach_again(std::vector<std::string> names) {
  post([this, names = std::move(names)] {
    const node_options& own = core_.options();
    if (left_ || own.mesh != mesh_policy::automatic || own.hidden || own.tool) return;
    for (const std::string& name : names) {
      if (name == core_.life()->name || !check_node_name(name) || !may_connect(name)) continue;
      const peer_ptr p = make(name);
      {
        std::lock_guard lock(p->mutex);
        const error& last = p->last_failure;
        const bool meant = last == errc::closed || last == errc::shutting_down || last == errc::not_allowed;
        if (p->gone || p->state != peer_state::idle || p->wanted != wish::none || meant) continue;
        p->once_more = true;
      }
      want(p, wish::mesh);
    }
  });
}

// After a loss or a dial that failed.
void distribution::retry_later(const peer_ptr& p) {
  {
    std::lock_guard lock(p->mutex);
    if (p->wanted == wish::none || p->retry_timer || stopping_.load(std::memory_order_relaxed)) return;
    if (p->wanted == wish::mesh && std::exchange(p->once_more, false)) {
      p->wanted = wish::none;
      return;
    }
    if (p->wanted != wish::mesh || ++p->mesh_tries <= mesh_tries) {
      arm_retry(p);
      return;
    }
    p->wanted = wish::none;
  }
  auto told = told_of_.find(p->name);
  say_unreached(*p, told == told_of_.end() ? nullptr : told->second.get());
  forget_told(p->name);
}

// With the peer's mutex held.
void distribution::arm_retry(const peer_ptr& p) {
  TROUPE_EXPECT(options_.loop->inside() && p->retry_timer == 0, "peer", p->name, "timer", p->retry_timer);
  const time_point when = std::max(p->retry_at, deadline_after(core_.clock().now(), options_.retry_first));
  p->retry_timer = options_.loop->at(when, [this, p, alive = alive_] {
    if (*alive) retry(p);
  });
}

void distribution::retry(const peer_ptr& p) {
  std::lock_guard lock(p->mutex);
  p->retry_timer = 0;
  if (p->wanted != wish::none && p->state == peer_state::idle) begin_dial(p);
}

// Every visible connection ends as a planned leave, and no mesh draws this node back in.
void distribution::leave() {
  post([this] {
    left_ = true;
    std::vector<peer_ptr> all;
    {
      std::shared_lock lock(peers_mutex_);
      for (const auto& [name, p] : peers_) all.push_back(p);
    }
    for (const peer_ptr& p : all) {
      std::lock_guard lock(p->mutex);
      p->wanted = wish::none;
      if (p->state != peer_state::up || p->info.who.tool) continue;
      flush_locked(*p);
      hub_->close(p->info.id, error(errc::closed, core_.life()->name + " has left"));
    }
  });
}

}  // namespace troupe::internal
