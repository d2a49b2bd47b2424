#pragma once
// Global names and locks of one node: the replica that everybody reads, and the process `troupe.global` that keeps it.
#include <mutex>

#include "dist/distribution.hpp"
#include "global/claims.hpp"
#include "global/view_watch.hpp"
#include "runtime/core.hpp"

namespace troupe::internal {

inline constexpr const char* keeper_name = detail::name_keeper;
inline constexpr const char* global_feature = "global";  // of nodes that take part, told in the handshake

// Owner: its core. Thread-safe: one mutex guards who is here and what is held. The hooks of peer_watcher come on the
// bus's loop: they purge at once and leave the rest to the keeper.
class global_service final : public detail::service, public detail::name_directory, private peer_watcher {
 public:
  explicit global_service(detail::core& core);
  ~global_service() override;
  [[nodiscard]] result<void> start();

  // The replica's answer, without network. errc::noproc when it has none.
  [[nodiscard]] result<pid> whereis(std::string_view key) override;
  // Who decides a key; empty: this node.
  [[nodiscard]] std::string arbiter_node(const std::string& key);
  [[nodiscard]] std::vector<claim_table::held> held(bool locks);  // in key order, of members
  [[nodiscard]] std::vector<std::string> members();               // names of nodes
  [[nodiscard]] bool agreed();                                    // the view is confirmed and nothing clashes
  [[nodiscard]] value info();
  [[nodiscard]] std::vector<view_watch::difference> view_differences();

  // -- for the keeper
  struct state {
    explicit state(membership who) : members(std::move(who)) {}
    membership members;
    claim_table claims;
    view_watch views;
    std::map<std::string, std::uint64_t> sessions;  // of connected members
    // What the keeper is busy with: asks of this node's processes; keys that it decides and that are waited for, that
    // it has given and that are not claimed yet; claims that are being settled.
    std::size_t asking = 0, queued = 0, granting = 0, settling = 0;
  };
  template <class Use>
  auto with(Use use) {
    std::lock_guard lock(mutex_);
    return use(state_);
  }
  void probe(const std::string& id);
  void reach(std::vector<std::string> names);
  [[nodiscard]] detail::core& core() const noexcept { return core_; }
  [[nodiscard]] const std::string& self() const noexcept { return self_; }

 private:
  void peer_up(const peer_event& who) override;
  void peer_down(const peer_event& who, const error& reason) override;
  void note(const std::string& id, std::uint64_t session, bool up);

  detail::core& core_;
  std::string self_;
  pid keeper_;
  distribution* network_ = nullptr;
  std::uint64_t session_ = 0;  // the loop's thread
  std::mutex mutex_;
  state state_;
};

// Attached to the core, when its network has been started. errc: system_limit.
[[nodiscard]] result<global_service*> start_global(node& where);

}  // namespace troupe::internal
