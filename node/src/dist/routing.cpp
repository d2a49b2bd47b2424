// How a signal leaves: encoded by its sender, noted, appended to its peer's outbox. Any thread.
#include <algorithm>

#include <troupe/expect.hpp>

#include "dist/distribution.hpp"
#include "sched/long_buffers.hpp"

namespace troupe::internal {

using detail::envelope;
using detail::signal;

namespace {

constexpr std::size_t coalesced_bytes = 64u << 10;
constexpr std::size_t direct_bytes = 256u << 10;  // a longer signal goes in chunks
constexpr std::size_t shared_bytes = 512u << 10;
constexpr std::size_t most_while_dialling = 4;  // times queue_bytes
constexpr std::size_t kept_scratch = 256u << 10;

// One per thread, so that encoding needs no lock and allocates seldom. A long signal takes it away: another one may
// follow.
[[gnu::noinline]] wire_buffer& scratch() {
  thread_local wire_buffer buffer;
  bytes& room = buffer.raw();
  if (room.capacity() > kept_scratch) give_long_buffer(std::exchange(room, {}));
  else if (room.capacity() == 0) room = take_long_buffer();
  buffer.clear();
  return buffer;
}

// Is it worth a connection of its own? What answers or ends something is not: losing the connection has told it
// already.
bool dials(signal kind) {
  switch (kind) {
    case signal::message:
    case signal::call:
    case signal::link:
    case signal::monitor:
    case signal::exit_asked:
    case signal::group_leader: return true;
    default: return false;
  }
}

bool deep(const envelope* e) {
  return e->type == &detail::type_of<value> && too_deep(*static_cast<const value*>(e->payload()));
}

// What must arrive and is more than the other side takes: the fact arrives.
bool shorten(envelope*& e, const std::string& node) {
  switch (e->kind) {
    case signal::reply:
      e->kind = signal::reply_error;
      detail::replace_envelope(
          e, detail::make_envelope<error>(
                 signal::reply_error,
                 error(errc::too_large, "the reply is more than " + node + " takes").set_maybe_executed(true)));
      return true;
    case signal::down: {
      auto* told = detail::payload_as<down>(e);
      if (!told || told->reason.is("too_large")) return false;
      told->reason = exit_reason("too_large");
      return true;
    }
    case signal::exit:
    case signal::exit_asked: {
      auto* reason = detail::payload_as<exit_reason>(e);
      if (!reason || reason->is("too_large")) return false;
      *reason = exit_reason("too_large");
      return true;
    }
    default: return false;
  }
}

// May be refused when too much waits already; all else must arrive.
bool may_refuse(const signal kind) { return kind == signal::message || kind == signal::call; }

}  // namespace

distribution::peer_ptr distribution::find(std::string_view name) const {
  std::shared_lock lock(peers_mutex_);
  auto found = peers_.find(name);
  return found == peers_.end() ? nullptr : found->second;
}

distribution::peer_ptr distribution::make(const std::string& name) {
  if (peer_ptr known = find(name)) return known;
  std::lock_guard lock(peers_mutex_);
  auto& entry = peers_[name];
  if (!entry) entry = std::make_shared<peer>(name);
  return entry;
}

errc distribution::route(pid to, envelope* e) {
  return send(to.life() ? to.life()->name : std::string(nonode), to, {}, e);
}

errc distribution::route(const std::string& name, const std::string& node, envelope* e) {
  if (node == core_.life()->name) return core_.deliver(address(name), e);
  return send(node, pid(), name, e);
}

errc distribution::send(const std::string& node, pid to, const std::string& name, envelope* e) {
  struct owner {
    envelope*& held;
    ~owner() {
      if (held) discard(held);
    }
  } guard{e};
  outgoing what{e->kind, e->from, to, e->id, name, nullptr};
  for (;;) {
    peer_ptr p = dials(e->kind) ? make(node) : find(node);
    verdict outcome = verdict::no_connection;
    if (p) {
      const node_life* life = nullptr;
      {
        std::lock_guard lock(p->mutex);
        life = p->life.get();
      }
      wire_buffer& encoded = scratch();
      destination whom{to, name, life};
      if (deep(e)) {
        outcome = verdict::too_large;
      } else {
        const std::uint64_t id = e->id;
        if (e->kind == signal::call && core_.is_local(e->from)) e->id = numbers_.outside(id);
        if (!encode_signal(encoded, core_.life(), whom, e)) return errc::none;
        e->id = id;
        outcome = append(p, encoded, life, what);
      }
    }
    if (outcome == verdict::again) continue;
    if (outcome == verdict::too_large && shorten(e, node)) {
      counters_.refused_too_large.fetch_add(1, std::memory_order_relaxed);
      what.kind = e->kind;
      continue;
    }
    if (outcome == verdict::accepted) return errc::none;
    return refuse(outcome, p, to, name, std::exchange(e, nullptr));
  }
}

// `sender` is held when too much waits, also for an order that nobody answers.
void distribution::request(const std::string& node, const work_order& order, pid sender) {
  outgoing what{signal::call, sender, pid(), order.id, order.entry, &order};
  for (;;) {
    peer_ptr p = make(node);
    const node_life* life = nullptr;
    {
      std::lock_guard lock(p->mutex);
      life = p->life.get();
    }
    wire_buffer& encoded = scratch();
    encode_order(encoded, core_.life(), order, order.from ? numbers_.outside(order.id) : order.id);
    verdict outcome = append(p, encoded, life, what);
    if (outcome == verdict::again) continue;
    if (outcome != verdict::accepted) {
      error why = refusal(outcome, p);
      if (order.from) core_.answer_call(order.from, order.id, std::move(why));
    }
    return;
  }
}

void distribution::connect(const std::string& node, pid from, std::uint64_t id) {
  for (;;) {
    peer_ptr p = make(node);
    std::unique_lock lock(p->mutex);
    if (p->gone) continue;
    if (p->state == peer_state::up) break;
    p->owed.calls[{from, id}].connects = true;
    if (p->state == peer_state::idle) begin_dial(p);  // asked for by name: whatever failed before
    post([this] { left_ = false; });
    return;
  }
  envelope* reply = detail::make_envelope<value>(signal::reply, true);
  reply->id = id;
  core_.deliver(from, reply);
}

void distribution::abandon(const std::string& node, pid from, std::uint64_t id) {
  peer_ptr p = find(node);
  if (!p) return;
  std::lock_guard lock(p->mutex);
  auto found = p->owed.calls.find({from, id});
  if (found == p->owed.calls.end()) return;
  if (found->second.connects) p->owed.calls.erase(found);
  else found->second.abandoned = true;
}

bool distribution::awaits(const std::string& node, pid from, std::uint64_t id) const {
  peer_ptr p = find(node);
  if (!p) return false;
  std::lock_guard lock(p->mutex);
  auto found = p->owed.calls.find({from, id});
  return found != p->owed.calls.end() && !found->second.abandoned;
}

distribution::verdict distribution::append(const peer_ptr& p, wire_buffer& encoded, const node_life* assumed,
                                           const outgoing& what) {
  std::lock_guard lock(p->mutex);
  if (p->gone || p->life.get() != assumed) return verdict::again;
  const passage way = judge(p, what, encoded.size());
  if (way.outcome != verdict::accepted) {
    ++p->refused;
    return way.outcome;
  }
  if (p->state == peer_state::idle) begin_dial(p);
  if (!note(*p, what)) return verdict::accepted;  // settled already: nothing to say
  ++p->signals_out;
  if (p->state != peer_state::up && !may_refuse(what.kind)) p->forced_bytes += encoded.size();
  if (p->state != peer_state::up && p->forced_bytes > most_while_dialling * options_.queue_bytes) {
    // Nobody waits with what may not be refused: the dial ends, and with it all that was promised.
    post([this, p] { lose(p, error(errc::overloaded, "too much waits for the connection"), false); });
  }
  if (way.waits) {
    const bool first = p->turns.empty();
    put_backlog(*p, what.from, encoded, way.holds);
    if (first && p->state == peer_state::up) post([this, p] { pump(p); });
    return verdict::accepted;
  }
  put_frame(*p, encoded.data());
  if (p->outbox_bytes >= coalesced_bytes) {
    flush_locked(*p);
  } else if (!p->flush_posted) {
    p->flush_posted = true;
    post([this, p] {
      std::lock_guard again(p->mutex);
      p->flush_posted = false;
      if (p->state == peer_state::up) flush_locked(*p);
    });
  }
  return verdict::accepted;
}

// With the peer's mutex held.
distribution::passage distribution::judge(const peer_ptr& p, const outgoing& what, std::size_t size) {
  if (stopping_.load(std::memory_order_relaxed) && p->state != peer_state::up) return {verdict::no_connection};
  if (p->state == peer_state::idle) {
    if (!dials(what.kind) || core_.clock().now() < p->retry_at) return {verdict::no_connection};
    if (!may_connect(p->name)) return {verdict::not_allowed};
  }
  bool full = false;
  if (p->state == peer_state::up) {
    if (what.to && what.to.life() != p->life.get()) return {verdict::stale};
    if (size > p->longest) return {verdict::too_large};
    // While somebody waits already, less lies in the queue that all share: else it would never get its turn.
    const std::size_t bound = p->turns.empty() ? options_.queue_bytes : std::min(options_.queue_bytes, shared_bytes);
    full = p->congested || (!p->turns.empty() && hub_->queued(p->info.id) > bound);
  } else {
    full = p->backlog_bytes + size > options_.queue_bytes;
  }
  auto own = p->turns.empty() ? p->backlogs.end() : p->backlogs.find(what.from);
  // Behind its first signal, however long that is.
  const std::size_t waiting = own == p->backlogs.end() ? 0 : own->second.behind();
  const std::size_t frame = p->info.theirs.frame_bytes;
  const std::size_t direct = p->takes_chunks ? std::min(direct_bytes, frame) : frame;
  passage out;
  out.waits =
      p->state != peer_state::up || own != p->backlogs.end() || size > direct || (full && may_refuse(what.kind));
  const bool excess = full || (waiting > 0 && waiting + size > options_.queue_bytes);
  if (!may_refuse(what.kind)) return out;
  if (what.from && detail::core::overran(what.from)) return {verdict::overloaded};  // nothing follows what was lost
  if (!excess) return out;
  // One process may wait with this; a thread, or one that asked not to be held, is refused.
  out.holds = what.from && detail::core::holdable() == what.from;
  if (!out.holds) out.outcome = verdict::overloaded;
  else if (waiting > options_.sender_bytes) out.outcome = verdict::overrun;
  return out;
}

// What the signal promises or settles. False: it is of no use to the other side any more.
bool distribution::note(peer& p, const outgoing& what) {
  obligations& owed = p.owed;
  switch (what.kind) {
    case signal::call:
      if (what.order && !what.order->from) return true;  // nobody is answered
      if (core_.is_local(what.from)) {                   // a call that is passed on is answered past us
        auto& call = owed.calls[{what.from, what.id}];
        call.sent = p.state == peer_state::up;
        call.watch = what.order ? what.order->watch : 0;
        call.linked = what.order && what.order->link;
      }
      return true;
    case signal::monitor: owed.watching[{what.from, what.id}] = {what.to, std::string(what.name)}; return true;
    case signal::demonitor: return owed.watching.erase({what.from, what.id}) > 0;
    case signal::down: owed.watched_by.erase({what.to, what.id}); return true;
    case signal::link: owed.links.emplace(what.from, what.to); return true;
    case signal::unlink:
      owed.links.erase({what.from, what.to});
      ++owed.unlinks[{what.from, what.to}];
      return true;
    case signal::unlink_ack:
    case signal::exit: owed.links.erase({what.from, what.to}); return true;
    default: return true;
  }
}

void distribution::put_frame(peer& p, std::span<const std::byte> encoded) {
  const std::size_t most = std::min(coalesced_bytes, p.info.theirs.frame_bytes);
  if (p.outbox.empty() || p.outbox.back().size() + encoded.size() > most) p.outbox.emplace_back();
  bytes& last = p.outbox.back();
  last.insert(last.end(), encoded.begin(), encoded.end());
  p.outbox_bytes += encoded.size();
  ++p.outbox_signals;
}

void distribution::flush_locked(peer& p) {
  TROUPE_EXPECT(p.state == peer_state::up, "peer", p.name, "state", p.state, "outbox", p.outbox.size());
  for (bytes& one : p.outbox) {
    // A failure means that the connection has ended: `down` is on its way and settles everything.
    if (!hub_->send(p.info.id, std::move(one), bus::delivery::must)) ++p.dropped;
  }
  p.outbox.clear();
  p.outbox_bytes = p.outbox_signals = 0;
  if (!p.congested && hub_->queued(p.info.id) > options_.queue_bytes) {
    p.congested = true;
    hub_->relieve(p.info.id, options_.queue_bytes / 2);
  }
}

error distribution::refusal(verdict why, const peer_ptr& p) {
  switch (why) {
    case verdict::overloaded:
      counters_.refused_overloaded.fetch_add(1, std::memory_order_relaxed);
      return {errc::overloaded, "too much waits for " + p->name + " already"};
    case verdict::overrun: {
      counters_.ended_overloaded.fetch_add(1, std::memory_order_relaxed);
      error why(errc::overloaded,
                "it sent to " + p->name + " without ever waiting, until more than " +
                    std::to_string(options_.sender_bytes >> 20) +
                    " MiB lay here: wait between the messages (yield, sleep, receive), or use try_send");
      if (core_.log()) {
        logger(core_.log())
            .error("process ended: it sent too much without waiting",
                   {{"pid", detail::core::holdable()}, {"node", p->name}, {"reason", why.message()}});
      }
      detail::core::overrun(exit_reason(why));
      return why;
    }
    case verdict::too_large:
      counters_.refused_too_large.fetch_add(1, std::memory_order_relaxed);
      return {errc::too_large, "longer than " + p->name + " takes"};
    case verdict::stale:
      counters_.stale.fetch_add(1, std::memory_order_relaxed);
      return {errc::stale, "a process of an earlier life of " + p->name};
    case verdict::not_allowed: return {errc::not_allowed, not_allowed_text(p->name)};
    default: break;
  }
  counters_.dropped_noconnection.fetch_add(1, std::memory_order_relaxed);
  if (!p) return errc::noconnection;
  std::lock_guard lock(p->mutex);
  if (p->last_failure.code() == errc::none) return errc::noconnection;
  const error& last = p->last_failure;
  return {errc::noconnection, last == errc::noconnection ? std::string(last.text()) : last.message()};
}

errc distribution::refuse(verdict why, const peer_ptr& p, pid to, const std::string& name, envelope* e) {
  error reason = refusal(why, p);
  if (e->kind == signal::call) {
    const errc told = reason.code();
    core_.answer_call(e->from, e->id, std::move(reason));
    discard(e);
    return told;
  }
  if (e->kind == signal::message && why != verdict::no_connection && why != verdict::stale) {  // counted above
    const errc told = reason.code();
    discard(e);
    return told;
  }
  // To links and monitors an earlier life is like a process that has ended.
  const errc code = why == verdict::stale         ? errc::noproc
                    : why == verdict::not_allowed ? errc::noconnection
                                                  : reason.code();
  const std::string& node = p ? p->name : std::string();
  if (to) core_.undeliverable(to, e, code);
  else core_.undeliverable(address(name, node), e, code);
  return code;
}

}  // namespace troupe::internal
