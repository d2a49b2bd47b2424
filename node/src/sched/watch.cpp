// The watch: what the workers cannot see themselves while they hold on to a slice.
#include <algorithm>

#include "sched/scheduler.hpp"
#include "sched/trim.hpp"
#include "sched/worker.hpp"

namespace troupe::internal {
namespace {

// A look costs about a microsecond. The first ones come quickly, for a worker that holds on to its first slice.
constexpr duration first_tick = std::chrono::milliseconds(1), longest_tick = std::chrono::milliseconds(10);
constexpr duration idle_work_tick = std::chrono::milliseconds(2);  // what lies in the network waits no longer
// So long a slice may last before what waits in its worker's ring, which the others may steal, is given to them.
constexpr duration ring_patience = std::chrono::milliseconds(10);
constexpr unsigned quiet_looks = 10;  // with nothing to see, before it sleeps

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
    if (trim_is_due()) {
      lock.unlock();
      trim_when_calm(std::chrono::steady_clock::now());
      lock.lock();
      if (stopping_.load(std::memory_order_seq_cst)) return;
    }
    if (!watching_.load(std::memory_order_seq_cst)) {
      if (trim_is_due()) watch_signal_.wait_for(lock, std::chrono::seconds(1));
      else watch_signal_.wait(lock);
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
  bool all_held = true;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const std::uint32_t before = sights_[i].ticks;
    const bool held = look_at(*workers_[i], sights_[i], now);
    awake = awake || sights_[i].ticks != before;
    all_held = all_held && held;
    // Nobody else takes from its slot, and its own thread does not come to it.
    if (!held || workers_.size() == 1) continue;
    worker& w = *workers_[i];
    w.share_from(1);
    const bool ring = now - sights_[i].since >= ring_patience;
    while (runnable* kept = ring ? w.take_kept() : w.lifo_.exchange(nullptr, std::memory_order_acq_rel)) {
      global_.push(*kept);
      notify();
    }
  }
  static_cast<void>(look_at(*lane_, sights_.back(), now));
  if (next_due() <= clock().now()) notify();
  look_after_idle_work();
  look_after_lane(all_held);
  return awake;
}

// True when it is at the slice of the last look, which is reported when it is time.
bool scheduler::look_at(worker& w, sight& seen, std::chrono::steady_clock::time_point now) {
  const std::uint32_t ticks = w.ticks_.load(std::memory_order_acquire);
  runnable* what = w.running_.load(std::memory_order_acquire);
  const bool same = ticks == seen.ticks && ticks == w.ticks_.load(std::memory_order_acquire);
  if (!what || !same) {
    seen = {ticks, now, options_.stall_after};
    return false;
  }
  const duration held = now - seen.since;
  if (!options_.stalled || options_.stall_after <= duration::zero() || held < seen.next_report) return true;
  seen.next_report = held * 10;
  options_.stalled(*what, held);
  return true;
}

void scheduler::slice_over() noexcept {
  worker* w = current_worker();
  if (!w) w = current_lane();
  if (w) w->slice_over();
}

void scheduler::each_holder(const std::function<void(const thread_holder&)>& tell) {
  const auto now = std::chrono::steady_clock::now();
  {
    std::lock_guard lock(watch_mutex_);
    for (std::size_t i = 0; i < sights_.size(); ++i) {
      const worker& w = thread_at(i);
      const bool same = w.ticks_.load(std::memory_order_acquire) == sights_[i].ticks;  // else it has begun since
      runnable* what = w.running_.load(std::memory_order_acquire);
      if (what) tell({what, i, {}, same ? now - sights_[i].since : duration::zero()});
    }
  }
  std::lock_guard lock(blocking_mutex_);
  for (const blocking_job* job : blocking_active_) tell({nullptr, 0, job->whose, now - job->began});
}

}  // namespace troupe::internal
