// Who gets a key: the keys that fall to this node in the view that it sees.
#include <algorithm>

#include "global/keeper.hpp"

namespace troupe::internal {

namespace {

constexpr duration check_patience = std::chrono::seconds(1);  // for an owner to say that a name's holder lives
constexpr unsigned fence_shift = 21;

}  // namespace

void keeper::on_ask(const std::string& from, claim_asked& ask) {
  const std::string key = claim_key(ask.lock, ask.name);
  auto& queue = queues_[key];
  auto same =
      std::find_if(queue.begin(), queue.end(), [&](const queued& q) { return q.owner == from && q.ask.id == ask.id; });
  if (same != queue.end()) {
    same->ask = std::move(ask);
    same->checked = 0;
    same->alive = false;
  } else {
    const std::int64_t waited = std::clamp<std::int64_t>(ask.waited_us, 0, std::int64_t{1} << 40);
    queued made;
    made.owner = from;
    made.since = now() - std::chrono::microseconds(waited);
    made.ask = std::move(ask);
    auto place = std::find_if(queue.begin(), queue.end(), [&](const queued& q) { return q.since > made.since; });
    queue.insert(place, std::move(made));
  }
  run(key);
}

void keeper::on_withdraw(const std::string& from, const ask_withdrawn& gone) {
  const std::string key = claim_key(gone.lock, gone.name);
  forget_granted(from, key, gone.id);
  if (auto found = queues_.find(key); found != queues_.end()) {
    std::erase_if(found->second, [&](const queued& q) { return q.owner == from && q.ask.id == gone.id; });
  }
  checks_.emplace(time_point::min(), key);
}

void keeper::on_checked(const std::string& from, const claim_affirmed& told) {
  const std::string key = claim_key(false, told.name);
  auto found = queues_.find(key);
  if (found == queues_.end()) return;
  for (queued& q : found->second) {
    if (q.checked == told.number && q.checked_owner == from) q.alive = true;
  }
  checks_.emplace(time_point::min(), key);
}

void keeper::run(const std::string& key) {
  auto found = queues_.find(key);
  if (found == queues_.end()) return;
  const bool grants =
      service_.with([&](global_service::state& s) { return s.members.may_grant() && s.members.arbiter(key) == me_; });
  // What is granted to this very node changes tables but neither this queue nor its order.
  auto& queue = found->second;
  for (std::size_t at = 0; grants && at < queue.size();) {
    queued& q = queue[at];
    const bool heard = service_.with(
        [&](global_service::state& s) { return s.members.has(q.owner) && s.members.number_of(q.owner) == q.ask.row; });
    if (!heard) {
      ++at;
      continue;
    }
    queued one = std::move(q);
    queue.erase(queue.begin() + static_cast<std::ptrdiff_t>(at));
    if (one.ask.lock ? decide_lock(key, one) : decide_name(key, one)) continue;
    queue.insert(queue.begin() + static_cast<std::ptrdiff_t>(at), std::move(one));
    ++at;
  }
  if (queue.empty()) queues_.erase(key);
}

// A free lock goes to who has waited longest; one that is held, to whoever asks in the name of its requester.
bool keeper::decide_lock(const std::string& key, queued& q) {
  const auto rows = service_.with([&](global_service::state& s) { return s.claims.of_members(key, s.members); });
  auto held_by = [&](pid holder) {
    if (q.ask.once) refuse(q, holder);
    return q.ask.once;
  };
  for (const auto& held : rows) {
    if (held.what.requester != q.ask.requester) return held_by(held.what.holder);
  }
  if (auto given = granted_.find(key); given != granted_.end()) {
    for (const granted& one : given->second) {
      const bool member = service_.with([&](global_service::state& s) { return s.members.has(one.owner); });
      if (!member) continue;
      if (one.requester != q.ask.requester) return held_by(one.holder);
      if (one.owner == q.owner && one.id == q.ask.id) return false;
    }
  }
  grant(key, q);
  return true;
}

std::string keeper::blocked_by(const std::string& key, const queued& q) {
  return service_.with([&](global_service::state& s) {
    if (auto given = granted_.find(key); given != granted_.end()) {
      for (const granted& one : given->second) {
        if (s.members.has(one.owner)) return one.owner;
      }
    }
    // A name is moved when it is settled whose it is.
    const auto rows = q.ask.move ? s.claims.of_members(key, s.members) : std::vector<claim_table::held>();
    if (rows.size() > 1) {
      for (const auto& one : rows) {
        if (revoked_.contains({one.owner, one.what.number})) return one.owner;
      }
    }
    return std::string();
  });
}

bool keeper::decide_name(const std::string& key, queued& q) {
  if (const std::string owner = blocked_by(key, q); !owner.empty()) {
    look_after(owner);
    return false;
  }
  const auto rows = service_.with([&](global_service::state& s) { return s.claims.of_members(key, s.members); });
  if (rows.empty()) {
    grant(key, q);
    return true;
  }
  const claim_table::held& first = rows.front();
  if (first.what.holder == q.ask.holder) {
    refuse(q, first.what.holder);
    return true;
  }
  if (q.ask.move) {
    if (rows.size() > 1) return false;  // a resolver runs
    grant(key, q, &first);
    return true;
  }
  if (q.checked != first.what.number || q.checked_owner != first.owner) {
    q.checked = first.what.number;
    q.checked_owner = first.owner;
    q.check_until = now() + check_patience;
    q.alive = first.owner == me_ && self_.core().exists(first.what.holder);
    if (!q.alive) {
      const claim_questioned check(first.what.name, first.what.number);
      checks_.emplace(q.check_until, key);
      if (first.owner == me_) on_check(me_, check);
      else tell(first.owner, check);
    }
  }
  if (!q.alive && now() < q.check_until) return false;
  refuse(q, first.what.holder);
  return true;
}

void keeper::grant(const std::string& key, const queued& q, const claim_table::held* over) {
  const std::int64_t fence = q.ask.lock ? next_fence() : 0;
  granted_[key].push_back({q.owner, q.ask.id, q.ask.holder, q.ask.requester});
  const claim_granted told(q.ask.id, q.ask.row, fence, over ? over->owner : std::string(),
                           over ? over->what.number : 0);
  if (q.owner == me_) on_granted(me_, told);
  else tell(q.owner, told);
}

void keeper::refuse(const queued& q, pid holder, std::string silent) {
  const claim_refused told(q.ask.id, q.ask.row, holder, std::move(silent));
  if (q.owner == me_) on_refused(me_, told);
  else tell(q.owner, told);
}

void keeper::forget_granted(const std::string& owner, const std::string& key, std::uint64_t id) {
  auto found = granted_.find(key);
  if (found == granted_.end()) return;
  std::erase_if(found->second, [&](const granted& one) { return one.owner == owner && one.id == id; });
  if (found->second.empty()) granted_.erase(found);
}

// Its connection is lost; the service has purged its claims already.
void keeper::forget_owner(const std::string& owner) {
  for (auto each = granted_.begin(); each != granted_.end();) {
    std::erase_if(each->second, [&owner](const granted& one) { return one.owner == owner; });
    each = each->second.empty() ? granted_.erase(each) : std::next(each);
  }
  for (auto each = queues_.begin(); each != queues_.end();) {
    std::erase_if(each->second, [&owner](const queued& q) { return q.owner == owner; });
    checks_.emplace(time_point::min(), each->first);
    each = each->second.empty() ? queues_.erase(each) : std::next(each);
  }
  std::erase_if(revoked_, [&owner](const auto& one) { return one.first == owner; });
}

// Greater than any that this view has seen and than the clock; its last bits are this node's own, so that two sides of
// a partition never make the same.
std::int64_t keeper::next_fence() {
  const auto wall = self_.core().clock().wall().time_since_epoch();
  const std::int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(wall).count();
  const std::int64_t own = static_cast<std::int64_t>(stable_hash(me_) & ((1u << fence_shift) - 1));
  const std::int64_t base = std::max(ms, fence_ >> fence_shift);
  std::int64_t next = base << fence_shift | own;
  if (next <= fence_) next = (base + 1) << fence_shift | own;
  fence_ = next;
  return next;
}

}  // namespace troupe::internal
