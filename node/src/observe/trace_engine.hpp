#pragma once
// Who is traced by which session. Fed by the probe's hooks.
//
// Design notes
// * A hook of a traced process takes one shared lock and one lookup; an untraced process never comes here, except with
//   its life events, which cost one load while no session is open.
// * Flags of a process are the union over the sessions that cover it, set under the exclusive lock.
// * The lock is never held while names are resolved (the table of names has its own, and calls `named`), and the lock
//   of a session is only ever taken inside it.
// * A session's process and reader are traced by nobody: else telling an event would make the next one.
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "observe/trace_session.hpp"
#include "runtime/core.hpp"

namespace troupe::internal {

// Owner: the observer. Thread-safe.
class trace_engine {
 public:
  explicit trace_engine(detail::core& home) : home_(home) {}

  // A session that covers nobody yet. errc: bad_argument, not_allowed, noproc (trace::start).
  [[nodiscard]] result<std::shared_ptr<trace_session>> prepare(trace::spec what, pid owner);
  // How many processes it asks for. errc: bad_argument, not_allowed, noproc.
  [[nodiscard]] result<std::size_t> matching(trace::spec what);
  // Covers what it asks for, and tells its reader. How many processes match.
  std::size_t open(const std::shared_ptr<trace_session>& session);
  // Clears its flags and sends `done`. Idempotent.
  void close(const std::shared_ptr<trace_session>& session);
  std::size_t close_all();
  [[nodiscard]] std::size_t session_count() const noexcept { return open_.load(std::memory_order_acquire); }
  [[nodiscard]] std::size_t covered_count() const;
  [[nodiscard]] std::uint64_t lost_count() const noexcept { return lost_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t hook_count() const noexcept { return hooks_.load(std::memory_order_relaxed); }

  void received(process& self, const detail::envelope& e);
  void sent(process& self, const address& to, const detail::envelope& e);
  void called(process& self, std::string_view function, list arguments);
  void returned(process& self, std::string_view function, const value& result);
  void spawned(process& child, pid parent);
  void named(process& self, std::string_view name, bool registered);
  void exited(process& self, const exit_reason& reason);

 private:
  // Whom it names that is there now: what `processes` of its spec says, resolved.
  [[nodiscard]] std::vector<pid> matched_now(const trace_session& session) const;
  // As prepare, without asking what is to be traced.
  [[nodiscard]] result<std::shared_ptr<trace_session>> sort(trace::spec what, pid owner);
  using session_list = std::vector<std::shared_ptr<trace_session>>;
  // The sessions that cover `p` and want this, and have room for one event more.
  template <class Wants>
  [[nodiscard]] session_list ready(pid p, Wants&& wants);
  [[nodiscard]] session_list all() const;
  static void tell(const session_list& sessions, map event);
  [[nodiscard]] map event_of(process& self, std::string_view kind) const;
  bool cover(const std::shared_ptr<trace_session>& session, pid p);
  void uncover(const std::shared_ptr<trace_session>& session, pid p);
  void forget_locked(const trace_session& session, pid p);
  [[nodiscard]] std::optional<std::size_t> end_call(pid of, std::string_view function);

  detail::core& home_;
  std::atomic<std::size_t> open_{0};
  std::atomic<std::uint64_t> hooks_{0}, lost_{0};
  mutable std::shared_mutex mutex_;  // what follows
  session_list sessions_;
  std::unordered_map<pid, session_list> covering_;
  std::mutex calls_mutex_;                                                          // innermost
  std::unordered_map<pid, std::deque<std::pair<std::string, std::size_t>>> calls_;  // begun, by process
};

}  // namespace troupe::internal
