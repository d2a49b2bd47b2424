// What tools see of the connections.
#include "dist/distribution.hpp"
#include "dist/reach.hpp"

namespace troupe::internal {

namespace {

std::int64_t count(std::uint64_t n) { return static_cast<std::int64_t>(n); }

value milliseconds(duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

map peer_entry(peer& p, const bus::connection_counters* counted, time_point now) {
  map out;
  auto add = [&out](std::string_view key, value item) { out.emplace_back(value(key), std::move(item)); };
  const bool up = p.state == peer_state::up;
  const std::size_t arriving = p.assembling.load(std::memory_order_relaxed);
  add("name", p.name);
  add("state", up ? "up" : p.state == peer_state::dialling ? "dialling" : "idle");
  add("signals_out", count(p.signals_out));
  add("signals_in", count(p.signals_in));
  add("refused", count(p.refused));
  add("dropped", count(p.dropped));
  add("monitors", count(p.owed.watching.size()));
  add("monitored_by", count(p.owed.watched_by.size()));
  add("links", count(p.owed.links.size()));
  add("calls", count(p.owed.calls.size()));
  add("serving", count(p.serving->load(std::memory_order_relaxed)));
  add("spawned", count(p.spawned->load(std::memory_order_relaxed)));
  if (!up) {
    if (p.last_failure.code() != errc::none) add("last_failure", p.last_failure.message());
    add("queued_bytes", count(p.outbox_bytes + p.backlog_bytes));
    return out;
  }
  add("creation", p.info.who.creation);
  add("class", p.info.who.tool ? "tool" : p.info.who.hidden ? "hidden" : "visible");
  add("application", p.info.who.application);
  add("endpoint", p.info.via.text());
  if (p.info.from) add("from", p.info.from->text());
  add("dialled", p.info.dialled_by_us);
  add("up_ms", milliseconds(now - p.up_since));
  add("tick_ms", milliseconds(p.info.tick));
  add("queued_bytes", count(p.outbox_bytes + p.backlog_bytes + (counted ? counted->queued_bytes : 0)));
  add("busy", p.congested || !p.turns.empty());
  add("waiting_senders", count(p.turns.size()));
  add("arriving_bytes", count(arriving));
  if (!counted) return out;
  add("bytes_in", count(counted->bytes_in));
  add("bytes_out", count(counted->bytes_out));
  add("frames_in", count(counted->frames_in));
  add("frames_out", count(counted->frames_out));
  add("in_flight_bytes", count(counted->in_flight_bytes));
  add("heard_ms_ago", milliseconds(counted->heard_ago));
  if (counted->rtt) add("rtt_ms", milliseconds(*counted->rtt));
  return out;
}

}  // namespace

value distribution::info() {
  const bus::hub_counters hub = hub_->counters();
  std::vector<peer_ptr> all;
  {
    std::shared_lock lock(peers_mutex_);
    for (const auto& [name, p] : peers_) all.push_back(p);
  }
  list peers;
  for (const peer_ptr& p : all) {
    std::lock_guard lock(p->mutex);
    const bus::connection_counters* counted = nullptr;
    for (const auto& one : hub.peers) {
      if (p->state == peer_state::up && one.id == p->info.id) counted = &one;
    }
    peers.emplace_back(peer_entry(*p, counted, core_.clock().now()));
  }
  list where;
  for (const bus::endpoint& one : endpoints_) where.emplace_back(one.text());
  auto n = [](const std::atomic<std::uint64_t>& counter) {
    return value(count(counter.load(std::memory_order_relaxed)));
  };
  map counters;
  counters.emplace_back("refused_overloaded", n(counters_.refused_overloaded));
  counters.emplace_back("parked", n(counters_.parked));
  counters.emplace_back("ended_overloaded", n(counters_.ended_overloaded));
  counters.emplace_back("refused_too_large", n(counters_.refused_too_large));
  counters.emplace_back("dropped_noconnection", n(counters_.dropped_noconnection));
  counters.emplace_back("stale", n(counters_.stale));
  counters.emplace_back("late_replies", n(counters_.late_replies));
  counters.emplace_back("bad_signals", n(counters_.bad_signals));
  counters.emplace_back("ignored_signals", n(counters_.ignored_signals));
  counters.emplace_back("rpc_refused", n(counters_.rpc_refused));
  counters.emplace_back("spawns_refused", n(counters_.spawns_refused));
  counters.emplace_back("monitors_refused", n(counters_.monitors_refused));
  counters.emplace_back("links_refused", n(counters_.links_refused));
  counters.emplace_back("told_refused", n(counters_.told_refused));
  counters.emplace_back("rpc_served", n(counters_.rpc_served));
  counters.emplace_back("spawns_served", n(counters_.spawns_served));
  map drops;
  for (const auto& [cause, times] : hub.drops) drops.emplace_back(value(cause), count(times));
  list advertise;
  for (const bus::endpoint& one : advertised()) {
    if (is_dialable_elsewhere(one)) advertise.emplace_back(one.text());
  }
  map out;
  out.emplace_back("peers", std::move(peers));
  out.emplace_back("endpoints", std::move(where));
  out.emplace_back("advertised", std::move(advertise));
  out.emplace_back("accepted", count(hub.accepted));
  out.emplace_back("dialled", count(hub.dialled));
  out.emplace_back("counters", std::move(counters));
  out.emplace_back("bus_drops", std::move(drops));
  return value(std::move(out));
}

}  // namespace troupe::internal
