#pragma once
// Groups of processes of the whole cluster (OTP's pg): anybody of a node joins its own processes, everybody sees all.
//     troupe::group::join(self, "todo", self.id()).or_exit();
//     for (troupe::pid one : troupe::group::members(self, "todo")) …
//     auto one = troupe::group::closest(self, "todo");                  // of this node if there is any
//     troupe::group::broadcast(self, "todo", Refresh("today"));         // one copy for each node
// Strongly eventual: every node tells those that it is connected to what its own processes have joined, and nobody
// else does, so there is no lock and nothing to agree on. What a call reads is what this node knows now, without a
// message. Members of a node that is lost are gone before `nodedown` and DOWN tell of it, and back when it is
// connected again. A group's name is any value; a group without members is not there, unless it was created.
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/node.hpp>
#include <troupe/process.hpp>

namespace troupe::group {

// Overlays that know nothing of each other. The default one is always there; another is on every node that starts it,
// and between those alone.
inline constexpr std::string_view default_scope = "pg";
// Again: nothing happens. errc: bad_name, system_limit (1,000 scopes).
result<void> start_scope(node& where, std::string_view scope);
[[nodiscard]] std::vector<std::string> scopes(const node& where);

// Of this node alone, and a member as often as it has joined. errc: noproc (it has ended), not_allowed (of another
// node), not_found (no such scope here), unsupported (a node without groups).
result<void> join(process& self, const value& group, pid member, std::string_view scope = default_scope);
// All or none.
result<void> join(process& self, const value& group, const std::vector<pid>& members,
                  std::string_view scope = default_scope);
// Once each. errc::not_found: none of them had joined.
result<void> leave(process& self, const value& group, pid member, std::string_view scope = default_scope);
result<void> leave(process& self, const value& group, const std::vector<pid>& members,
                   std::string_view scope = default_scope);

// A group that stays without members (pg2:create, delete), on every node that hears of it; what one side of a partition
// has deleted returns with the heal. Its deletion leaves its members, and it, alone while there are any.
result<void> create(process& self, const value& group, std::string_view scope = default_scope);
result<void> remove(process& self, const value& group, std::string_view scope = default_scope);

// This node's members first, in the order of their joining; then by node.
[[nodiscard]] std::vector<pid> members(const node& where, const value& group, std::string_view scope = default_scope);
[[nodiscard]] std::vector<pid> local_members(const node& where, const value& group,
                                             std::string_view scope = default_scope);
// Those with members, and those created; sorted.
[[nodiscard]] std::vector<value> which_groups(const node& where, std::string_view scope = default_scope);
[[nodiscard]] std::vector<value> which_local_groups(const node& where, std::string_view scope = default_scope);
// Does the group have members, or was it created?
[[nodiscard]] bool exists(const node& where, const value& group, std::string_view scope = default_scope);
// A member of this node, else one of another, at random.
[[nodiscard]] std::optional<pid> closest(const node& where, const value& group, std::string_view scope = default_scope);

[[nodiscard]] inline std::vector<pid> members(const process& self, const value& group,
                                              std::string_view scope = default_scope) {
  return members(self.node(), group, scope);
}
[[nodiscard]] inline std::vector<pid> local_members(const process& self, const value& group,
                                                    std::string_view scope = default_scope) {
  return local_members(self.node(), group, scope);
}
[[nodiscard]] inline std::vector<value> which_groups(const process& self, std::string_view scope = default_scope) {
  return which_groups(self.node(), scope);
}
[[nodiscard]] inline std::vector<value> which_local_groups(const process& self,
                                                           std::string_view scope = default_scope) {
  return which_local_groups(self.node(), scope);
}
[[nodiscard]] inline std::optional<pid> closest(const process& self, const value& group,
                                                std::string_view scope = default_scope) {
  return closest(self.node(), group, scope);
}

// -- what changes from now on. `self` gets {monitor, "join" | "leave", group, {pid, …}} for each change after the
// snapshot, without a gap and without one that the snapshot has already. Ends with `self`.
struct group_monitor {
  ref monitor;
  std::vector<pid> members;
};
struct scope_monitor {
  ref monitor;
  std::vector<std::pair<value, std::vector<pid>>> groups;
};
// errc: not_found (no such scope here), unsupported.
[[nodiscard]] result<group_monitor> monitor(process& self, const value& group, std::string_view scope = default_scope);
[[nodiscard]] result<scope_monitor> monitor_scope(process& self, std::string_view scope = default_scope);
// No change comes afterwards, not even one already waiting. False: there was no such monitor.
[[nodiscard]] task<bool> demonitor(process& self, ref monitor);

struct change {
  ref monitor;
  bool joined = false;  // else left
  value group;
  std::vector<pid> members;
};
// What a message says, if it is one of those.
[[nodiscard]] std::optional<change> change_in(const message& received);

// To every member once. What is sent to another node is one copy, given to the members that it has when it arrives
// there; its order with what `self` sends to these by other ways is not kept. How many nodes it went to, with this one.
std::size_t broadcast_value(process& self, const value& group, value content, std::string_view scope = default_scope);
template <class T>
std::size_t broadcast(process& self, const value& group, T&& content, std::string_view scope = default_scope) {
  return broadcast_value(self, group, detail::as_message(std::forward<T>(content)).to_value(), scope);
}

// {{scope =, name =, members = {pid, …}, created =}, …} for tools.
[[nodiscard]] value list_groups(const node& where, std::optional<std::string_view> scope = std::nullopt);

}  // namespace troupe::group
