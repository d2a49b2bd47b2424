#pragma once
// The process `troupe.groups`: tells the other nodes what this node's processes have joined, and hears of theirs.
#include <atomic>
#include <map>
#include <memory>
#include <set>

#include "global/group_service.hpp"

namespace troupe::internal {

// Starts the next process when this one goes, however it goes; but not when it could not even be started.
class group_keeper_guard {
 public:
  enum state : int { starting, running, gone };
  group_keeper_guard(group_service* service, std::shared_ptr<std::atomic<int>> life) noexcept
      : service_(service), life_(std::move(life)) {}
  group_keeper_guard(group_keeper_guard&&) noexcept = default;
  group_keeper_guard& operator=(group_keeper_guard&&) = delete;
  ~group_keeper_guard() {
    if (life_ && life_->exchange(gone) == running) service_->respawn();
  }

 private:
  group_service* service_;
  std::shared_ptr<std::atomic<int>> life_;
};

[[nodiscard]] task<> keep_groups(process& self, group_service* service, group_keeper_guard guard);

// Owner, thread, lifetime: the process.
class group_keeper {
 public:
  group_keeper(process& self, group_service& service);
  void take(message& got);
  void turn();  // after each message, and when something is due
  [[nodiscard]] duration wait() const;

 private:
  static constexpr duration retry_after = std::chrono::milliseconds(50);

  // A scope that the other node has too.
  struct shared {
    pid keeper;                 // who has asked for it
    std::uint64_t version = 0;  // of what it was told
    bool behind = false;        // it did not take something: the whole is due
  };
  struct peer {
    std::uint64_t session = 0;
    std::map<std::string, shared> scopes;
    std::map<std::string, groups_sync> arriving;  // in parts
  };

  void on_peer(const groups_peer& note);
  void on_tell(const groups_tell& what);
  void on_discover(const std::string& id, peer& of, pid sender, const groups_discover& ask);
  void on_sync(const std::string& id, peer& of, groups_sync& part);
  void discover(const std::string& id, const std::string& scope, bool back);
  void sync(const std::string& id, const std::string& scope, shared& to);
  void watch(pid who);
  template <class M>
  bool send(const std::string& id, M what);  // false: later

  process& self_;
  group_service& service_;
  std::map<std::string, peer> peers_;
  std::set<pid> watched_;
  time_point retry_ = time_point::max();
};

}  // namespace troupe::internal
