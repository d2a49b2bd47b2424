#include "observe/registry_watch.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include <troupe/global.hpp>
#include <troupe/group.hpp>
#include <troupe/node.hpp>

#include "global/service.hpp"
#include "runtime/core.hpp"

namespace troupe::internal {
namespace {

constexpr std::size_t most_in_a_message = 500;
constexpr duration shortest_interval = std::chrono::milliseconds(10);

struct plan {
  pid to;
  bool local = false, global = false, groups = false, locks = false;
  duration interval{};
};

error wrong(const std::string& what) { return {errc::bad_argument, "registry_watch: " + what}; }

result<plan> plan_of(const value& given) {
  plan out;
  const value* to = given.find("to");
  if (!to || !to->process() || !*to->process()) return wrong("to: the pid that reads is missing");
  out.to = *to->process();
  out.interval = std::chrono::milliseconds(given.integer_at("interval_ms", 250));
  if (out.interval < shortest_interval) return wrong("interval_ms: 10 at least");
  const value* kinds = given.find("kinds");
  if (!kinds || !kinds->items()) return wrong("kinds: a list of local, global, groups, locks expected");
  for (const value& one : *kinds->items()) {
    if (one == value("local")) out.local = true;
    else if (one == value("global")) out.global = true;
    else if (one == value("groups")) out.groups = true;
    else if (one == value("locks")) out.locks = true;
    else return wrong("this node knows local, global, groups and locks; asked for " + one.print(2, 80));
  }
  return out;
}

// What is compared: a key of its own for each holding, and what is told of it.
using holdings = std::map<std::string, value>;

void put(holdings& to, value what) {
  std::string key = what.print(100, static_cast<std::size_t>(-1));
  to.emplace(std::move(key), std::move(what));
}

value holding(const char* kind, value name, pid holder) {
  return map_of({{"kind", kind}, {"name", std::move(name)}, {"pid", holder}, {"node", std::string(holder.node())}});
}

holdings held_now(const process& self, const plan& wanted) {
  holdings out;
  if (wanted.local) {
    for (const auto& [name, holder] : self.core().registered()) put(out, holding("local", value(name), holder));
  }
  if (wanted.global) {
    for (auto& [name, holder] : global::registered_names(self)) put(out, holding("global", std::move(name), holder));
  }
  auto* names = wanted.locks ? self.core().find<global_service>() : nullptr;
  if (names) {
    for (auto& one : names->held(true)) {
      value shown = holding("locks", one.what.name, one.what.holder);
      shown.entries()->emplace_back(value("requester"), one.what.requester);
      shown.entries()->emplace_back(value("fence"), value(one.what.fence));
      put(out, std::move(shown));
    }
  }
  return out;
}

// Owner and thread: the watching process.
class watching {
 public:
  watching(process& self, plan wanted) : self_(self), wanted_(std::move(wanted)) {}

  void begin() {
    self_.monitor(wanted_.to);
    held_ = held_now(self_, wanted_);
    std::size_t known = held_.size();
    if (wanted_.groups) {
      const auto scopes = group::scopes(self_.node());
      for (const std::string& scope : scopes) known += watch_scope(scope, false);
    }
    self_.send(wanted_.to, registry_watched(static_cast<std::int64_t>(known)));
  }

  // Compares with what was there the last time, and watches scopes that are new.
  void look() {
    holdings now = held_now(self_, wanted_);
    // First what is gone: a name that moved is free before it is taken.
    for (const auto& [key, what] : held_) {
      if (!now.contains(key)) add(what, what.text_at("kind") == "locks" ? "freed" : "unregistered");
    }
    for (const auto& [key, what] : now) {
      if (!held_.contains(key)) add(what, what.text_at("kind") == "locks" ? "taken" : "registered");
    }
    held_ = std::move(now);
    if (wanted_.groups) {
      const auto scopes = group::scopes(self_.node());
      for (const std::string& scope : scopes) {
        if (std::ranges::none_of(scopes_, [&](const auto& one) { return one.second == scope; })) {
          static_cast<void>(watch_scope(scope, true));
        }
      }
    }
    tell();
  }

  void take(const group::change& change) {
    const auto scope = scopes_.find(change.monitor);
    if (scope == scopes_.end()) return;
    add_members(scope->second, change.group, change.members, change.joined ? "joined" : "left");
    tell();
  }

 private:
  std::size_t watch_scope(const std::string& scope, bool members_are_new) {
    auto watch = group::monitor_scope(self_, scope);
    if (!watch) return 0;
    scopes_.emplace(watch->monitor, scope);
    std::size_t count = 0;
    for (const auto& [group, members] : watch->groups) {
      count += members.size();
      if (members_are_new) add_members(scope, group, members, "joined");
    }
    return count;
  }

  void add_members(const std::string& scope, const value& group, const std::vector<pid>& members, const char* what) {
    for (const pid one : members) {
      value shown = holding("groups", group, one);
      shown.entries()->emplace_back(value("scope"), value(scope));
      add(shown, what);
    }
  }

  void add(const value& held, const char* what) {
    map shown;
    shown.emplace_back(value("kind"), *held.find("kind"));
    shown.emplace_back(value("what"), value(what));
    for (const auto& [key, item] : *held.entries()) {
      if (key != value("kind")) shown.emplace_back(key, item);
    }
    changes_.emplace_back(std::move(shown));
    if (changes_.size() == most_in_a_message) tell();
  }

  void tell() {
    if (changes_.empty()) return;
    self_.send(wanted_.to, registry_changes(std::exchange(changes_, {})));
  }

  process& self_;
  plan wanted_;
  holdings held_;
  std::map<ref, std::string> scopes_;  // by their monitors
  std::vector<value> changes_;
};

}  // namespace

task<> registry_watch(process& self, value given) {
  plan wanted = plan_of(given).or_exit();
  const duration interval = wanted.interval;
  watching all(self, std::move(wanted));
  all.begin();
  time_point next = self.now() + interval;
  for (;;) {
    auto got = co_await self.receive(std::max(duration::zero(), duration(next - self.now())));
    if (got && got->get<down>()) co_return;
    if (const auto change = got ? group::change_in(*got) : std::nullopt) all.take(*change);
    if (self.now() < next) continue;
    all.look();
    next = self.now() + interval;
  }
}

}  // namespace troupe::internal
