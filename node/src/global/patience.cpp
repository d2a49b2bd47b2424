// How the waits of this node's processes end that nobody's answer ends.
#include <algorithm>

#include "global/keeper.hpp"

namespace troupe::internal {

namespace {

// A keeper that runs answers at once; these leave it time on a machine that is busy.
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

void keeper::look_after(const std::string& id) {
  if (id != me_) questions_.try_emplace(id, question{now() + ask_after});
}

// The keeper of the process's node answers the caller by itself.
void keeper::pass_on(message&& call, const register_asked& asked) {
  const std::string to = member_id(asked.process);
  passed_.push_back({to, call.from(), call.peek()->id, "the global name " + asked.name.print(4, 100)});
  self_.send(address(keeper_name, std::string(asked.process.node())), std::move(call));
  look_after(to);
}

bool keeper::waits_for(const std::string& id) {
  auto* network = self_.core().find<distribution>();
  std::erase_if(passed_, [&](const passed& one) {
    return one.to == id && !(network && network->awaits(std::string(member_name(id)), one.caller, one.call));
  });
  return std::ranges::any_of(passed_, [&](const passed& one) { return one.to == id; }) ||
         std::ranges::any_of(pending_, [&](const auto& one) { return one.second.arbiter == id; }) ||
         std::ranges::any_of(queues_, [&](const auto& queue) {
           return std::ranges::any_of(queue.second,
                                      [&](const queued& q) { return !q.ask.lock && blocked_by(queue.first, q) == id; });
         });
}

void keeper::question_silent() {
  std::vector<std::string> silent;
  for (auto each = questions_.begin(); each != questions_.end();) {
    auto& [id, one] = *each;
    if (one.due > now()) {
      ++each;
      continue;
    }
    const bool waits = waits_for(id);
    if (waits && one.round == 0) {
      one = {now() + answer_within, ++rounds_};
      tell(id, member_questioned(one.round));
      ++each;
      continue;
    }
    if (waits) silent.push_back(id);
    each = questions_.erase(each);
  }
  for (const std::string& id : silent) give_up(id);
}

void keeper::give_up(const std::string& id) {
  const std::string node(member_name(id));
  std::vector<pending> late;
  for (auto each = pending_.begin(); each != pending_.end();) {
    if (each->second.arbiter != id) {
      ++each;
      continue;
    }
    late.push_back(std::move(each->second));
    each = pending_.erase(each);
  }
  std::vector<passed> over;
  std::erase_if(passed_, [&](passed& one) {
    if (one.to != id) return false;
    over.push_back(std::move(one));
    return true;
  });
  std::vector<queued> blocked;
  for (auto& [key, queue] : queues_) {
    std::erase_if(queue, [&, &key = key](queued& q) {
      if (q.ask.lock || blocked_by(key, q) != id) return false;
      blocked.push_back(std::move(q));
      return true;
    });
  }
  std::erase_if(queues_, [](const auto& one) { return one.second.empty(); });
  self_.log().warning("the process that keeps global names and locks on another node does not answer",
                      {{"node", node}, {"given_up", late.size() + over.size() + blocked.size()}});
  for (pending& one : late) {
    error why(errc::timeout, one.ask.text() + ": " + keeper_name + " of " + node + ", which decides, does not answer");
    fail(std::move(one), std::move(why));
  }
  for (const queued& one : blocked) refuse(one, pid(), node);
  for (const passed& one : over) {
    error why(errc::timeout,
              one.text + ": " + keeper_name + " of " + node + ", where the process lives, does not answer");
    self_.core().find<distribution>()->abandon(node, one.caller, one.call);
    self_.core().answer_call(one.caller, one.call, std::move(why.set_maybe_executed(true)));
  }
}

void keeper::on_question(const std::string& from, const member_questioned& asked) {
  tell(from, member_answered(asked.round));
}

void keeper::on_answer(const std::string& from, const member_answered& told) {
  auto found = questions_.find(from);
  if (found != questions_.end() && found->second.round == told.round) found->second = {now() + ask_after};
}

}  // namespace troupe::internal
