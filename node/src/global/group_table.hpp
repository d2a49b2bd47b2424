#pragma once
// The groups of one scope, as one node knows them. No thread, no clock, no network: the service's mutex guards it.
#include <map>
#include <set>
#include <string>
#include <vector>

#include <troupe/value.hpp>

namespace troupe::internal {

// How a group is found: its name as text that tells 1 and 1.0 apart.
[[nodiscard]] std::string group_key(const value& group);

class group_table {
 public:
  struct group_state {
    value name;
    bool created = false;
    std::vector<pid> local;                             // as often as it has joined, in that order
    std::map<std::string, std::vector<pid>> elsewhere;  // by member id of the node
    [[nodiscard]] bool empty() const noexcept { return !created && local.empty() && elsewhere.empty(); }
    [[nodiscard]] std::vector<pid> members() const;
  };

  [[nodiscard]] const group_state* find(const value& group) const;
  [[nodiscard]] const std::map<std::string, group_state, std::less<>>& all() const noexcept { return groups_; }

  // -- of this node
  void join(const value& group, const std::vector<pid>& members);
  // Those that were there.
  std::vector<pid> leave(const value& group, const std::vector<pid>& members);
  // All memberships of one: each group, with it as often as it was there.
  std::vector<std::pair<value, std::vector<pid>>> gone(pid member);
  [[nodiscard]] std::vector<pid> local_processes() const;
  [[nodiscard]] std::vector<std::pair<value, std::vector<pid>>> local_groups() const;
  [[nodiscard]] bool has_local(pid member) const { return by_process_.contains(member); }

  // -- of other nodes
  void join_elsewhere(const std::string& node, const value& group, const std::vector<pid>& members);
  std::vector<pid> leave_elsewhere(const std::string& node, const value& group, const std::vector<pid>& members);
  // All that a node had.
  std::vector<std::pair<value, std::vector<pid>>> purge(const std::string& node);
  // The nodes that have members of it.
  [[nodiscard]] std::vector<std::string> nodes_of(const value& group) const;

  // False: nothing new.
  bool create(const value& group);
  bool uncreate(const value& group);
  [[nodiscard]] std::vector<value> created() const;

 private:
  using groups = std::map<std::string, group_state, std::less<>>;
  group_state& at(const value& group);
  [[nodiscard]] groups::iterator known(const std::string& key);
  void drop_empty(groups::iterator at);

  groups groups_;
  std::map<pid, std::map<std::string, std::size_t>> by_process_;  // of this node: group -> how often
  std::map<std::string, std::set<std::string>> by_node_;          // of others: their groups
};

}  // namespace troupe::internal
