#pragma once
// Runs processes on a few worker threads, and fires timers. Knows neither messages nor network: what a slice is, it is
// told once.
//
// Design notes
// * A worker takes work from its LIFO slot (at most three times in a row: a pair of chatting processes must not starve
//   others), its ring, the global queue (every 61st time first) and other workers' rings.
// * No lost wake-up: a worker announces that it sleeps, then looks at every queue once more; whoever adds work looks at
//   the number of sleepers afterwards. At most one woken worker searches at a time; when it finds, it wakes the next.
// * Idle workers sleep on a futex until the next timer is due: an idle node uses no CPU.
// * With `workers = 0` there are no threads: a simulation or a test calls `run_one` and `fire_due` itself.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <troupe/task.hpp>
#include <troupe/time.hpp>

namespace troupe::internal {

using detail::runnable;

class worker;

struct scheduler_options {
  unsigned workers = 1;
  std::shared_ptr<troupe::clock> clock;
  void (*run)(runnable& what) = nullptr;  // one slice; may schedule `what` again
};

// A timer: `fire(context, a, b)` on some worker once `when` has come. Cannot be cancelled: who is told looks whether it
// still matters. `forget(context)` removes all of one context.
struct timer_entry {
  time_point when;
  void (*fire)(void* context, std::uint64_t a, std::uint64_t b) = nullptr;
  void* context = nullptr;
  std::uint64_t a = 0, b = 0;
  std::uint64_t order = 0;  // equal times fire in the order of arming
};

// Thread-safe. Owner: shared by its nodes; the last one ends the threads.
class scheduler {
 public:
  explicit scheduler(scheduler_options options);
  ~scheduler();

  void schedule(runnable& what) noexcept;       // soon: the LIFO slot when called by a worker
  void schedule_last(runnable& what) noexcept;  // behind everything that waits
  void arm(timer_entry entry);
  void forget(const void* context);
  // Runs on a thread that may block; inline when there are no workers.
  void run_blocking(std::move_only_function<void()> work);
  // Called by a worker that ran dry, before it sleeps: flush what was coalesced. Set before work is scheduled.
  void on_dry(std::function<void()> hook);

  void start();  // the threads; signals are blocked in all of them
  void stop();   // joins them; what is queued stays queued
  [[nodiscard]] unsigned workers() const noexcept { return options_.workers; }
  [[nodiscard]] troupe::clock& clock() const noexcept { return *options_.clock; }
  [[nodiscard]] bool on_worker() const noexcept;  // is this one of its threads?

  // -- without threads
  bool run_one();          // false when nothing is queued
  std::size_t fire_due();  // timers whose time has come; how many
  [[nodiscard]] time_point next_due() const noexcept { return next_due_.load(std::memory_order_acquire); }

 private:
  friend class worker;
  void push_global(runnable& what) noexcept;
  [[nodiscard]] runnable* pop_global() noexcept;
  void notify() noexcept;
  void update_due_locked() noexcept;
  void blocking_thread();

  scheduler_options options_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::vector<std::thread> threads_;
  std::unique_ptr<worker> inline_worker_;  // stands in when there are no threads
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint32_t> sleeping_{0}, searching_{0};

  std::mutex global_mutex_;
  runnable* global_first_ = nullptr;
  runnable* global_last_ = nullptr;
  std::atomic<std::size_t> global_size_{0};

  std::mutex sleepers_mutex_;
  std::vector<worker*> sleepers_;

  mutable std::mutex timers_mutex_;
  std::vector<timer_entry> timers_;  // a heap, earliest first
  std::uint64_t timer_order_ = 0;
  std::atomic<time_point> next_due_{time_point::max()};

  std::mutex dry_mutex_;
  std::vector<std::function<void()>> dry_hooks_;
  std::atomic<bool> has_dry_hooks_{false};

  std::mutex blocking_mutex_;
  std::deque<std::move_only_function<void()>> blocking_work_;
  std::vector<std::thread> blocking_threads_;
  std::size_t blocking_idle_ = 0;
  std::condition_variable blocking_signal_;
};

// A process-wide notion of "the worker that this thread is"; null elsewhere. Not inline: see style on thread_local.
[[nodiscard]] worker* current_worker() noexcept;

// Starts a thread with all signals blocked and a name for ps and gdb.
[[nodiscard]] std::thread start_thread(const std::string& name, std::move_only_function<void()> body);

}  // namespace troupe::internal
