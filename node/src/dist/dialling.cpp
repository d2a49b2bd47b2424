// How a node that is addressed is found and dialled. The loop's thread, but for begin_dial.
#include <algorithm>

#include <troupe/expect.hpp>

#include "dist/distribution.hpp"
#include "dist/reach.hpp"

namespace troupe::internal {

// With the peer's mutex held, on any thread. Looking into the run directory reads files: not here.
void distribution::begin_dial(const peer_ptr& p) {
  TROUPE_EXPECT(p->state == peer_state::idle, "peer", p->name, "state", p->state);
  p->state = peer_state::dialling;
  post([this, p] { resolve(p); });
}

result<std::deque<distribution::attempt>> distribution::attempts_for(const std::string& name,
                                                                     std::span<const bus::endpoint> told) const {
  if (auto legal = check_node_name(name); !legal) return legal.error();
  std::deque<attempt> out;
  error why(errc::noconnection, "no endpoint is known for " + name);
  bus::dial_options how;
  how.expected_name = name;
  const auto known = options_.peers.find(name);
  const bool said = known != options_.peers.end();
  // A tool that was told where a node is means that one, whoever has its name on this host.
  if (options_.directory && !(said && core_.options().tool)) {
    auto entry = options_.directory->lookup(name);
    if (entry) {
      bus::dial_options local = how;
      // A tool of this user proves that it can read the node's own key; members prove the cookie on every endpoint.
      if (core_.options().tool && !entry->control_key.empty()) {
        local.prove = bus::secret::control_key;
        local.control_key = entry->control_key;
      }
      std::stable_partition(entry->endpoints.begin(), entry->endpoints.end(),
                            [](const bus::endpoint& e) { return e.kind == bus::endpoint::scheme::ipc; });
      for (bus::endpoint& where : entry->endpoints) out.push_back({std::move(where), local});
    } else {
      why = entry.error();
    }
  }
  if (said) {
    for (const bus::endpoint& where : known->second) out.push_back({where, how});
  }
  // What one node can dial may be another's own: the bridge of a host's containers has the same address on each.
  const std::vector<bus::endpoint> own = told.empty() ? std::vector<bus::endpoint>() : own_endpoints();
  for (const bus::endpoint& where : told) {
    if (std::find(own.begin(), own.end(), where) != own.end()) continue;
    if (std::none_of(out.begin(), out.end(), [&](const attempt& one) { return one.where == where; }))
      out.push_back({where, how});
  }
  if (!out.empty()) return out;
  const bool elsewhere = !name.ends_with("@localhost");
  if (!elsewhere) return error(errc::noconnection, std::string(why.text()));
  return error(errc::noconnection, std::string(why.text()) + "; if it runs elsewhere, say where: --peer " + name +
                                       "=tcp://HOST:PORT, or " +
                                       (core_.options().tool ? "in ~/.troupe/peers" : "node.peers"));
}

void distribution::resolve(const peer_ptr& p) {
  TROUPE_EXPECT(options_.loop->inside(), "peer", p->name);
  std::vector<bus::endpoint> told;
  {
    std::lock_guard lock(p->mutex);
    if (p->state != peer_state::dialling) return;  // it has dialled us meanwhile
    if (p->wanted == wish::mesh && p->owed.empty() && p->backlogs.empty() && dials_.size() >= options_.dials_at_once) {
      told_line_.push_back(p);
      return;
    }
    told = p->told;
  }
  if (!may_connect(p->name)) {
    lose(p, error(errc::not_allowed, not_allowed_text(p->name)), false);
    return;
  }
  auto attempts = attempts_for(p->name, told);
  if (!attempts) {
    lose(p, attempts.error(), false);
    return;
  }
  dial_plan plan{p, std::move(*attempts), {}, {}};
  try_next(std::move(plan));
}

void distribution::try_next(dial_plan plan) {
  TROUPE_EXPECT(!plan.left.empty(), "peer", plan.target->name);
  plan.now = std::move(plan.left.front());
  plan.left.pop_front();
  const bus::dial_id id = hub_->dial(plan.now.where, plan.now.how);
  const bool fresh = dials_.emplace(id, std::move(plan)).second;
  TROUPE_EXPECT(fresh, "dial", id);
}

// The near end of a tunnel is on loopback, where this side speaks plain text; who listens behind it may encrypt. Trying
// that gives nothing away, unlike the other way round.
bool distribution::encrypts_behind(const dial_plan& plan, const error& reason) const {
  return core_.options().tool && reason == errc::unsupported && !plan.now.how.encrypted &&
         plan.now.where.kind == bus::endpoint::scheme::tcp && !stopping_.load(std::memory_order_relaxed);
}

void distribution::dial_failed(bus::dial_id dial, const error& reason) {
  auto found = dials_.find(dial);
  if (found == dials_.end()) return;
  dial_plan plan = std::move(found->second);
  dials_.erase(found);
  {
    std::unique_lock lock(plan.target->mutex);
    if (plan.target->state != peer_state::dialling) {
      lock.unlock();
      dial_waiting();
      return;
    }
  }
  if (encrypts_behind(plan, reason)) {
    plan.now.how.encrypted = true;
    plan.left.push_front(std::move(plan.now));
    try_next(std::move(plan));
    return;
  }
  // A refusal says more than silence elsewhere.
  if (plan.failure.code() == errc::none || plan.failure == errc::noconnection) plan.failure = reason;
  if (!plan.left.empty() && !stopping_.load(std::memory_order_relaxed)) {
    try_next(std::move(plan));
    return;
  }
  peer_ptr target = std::move(plan.target);
  lose(target, plan.failure, false);
  dial_waiting();
}

void distribution::dial_joined(bus::dial_id dial, bus::connection_id) {
  dials_.erase(dial);
  dial_waiting();
}

// Nodes that others have told of, when fewer are being dialled.
void distribution::dial_waiting() {
  while (!told_line_.empty() && dials_.size() < options_.dials_at_once && !stopping_.load(std::memory_order_relaxed)) {
    peer_ptr next = std::move(told_line_.front());
    told_line_.pop_front();
    resolve(next);
  }
}

}  // namespace troupe::internal
