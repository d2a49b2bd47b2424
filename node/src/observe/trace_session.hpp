#pragma once
// One trace session: its budget, the credit of its reader, and the events on their way. The engine decides who is
// traced.
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <troupe/trace.hpp>

#include "runtime/core.hpp"

namespace troupe::internal {

// Owner: the engine while it is open, and whoever holds it. Thread-safe: hooks of many traced processes meet here.
class trace_session {
 public:
  trace_session(detail::core& home, trace::spec what, pid owner);

  // -- fixed before the first event
  const trace::spec what;
  const pid owner;  // whose end ends the session
  const pid to;     // who is told
  std::vector<std::string> names, globs;
  bool wants_new = false, wants_existing = false;
  std::vector<pid> pids;
  std::uint8_t flags = 0;  // trace flags of each process that it covers

  // -- guarded by the engine's lock
  std::set<pid> covered;
  bool closed = false;

  // The session's own process: known before it is opened, but after that process has begun to run.
  [[nodiscard]] pid process() const;
  void process(pid own);

  // Tells the reader how many are covered; events flow from here on.
  void open(std::size_t matched);
  // May an event be told now? Counts it for the rate, or as lost. Asked before anything is encoded.
  enum class admission : std::uint8_t { granted, lost, closed };
  [[nodiscard]] admission admit();
  // Tells an admitted event: a map whose first entry is "seq".
  void tell(map event);
  void acknowledge(std::uint64_t events);
  // Ends it: nothing is told afterwards but `done`. The first reason counts; the session's process is woken.
  void trip(std::string reason, std::string text = {});
  // Sends `done`, once.
  void finish();
  [[nodiscard]] bool is_open() const noexcept { return open_.load(std::memory_order_acquire); }
  [[nodiscard]] time_point deadline() const noexcept { return deadline_; }
  // The patterns of `calls` that fit nothing in the node's catalogue. What is called outside it has no list.
  [[nodiscard]] std::vector<std::string> unoffered() const;
  [[nodiscard]] bool wants_function(std::string_view function) const noexcept;
  [[nodiscard]] bool wants_name(std::string_view name) const noexcept;

 private:
  void trip_locked(std::string reason, std::string text);
  template <class T>
  void send(pid receiver, T message);

  detail::core& home_;
  const time_point deadline_;
  std::atomic<bool> open_{false};
  mutable std::mutex mutex_;  // what follows, and the order of what is sent
  pid process_;
  bool ended_ = false, finished_ = false;
  std::string reason_, text_;
  std::uint64_t told_ = 0, lost_ = 0, lost_untold_ = 0, bytes_ = 0;
  time_point window_began_;
  std::uint64_t window_count_ = 0;
  std::deque<std::uint32_t> under_way_;  // sizes of told and unacknowledged events
  std::size_t under_way_bytes_ = 0;
};

}  // namespace troupe::internal
