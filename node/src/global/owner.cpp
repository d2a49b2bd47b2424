// What the processes of this node ask for and hold.
#include <algorithm>

#include <troupe/expect.hpp>
#include <troupe/global.hpp>
#include <troupe/lock.hpp>

#include "global/keeper.hpp"
#include "otp/strangers.hpp"

namespace troupe::internal {

namespace {

bool is_reserved(const value& name) { return name.text() && name.text()->starts_with("troupe."); }

error reserved(const value& name) {
  return {errc::not_allowed, name.print(2, 100) + ": what begins with \"troupe.\" is the node's own"};
}

}  // namespace

// -- names

void keeper::on_register(message& call, register_asked& asked) {
  detail::core& home = self_.core();
  if (asked.name.is_nil()) return self_.reply_error(call, error(errc::bad_name, "nil is no global name"));
  if (is_reserved(asked.name)) return self_.reply_error(call, reserved(asked.name));
  if (asked.process && !home.is_local(asked.process)) {
    // The node of the process answers for it. A life that is over is told by the address itself.
    const bool passed_on = !home.is_local(call.from()) || asked.process.node() == home.life()->name;
    if (passed_on) return self_.reply_error(call, error(errc::noproc, asked.process.text() + " does not exist"));
    return pass_on(std::move(call), asked);
  }
  if (!home.exists(asked.process)) {
    return self_.reply_error(call, error(errc::noproc, asked.process.text() + " does not exist"));
  }
  const std::string resolver = asked.resolver.empty() ? "oldest" : asked.resolver;
  if (!global::is_resolver(resolver) && !home.options().offers.find(resolver)) {
    return self_.reply_error(call, error(errc::undef, "\"" + resolver +
                                                          "\" is neither oldest, newest, lowest_node nor "
                                                          "notify_all, nor a function of this node's catalogue"));
  }
  // Also one that has it asks its arbiter: it may have been moved, and the news be under way.
  pending wanted;
  wanted.ask.name = std::move(asked.name);
  wanted.ask.holder = asked.process;
  wanted.ask.move = asked.move;
  wanted.resolver = resolver;
  const std::int64_t within = asked.within_us;
  wanted.call = std::move(call);
  begin(std::move(wanted), within);
}

void keeper::on_unregister(message& call, const unregister_asked& asked) {
  const std::string key = claim_key(false, asked.name);
  const auto rows = service_.with([&](global_service::state& s) { return s.claims.of_members(key, s.members); });
  // A claim of this node that another has replaced is not whom the name belongs to.
  if (!rows.empty() && rows.front().owner == me_) {
    drop_own(key);
    return self_.reply(call, value(true));
  }
  if (rows.empty() || !self_.core().is_local(call.from())) return self_.reply(call, value(false));
  self_.send(address(keeper_name, std::string(member_name(rows.front().owner))), std::move(call));
}

// An arbiter knows what has been granted before its owner tells it.
void keeper::on_where(message& call, const where_asked& asked) {
  const std::string key = claim_key(false, asked.name);
  if (auto found = service_.whereis(key)) return self_.reply(call, value(*found));
  if (auto given = granted_.find(key); given != granted_.end() && !given->second.empty()) {
    return self_.reply(call, value(given->second.front().holder));
  }
  self_.reply_error(call, error(errc::noproc, "no process is registered globally as " + asked.name.print(4, 100)));
}

// -- locks

void keeper::on_lock(message& call, lock_asked& asked) {
  const pid holder = call.from();
  if (!self_.core().is_local(holder)) {
    return self_.reply_error(call, error(errc::not_allowed, "a lock is taken at the node of its holder"));
  }
  if (is_reserved(asked.resource)) return self_.reply_error(call, reserved(asked.resource));
  if (!self_.core().exists(holder)) return;
  value requester = asked.requester.is_nil() ? value(holder) : std::move(asked.requester);
  const std::string key = claim_key(true, asked.resource);
  if (auto held = own_.find(key); held != own_.end() && held->second.what.requester == requester) {
    add_holder(held->second, holder);
    return self_.reply(call, value(held->second.what.fence));
  }
  pending wanted;
  wanted.ask.lock = true;
  wanted.ask.name = std::move(asked.resource);
  wanted.ask.holder = holder;
  wanted.ask.requester = std::move(requester);
  wanted.ask.once = asked.within_us == 0;
  // Tried once is not tried in no time: the arbiter may be far away.
  const std::int64_t within = wanted.ask.once ? default_call_time / std::chrono::microseconds(1) : asked.within_us;
  wanted.call = std::move(call);
  begin(std::move(wanted), within);
}

void keeper::on_unlock(message& call, const unlock_asked& asked) {
  const std::string key = claim_key(true, asked.resource);
  const pid holder = call.from();
  const value requester = asked.requester.is_nil() ? value(holder) : asked.requester;
  auto held = own_.find(key);
  bool had = held != own_.end() && held->second.what.requester == requester;
  if (had) {
    auto mine = held->second.holders.find(holder);
    had = mine != held->second.holders.end();
    TROUPE_EXPECT(!had || mine->second > 0, "key", key, "holder", holder.id());
    if (had && --mine->second == 0) {
      held->second.holders.erase(mine);
      unwatch(holder);
      if (held->second.holders.empty()) drop_own(key);
    }
  }
  if (call.is_call()) self_.reply(call, value(had));
}

void keeper::on_locks(message& call) {
  list out;
  auto entry = [&](const claim_asked& ask, pid who, std::string_view state, std::int64_t fence, duration since) {
    map one;
    one.emplace_back("resource", ask.name);
    one.emplace_back("requester", ask.requester);
    one.emplace_back("pid", who);
    one.emplace_back("state", state);
    if (fence) one.emplace_back("fence", fence);
    else one.emplace_back("waited_ms", std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
    out.emplace_back(std::move(one));
  };
  for (const auto& [key, held] : own_) {
    if (!held.what.lock) continue;
    claim_asked shown;
    shown.name = held.what.name;
    shown.requester = held.what.requester;
    for (const auto& [who, times] : held.holders) entry(shown, who, "held", held.what.fence, {});
  }
  for (const auto& [id, wanted] : pending_) {
    if (wanted.ask.lock) entry(wanted.ask, wanted.ask.holder, "waits", 0, now() - wanted.since);
  }
  self_.reply(call, value(std::move(out)));
}

// -- asking

void keeper::begin(pending&& wanted, std::int64_t within_us) {
  const std::uint64_t id = ++ids_;
  wanted.ask.id = id;
  wanted.since = now();
  wanted.deadline = deadline_after(wanted.since, microseconds_given(within_us));
  deadlines_.emplace(wanted.deadline, id);
  watch(wanted.ask.holder);
  pending& kept = pending_.emplace(id, std::move(wanted)).first->second;
  send_ask(kept);
}

void keeper::send_ask(pending& wanted) {
  const std::string key = claim_key(wanted.ask.lock, wanted.ask.name);
  const auto [row, arbiter] =
      service_.with([&](global_service::state& s) { return std::pair(s.members.number(), s.members.arbiter(key)); });
  if (!wanted.arbiter.empty() && wanted.arbiter != arbiter) withdraw(wanted);
  wanted.arbiter = arbiter;
  wanted.ask.row = row;
  wanted.ask.waited_us = std::chrono::duration_cast<std::chrono::microseconds>(now() - wanted.since).count();
  if (arbiter == me_) {
    claim_asked copy = wanted.ask;
    on_ask(me_, copy);  // may settle it: `wanted` is not touched afterwards
  } else {
    tell(arbiter, wanted.ask);
    look_after(arbiter);
  }
}

void keeper::withdraw(const pending& wanted) {
  const ask_withdrawn gone(wanted.ask.id, wanted.ask.lock, wanted.ask.name);
  if (wanted.arbiter == me_) on_withdraw(me_, gone);
  else if (current_.contains(wanted.arbiter)) tell(wanted.arbiter, gone);
}

void keeper::on_granted(const std::string& from, const claim_granted& got) {
  auto found = pending_.find(got.id);
  see_fence(got.fence);
  if (found == pending_.end()) return;  // it was withdrawn, and the arbiter is told so
  pending& wanted = found->second;
  const std::uint64_t row = service_.with([](global_service::state& s) { return s.members.number(); });
  if (wanted.arbiter != from || wanted.ask.row != got.row) return decline(from, wanted.ask);  // asked anew already
  if (row != got.row) return decline(from, wanted.ask);                                       // will be, at this turn
  accept(wanted, got);
}

// To who granted it alone: another arbiter may have granted the same ask since, and must not forget that.
void keeper::decline(const std::string& arbiter, const claim_asked& ask) {
  if (arbiter == me_) {
    const std::string key = claim_key(ask.lock, ask.name);
    forget_granted(me_, key, ask.id);
    checks_.emplace(time_point::min(), key);
  } else if (current_.contains(arbiter)) {
    tell(arbiter, claim_released(ask.lock, ask.name, ask.id));
  }
}

void keeper::accept(pending& kept, const claim_granted& got) {
  pending wanted = std::move(kept);
  // It waits until now, once, and `expire` has not seen its deadline.
  const std::size_t erased = pending_.erase(wanted.ask.id) + deadlines_.erase({wanted.deadline, wanted.ask.id});
  TROUPE_EXPECT(erased == 2, "ask", wanted.ask.id, "erased", erased);
  const std::string key = claim_key(wanted.ask.lock, wanted.ask.name);
  const pid holder = wanted.ask.holder;
  if (auto held = own_.find(key); held != own_.end() && !wanted.ask.lock) {
    // Moved within this node: what is told now replaces the older claim everywhere.
    for (const auto& [before, times] : held->second.holders) unwatch(before);
    revoked_.erase({me_, held->second.what.number});
    own_.erase(held);
  } else if (held != own_.end()) {
    // Two processes asked as one requester at the same time: one claim serves both.
    add_holder(held->second, holder);
    unwatch(holder);
    decline(wanted.arbiter, wanted.ask);
    self_.reply(wanted.call, value(held->second.what.fence));
    return;
  }
  own_claim made;
  made.what.lock = wanted.ask.lock;
  made.what.name = wanted.ask.name;
  made.what.holder = holder;
  made.what.number = wanted.ask.id;
  made.what.stamp =
      std::chrono::duration_cast<std::chrono::microseconds>(self_.core().clock().wall().time_since_epoch()).count();
  made.what.resolver = std::move(wanted.resolver);
  made.what.requester = std::move(wanted.ask.requester);
  made.what.fence = got.fence;
  made.what.over_owner = got.over_owner;
  made.what.over = got.over;
  made.holders[holder] = 1;  // watched since it asked
  forget_granted(me_, key, made.what.number);
  service_.with([&](global_service::state& s) {
    s.claims.put(me_, made.what);
    return 0;
  });
  claims_told told;
  told.claims.push_back(made.what);
  tell_all(told);
  const bool fresh = own_.emplace(key, std::move(made)).second;
  TROUPE_EXPECT(fresh, "key", key);
  if (wanted.ask.lock) self_.reply(wanted.call, value(got.fence));
  else self_.reply(wanted.call, value(holder));
}

void keeper::on_refused(const std::string& from, const claim_refused& got) {
  auto found = pending_.find(got.id);
  if (found == pending_.end() || found->second.arbiter != from || found->second.ask.row != got.row) return;
  pending wanted = std::move(found->second);
  pending_.erase(found);
  deadlines_.erase({wanted.deadline, got.id});
  unwatch(wanted.ask.holder);
  if (!got.silent.empty()) {
    self_.reply_error(wanted.call, error(errc::timeout, wanted.ask.text() + ": " + keeper_name + " of " + got.silent +
                                                            ", which was given it, does not answer"));
  } else if (wanted.ask.lock) {
    self_.reply_error(wanted.call, error(errc::timeout, wanted.ask.text() + " is held by " + got.holder.text()));
  } else {
    self_.reply(wanted.call, value(got.holder));
  }
}

// -- holding

void keeper::add_holder(own_claim& held, pid holder) {
  if (++held.holders[holder] == 1) watch(holder);
}

void keeper::drop_own(std::string key) {
  auto found = own_.find(key);
  TROUPE_EXPECT(found != own_.end(), "key", key, "claims", own_.size());
  const own_claim gone = std::move(found->second);
  own_.erase(found);
  for (const auto& [holder, times] : gone.holders) unwatch(holder);
  // What this node holds, all can read: the replica has it exactly as long.
  const bool erased =
      service_.with([&](global_service::state& s) { return s.claims.erase(me_, key, gone.what.number); });
  TROUPE_EXPECT(erased, "key", key, "number", gone.what.number);
  revoked_.erase({me_, gone.what.number});
  const claim_released told(gone.what.lock, gone.what.name, gone.what.number);
  tell_all(told);
  checks_.emplace(time_point::min(), key);
}

void keeper::watch(pid holder) {
  auto& [monitor, times] = watched_[holder];
  if (times++ == 0) monitor = self_.monitor(holder);
}

void keeper::unwatch(pid holder) {
  auto found = watched_.find(holder);
  if (found == watched_.end()) return;  // it has ended
  TROUPE_EXPECT(found->second.second > 0, "holder", holder.id());
  if (--found->second.second > 0) return;
  self_.demonitor(found->second.first);
  watched_.erase(found);
}

void keeper::on_down(const down& ended) {
  const pid gone = ended.process;
  if (watched_.erase(gone) == 0) return;
  std::vector<std::string> free;
  for (auto& [key, held] : own_) {
    if (held.holders.erase(gone) != 0 && held.holders.empty()) free.push_back(key);
  }
  for (const std::string& key : free) drop_own(key);
  for (auto wanted = pending_.begin(); wanted != pending_.end();) {
    if (wanted->second.ask.holder != gone) {
      ++wanted;
      continue;
    }
    pending late = std::move(wanted->second);
    wanted = pending_.erase(wanted);
    fail(std::move(late), error(errc::noproc, gone.text() + " has ended"));
  }
}

void keeper::on_check(const std::string& from, const claim_questioned& asked) {
  auto held = own_.find(claim_key(false, asked.name));
  if (held == own_.end() || held->second.what.number != asked.number) return;  // its release is under way
  if (!self_.core().exists(held->second.what.holder)) return drop_own(held->first);
  const claim_affirmed yes(asked.name, asked.number);
  if (from == me_) on_checked(me_, yes);
  else tell(from, yes);
}

void keeper::on_revoke(const std::string&, const claim_revoked& told) {
  const std::string key = claim_key(told.lock, told.name);
  auto found = own_.find(key);
  if (found == own_.end() || found->second.what.number != told.number) return;
  const own_claim lost = found->second;
  drop_own(key);
  if (!told.conflict) return;
  self_.log().warning(told.lock ? "a lock was held on two sides of a partition: its holder here has lost it"
                                : "a global name was held on two sides of a partition: its holder here has lost it",
                      {{"name", told.name}, {"winner", told.winner ? value(told.winner) : value()}});
  for (const auto& [holder, times] : lost.holders) {
    if (told.lock) self_.send(holder, troupe::lock::lock_lost(told.name, lost.what.requester, lost.what.fence));
    else self_.send(holder, global::global_name_conflict(told.name, told.winner));
  }
}

}  // namespace troupe::internal
