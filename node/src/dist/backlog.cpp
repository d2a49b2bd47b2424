// What cannot leave at once: signals to a node that is being dialled, that does not take them as fast as they come, or
// that are longer than a frame. One queue for each sender, so that each keeps its order and none waits for another.
#include <algorithm>

#include <troupe/expect.hpp>

#include "dist/distribution.hpp"
#include "sched/long_buffers.hpp"

namespace troupe::internal {

namespace {

constexpr std::size_t turn_bytes = 256u << 10;  // what a sender gives to the hub at its turn
constexpr std::size_t most_ahead = 1u << 20;    // what lies in the hub's queue at most, so that others' signals pass
constexpr std::size_t most_chunked = 1024;      // signals of one connection that travel in chunks at a time
constexpr std::size_t first_room = 256u << 10;  // for one of them that arrives

std::shared_ptr<const bytes> shared_until_sent(bytes whole) {
  return {new bytes(std::move(whole)), [](bytes* sent) {
            give_long_buffer(std::move(*sent));
            delete sent;
          }};
}

}  // namespace

// With the peer's mutex held. Takes the buffer of a long signal, copies a short one.
void distribution::put_backlog(peer& p, pid from, wire_buffer& encoded, bool hold) {
  const std::size_t size = encoded.size();
  // Before anything is entered: there may be no memory for it, and a sender in turn has something to say.
  bytes signal = size > turn_bytes ? std::move(encoded).take() : bytes(encoded.data().begin(), encoded.data().end());
  auto [found, first] = p.backlogs.try_emplace(from);
  backlog& b = found->second;
  if (first) p.turns.push_back(from);
  b.signals.push_back(std::move(signal));
  b.waiting += size;
  p.backlog_bytes += size;
  if (hold && !b.holds) {
    b.holds = detail::core::hold();
    if (b.holds) counters_.parked.fetch_add(1, std::memory_order_relaxed);
  }
}

// With the peer's mutex held; on the loop's thread. Gives the hub as much as may lie there, and asks to be called
// again.
void distribution::pump(peer& p, std::vector<ticket>& refused, std::vector<pid>& relieved) {
  if (p.state != peer_state::up || p.turns.empty()) return;
  flush_locked(p);  // a sender's earlier signals may be in there
  const std::size_t ahead = std::min(most_ahead, options_.queue_bytes);
  std::size_t passed = 0;
  while (passed < p.turns.size() && hub_->queued(p.info.id) < ahead) {
    const pid from = p.turns.front();
    p.turns.pop_front();
    auto found = p.backlogs.find(from);
    // Who has a turn has something to say, and once.
    TROUPE_EXPECT(found != p.backlogs.end() && !found->second.signals.empty(), "peer", p.name, "sender", from.id(),
                  "turns", p.turns.size(), "backlogs", p.backlogs.size());
    backlog& b = found->second;
    passed = take_turn(p, from, b, refused) ? 0 : passed + 1;
    if (!b.signals.empty()) {
      p.turns.push_back(from);
      continue;
    }
    if (b.holds) relieved.push_back(from);
    p.backlogs.erase(found);
  }
  TROUPE_EXPECT(!p.turns.empty() || (p.backlogs.empty() && p.backlog_bytes == 0 && p.chunked == 0), "peer", p.name,
                "backlogs", p.backlogs.size(), "bytes", p.backlog_bytes, "chunked", p.chunked);
  if (!p.turns.empty()) hub_->relieve(p.info.id, ahead / 2);
}

// False: its next signal is long, and must wait until others' are through.
bool distribution::take_turn(peer& p, pid from, backlog& b, std::vector<ticket>& refused) {
  const std::size_t frame = p.info.theirs.frame_bytes;
  const std::size_t most = std::min({turn_bytes, frame, options_.queue_bytes});
  const std::size_t alone = p.takes_chunks ? most : frame;  // the longest that goes in one piece
  auto done = [&](std::size_t bytes) {
    TROUPE_EXPECT(bytes <= b.waiting && b.waiting <= p.backlog_bytes, "peer", p.name, "sender", from.id(), "bytes",
                  bytes, "waiting", b.waiting, "of_all", p.backlog_bytes);
    b.waiting -= bytes;
    p.backlog_bytes -= bytes;
  };
  bytes out;
  while (!b.signals.empty() && !b.leaving && out.size() + b.signals.front().size() <= (out.empty() ? alone : most)) {
    bytes& next = b.signals.front();
    done(next.size());
    if (out.empty()) out = std::move(next);
    else out.insert(out.end(), next.begin(), next.end());
    b.signals.pop_front();
  }
  if (!out.empty()) {
    if (!hub_->send(p.info.id, std::move(out), bus::delivery::must)) ++p.dropped;
    return true;
  }
  if (!b.leaving) {
    bytes& first = b.signals.front();
    if (first.size() > p.longest) {
      refuse_long(first, p, refused);
      done(first.size());
      b.signals.pop_front();
      return true;
    }
    const bool room = p.chunking + first.size() <= p.info.theirs.message_bytes && p.chunked < most_chunked;
    if (p.chunked > 0 && !room) return false;
    p.chunking += first.size();
    ++p.chunked;
    b.stream = ++p.streams;
    b.leaving = shared_until_sent(std::move(first));
  }
  const bytes& whole = *b.leaving;
  const auto part = std::span(whole).subspan(b.sent, std::min(whole.size() - b.sent, most - chunk_head));
  wire_buffer head;
  encode_chunk_head(head, core_.life(), from, {b.stream, whole.size(), part});
  if (!hub_->send(p.info.id, {std::move(head).take(), b.leaving, part}, bus::delivery::must)) ++p.dropped;
  b.sent += part.size();
  done(part.size());
  if (b.sent == whole.size()) {
    TROUPE_EXPECT(p.chunked > 0 && p.chunking >= b.sent, "peer", p.name, "chunked", p.chunked, "chunking", p.chunking,
                  "sent", b.sent);
    p.chunking -= whole.size();
    --p.chunked;
    b.leaving.reset();
    b.sent = 0;
    b.signals.pop_front();
  }
  return true;
}

// It was queued while the other side's limits were not known.
void distribution::refuse_long(const bytes& whole, peer& p, std::vector<ticket>& refused) {
  counters_.refused_too_large.fetch_add(1, std::memory_order_relaxed);
  arrival a;
  auto read = decode_signal(whole, core_.options().wire, p.life.get(), core_.life(), a);
  if (!read || (a.what != op::call && !a.order)) return;
  ticket caller{a.from, a.order ? a.order->id : a.id};
  if (!caller.who) return;
  if (core_.is_local(caller.who)) caller.id = numbers_.inside(caller.id);
  p.owed.calls.erase(caller);
  refused.push_back(caller);
}

// The loop's thread: there is room, or the connection is up.
void distribution::pump(const peer_ptr& p) {
  TROUPE_EXPECT(options_.loop->inside(), "peer", p->name);
  std::vector<ticket> refused;
  std::vector<pid> relieved;
  {
    std::lock_guard lock(p->mutex);
    if (p->state != peer_state::up) return;
    p->congested = hub_->queued(p->info.id) > options_.queue_bytes;
    pump(*p, refused, relieved);
  }
  for (pid sender : relieved) relieve(sender);
  for (const ticket& one : refused) {
    core_.answer_call(one.who, one.id, error(errc::too_large, "longer than " + p->name + " takes"));
  }
}

void distribution::relieve(pid sender) { core_.deliver(sender, detail::make_signal(detail::signal::relieved)); }

void distribution::relieved(bus::connection_id connection) {
  auto found = connections_.find(connection);
  if (found != connections_.end()) pump(found->second.of);
}

// A chunk has arrived. The last one of a signal: that signal has.
result<void> distribution::arrived_chunk(const peer_ptr& p, const arrival& a) {
  const piece& part = a.part;
  const std::size_t limit = core_.options().wire.message_bytes;
  auto found = p->assemblies.find(part.stream);
  if (found == p->assemblies.end()) {
    if (part.total > limit || (!p->assemblies.empty() && part.total > limit - p->assembling)) {
      return error(errc::too_large, "chunks of " + std::to_string(part.total) + " bytes");
    }
    if (p->assemblies.size() >= most_chunked) return error(errc::too_large, "too many signals in chunks at once");
    found = p->assemblies.emplace(part.stream, assembly{a.from, part.total, {}}).first;
    found->second.data = take_long_buffer(std::min(part.total, first_room));
    p->assembling += part.total;
  }
  assembly& at = found->second;
  if (part.data.empty() || part.total != at.total || a.from != at.from ||
      part.data.size() > at.total - at.data.size()) {
    return error(errc::bad_message, "a chunk that does not fit");
  }
  // Room for what has come and for some more, not for what was claimed.
  const std::size_t size = at.data.size() + part.data.size();
  if (size > at.data.capacity()) at.data.reserve(std::min(at.total, 4 * size));
  at.data.insert(at.data.end(), part.data.begin(), part.data.end());
  if (at.data.size() < at.total) return {};
  bytes whole = std::move(at.data);
  const std::size_t assembling = p->assembling;
  TROUPE_EXPECT(assembling >= at.total, "peer", p->name, "assembling", assembling, "total", at.total);
  p->assembling -= at.total;
  p->assemblies.erase(found);
  arrival complete;
  auto used = decode_signal(whole, core_.options().wire, core_.life(), p->life.get(), complete);
  if (!used) return used.error();
  const bool same = complete.from == a.from || !complete.from;  // an order that nobody answers names nobody
  if (*used != whole.size() || complete.what == op::chunk || !same) {
    return error(errc::bad_message, "chunks that make no signal");
  }
  complete.whole = &whole;
  return arrived(p, complete);
}

}  // namespace troupe::internal
