// The lane: a thread for the node's own processes while slices hold the workers.
#include <algorithm>

#include "sched/scheduler.hpp"
#include "sched/worker.hpp"

namespace troupe::internal {
namespace {

constexpr duration lane_patience = std::chrono::milliseconds(100);  // how long it stays open after the last need

thread_local worker* this_lane = nullptr;

}  // namespace

[[gnu::noinline]] worker* current_lane() noexcept { return this_lane; }

void scheduler::schedule_own(runnable& what) noexcept {
  if (workers_.empty()) {  // a simulation has one order, that of its one thread
    schedule(what);
    return;
  }
  push_own(what);
  // A worker comes to it itself, behind this slice.
  worker* w = current_worker();
  if (!w || &w->owner() != this) notify();
}

void scheduler::schedule_own_last(runnable& what) noexcept {
  if (workers_.empty()) {
    schedule_last(what);
    return;
  }
  push_own(what);
  notify();
}

void scheduler::push_own(runnable& what) noexcept {
  own_.push(what);
  if (!lane_open_.load(std::memory_order_seq_cst)) return;
  {
    std::lock_guard lock(lane_mutex_);
  }
  lane_signal_.notify_one();
}

// The thread's body.
void scheduler::lane() {
  this_lane = lane_.get();
  std::unique_lock lock(lane_mutex_);
  while (!stopping_.load(std::memory_order_seq_cst)) {
    if (std::chrono::steady_clock::now() >= lane_until_) {
      lane_open_.store(false, std::memory_order_seq_cst);
      if (!own_.empty()) notify();
      lane_signal_.wait(lock);
      continue;
    }
    lane_open_.store(true, std::memory_order_seq_cst);
    lock.unlock();
    fire_due();
    runnable* what = own_.pop();
    if (what) {
      lane_->ticks_.fetch_add(1, std::memory_order_relaxed);
      lane_->running_.store(what, std::memory_order_release);
      options_.run(*what);
      lane_->running_.store(nullptr, std::memory_order_release);
    }
    lock.lock();
    if (!what) rest_in_lane(lock);
  }
  this_lane = nullptr;
}

// Open: until work is added, a timer is due, or it is to close.
void scheduler::rest_in_lane(std::unique_lock<std::mutex>& lock) {
  if (!own_.empty() || stopping_.load(std::memory_order_seq_cst)) return;
  const time_point due = next_due();
  duration limit = lane_patience;
  if (due != time_point::max()) limit = std::clamp(due - clock().now(), duration::zero(), lane_patience);
  lane_signal_.wait_for(lock, limit);
}

// -- by the watch

void scheduler::keep_lane_open() noexcept {
  {
    std::lock_guard lock(lane_mutex_);
    lane_until_ = std::chrono::steady_clock::now() + lane_patience;
  }
  lane_signal_.notify_one();
}

// Nobody has come to what waited at the last look. Once open, it stays so while all workers are held, so that not every
// step of an answer waits for a look.
void scheduler::look_after_lane(bool all_held) noexcept {
  const std::uint64_t taken = own_.taken();
  const bool waits = !own_.empty();
  const time_point due = next_due();
  const time_point overdue = due <= clock().now() ? due : time_point::max();
  const bool late =
      (waits && own_waited_ && taken == own_taken_seen_) || (overdue != time_point::max() && overdue == overdue_);
  own_waited_ = waits;
  own_taken_seen_ = taken;
  overdue_ = overdue;
  if (late || (all_held && lane_open_.load(std::memory_order_relaxed))) keep_lane_open();
}

}  // namespace troupe::internal
