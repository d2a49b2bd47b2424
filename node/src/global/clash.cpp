// What two sides of a partition have both given: settled once, by the key's arbiter, when all see each other again.
#include <algorithm>

#include <troupe/expect.hpp>
#include <troupe/global.hpp>
#include <troupe/rpc.hpp>

#include "global/keeper.hpp"

namespace troupe::internal {

namespace {

constexpr duration resolver_patience = std::chrono::seconds(3);
constexpr duration resolver_limit = std::chrono::seconds(4);  // its process itself has gone missing

// Runs the catalogue's function once, on the node of the older holder.
task<> ask_resolver(process& self, pid keeper, std::string key, std::uint64_t round, std::string function, value name,
                    pid older, pid newer) {
  clash_settled outcome(std::move(key), round, pid(), {});
  std::string where(older.node());
  auto asking = rpc::call<value>(self, where, function, name, older, newer).within(resolver_patience);
  auto chosen = co_await std::move(asking);
  if (!chosen) outcome.failure = chosen.error().message();
  else if (chosen->process() && (*chosen->process() == older || *chosen->process() == newer))
    outcome.winner = *chosen->process();
  else if (!chosen->is_nil()) outcome.failure = "it answered " + chosen->print(2, 80) + ", neither holder nor nil";
  self.send(keeper, std::move(outcome));
}

}  // namespace

void keeper::settle_clashes() {
  struct found {
    std::string key;
    std::vector<claim_table::held> rows;
  };
  std::vector<claim_table::held> moved;
  const auto clashing = service_.with([&](global_service::state& s) {
    std::vector<found> out;
    if (!s.members.confirmed()) return out;
    for (const std::string& key : s.claims.crowded()) {
      if (s.members.arbiter(key) != me_) continue;
      // Each is told once; who has been told is as good as gone.
      auto rows = s.claims.of_members(key, s.members);
      std::erase_if(rows, [this](const auto& one) { return revoked_.contains({one.owner, one.what.number}); });
      if (rows.size() > 1) out.push_back({key, std::move(rows)});
      for (auto& one : s.claims.replaced(key, s.members)) moved.push_back(std::move(one));
    }
    return out;
  });
  for (const auto& one : moved) revoke(one, false, pid());
  for (const auto& [key, rows] : clashing) {
    if (rows.front().what.lock) settle_locks(rows);
    else settle_names(key, rows);
  }
  std::erase_if(clashes_, [&](const auto& one) {
    return std::none_of(clashing.begin(), clashing.end(), [&one](const found& f) { return f.key == one.first; });
  });
}

// The greater fence stays: what is fenced by it may have seen it already, and refuses the lesser.
void keeper::settle_locks(const std::vector<claim_table::held>& rows) {
  TROUPE_EXPECT(rows.size() > 1, "rows", rows.size());
  const auto winner = std::max_element(rows.begin(), rows.end(),
                                       [](const auto& a, const auto& b) { return a.what.fence < b.what.fence; });
  for (const auto& held : rows) {
    if (held.what.requester != winner->what.requester) revoke(held, true, winner->what.holder);
  }
}

void keeper::settle_names(const std::string& key, const std::vector<claim_table::held>& rows) {
  const std::string& how = rows.front().what.resolver;
  if (how == "oldest") return revoke_all_but(rows, rows.front().what.holder);
  if (how == "newest") return revoke_all_but(rows, rows.back().what.holder);
  if (how == "notify_all") return revoke_all_but(rows, pid());
  if (how == "lowest_node") {
    const auto lowest =
        std::min_element(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.owner < b.owner; });
    return revoke_all_but(rows, lowest->what.holder);
  }
  auto running = clashes_.find(key);
  if (running == clashes_.end()) return run_resolver(key, rows);
  if (now() < running->second.until) return;
  running->second.until = time_point::max();
  self_.log().error("a resolver of a global name has not answered: the name is removed",
                    {{"name", rows.front().what.name}, {"resolver", how}});
  revoke_all_but(rows, pid());
}

void keeper::run_resolver(const std::string& key, const std::vector<claim_table::held>& rows) {
  TROUPE_EXPECT(rows.size() > 1, "key", key, "rows", rows.size());
  clash made;
  made.round = ++rounds_;
  made.until = now() + resolver_limit;
  for (std::size_t i = 0; i < 2; ++i) made.between.emplace_back(rows[i].owner, rows[i].what.number);
  clashes_[key] = made;
  spawn_options options;
  options.entry = "troupe.resolver";
  const claim& older = rows[0].what;
  auto started = try_spawn(self_, std::move(options), &ask_resolver, self_.id(), key, made.round, older.resolver,
                           older.name, older.holder, rows[1].what.holder);
  if (!started) clashes_[key].until = now();
}

// Of the two that were compared the loser goes; a third is compared with the winner at the next turn.
void keeper::on_settled(const clash_settled& outcome) {
  auto running = clashes_.find(outcome.key);
  if (running == clashes_.end() || running->second.round != outcome.round) return;
  const auto between = std::move(running->second.between);
  clashes_.erase(running);
  const auto rows =
      service_.with([&](global_service::state& s) { return s.claims.of_members(outcome.key, s.members); });
  if (!outcome.failure.empty()) {
    self_.log().error("a resolver of a global name has failed: the name is removed",
                      {{"name", name_in_key(outcome.key)}, {"reason", outcome.failure}});
  }
  for (const auto& held : rows) {
    const bool compared =
        std::find(between.begin(), between.end(), std::pair(held.owner, held.what.number)) != between.end();
    if (compared && (!outcome.winner || held.what.holder != outcome.winner)) revoke(held, true, outcome.winner);
  }
}

void keeper::revoke_all_but(const std::vector<claim_table::held>& rows, pid winner) {
  for (const auto& held : rows) {
    if (!winner || held.what.holder != winner) revoke(held, true, winner);
  }
}

// Once for each claim: its owner answers by releasing it.
void keeper::revoke(const claim_table::held& loser, bool conflict, pid winner) {
  if (!revoked_.emplace(loser.owner, loser.what.number).second) return;
  const claim_revoked told(loser.what.lock, loser.what.name, loser.what.number, conflict, winner);
  if (loser.owner == me_) return on_revoke(me_, told);
  tell(loser.owner, told);
  look_after(loser.owner);
}

}  // namespace troupe::internal
