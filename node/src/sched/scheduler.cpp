#include "sched/scheduler.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>

#include "sched/worker.hpp"

namespace troupe::internal {
namespace {

constexpr std::size_t blocking_limit = 64;

bool later(const timer_entry& a, const timer_entry& b) noexcept {
  return a.when != b.when ? a.when > b.when : a.order > b.order;
}

}  // namespace

std::thread start_thread(const std::string& name, std::move_only_function<void()> body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread made([work = std::move(body)]() mutable { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(made.native_handle(), name.substr(0, 15).c_str());
  return made;
}

scheduler::scheduler(scheduler_options options) : options_(std::move(options)) {
  if (!options_.clock) options_.clock = system_clock();
  for (unsigned i = 0; i < options_.workers; ++i) workers_.push_back(std::make_unique<worker>(*this, i));
  if (options_.workers == 0) inline_worker_ = std::make_unique<worker>(*this, 0);
}

scheduler::~scheduler() { stop(); }

void scheduler::start() {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    threads_.push_back(start_thread("troupe-work-" + std::to_string(i), [w = workers_[i].get()] { w->run(); }));
  }
}

void scheduler::stop() {
  stopping_.store(true, std::memory_order_seq_cst);
  for (auto& w : workers_) w->wake();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  std::vector<std::thread> helpers;
  {
    std::lock_guard lock(blocking_mutex_);
    helpers.swap(blocking_threads_);
  }
  blocking_signal_.notify_all();
  for (auto& thread : helpers) thread.join();
}

bool scheduler::on_worker() const noexcept {
  worker* w = current_worker();
  return w && &w->owner() == this;
}

void scheduler::schedule(runnable& what) noexcept {
  worker* w = current_worker();
  if (w && &w->owner() == this) {
    w->push(what);
  } else {
    push_global(what);
    notify();
  }
}

void scheduler::schedule_last(runnable& what) noexcept {
  worker* w = current_worker();
  if (w && &w->owner() == this) {
    w->push_last(what);
  } else {
    push_global(what);
    notify();
  }
}

void scheduler::push_global(runnable& what) noexcept {
  what.next_run = nullptr;
  std::lock_guard lock(global_mutex_);
  (global_last_ ? global_last_->next_run : global_first_) = &what;
  global_last_ = &what;
  global_size_.fetch_add(1, std::memory_order_seq_cst);
}

runnable* scheduler::pop_global() noexcept {
  if (global_size_.load(std::memory_order_acquire) == 0) return nullptr;
  std::lock_guard lock(global_mutex_);
  runnable* what = global_first_;
  if (!what) return nullptr;
  global_first_ = what->next_run;
  if (!global_first_) global_last_ = nullptr;
  global_size_.fetch_sub(1, std::memory_order_seq_cst);
  return what;
}

void scheduler::notify() noexcept {
  if (sleeping_.load(std::memory_order_seq_cst) == 0 || searching_.load(std::memory_order_seq_cst) > 0) return;
  worker* woken = nullptr;
  {
    std::lock_guard lock(sleepers_mutex_);
    if (sleepers_.empty()) return;
    woken = sleepers_.back();
    sleepers_.pop_back();
    sleeping_.fetch_sub(1, std::memory_order_seq_cst);
    searching_.fetch_add(1, std::memory_order_seq_cst);
  }
  woken->wake();
}

// -- timers

void scheduler::arm(timer_entry entry) {
  bool earliest = false;
  {
    std::lock_guard lock(timers_mutex_);
    entry.order = timer_order_++;
    timers_.push_back(entry);
    std::push_heap(timers_.begin(), timers_.end(), later);
    earliest = timers_.front().order == entry.order;
    update_due_locked();
  }
  if (!earliest) return;
  // A worker that sleeps past the new deadline must look again; one that is awake will.
  if (!on_worker() || sleeping_.load(std::memory_order_seq_cst) == workers_.size()) notify();
}

void scheduler::update_due_locked() noexcept {
  next_due_.store(timers_.empty() ? time_point::max() : timers_.front().when, std::memory_order_seq_cst);
}

std::size_t scheduler::fire_due() {
  if (next_due() == time_point::max()) return 0;
  time_point now = clock().now();
  if (next_due() > now) return 0;
  std::vector<timer_entry> due;
  std::unique_lock lock(timers_mutex_);
  while (!timers_.empty() && timers_.front().when <= now) {
    std::pop_heap(timers_.begin(), timers_.end(), later);
    due.push_back(timers_.back());
    timers_.pop_back();
  }
  update_due_locked();
  // Under the lock: `forget` must be able to promise that nothing fires afterwards. A fire only pushes a signal.
  for (timer_entry& entry : due) entry.fire(entry.context, entry.a, entry.b);
  return due.size();
}

void scheduler::forget(const void* context) {
  std::lock_guard lock(timers_mutex_);
  std::erase_if(timers_, [context](const timer_entry& entry) { return entry.context == context; });
  std::make_heap(timers_.begin(), timers_.end(), later);
  update_due_locked();
}

// -- blocking work

void scheduler::run_blocking(std::move_only_function<void()> work) {
  if (options_.workers == 0) {
    work();
    return;
  }
  {
    std::lock_guard lock(blocking_mutex_);
    if (stopping_.load(std::memory_order_acquire)) return;
    blocking_work_.push_back(std::move(work));
    if (blocking_idle_ < blocking_work_.size() && blocking_threads_.size() < blocking_limit) {
      blocking_threads_.push_back(start_thread("troupe-block", [this] { blocking_thread(); }));
    }
  }
  blocking_signal_.notify_one();
}

void scheduler::blocking_thread() {
  std::unique_lock lock(blocking_mutex_);
  for (;;) {
    if (!blocking_work_.empty()) {
      auto work = std::move(blocking_work_.front());
      blocking_work_.pop_front();
      lock.unlock();
      work();
      lock.lock();
      continue;
    }
    if (stopping_.load(std::memory_order_acquire)) return;
    ++blocking_idle_;
    blocking_signal_.wait(lock);  // a spurious return only looks again
    --blocking_idle_;
  }
}

void scheduler::on_dry(std::function<void()> hook) {
  std::lock_guard lock(dry_mutex_);
  dry_hooks_.push_back(std::move(hook));
  has_dry_hooks_.store(true, std::memory_order_release);
}

bool scheduler::run_one() { return inline_worker_ && inline_worker_->run_one(); }

}  // namespace troupe::internal
