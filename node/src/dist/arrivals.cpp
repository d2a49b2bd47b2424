// What other nodes' signals do here. The loop's thread.
#include "dist/distribution.hpp"
#include "dist/serving.hpp"

namespace troupe::internal {

using detail::envelope;
using detail::signal;

namespace {

error too_many(const detail::core& core, const peer& p, std::size_t most, std::string_view what) {
  return {errc::overloaded, core.life()->name + " runs " + std::to_string(most) + " " + std::string(what) + " for " +
                                p.name + " already"};
}

const exit_reason& too_much() {
  static const exit_reason out("overloaded");
  return out;
}

}  // namespace

result<void> distribution::arrived(const peer_ptr& p, arrival& a) {
  if (!a.known) {
    counters_.ignored_signals.fetch_add(1, std::memory_order_relaxed);
    return {};
  }
  switch (a.what) {
    case op::message:
    case op::call:
    case op::reply:
    case op::reply_error: arrived_content(p, a); break;
    case op::down: arrived_down(p, a); break;
    case op::exit:
    case op::exit_asked:
    case op::link:
    case op::unlink:
    case op::unlink_ack: arrived_link_signal(p, a); break;
    case op::monitor: arrived_monitor(p, a); break;
    case op::demonitor: arrived_demonitor(p, a); break;
    case op::group_leader: deliver(a, detail::make_envelope<pid>(signal::group_leader, a.leader)); break;
    case op::spawn:
    case op::rpc: arrived_order(p, *a.order); break;
    case op::chunk: return arrived_chunk(p, a);
    case op::nodes: arrived_nodes(p, a); break;
  }
  return {};
}

// To a process or name of this node. One of an earlier life is answered as the core answers it; one of another node is
// a mistake of the sender's, and treated alike.
void distribution::deliver(const arrival& a, envelope* e) {
  e->from = a.from;
  e->id = a.id;
  if (!a.name.empty()) {
    core_.deliver(address(std::string(a.name)), e);
  } else if (core_.is_local(a.to)) {
    core_.deliver(a.to, e);
  } else {
    counters_.stale.fetch_add(1, std::memory_order_relaxed);
    core_.undeliverable(a.to, e, e->kind == signal::call ? errc::stale : errc::noproc);
  }
}

void distribution::arrived_content(const peer_ptr& p, arrival& a) {
  switch (a.what) {
    case op::message: deliver(a, wire_envelope(signal::message, a)); return;
    case op::call:
      if (core_.is_local(a.from)) a.id = numbers_.inside(a.id);  // ours, passed on to this node
      deliver(a, wire_envelope(signal::call, a));
      return;
    default: break;
  }
  a.id = numbers_.inside(a.id);
  if (!a.name.empty() || !core_.is_local(a.to) || !call_numbers::is_possible(a.id)) {
    counters_.late_replies.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  settle_call(p, {a.to, a.id}, a);
}

// An answer settles what was noted for its call, wherever that was asked: a call may have been passed on. That it
// carries the number of one says that it comes from who was asked (call_numbers).
void distribution::settle_call(const peer_ptr& p, ticket answered, const arrival& a) {
  obligations::call call;
  bool known = false;
  auto take = [&](peer& at) {
    std::lock_guard lock(at.mutex);
    auto found = at.owed.calls.find(answered);
    if (found == at.owed.calls.end()) return false;
    call = found->second;
    at.owed.calls.erase(found);
    return true;
  };
  known = take(*p);
  if (!known) {
    std::vector<peer_ptr> others;
    {
      std::shared_lock lock(peers_mutex_);
      for (const auto& [name, other] : peers_) others.push_back(other);
    }
    for (const peer_ptr& other : others) {
      if ((known = take(*other))) break;
    }
  }
  pid child;
  if (a.what == op::reply && (call.watch || call.linked)) {
    if (auto made = from_wire<pid>(a.body)) child = *made;
  }
  if (!known || call.abandoned) {
    counters_.late_replies.fetch_add(1, std::memory_order_relaxed);
    if (child) kill_late_spawn(p, answered, child);
    return;
  }
  if (child && call.watch) {
    std::lock_guard lock(p->mutex);
    if (p->state == peer_state::up) p->owed.watching[{answered.who, call.watch}] = {child, {}};
  }
  deliver(a, a.what == op::reply ? wire_envelope(signal::reply, a)
                                 : detail::make_envelope<error>(signal::reply_error, a.failure));
}

// Its spawner has given up waiting, so nobody knows of it: it goes, and takes nobody along.
void distribution::kill_late_spawn(const peer_ptr& p, ticket caller, pid child) {
  if (child.life() != p->life.get()) return;
  envelope* unlink = detail::make_signal(signal::unlink);
  unlink->from = child;
  core_.deliver(caller.who, unlink);
  envelope* kill = detail::make_envelope<exit_reason>(signal::exit_asked, exit_reason::kill());
  kill->from = caller.who;
  core_.deliver(child, kill);
}

void distribution::arrived_down(const peer_ptr& p, arrival& a) {
  {
    std::lock_guard lock(p->mutex);
    if (p->owed.watching.erase({a.to, a.id}) == 0) return;  // taken back meanwhile
  }
  deliver(a, detail::make_envelope<troupe::down>(signal::down, ref(core_.life(), a.id), a.from,
                                                 exit_reason(std::move(a.reason))));
}

void distribution::arrived_link_signal(const peer_ptr& p, arrival& a) {
  if (!a.name.empty()) {  // links are between processes; an exit may be asked of a name
    if (a.what == op::exit_asked)
      deliver(a, detail::make_envelope<exit_reason>(signal::exit_asked, exit_reason(std::move(a.reason))));
    return;
  }
  bool kept = true;
  {
    std::lock_guard lock(p->mutex);
    const std::pair pair(a.to, a.from);
    if (a.what == op::link) kept = keep_link(*p, a.to, a.from);
    if (a.what == op::exit) p->owed.links.erase(pair);
    if (auto told = p->owed.unlinks.find(pair); a.what == op::unlink_ack && told != p->owed.unlinks.end()) {
      if (--told->second == 0) p->owed.unlinks.erase(told);
    }
  }
  if (!kept) {
    envelope* told = detail::make_envelope<exit_reason>(signal::exit, too_much());
    told->from = a.to;
    core_.deliver(a.from, told);
    return;
  }
  switch (a.what) {
    case op::exit:
      deliver(a, detail::make_envelope<exit_reason>(signal::exit, exit_reason(std::move(a.reason))));
      return;
    case op::exit_asked:
      deliver(a, detail::make_envelope<exit_reason>(signal::exit_asked, exit_reason(std::move(a.reason))));
      return;
    case op::link: deliver(a, detail::make_signal(signal::link)); return;
    case op::unlink: deliver(a, detail::make_signal(signal::unlink)); return;
    default: deliver(a, detail::make_signal(signal::unlink_ack)); return;
  }
}

bool distribution::keep_link(peer& p, pid ours, pid theirs) {
  const std::pair pair(ours, theirs);
  if (p.owed.links.size() < options_.links_at_once || p.owed.links.contains(pair)) {
    p.owed.links.insert(pair);
    return true;
  }
  counters_.links_refused.fetch_add(1, std::memory_order_relaxed);
  return false;
}

// A name is looked up once: the monitor stays with the process that held it.
void distribution::arrived_monitor(const peer_ptr& p, arrival& a) {
  if (!a.name.empty()) {
    auto found = core_.whereis(a.name);
    if (!found) {
      deliver(a, detail::make_signal(signal::monitor));
      return;
    }
    a.to = *found;
    a.name = {};
  }
  bool kept = true;
  {
    std::lock_guard lock(p->mutex);
    kept = p->owed.watched_by.size() < options_.monitors_at_once || p->owed.watched_by.contains({a.from, a.id});
    if (kept) p->owed.watched_by[{a.from, a.id}] = a.to;
  }
  if (kept) {
    deliver(a, detail::make_signal(signal::monitor));
    return;
  }
  counters_.monitors_refused.fetch_add(1, std::memory_order_relaxed);
  envelope* told = detail::make_envelope<troupe::down>(signal::down, ref(a.from.life(), a.id), a.to, too_much());
  told->from = a.to;
  told->id = a.id;
  core_.deliver(a.from, told);
}

void distribution::arrived_demonitor(const peer_ptr& p, arrival& a) {
  {
    std::lock_guard lock(p->mutex);
    auto found = p->owed.watched_by.find({a.from, a.id});
    if (found == p->owed.watched_by.end()) return;  // its DOWN is on its way
    a.to = found->second;
    p->owed.watched_by.erase(found);
  }
  a.name = {};
  deliver(a, detail::make_signal(signal::demonitor));
}

void distribution::arrived_rpc(const peer_ptr& p, work_order& order) {
  counters_.rpc_served.fetch_add(1, std::memory_order_relaxed);
  // So many at once of one node: more would keep everybody else waiting, and their memory is not small.
  // A cast is told to nobody when it is refused, so a burst of them may be longer.
  const std::size_t most = order.from ? options_.rpcs_at_once : 8 * options_.rpcs_at_once;
  if (p->serving->load(std::memory_order_relaxed) < most) {
    serve_rpc(core_, std::move(order), p->serving);
    return;
  }
  counters_.rpc_refused.fetch_add(1, std::memory_order_relaxed);
  if (order.from) core_.answer_call(order.from, order.id, too_many(core_, *p, options_.rpcs_at_once, "functions"));
}

void distribution::arrived_order(const peer_ptr& p, work_order& order) {
  if (order.what == op::rpc) {
    arrived_rpc(p, order);
    return;
  }
  if (p->spawned->load(std::memory_order_relaxed) >= options_.spawns_at_once) {
    counters_.spawns_refused.fetch_add(1, std::memory_order_relaxed);
    if (order.from) core_.answer_call(order.from, order.id, too_many(core_, *p, options_.spawns_at_once, "processes"));
    return;
  }
  counters_.spawns_served.fetch_add(1, std::memory_order_relaxed);
  const bool tied = order.link || order.watch;
  auto made = serve_spawn(core_, order, nullptr, tied, p->spawned);
  if (!made) {
    if (order.from) core_.answer_call(order.from, order.id, made.error());
    return;
  }
  const pid child = made->process;
  // The child waits until link and monitor are in its mailbox, and the spawner has the link before it has the pid:
  // neither end can miss the other's.
  auto tie = [&](pid to, signal kind, pid from, std::uint64_t id) {
    envelope* e = detail::make_signal(kind);
    e->from = from;
    e->id = id;
    core_.deliver(to, e);
  };
  if (tied) {
    std::lock_guard lock(p->mutex);
    if (order.link) p->owed.links.emplace(child, order.from);
    if (order.watch) p->owed.watched_by[{order.from, order.watch}] = child;
  }
  if (order.link) {
    tie(child, signal::link, order.from, 0);
    tie(order.from, signal::link, child, 0);
  }
  if (order.watch) tie(child, signal::monitor, order.from, order.watch);
  if (order.from) {
    envelope* reply = detail::make_envelope<value>(signal::reply, child);
    reply->from = child;
    reply->id = order.id;
    core_.deliver(order.from, reply);
  }
  if (tied) release_held(core_, child);
}

}  // namespace troupe::internal
