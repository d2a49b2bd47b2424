#include "sched/scheduler.hpp"

#include <algorithm>
#include <cstdio>

#include <troupe/expect.hpp>

#include "sched/worker.hpp"
#include "thread.hpp"

namespace troupe::internal {
namespace {

constexpr std::size_t blocking_limit = 64;

}  // namespace

scheduler::scheduler(scheduler_options options) : options_(std::move(options)) {
  if (!options_.clock) options_.clock = system_clock();
  for (unsigned i = 0; i < options_.workers; ++i) workers_.push_back(std::make_unique<worker>(*this, i));
  if (options_.workers == 0) inline_worker_ = std::make_unique<worker>(*this, 0);
}

scheduler::~scheduler() { stop(); }

void scheduler::start() {
  if (workers_.empty()) return;
  lane_ = std::make_unique<worker>(*this, options_.workers);
  sights_.resize(workers_.size() + 1);
  watching_.store(true, std::memory_order_seq_cst);
  watch_thread_ = start_thread("troupe-watch", [this] { watch(); });
  lane_thread_ = start_counted("troupe-lane", [this] { lane(); });
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    threads_.push_back(start_counted("troupe-work-" + std::to_string(i), [w = workers_[i].get()] { w->run(); }));
  }
}

std::thread scheduler::start_counted(const std::string& name, std::move_only_function<void()> body) {
  {
    std::lock_guard lock(ended_mutex_);
    ++inside_;
  }
  try {
    return start_thread(name, [this, work = std::move(body)]() mutable {
      work();
      thread_ended();
    });
  } catch (...) {
    thread_ended();
    throw;
  }
}

void scheduler::ask_to_end() {
  stopping_.store(true, std::memory_order_seq_cst);
  for (auto& w : workers_) w->wake();
  // Whoever looked before the flag was set waits by the time its lock is free.
  {
    std::lock_guard lock(blocking_mutex_);
  }
  blocking_signal_.notify_all();
  {
    std::lock_guard lock(lane_mutex_);
  }
  lane_signal_.notify_all();
  {
    std::lock_guard lock(watch_mutex_);
  }
  watch_signal_.notify_all();
}

void scheduler::stop() {
  ask_to_end();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  if (lane_thread_.joinable()) lane_thread_.join();
  std::vector<std::thread> helpers;
  {
    std::lock_guard lock(blocking_mutex_);
    helpers.swap(blocking_threads_);
  }
  for (auto& thread : helpers) thread.join();
  if (watch_thread_.joinable()) watch_thread_.join();
}

bool scheduler::leave(duration limit) {
  ask_to_end();
  std::unique_lock lock(ended_mutex_);
  return ended_signal_.wait_for(lock, limit, [this] { return inside_ == 0; });
}

void scheduler::thread_ended() noexcept {
  std::lock_guard lock(ended_mutex_);
  TROUPE_EXPECT(inside_ > 0);
  --inside_;
  ended_signal_.notify_all();
}

bool scheduler::on_worker() const noexcept {
  worker* w = current_worker();
  return w && &w->owner() == this;
}

unsigned scheduler::worker_here() const noexcept {
  worker* w = current_worker();
  return w && &w->owner() == this && !workers_.empty() ? w->index() : options_.workers;
}

void scheduler::schedule(runnable& what) noexcept {
  worker* w = current_worker();
  if (w && &w->owner() == this) {
    w->push(what);
  } else {
    global_.push(what);
    notify();
  }
}

void scheduler::schedule_last(runnable& what) noexcept {
  worker* w = current_worker();
  if (w && &w->owner() == this) {
    w->push_last(what);
  } else {
    global_.push(what);
    notify();
  }
}

void scheduler::notify() noexcept {
  if (sleeping_.load(std::memory_order_seq_cst) == 0 || searching_.load(std::memory_order_seq_cst) > 0) return;
  worker* woken = nullptr;
  {
    std::lock_guard lock(sleepers_mutex_);
    if (sleepers_.empty()) return;
    woken = sleepers_.back();
    sleepers_.pop_back();
    const std::uint32_t before = sleeping_.fetch_sub(1, std::memory_order_seq_cst);
    TROUPE_EXPECT(before > sleepers_.size(), "sleeping", before, "listed", sleepers_.size());
    searching_.fetch_add(1, std::memory_order_seq_cst);
  }
  woken->wake();
}

// -- timers

void scheduler::arm(timer_entry entry) {
  bool earliest = false;
  {
    std::lock_guard lock(timers_mutex_);
    earliest = entry.when < timers_.next();
    timers_.put(entry);
    update_due_locked();
  }
  if (!earliest) return;
  // A worker that sleeps past the new deadline must look again; one that is awake will, or the watch sees it.
  if (!on_worker() || sleeping_.load(std::memory_order_seq_cst) == workers_.size()) notify();
}

void scheduler::update_due_locked() noexcept { next_due_.store(timers_.next(), std::memory_order_seq_cst); }

std::size_t scheduler::fire_due() {
  if (next_due() == time_point::max()) return 0;
  time_point now = clock().now();
  if (next_due() > now) return 0;
  std::vector<timer_entry> due;
  std::unique_lock lock(timers_mutex_);
  timers_.take_due(now, due);
  update_due_locked();
  // Under the lock: `disarm` and `forget` promise that nothing fires afterwards. A fire only pushes a signal.
  for (timer_entry& entry : due) entry.fire(entry.context, entry.a, entry.b);
  return due.size();
}

void scheduler::disarm(runnable& owner) {
  std::lock_guard lock(timers_mutex_);
  timers_.remove(owner);
  update_due_locked();
}

std::size_t scheduler::armed() const {
  std::lock_guard lock(timers_mutex_);
  return timers_.size();
}

void scheduler::forget(const void* context) {
  {
    std::lock_guard lock(timers_mutex_);
    timers_.remove_all(context);
    update_due_locked();
  }
  // The watch may be telling of a slice that has ended since.
  {
    std::lock_guard lock(watch_mutex_);
  }
  std::unique_lock lock(blocking_mutex_);
  std::deque<blocking_job> dropped;
  for (auto at = blocking_work_.begin(); at != blocking_work_.end();) {
    if (at->whose.context == context) {
      dropped.push_back(std::move(*at));
      at = blocking_work_.erase(at);
    } else {
      ++at;
    }
  }
  blocking_done_.wait(lock, [&] {
    return std::none_of(blocking_active_.begin(), blocking_active_.end(),
                        [context](const blocking_job* job) { return job->whose.context == context; });
  });
  lock.unlock();
}

// -- blocking work

void scheduler::run_blocking(std::move_only_function<void()> work, job_owner whose) {
  if (options_.workers == 0) {
    work();
    return;
  }
  {
    std::lock_guard lock(blocking_mutex_);
    if (stopping_.load(std::memory_order_acquire)) return;
    blocking_work_.push_back({std::move(work), whose});
    if (blocking_idle_ < blocking_work_.size() && blocking_threads_.size() < blocking_limit) add_blocking_thread();
  }
  blocking_signal_.notify_one();
}

// The job that asked for it waits for another thread where there is one; else it is the caller's again, as the
// exception.
void scheduler::add_blocking_thread() {
  try {
    blocking_threads_.push_back(start_counted("troupe-block", [this] { blocking_thread(); }));
  } catch (...) {
    if (!blocking_threads_.empty()) return;
    blocking_work_.pop_back();
    throw;
  }
}

void scheduler::blocking_thread() {
  std::unique_lock lock(blocking_mutex_);
  for (;;) {
    if (!blocking_work_.empty()) {
      blocking_job job = std::move(blocking_work_.front());
      blocking_work_.pop_front();
      job.began = std::chrono::steady_clock::now();
      blocking_active_.push_back(&job);
      lock.unlock();
      job.work();
      job.work = nullptr;  // with what it holds, before anybody may be told that it is over
      lock.lock();
      std::erase(blocking_active_, &job);
      blocking_done_.notify_all();
      continue;
    }
    if (stopping_.load(std::memory_order_acquire)) return;
    ++blocking_idle_;
    blocking_signal_.wait(lock);  // a spurious return only looks again
    --blocking_idle_;
  }
}

// -- idle work

namespace {

// Holds what `set_idle_work(nullptr)` waits for.
class counted {
 public:
  explicit counted(std::atomic<std::uint32_t>& count) noexcept : count_(count) {
    count_.fetch_add(1, std::memory_order_seq_cst);
  }
  ~counted() { count_.fetch_sub(1, std::memory_order_seq_cst); }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;

 private:
  std::atomic<std::uint32_t>& count_;
};

}  // namespace

bool scheduler::set_idle_work(idle_work* what) {
  if (workers_.empty()) return false;
  if (what != nullptr) {
    idle_work* none = nullptr;
    if (!idle_work_.compare_exchange_strong(none, what, std::memory_order_seq_cst)) return false;
    notify();  // one that sleeps on a futex
    return true;
  }
  idle_work* before = idle_work_.exchange(nullptr, std::memory_order_seq_cst);
  while (in_idle_work_.load(std::memory_order_seq_cst) > 0) {
    if (before != nullptr) before->interrupt();
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return true;
}

// False when there is none, or another thread is at it.
bool scheduler::take_idle_turn() {
  if (idle_work_.load(std::memory_order_relaxed) == nullptr) return false;
  const counted here(in_idle_work_);
  idle_work* what = idle_work_.load(std::memory_order_seq_cst);
  return what != nullptr && what->turn();
}

std::optional<duration> scheduler::rest() noexcept {
  worker* w = current_worker();
  return w != nullptr ? w->rest() : duration::zero();
}

void scheduler::rested() noexcept {
  if (worker* w = current_worker()) w->rested();
}

void scheduler::interrupt_idle_work() noexcept {
  const counted here(in_idle_work_);
  if (idle_work* what = idle_work_.load(std::memory_order_seq_cst)) what->interrupt();
}

void scheduler::reclaim_idle_work() noexcept {
  if (idle_work_.load(std::memory_order_relaxed) == nullptr) return;
  const counted here(in_idle_work_);
  if (idle_work* what = idle_work_.load(std::memory_order_seq_cst)) what->reclaim();
}

void scheduler::look_after_idle_work() {
  if (idle_work_.load(std::memory_order_relaxed) == nullptr) return;
  const counted here(in_idle_work_);
  idle_work* what = idle_work_.load(std::memory_order_seq_cst);
  if (what == nullptr || !what->neglected()) return;
  if (has_sleepers()) notify();
  else what->step_in();
}

bool scheduler::run_one() { return inline_worker_ && inline_worker_->run_one(); }

}  // namespace troupe::internal
