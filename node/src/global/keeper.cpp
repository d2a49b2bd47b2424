#include "global/keeper.hpp"

#include <algorithm>

#include "otp/strangers.hpp"

namespace troupe::internal {

namespace {

constexpr std::size_t told_at_once = 256;  // claims in one message
constexpr unsigned most_put_off = 64;      // messages that are read before a changed row is told

// While a mesh of n forms, rows are n times n to all from all. So after a few at once a node tells its own no oftener
// than they can be read: 0.5 s among a hundred, 5 ms among ten.
constexpr duration row_cost = std::chrono::microseconds(50);
constexpr int rows_at_once = 3;

}  // namespace

task<> keep_global(process& self, global_service* service) {
  keeper state(self, *service);
  for (;;) {
    auto got = co_await self.receive(state.wait());
    state.expire();  // what comes too late must not be taken
    if (got) state.take(*got);
    state.turn();
  }
}

keeper::keeper(process& self, global_service& service) : self_(self), service_(service), me_(service.self()) {}

void keeper::take(message& got) {
  const detail::envelope* e = got.peek();
  if (e->kind == detail::signal::down) {
    if (const auto* ended = got.get<down>()) on_down(*ended);
    return;
  }
  const pid sender = got.from();
  const std::string tag = got.tag();
  if (!sender) {
    if (const auto* note = content_as<peer_note>(got, tag)) on_peer(*note);
    return;
  }
  // -- what any process may ask, near or far
  if (got.is_call()) {
    if (auto* asked = content_as<register_asked>(got, tag)) on_register(got, *asked);
    else if (auto* gone = content_as<unregister_asked>(got, tag)) on_unregister(got, *gone);
    else if (auto* where = content_as<where_asked>(got, tag)) on_where(got, *where);
    else if (auto* lock = content_as<lock_asked>(got, tag)) on_lock(got, *lock);
    else if (auto* unlock = content_as<unlock_asked>(got, tag)) on_unlock(got, *unlock);
    else if (content_as<locks_asked>(got, tag)) on_locks(got);
    else if (auto* sync = content_as<sync_asked>(got, tag)) on_sync(got, *sync);
    else refuse_stranger(self_, keeper_name, got);
    return;
  }
  if (self_.core().is_local(sender)) {
    if (const auto* settled = content_as<clash_settled>(got, tag)) on_settled(*settled);
    else if (const auto* unlock = content_as<unlock_asked>(got, tag)) on_unlock(got, *unlock);
    else refuse_stranger(self_, keeper_name, got);
    return;
  }
  const std::string from = member_id(sender);
  // Also between nodes that share no view, as a hidden one and a member.
  if (const auto* question = content_as<member_questioned>(got, tag)) return on_question(from, *question);
  if (const auto* answer = content_as<member_answered>(got, tag)) return on_answer(from, *answer);
  // -- from the keeper of a member, on the connection that is up now: what came before its loss is void
  auto session = current_.find(from);
  if (session == current_.end()) return;
  const bool live = service_.with([&](global_service::state& s) {
    auto found = s.sessions.find(from);
    return found != s.sessions.end() && found->second == session->second;
  });
  if (!live) return;
  if (auto* row = content_as<member_row>(got, tag)) on_row(from, *row);
  else if (const auto* who = content_as<lives_asked>(got, tag)) on_lives_asked(from, *who);
  else if (const auto* these = content_as<lives_named>(got, tag))
    service_.with([&](global_service::state& s) { return s.views.named(s.members, from, these->ids), 0; });
  else if (auto* told = content_as<claims_told>(got, tag)) on_claims(from, *told);
  else if (const auto* gone = content_as<claim_released>(got, tag)) on_released(from, *gone);
  else if (auto* ask = content_as<claim_asked>(got, tag)) on_ask(from, *ask);
  else if (const auto* back = content_as<ask_withdrawn>(got, tag)) on_withdraw(from, *back);
  else if (const auto* yes = content_as<claim_granted>(got, tag)) on_granted(from, *yes);
  else if (const auto* no = content_as<claim_refused>(got, tag)) on_refused(from, *no);
  else if (const auto* check = content_as<claim_questioned>(got, tag)) on_check(from, *check);
  else if (const auto* alive = content_as<claim_affirmed>(got, tag)) on_checked(from, *alive);
  else if (const auto* revoked = content_as<claim_revoked>(got, tag)) on_revoke(from, *revoked);
  else refuse_stranger(self_, keeper_name, got);
}

// -- who is here

void keeper::on_peer(const peer_note& note) {
  if (!note.up) {
    auto found = current_.find(note.id);
    if (found == current_.end() || found->second != note.session) return;
    current_.erase(found);
    warned_.erase(note.id);
    questions_.erase(note.id);  // it may have been on its way
    look_after(note.id);
    forget_owner(note.id);
    return;
  }
  current_[note.id] = note.session;
  tell_whole(note.id);
}

// What a member is told first: all that this node's processes hold, then this node's row.
void keeper::tell_whole(const std::string& id) {
  claims_told told;
  told.whole = true;
  for (const auto& [key, held] : own_) {
    told.claims.push_back(held.what);
    if (told.claims.size() < told_at_once) continue;
    tell(id, told);
    told = {};
  }
  if (told.whole || !told.claims.empty()) tell(id, told);
  member_row row = service_.with([](global_service::state& s) { return s.members.row(); });
  row.fence = fence_;
  tell(id, row);
}

void keeper::announce() {
  member_row row = service_.with([](global_service::state& s) { return s.members.row(); });
  announced_ = row.number;
  put_off_ = 0;
  paced_until_ = std::max(paced_until_, now()) + pace();
  row.fence = fence_;
  tell_all(row);
}

void keeper::on_row(const std::string& from, member_row& row) {
  see_fence(row.fence);
  const bool differs = service_.with([&](global_service::state& s) {
    const bool other = row.policy != to_string(s.members.policy());
    s.members.heard(from, std::move(row), now());
    return other;
  });
  if (differs && warned_.insert(from).second) {
    self_.log().warning(
        "the option node.partition differs between nodes",
        {{"node", std::string(member_name(from))}, {"here", to_string(self_.core().options().partition)}});
  }
  // An owner's new row may be what its ask waits for.
  for (auto& [key, queue] : queues_) {
    if (std::any_of(queue.begin(), queue.end(), [&from](const queued& q) { return q.owner == from; })) {
      checks_.emplace(time_point::min(), key);
    }
  }
}

void keeper::on_claims(const std::string& from, claims_told& told) {
  std::vector<std::string> touched;
  service_.with([&](global_service::state& s) {
    if (told.whole) touched = s.claims.purge(from);
    for (claim& one : told.claims) {
      if (member_id(one.holder) != from) continue;  // an owner speaks for its own processes alone
      see_fence(one.fence);
      std::string key = claim_key(one.lock, one.name);
      forget_granted(from, key, one.number);
      if (const auto* before = s.claims.at(key)) {
        for (const auto& held : *before) {
          if (held.owner == from && held.what.number != one.number) revoked_.erase({from, held.what.number});
        }
      }
      s.claims.put(from, std::move(one));
      touched.push_back(std::move(key));
    }
    return 0;
  });
  for (const std::string& key : touched) run(key);
}

void keeper::on_released(const std::string& from, const claim_released& gone) {
  const std::string key = claim_key(gone.lock, gone.name);
  revoked_.erase({from, gone.number});
  forget_granted(from, key, gone.number);
  service_.with([&](global_service::state& s) { return s.claims.erase(from, key, gone.number); });
  run(key);
}

// -- what is due

void keeper::turn() {
  const auto doubtful = service_.with([&](global_service::state& s) { return s.members.settle(now()); });
  for (const std::string& id : doubtful) service_.probe(id);
  look_at_views();
  reach_unseen();
  expire();
  const auto [number, digest, grants] = service_.with([](global_service::state& s) {
    return std::tuple(s.members.number(), s.members.digest(), s.members.may_grant());
  });
  // Many rows that wait are answered by one of ours.
  if (number != announced_ && now() >= may_announce() && (self_.waiting_messages() == 0 || ++put_off_ > most_put_off)) {
    announce();
  }
  if (seen_ != std::pair(digest, grants)) {
    seen_ = std::pair(digest, grants);
    for (const auto& [key, queue] : queues_) checks_.emplace(time_point::min(), key);
  }
  if (number == announced_ && number != asked_under_) {
    asked_under_ = number;
    std::vector<std::uint64_t> again;
    for (const auto& [id, wanted] : pending_) {
      if (wanted.ask.row != number) again.push_back(id);
    }
    for (const std::uint64_t id : again) {
      if (auto found = pending_.find(id); found != pending_.end()) send_ask(found->second);
    }
  }
  while (!checks_.empty() && checks_.begin()->first <= now()) {
    const std::string key = checks_.begin()->second;
    checks_.erase(checks_.begin());
    run(key);
  }
  question_silent();
  settle_clashes();
  answer_syncs();
  service_.with([this](global_service::state& s) {
    s.asking = pending_.size();
    s.queued = queues_.size();
    s.granting = granted_.size();
    s.settling = clashes_.size() + revoked_.size();
    return 0;
  });
}

duration keeper::pace() const { return row_cost * (current_.size() * current_.size()); }
time_point keeper::may_announce() const { return paced_until_ - (rows_at_once - 1) * pace(); }

time_point keeper::due() const {
  auto [number, out] = service_.with([](global_service::state& s) {
    return std::pair(s.members.number(), std::min(s.members.next(), s.views.next()));
  });
  if (number != announced_) out = std::min(out, may_announce());
  out = std::min(out, reach_at_);
  if (!deadlines_.empty()) out = std::min(out, deadlines_.begin()->first);
  if (!checks_.empty()) out = std::min(out, checks_.begin()->first);
  for (const auto& [id, one] : questions_) out = std::min(out, one.due);
  for (const auto& [key, one] : clashes_) out = std::min(out, one.until);
  for (const auto& [until, call] : syncs_) out = std::min(out, until);
  return out;
}

duration keeper::wait() const {
  const time_point next = due();
  if (next == time_point::max()) return wait_forever;
  const time_point current = now();
  return next > current ? next - current : duration::zero();  // `min`, for at once, is too far to subtract from
}

void keeper::on_sync(message& call, const sync_asked& asked) {
  syncs_.emplace_back(deadline_after(now(), microseconds_given(asked.within_us)), std::move(call));
}

void keeper::answer_syncs() {
  if (syncs_.empty()) return;
  const bool agreed = service_.agreed();
  std::erase_if(syncs_, [&](auto& waiting) {
    if (agreed) self_.reply(waiting.second, value(true));
    else if (waiting.first <= now())
      self_.reply_error(waiting.second, error(errc::timeout, "the nodes do not agree on who is here: node/GLOBAL.md"));
    else return false;
    return true;
  });
}

}  // namespace troupe::internal
