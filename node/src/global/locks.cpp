#include <troupe/lock.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <troupe/node.hpp>
#include <troupe/rpc.hpp>

#include "global/messages.hpp"
#include "global/service.hpp"

namespace troupe::lock {

using namespace internal;

namespace {

constexpr duration shortest_look = std::chrono::milliseconds(100);
constexpr duration margin = std::chrono::seconds(1);  // the service ends a wait by itself, and says so

duration longer(duration limit, duration by) { return limit > wait_forever - by ? wait_forever : limit + by; }

// Who waits for whom: for each waiting pid the holders of what it waits for.
using graph = std::map<pid, std::set<pid>>;

graph graph_of(const list& locks, const list& calls) {
  graph out;
  for (const value& one : calls) {
    const pid caller = *one.find("pid")->process();
    if (const pid* called = one.find("to")->process()) out[caller].insert(*called);
  }
  for (const value& one : locks) {
    if (one.text_at("state") != "waits") continue;
    for (const value& other : locks) {
      if (other.text_at("state") == "held" && *other.find("resource") == *one.find("resource")) {
        out[*one.find("pid")->process()].insert(*other.find("pid")->process());
      }
    }
  }
  return out;
}

// Every cycle that begins at its smallest pid, found by walking on from it.
void walk(const graph& waits, pid first, std::vector<pid>& path, std::set<pid>& dead, list& out) {
  auto next = waits.find(path.back());
  if (next == waits.end()) return;
  for (const pid holder : next->second) {
    if (holder == first) {
      list cycle;
      for (const pid p : path) cycle.emplace_back(p);
      out.emplace_back(std::move(cycle));
      return;
    }
    if (holder < first || dead.contains(holder)) continue;
    dead.insert(holder);
    path.push_back(holder);
    walk(waits, first, path, dead, out);
    path.pop_back();
  }
}

list cycles_in(const list& locks, const list& calls) {
  const graph waits = graph_of(locks, calls);
  list out;
  for (const auto& [first, holders] : waits) {
    std::vector<pid> path{first};
    std::set<pid> dead;
    walk(waits, first, path, dead, out);
  }
  return out;
}

bool is_entry(const value& one) {
  const value* holder = one.find("pid");
  return holder && holder->process() && one.find("resource") && one.find("requester");
}

value with_called(value entry, pid called) {
  for (auto& [key, item] : *entry.entries()) {
    if (key == value("to")) item = value(called);
  }
  return entry;
}

using found_calls = std::pair<list, list>;  // and the nodes that have not answered
using place = std::pair<std::string, std::string>;

// A process that a caller named on another node.
std::optional<place> named_place(const value& call) {
  const list* named = call.find("to")->items();
  if (!named || named->size() != 2 || !named->front().text() || !named->back().text()) return std::nullopt;
  return place(*named->back().text(), *named->front().text());
}

// Each place is asked for once, and a node that has been silent no more.
task<list> with_pids(process& self, list calls, time_point until) {
  std::map<place, value> known;
  std::set<std::string> silent;
  for (value& one : calls) {
    const auto where = named_place(one);
    if (!where) continue;
    if (!known.contains(*where) && !silent.contains(where->first) && self.now() < until) {
      const duration left = until - self.now();
      auto holder = co_await rpc::call<value>(self, where->first, "troupe.whereis", where->second).within(left);
      known[*where] = holder ? *holder : value();
      if (!holder && holder.error() != errc::noproc) silent.insert(where->first);
    }
    if (auto at = known.find(*where); at != known.end() && at->second.process()) {
      one = with_called(std::move(one), *at->second.process());
    }
  }
  co_return calls;
}

task<found_calls> all_calls(process& self, std::vector<std::string> nodes, time_point until) {
  found_calls out;
  const duration left = std::max<duration>(until - self.now(), shortest_look);
  const auto answers = co_await rpc::multicall<value>(self, nodes, "troupe.calls").within(left);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i] && answers[i].error() != errc::undef) out.second.emplace_back(nodes[i]);
    if (!answers[i] || !answers[i]->items()) continue;
    for (const value& one : *answers[i]->items()) {
      const value* caller = one.find("pid");
      if (caller && caller->process() && one.find("to")) out.first.push_back(one);
    }
  }
  auto finding = with_pids(self, std::move(out.first), until);
  out.first = co_await std::move(finding);
  co_return out;
}

task<value> seen_everywhere(process& self, duration within, bool with_calls) {
  list locks, calls, missing;
  const time_point until = deadline_after(self.now(), within);
  std::vector<std::string> answering;
  for (const std::string& node : global::members(self.node())) {
    const address to = node == self.node().name() ? address(keeper_name) : address(keeper_name, node);
    locks_asked asked;
    const duration left = std::max<duration>(until - self.now(), shortest_look);
    auto got = co_await call<value>(self, to, std::move(asked)).within(left);
    if (!got || !got->items()) {
      missing.emplace_back(node);
      continue;
    }
    answering.push_back(node);
    for (value& one : *got->items()) {
      if (is_entry(one)) locks.push_back(std::move(one));
    }
  }
  if (with_calls) {
    auto asking = all_calls(self, std::move(answering), until);
    found_calls found = co_await std::move(asking);
    calls = std::move(found.first);
    missing.insert(missing.end(), found.second.begin(), found.second.end());
  }
  // Who waits for a lock does so in a call of the keeper.
  std::erase_if(calls, [&](const value& one) {
    return std::ranges::any_of(locks, [&](const value& each) {
      return each.text_at("state") == "waits" && *each.find("pid") == *one.find("pid");
    });
  });
  map out{{value("locks"), value(locks)},
          {value("cycles"), value(cycles_in(locks, calls))},
          {value("missing"), value(std::move(missing))}};
  if (with_calls) out.emplace_back(value("calls"), value(std::move(calls)));
  co_return value(std::move(out));
}

}  // namespace

task<result<std::int64_t>> set_lock(process& self, id what, duration within) {
  const bool endless = within == wait_forever;
  const std::int64_t us = std::max<std::int64_t>(within / std::chrono::microseconds(1), within > duration::zero());
  lock_asked asked(what.resource(), what.requester(), endless ? -1 : us);
  const duration patience = us == 0 ? default_call_time + margin : longer(within, margin);
  auto got = co_await call<std::int64_t>(self, keeper_name, std::move(asked)).within(patience);
  // Should it have been given while this process did not look, nobody would give it back.
  if (!got && got.error() == errc::timeout) self.send(keeper_name, unlock_asked(what.resource(), what.requester()));
  co_return got;
}

task<result<bool>> del_lock(process& self, id what) {
  unlock_asked asked(what.resource(), what.requester());
  auto got = co_await call<bool>(self, keeper_name, std::move(asked));
  co_return got;
}

void guard::release() noexcept {
  if (process* holder = std::exchange(self_, nullptr)) {
    holder->send(keeper_name, unlock_asked(what_.resource(), what_.requester()));
  }
}

task<result<guard>> acquire(process& self, value resource, duration within) {
  id what(std::move(resource), value(self.id()));
  auto asking = set_lock(self, what, within);
  auto fence = co_await std::move(asking);
  if (!fence) co_return result<guard>(fence.error());
  co_return result<guard>(std::in_place, self, std::move(what), *fence);
}

task<value> survey(process& self, duration within) { return seen_everywhere(self, within, false); }
task<value> waits(process& self, duration within) { return seen_everywhere(self, within, true); }

}  // namespace troupe::lock
