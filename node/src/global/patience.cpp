// How the waits of this node's processes end that nobody's answer ends.
#include <algorithm>

#include "global/keeper.hpp"

namespace troupe::internal {

namespace {

// An arbiter that runs answers at once; these leave it time on a machine that is busy.
constexpr duration ask_after = std::chrono::seconds(2), answer_within = std::chrono::seconds(3);

}  // namespace

void keeper::fail(pending late, error why) {
  deadlines_.erase({late.deadline, late.ask.id});
  unwatch(late.ask.holder);
  withdraw(late);
  self_.reply_error(late.call, std::move(why));
}

void keeper::expire() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now()) {
    const std::uint64_t id = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    auto found = pending_.find(id);
    if (found == pending_.end()) continue;
    pending late = std::move(found->second);
    pending_.erase(found);
    error why(errc::timeout, late.ask.text() + " was not given in time");
    fail(std::move(late), std::move(why));
  }
}

void keeper::look_after(const std::string& arbiter) { questions_.try_emplace(arbiter, question{now() + ask_after}); }

void keeper::question_arbiters() {
  std::vector<std::string> silent;
  for (auto each = questions_.begin(); each != questions_.end();) {
    auto& [arbiter, one] = *each;
    if (one.due > now()) {
      ++each;
      continue;
    }
    const bool waits = std::ranges::any_of(pending_, [&](const auto& p) { return p.second.arbiter == arbiter; });
    if (waits && one.round == 0) {
      one = {now() + answer_within, ++rounds_};
      tell(arbiter, arbiter_questioned(one.round));
      ++each;
      continue;
    }
    if (waits) silent.push_back(arbiter);
    each = questions_.erase(each);
  }
  for (const std::string& arbiter : silent) give_up(arbiter);
}

void keeper::give_up(const std::string& arbiter) {
  std::vector<pending> late;
  for (auto each = pending_.begin(); each != pending_.end();) {
    if (each->second.arbiter != arbiter) {
      ++each;
      continue;
    }
    late.push_back(std::move(each->second));
    each = pending_.erase(each);
  }
  const std::string node(member_name(arbiter));
  self_.log().warning("the process of another node that decides on global names and locks does not answer",
                      {{"node", node}, {"given_up", late.size()}});
  for (pending& one : late) {
    error why(errc::timeout, one.ask.text() + ": " + keeper_name + " of " + node + ", which decides, does not answer");
    fail(std::move(one), std::move(why));
  }
}

void keeper::on_question(const std::string& from, const arbiter_questioned& asked) {
  tell(from, arbiter_answered(asked.round));
}

void keeper::on_answer(const std::string& from, const arbiter_answered& told) {
  auto found = questions_.find(from);
  if (found != questions_.end() && found->second.round == told.round) found->second = {now() + ask_after};
}

}  // namespace troupe::internal
