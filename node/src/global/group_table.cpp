#include "global/group_table.hpp"

#include <algorithm>

#include <troupe/codec.hpp>
#include <troupe/expect.hpp>

namespace troupe::internal {
namespace {

// One occurrence of each of `gone`; those that were there.
std::vector<pid> take_out(std::vector<pid>& from, const std::vector<pid>& gone) {
  std::vector<pid> out;
  for (const pid one : gone) {
    const auto found = std::ranges::find(from, one);
    if (found == from.end()) continue;
    from.erase(found);
    out.push_back(one);
  }
  return out;
}

}  // namespace

// What is shown, so that groups are listed in that order, and what tells apart values that look the same.
std::string group_key(const value& group) {
  const bytes exact = to_wire(group);
  std::string out = group.print(100, static_cast<std::size_t>(-1)) + '\n';
  return out.append(reinterpret_cast<const char*>(exact.data()), exact.size());
}

std::vector<pid> group_table::group_state::members() const {
  std::vector<pid> out = local;
  for (const auto& [node, there] : elsewhere) out.insert(out.end(), there.begin(), there.end());
  return out;
}

const group_table::group_state* group_table::find(const value& group) const {
  const auto found = groups_.find(group_key(group));
  return found == groups_.end() ? nullptr : &found->second;
}

group_table::group_state& group_table::at(const value& group) {
  group_state& out = groups_[group_key(group)];
  out.name = group;
  return out;
}

// Of a key that a table beside it has: of a process, of a node.
group_table::groups::iterator group_table::known(const std::string& key) {
  const auto found = groups_.find(key);
  TROUPE_EXPECT(found != groups_.end(), "group", key, "groups", groups_.size());
  return found;
}

void group_table::drop_empty(groups::iterator at) {
  if (at->second.empty()) groups_.erase(at);
}

// -- of this node

void group_table::join(const value& group, const std::vector<pid>& members) {
  const std::string key = group_key(group);
  group_state& to = at(group);
  for (const pid one : members) {
    to.local.push_back(one);
    ++by_process_[one][key];
  }
}

std::vector<pid> group_table::leave(const value& group, const std::vector<pid>& members) {
  const std::string key = group_key(group);
  const auto found = groups_.find(key);
  if (found == groups_.end()) return {};
  std::vector<pid> out = take_out(found->second.local, members);
  for (const pid one : out) {
    const auto mine = by_process_.find(one);
    TROUPE_EXPECT(mine != by_process_.end(), "group", key, "process", one.id());
    const auto times = mine->second.find(key);
    TROUPE_EXPECT(times != mine->second.end() && times->second > 0, "group", key, "process", one.id());
    if (--times->second == 0) mine->second.erase(times);
    if (mine->second.empty()) by_process_.erase(mine);
  }
  drop_empty(found);
  return out;
}

std::vector<std::pair<value, std::vector<pid>>> group_table::gone(pid member) {
  std::vector<std::pair<value, std::vector<pid>>> out;
  const auto mine = by_process_.find(member);
  if (mine == by_process_.end()) return out;
  for (const auto& [key, times] : mine->second) {
    const auto found = known(key);
    const std::size_t erased = std::erase(found->second.local, member);
    TROUPE_EXPECT(erased == times, "group", key, "process", member.id(), "erased", erased, "times", times);
    out.emplace_back(found->second.name, std::vector<pid>(times, member));
    drop_empty(found);
  }
  by_process_.erase(mine);
  return out;
}

std::vector<pid> group_table::local_processes() const {
  std::vector<pid> out;
  for (const auto& [one, groups] : by_process_) out.push_back(one);
  return out;
}

std::vector<std::pair<value, std::vector<pid>>> group_table::local_groups() const {
  std::vector<std::pair<value, std::vector<pid>>> out;
  for (const auto& [key, one] : groups_) {
    if (!one.local.empty()) out.emplace_back(one.name, one.local);
  }
  return out;
}

// -- of other nodes

void group_table::join_elsewhere(const std::string& node, const value& group, const std::vector<pid>& members) {
  if (members.empty()) return;
  auto& there = at(group).elsewhere[node];
  there.insert(there.end(), members.begin(), members.end());
  by_node_[node].insert(group_key(group));
}

std::vector<pid> group_table::leave_elsewhere(const std::string& node, const value& group,
                                              const std::vector<pid>& members) {
  const std::string key = group_key(group);
  const auto found = groups_.find(key);
  if (found == groups_.end()) return {};
  const auto there = found->second.elsewhere.find(node);
  if (there == found->second.elsewhere.end()) return {};
  std::vector<pid> out = take_out(there->second, members);
  if (there->second.empty()) {
    found->second.elsewhere.erase(there);
    const auto of = by_node_.find(node);
    TROUPE_EXPECT(of != by_node_.end(), "group", key, "node", node);
    of->second.erase(key);
    if (of->second.empty()) by_node_.erase(of);
  }
  drop_empty(found);
  return out;
}

std::vector<std::pair<value, std::vector<pid>>> group_table::purge(const std::string& node) {
  std::vector<std::pair<value, std::vector<pid>>> out;
  const auto of = by_node_.find(node);
  if (of == by_node_.end()) return out;
  for (const std::string& key : of->second) {
    const auto found = known(key);
    const auto there = found->second.elsewhere.find(node);
    TROUPE_EXPECT(there != found->second.elsewhere.end(), "group", key, "node", node);
    out.emplace_back(found->second.name, std::move(there->second));
    found->second.elsewhere.erase(there);
    drop_empty(found);
  }
  by_node_.erase(of);
  return out;
}

std::vector<std::string> group_table::nodes_of(const value& group) const {
  std::vector<std::string> out;
  if (const group_state* found = find(group)) {
    for (const auto& [node, there] : found->elsewhere) out.push_back(node);
  }
  return out;
}

// -- without members

bool group_table::create(const value& group) {
  group_state& to = at(group);
  return !std::exchange(to.created, true);
}

bool group_table::uncreate(const value& group) {
  const auto found = groups_.find(group_key(group));
  if (found == groups_.end() || !std::exchange(found->second.created, false)) return false;
  drop_empty(found);
  return true;
}

std::vector<value> group_table::created() const {
  std::vector<value> out;
  for (const auto& [key, one] : groups_) {
    if (one.created) out.push_back(one.name);
  }
  return out;
}

}  // namespace troupe::internal
