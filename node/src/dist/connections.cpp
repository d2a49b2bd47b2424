// Connections as they come and go. The loop's thread.
#include <algorithm>

#include <troupe/expect.hpp>

#include "dist/distribution.hpp"

namespace troupe::internal {

using detail::envelope;
using detail::signal;

namespace {

constexpr std::size_t idle_peers_kept = 64;

envelope* signal_of(signal kind, ticket about) {
  envelope* e = detail::make_signal(kind);
  e->from = about.who;
  e->id = about.id;
  return e;
}

// The order of a hash table must not show: a simulation replays.
template <class Table>
std::vector<std::pair<typename Table::key_type, typename Table::mapped_type>> sorted(Table& table) {
  std::vector<std::pair<typename Table::key_type, typename Table::mapped_type>> out(table.begin(), table.end());
  table.clear();
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return out;
}

bool is_hidden(const bus::peer_info& peer) { return peer.who.hidden || peer.who.tool; }

value node_event(std::string_view event, const std::string& name, const error* reason) {
  list out{value(event), value(name)};
  if (reason) {
    map info;
    info.emplace_back("reason", reason->name());
    info.emplace_back("text", reason->text());
    out.emplace_back(std::move(info));
  }
  return value(std::move(out));
}

}  // namespace

result<void> distribution::admit(const bus::peer_info& peer) {
  if (stopping_.load(std::memory_order_relaxed)) return error(errc::shutting_down, "the node is stopping");
  if (peer.who.name == core_.life()->name) return error(errc::name_taken, "that is this node's own name");
  if (peer.who.tool && peer.proved == bus::secret::control_key && is_member(peer.who.name)) {
    return error(errc::name_taken, peer.who.name + " is a node's name: a tool needs one of its own");
  }
  if (!peer.who.tool && !may_connect(peer.who.name)) return error(errc::not_allowed, not_allowed_text(peer.who.name));
  if (!core_.options().distribution && !peer.who.tool) {
    return error(errc::not_allowed, "distribution is switched off on " + core_.life()->name + ": it serves tools only");
  }
  if (auto life = intern_life(peer.who.name, peer.who.creation); !life) return life.error();
  return {};
}

// A node that this one knows, connected or not: what comes under its name must have proved the cookie.
bool distribution::is_member(const std::string& name) const {
  if (options_.peers.contains(name)) return true;
  if (peer_ptr p = find(name)) {
    std::lock_guard lock(p->mutex);
    if (p->wanted != wish::none || !p->told.empty() || (!p->info.who.name.empty() && !p->info.who.tool)) return true;
  }
  return options_.directory && options_.directory->lookup(name).has_value();
}

void distribution::up(const bus::peer_info& info) {
  TROUPE_EXPECT(options_.loop->inside() && !connections_.contains(info.id), "peer", info.who.name, "connection",
                info.id);
  auto life = held_life::hold(info.who.name, info.who.creation);
  if (!life) {  // `admit` has made it
    hub_->close(info.id, life.error());
    return;
  }
  peer_ptr p;
  std::vector<ticket> connected;
  for (;;) {
    p = make(info.who.name);
    std::unique_lock lock(p->mutex);
    if (p->gone) continue;
    if (p->state == peer_state::up) {  // the hub ends an old connection first; were it otherwise, nothing may be lost
      lock.unlock();
      lose(p, error(errc::noconnection, "replaced by a new connection"), true);
      continue;
    }
    // What waits for a connection waits in the backlogs: the outbox has frames of this one alone.
    TROUPE_EXPECT(p->outbox.empty() && p->turns.size() == p->backlogs.size(), "peer", p->name, "state", p->state,
                  "outbox", p->outbox.size(), "turns", p->turns.size(), "backlogs", p->backlogs.size());
    p->state = peer_state::up;
    p->shown = false;
    p->info = info;
    const auto& features = info.who.features;
    p->takes_chunks = std::find(features.begin(), features.end(), "chunks") != features.end();
    p->longest = p->takes_chunks ? info.theirs.message_bytes : info.theirs.frame_bytes;
    p->life = std::move(*life);
    p->up_since = core_.clock().now();
    p->introduced = p->once_more = false;
    p->retry_wait = {};
    p->retry_at = {};
    p->last_failure = {};
    p->congested = false;
    p->forced_bytes = 0;
    connections_[info.id] = {p, false};
    dials_.erase(info.dial);
    for (auto call = p->owed.calls.begin(); call != p->owed.calls.end();) {
      call->second.sent = true;
      if (!call->second.connects) {
        ++call;
        continue;
      }
      connected.push_back(call->first);
      call = p->owed.calls.erase(call);
    }
    break;
  }
  // Tools come and go with every command that somebody types.
  if (core_.log()) {
    logger(core_.log())
        .log(is_hidden(info) ? log_level::debug : log_level::info, "node connected",
             {{"node", info.who.name}, {"hidden", is_hidden(info)}});
  }
  for (peer_watcher* early : watchers_) early->peer_up(event_of(*p));
  {
    std::lock_guard lock(p->mutex);
    p->shown = true;
  }
  tell_subscribers("nodeup", p->name, is_hidden(info), nullptr);
  forget_told(p->name);
  dial_waiting();
  meet_mesh(p);
  pump(p);
  std::sort(connected.begin(), connected.end());
  for (const ticket& waiter : connected) {
    envelope* reply = detail::make_envelope<value>(signal::reply, true);
    reply->id = waiter.id;
    core_.deliver(waiter.who, reply);
  }
}

void distribution::frame(bus::connection_id id, std::span<const std::byte> payload) {
  auto found = connections_.find(id);
  if (found == connections_.end() || found->second.broken) return;
  const peer_ptr p = found->second.of;
  std::span<const std::byte> rest = payload;
  std::uint64_t count = 0;
  while (!rest.empty()) {
    arrival a;
    auto used = decode_signal(rest, core_.options().wire, core_.life(), p->life.get(), a);
    if (used) {
      if (auto taken = arrived(p, a); !taken) used = taken.error();
    }
    if (!used) {
      found->second.broken = true;
      counters_.bad_signals.fetch_add(1, std::memory_order_relaxed);
      if (core_.log()) {
        logger(core_.log())
            .error("malformed signal, connection closed", {{"node", p->name}, {"reason", used.error().message()}});
      }
      hub_->close(id, used.error());
      return;
    }
    rest = rest.subspan(*used);
    ++count;
  }
  {
    std::lock_guard lock(p->mutex);
    p->signals_in += count;
  }
  hub_->consumed(id, payload.size());
}

void distribution::down(bus::connection_id id, const error& reason) {
  auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const peer_ptr p = found->second.of;
  connections_.erase(found);
  {
    std::lock_guard lock(p->mutex);
    if (p->info.id != id) return;
  }
  lose(p, reason, true);
}

void distribution::lose(const peer_ptr& p, const error& reason, bool was_up) {
  TROUPE_EXPECT(options_.loop->inside(), "peer", p->name);
  obligations owed;
  std::vector<pid> held;
  bool hidden = false;
  error before;
  peer_event lost;
  {
    std::lock_guard lock(p->mutex);
    if (p->state != (was_up ? peer_state::up : peer_state::dialling)) return;
    owed = std::exchange(p->owed, {});
    if (was_up) lost = event_of(*p);
    hidden = is_hidden(p->info);
    std::size_t dropped = p->outbox_signals;
    p->outbox.clear();
    p->outbox_bytes = p->outbox_signals = 0;
    TROUPE_EXPECT(p->turns.size() == p->backlogs.size(), "peer", p->name, "turns", p->turns.size(), "backlogs",
                  p->backlogs.size());
    for (pid sender : p->turns) {
      auto found = p->backlogs.find(sender);
      TROUPE_EXPECT(found != p->backlogs.end(), "peer", p->name, "sender", sender.id());
      const backlog& b = found->second;
      dropped += b.signals.size();
      if (b.holds) held.push_back(sender);
    }
    p->backlogs.clear();
    p->turns.clear();
    p->backlog_bytes = p->forced_bytes = p->chunking = p->chunked = 0;
    p->assemblies.clear();
    p->assembling = 0;
    counters_.dropped_noconnection.fetch_add(dropped, std::memory_order_relaxed);
    p->dropped += dropped;
    p->state = peer_state::idle;
    p->life = {};
    before = std::exchange(p->last_failure, reason);
    const bool planned = reason == errc::closed || reason == errc::shutting_down;
    if (was_up && planned && p->wanted == wish::mesh) p->wanted = wish::none;
    if (was_up) {
      p->retry_wait = {};
      p->retry_at = {};
    } else {
      p->retry_wait = std::clamp(p->retry_wait * 2, options_.retry_first, options_.retry_last);
      // Up to a quarter later, so that those who lost the same node do not come back as one.
      const auto spread = core_.random().next() % (static_cast<std::uint64_t>(p->retry_wait.count()) / 4 + 1);
      p->retry_at = deadline_after(core_.clock().now(), p->retry_wait + duration(static_cast<std::int64_t>(spread)));
    }
  }
  if (core_.log()) {
    // Somebody who is waited for fails the same way again and again.
    const bool known = !was_up && before == reason && before.text() == reason.text();
    const bool planned = reason == errc::closed || reason == errc::shutting_down;
    logger(core_.log())
        .log(was_up && !planned && !hidden ? log_level::warning
             : hidden || known             ? log_level::debug
                                           : log_level::info,
             was_up ? "node disconnected" : "node not reached", {{"node", p->name}, {"reason", reason.message()}});
  }
  if (was_up) {
    for (peer_watcher* early : watchers_) early->peer_down(lost, reason);
  }
  settle_losses(*p, owed, reason, was_up);
  for (pid sender : held) relieve(sender);
  if (was_up) tell_subscribers("nodedown", p->name, hidden, &reason);
  for (pid watcher : owed.node_watchers) {
    core_.deliver(watcher, detail::make_envelope<value>(signal::message, node_event("nodedown", p->name, &reason)));
  }
  retry_later(p);
  if (was_up && hidden) forget_tool(p);
  forget_idle();
}

peer_event distribution::event_of(const peer& p) {
  return {p.info.who.name, p.info.who.creation, is_hidden(p.info), p.info.who.features};
}

void distribution::watch(peer_watcher& who) {
  options_.loop->run([this, &who] {
    watchers_.push_back(&who);
    for (auto& [id, connection] : connections_) {
      if (connection.of->state == peer_state::up) who.peer_up(event_of(*connection.of));
    }
  });
}

void distribution::unwatch(peer_watcher& who) {
  options_.loop->run([this, &who] { std::erase(watchers_, &who); });
}

void distribution::probe(const std::string& node, duration patience) {
  peer_ptr p = find(node);
  if (!p) return;
  std::lock_guard lock(p->mutex);
  if (p->state == peer_state::up) hub_->probe(p->info.id, patience);
}

// Every monitor, link and call towards the lost node is settled here, once.
void distribution::settle_losses(const peer& p, obligations& owed, const error& reason, bool was_up) {
  for (const auto& [from, target] : sorted(owed.watched_by)) core_.deliver(target, signal_of(signal::demonitor, from));
  for (const auto& [ours, theirs] : owed.links) {
    envelope* told = detail::make_envelope<exit_reason>(signal::exit, exit_reason::noconnection());
    told->from = theirs;
    core_.deliver(ours, told);
  }
  for (const auto& [pair, count] : owed.unlinks) {
    for (std::size_t i = 0; i < count; ++i) core_.deliver(pair.first, signal_of(signal::unlink_ack, {pair.second, 0}));
  }
  for (auto& [watcher, target] : sorted(owed.watching)) {
    envelope* e = signal_of(signal::monitor, watcher);
    if (target.process) core_.undeliverable(target.process, e, errc::noconnection);
    else core_.undeliverable(address(target.name, p.name), e, errc::noconnection);
  }
  for (const auto& [caller, call] : sorted(owed.calls)) {
    if (call.abandoned) continue;
    // Who only wanted the connection is told what went wrong with it.
    error why(call.connects && !was_up ? reason.code() : errc::noconnection,
              call.connects ? reason.text() : p.name + ": " + reason.message());
    why.set_maybe_executed(call.sent && !call.connects);
    core_.answer_call(caller.who, caller.id, std::move(why));
  }
}

void distribution::tell_subscribers(std::string_view event, const std::string& name, bool hidden, const error* reason) {
  std::vector<pid> told;
  {
    std::lock_guard lock(subscribers_mutex_);
    std::erase_if(subscribers_, [this](const subscription& s) { return !core_.exists(s.who); });
    const node_class bit = hidden ? node_class::hidden : node_class::visible;
    for (const subscription& s : subscribers_) {
      if (has(s.which, bit)) told.push_back(s.who);
    }
  }
  for (pid who : told)
    core_.deliver(who, detail::make_envelope<value>(signal::message, node_event(event, name, reason)));
}

// Names that were tried and lost. To look at all of them costs each that is lost about one look.
void distribution::forget_idle() {
  const time_point now = core_.clock().now();
  std::lock_guard lock(peers_mutex_);
  if (peers_.size() <= std::max(idle_peers_kept, 2 * peers_swept_)) return;
  std::erase_if(peers_, [&](const auto& entry) {
    peer& p = *entry.second;
    std::lock_guard inner(p.mutex);
    if (p.state != peer_state::idle || !p.owed.empty() || now < p.retry_at || p.wanted != wish::none) return false;
    p.gone = true;
    return true;
  });
  peers_swept_ = peers_.size();
}

// A tool comes under a new name each time: once it has gone there is nothing to say of it.
void distribution::forget_tool(const peer_ptr& p) {
  std::lock_guard lock(peers_mutex_);
  std::lock_guard inner(p->mutex);
  if (p->gone || !p->info.who.tool || p->state != peer_state::idle || !p->owed.empty() || p->wanted != wish::none)
    return;
  p->gone = true;
  peers_.erase(p->name);
}

}  // namespace troupe::internal
