#pragma once
// The groups of one node: the table that everybody reads, and the process `troupe.groups` that tells others of it.
//
// Design notes
// * Each node tells of its own processes, nobody of others' (no merging, no lock, not transitive). A connection begins
//   with `discover` for each scope in both directions; who has the scope answers with all that it holds (`sync`), and
//   with every change from then on. A sync replaces what was known, so telling too much is harmless.
// * The table changes under one mutex, by whoever joins; under the same mutex the change is delivered to who monitors
//   it, and put into the process's mailbox for the other nodes. So a snapshot and the changes behind it have no gap,
//   and all nodes hear of a node's changes in the order in which they happened.
// * The process never parks: what one slow node does not take now is made good by a whole sync later.
// * What a lost node had goes on the bus's loop, before DOWN and `nodedown` (peer_watcher). Messages of the lost
//   connection that still wait are void: each connection has a number, and the process compares.
// * If the process is killed the next one begins where the table stands: it watches everybody anew and discovers.
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "dist/distribution.hpp"
#include "global/group_messages.hpp"
#include "global/group_table.hpp"
#include "runtime/core.hpp"

namespace troupe::internal {

inline constexpr const char* groups_name = "troupe.groups";
inline constexpr const char* groups_feature = "groups";  // of nodes that take part, told in the handshake

// Owner: its core. Thread-safe.
class group_service final : public detail::service, private peer_watcher {
 public:
  explicit group_service(detail::core& core);
  ~group_service() override;
  [[nodiscard]] result<void> start();
  void stop(time_point deadline) override;

  struct subscription {
    pid who;
    std::string scope;
    std::string group;  // its key; empty: the whole scope
  };
  struct state {
    std::map<std::string, group_table, std::less<>> scopes;
    std::map<std::uint64_t, subscription> subscriptions;  // by the monitor's id
    std::map<pid, std::set<std::uint64_t>> subscribers;
    std::map<std::string, std::uint64_t> sessions;  // of connected members, by member id
    std::uint64_t version = 0;                      // of what this node's processes have joined
  };
  template <class Use>
  auto with(Use use) {
    std::lock_guard lock(mutex_);
    return use(state_);
  }

  [[nodiscard]] result<void> start_scope(std::string_view scope);
  [[nodiscard]] result<void> join(std::string_view scope, const value& group, const std::vector<pid>& members);
  [[nodiscard]] result<void> leave(std::string_view scope, const value& group, const std::vector<pid>& members);
  [[nodiscard]] result<void> create(std::string_view scope, const value& group, bool there);
  // The snapshot is taken by `look` at the moment from which on `who` is told.
  [[nodiscard]] result<void> subscribe(pid who, ref monitor, std::string_view scope, const value* group,
                                       const std::function<void(const group_table&)>& look);
  bool unsubscribe(pid who, ref monitor);

  // -- for the process
  void process_gone(pid who);
  // False: that connection is not the one that is up.
  [[nodiscard]] bool live(const std::string& id, std::uint64_t session);
  void heard_sync(const std::string& id, const groups_sync& all);
  void heard_change(const std::string& id, const groups_changed& one);
  void give_to_members(process& self, const groups_cast& cast);
  struct snapshot {
    bool there = false;
    std::uint64_t version = 0;
    std::vector<std::pair<value, std::vector<pid>>> groups;
    std::vector<value> created;
  };
  [[nodiscard]] snapshot whole(const std::string& scope);  // of this node's processes
  [[nodiscard]] std::vector<std::string> scopes();
  [[nodiscard]] std::vector<pid> watched();  // who has joined or subscribed
  void respawn();
  void adopt(pid keeper);  // from now on the process is this one; it is told of all connections
  [[nodiscard]] detail::core& core() const noexcept { return core_; }

 private:
  void peer_up(const peer_event& who) override;
  void peer_down(const peer_event& who, const error& reason) override;
  template <class M>
  void post(M what);  // to the process
  void tell(const std::string& scope, bool joined, const value& group, const std::vector<pid>& members);
  [[nodiscard]] group_table* find(std::string_view scope);
  void post_change(const std::string& scope, const char* what, const value& group, const std::vector<pid>& members);
  void watch(const std::vector<pid>& who);

  detail::core& core_;
  pid keeper_;
  distribution* network_ = nullptr;
  std::uint64_t session_ = 0;
  bool stopping_ = false;
  std::mutex mutex_;
  state state_;
};

// Attached to the core, when its network has been started.
[[nodiscard]] result<group_service*> start_groups(node& where);

}  // namespace troupe::internal
