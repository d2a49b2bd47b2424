#pragma once
// What is under way between a process that began something and the one that does it: rpc::async, and tasks above.
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <troupe/rpc.hpp>

namespace troupe::detail {

// Shared by both. Thread-safe: who comes second finds what the first has left here.
struct pending_call {
  pending_call(core& where, std::string what) : home(where), name(std::move(what)) {}

  core& home;
  const std::string name;
  pid worker;  // set before anybody else knows of this

  std::mutex mutex;
  bool over = false;     // settled or given up
  bool stopped = false;  // settled without an outcome: it was ended because somebody asked for that
  std::optional<result<message>> outcome;
  pid waiter;  // to be woken with `reply_id`
  std::uint64_t reply_id = 0;
  std::shared_ptr<std::atomic<bool>> woken;  // of a wait for the first of several: one wakes it
  pid told;                                  // gets `task_ready` with `told_id`
  std::uint64_t told_id = 0;

  // Once: what comes after the first, or after it was given up, is dropped.
  void settle(result<message> got, bool by_order = false);
};

// Settles it when it goes, also with a process that never ran: who waits is told.
class settled_at_end {
 public:
  explicit settled_at_end(std::shared_ptr<pending_call> call) noexcept : call_(std::move(call)) {}
  settled_at_end(settled_at_end&&) noexcept = default;
  settled_at_end& operator=(settled_at_end&&) = delete;
  ~settled_at_end() {
    if (call_) call_->settle(error(errc::exited, call_->name + ": the process that made the call has ended"));
  }
  [[nodiscard]] pending_call& operator*() const noexcept { return *call_; }
  [[nodiscard]] pending_call* operator->() const noexcept { return call_.get(); }

 private:
  std::shared_ptr<pending_call> call_;
};

}  // namespace troupe::detail
