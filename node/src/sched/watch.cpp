// The watch: what the workers cannot see themselves while they hold on to a slice.
#include <algorithm>

#include "sched/scheduler.hpp"
#include "sched/worker.hpp"

namespace troupe::internal {
namespace {

// A look costs about a microsecond. The first ones come quickly, for a worker that holds on to its first slice.
constexpr duration first_tick = std::chrono::milliseconds(1), longest_tick = std::chrono::milliseconds(10);
constexpr duration idle_work_tick = std::chrono::milliseconds(2);  // what lies in the network waits no longer
constexpr unsigned quiet_looks = 10;                               // with nothing to see, before it sleeps

}  // namespace

// By a worker that wakes.
void scheduler::begin_watch() noexcept {
  if (watching_.load(std::memory_order_seq_cst)) return;
  {
    std::lock_guard lock(watch_mutex_);
    watching_.store(true, std::memory_order_seq_cst);
  }
  watch_signal_.notify_one();
}

void scheduler::watch() {
  duration tick = first_tick;
  unsigned quiet = 0;
  std::unique_lock lock(watch_mutex_);
  while (!stopping_.load(std::memory_order_seq_cst)) {
    if (!watching_.load(std::memory_order_seq_cst)) {
      watch_signal_.wait(lock);
      tick = first_tick;
      quiet = 0;
      continue;
    }
    watch_signal_.wait_for(lock, tick);
    quiet = look_around() ? 0 : quiet + 1;
    const bool idle_work = idle_work_.load(std::memory_order_relaxed) != nullptr;
    tick = std::min(tick * 2, idle_work ? idle_work_tick : longest_tick);
    if (quiet < quiet_looks) continue;
    watching_.store(false, std::memory_order_seq_cst);
    // A worker counts as awake before it looks whether it is watched: one of the two sees the other.
    if (sleeping_.load(std::memory_order_seq_cst) < workers_.size()) watching_.store(true, std::memory_order_seq_cst);
  }
}

// With the watch's lock held. True when a worker is awake or has been since the last look.
bool scheduler::look_around() {
  const auto now = std::chrono::steady_clock::now();
  bool awake = sleeping_.load(std::memory_order_seq_cst) < workers_.size();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    worker& w = *workers_[i];
    sight& seen = sights_[i];
    const std::uint32_t ticks = w.ticks_.load(std::memory_order_acquire);
    runnable* what = w.running_.load(std::memory_order_acquire);
    const bool same = ticks == seen.ticks && ticks == w.ticks_.load(std::memory_order_acquire);
    if (!what || !same) {
      awake = awake || !same;
      seen = {ticks, now, options_.stall_after};
      continue;
    }
    // Nobody else takes from this slot, and its own thread does not come to it.
    if (workers_.size() > 1) {
      if (runnable* kept = w.lifo_.exchange(nullptr, std::memory_order_acq_rel)) {
        push_global(*kept);
        notify();
      }
    }
    const duration held = now - seen.since;
    if (!options_.stalled || options_.stall_after <= duration::zero() || held < seen.next_report) continue;
    seen.next_report = held * 10;
    options_.stalled(*what, held);
  }
  if (next_due() <= clock().now()) notify();
  look_after_idle_work();
  return awake;
}

void scheduler::slice_over() noexcept {
  if (worker* w = current_worker()) w->slice_over();
}

void scheduler::each_holder(const std::function<void(const thread_holder&)>& tell) {
  const auto now = std::chrono::steady_clock::now();
  {
    std::lock_guard lock(watch_mutex_);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      runnable* what = workers_[i]->running_.load(std::memory_order_acquire);
      if (what) tell({what, {}, i < sights_.size() ? now - sights_[i].since : duration::zero()});
    }
  }
  std::lock_guard lock(blocking_mutex_);
  for (const blocking_job* job : blocking_active_) tell({nullptr, job->whose, now - job->began});
}

}  // namespace troupe::internal
