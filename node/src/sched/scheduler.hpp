#pragma once
// Runs processes on a few worker threads, and fires timers. Knows neither messages nor network: what a slice is, it is
// told once.
//
// Design notes
// * A worker takes work from its LIFO slot (at most three times in a row while others wait: a pair of chatting
// processes
//   must not starve them), its ring, the global queue (every 61st time first) and other workers' rings.
// * It wakes another when 20 us of work wait in its ring, by the mean of the last sixteen slices or those before,
//   whichever is less, or while one slice goes on before the eyes of the watch: what waits for less than a wake-up
//   takes is sooner done by itself. One that is awake steals from a quarter of that on. So a pair of processes that
//   talk to each other wakes no second worker, and stays together.
// * No lost wake-up: a worker announces that it sleeps, then looks at every queue once more; whoever adds work looks at
//   the number of sleepers afterwards. At most one woken worker searches at a time; when it finds, it wakes the next.
// * Idle workers sleep on a futex until the next timer is due: an idle node uses no CPU. One of them may sleep in
//   somebody else's wait instead (`idle_work`: the network's), so that what arrives there needs no second thread.
// * A watch thread looks at the workers every few milliseconds while any is awake, and sleeps when all do. It sees what
//   a worker that holds on to one slice cannot: that the slice is reported, that what waits in the worker's LIFO slot
//   goes to the others, that a timer is due which nobody fires. A slice pays two plain stores for it.
// * The node's own processes (those that answer tools, `user`, the keepers of names and groups) wait in a queue of
//   their own, of which a worker takes at most every second slice. When nobody comes to that queue for a look of the
//   watch, or to the timers, because slices hold all workers, the lane does: a thread that runs nothing else. It
//   sleeps on a condition until then, and goes on for as long as the workers are held and `lane_patience` more. While
//   nothing is stuck a slice pays one plain load for it. A user's process never runs there: it could hold it.
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

#include <troupe/time.hpp>

#include "sched/run_queue.hpp"
#include "sched/timer_heap.hpp"

namespace troupe::internal {

class worker;

// What a worker with nothing to do may do instead of sleeping, one worker at a time; busy ones do a turn of it now and
// then. Declared here, done by a layer above.
class idle_work {
 public:
  virtual ~idle_work() = default;
  // Takes a turn, and sleeps in it as `scheduler::rest` says. False, at once, when another thread is at it.
  virtual bool turn() = 0;
  virtual void interrupt() = 0;  // a worker that sleeps in it shall return
  virtual void reclaim() = 0;    // a worker sleeps on a futex because another thread is at it: it would be free
  // Nobody has taken a turn since the last look, a millisecond and more ago.
  [[nodiscard]] virtual bool neglected() = 0;
  virtual void step_in() = 0;  // no worker comes to it
};

struct scheduler_options {
  unsigned workers = 1;
  std::shared_ptr<troupe::clock> clock;
  void (*run)(runnable& what) = nullptr;  // one slice; may schedule `what` again
  // Called by the watch while a slice goes on, when it has lasted `stall_after`, then ten times that, and so on. 0:
  // never.
  void (*stalled)(runnable& what, duration held) = nullptr;
  duration stall_after = std::chrono::milliseconds(100);
};

// For whom a function runs that blocks.
struct job_owner {
  const void* context = nullptr;  // for `forget`
  std::uint64_t process = 0;
  const char* entry = nullptr;
};

// What keeps one of the threads from ending.
struct thread_holder {
  runnable* slice = nullptr;  // of a worker or the lane; null: a function that blocks
  std::size_t worker = 0;     // whose slice it is; the number of workers: the lane
  job_owner job;
  duration held{};  // at least
};

// Thread-safe. Owner: shared by its nodes; the last one ends the threads.
class scheduler {
 public:
  explicit scheduler(scheduler_options options);
  ~scheduler();

  void schedule(runnable& what) noexcept;       // soon: the LIFO slot when called by a worker
  void schedule_last(runnable& what) noexcept;  // behind all that waits for this worker
  // The node's own: reaches a worker, or the lane, whatever holds the workers.
  void schedule_own(runnable& what) noexcept;
  void schedule_own_last(runnable& what) noexcept;
  // A timer fires on some worker. One with an owner takes the place of that owner's former one.
  void arm(timer_entry entry);
  void disarm(runnable& owner);  // nothing of it fires afterwards
  // Removes all timers of a context, and waits for the functions that run for it.
  void forget(const void* context);
  [[nodiscard]] std::size_t armed() const;  // how many timers there are
  [[nodiscard]] bool watched() const noexcept { return watching_.load(std::memory_order_seq_cst); }
  // Runs on a thread that may block; inline when there are no workers.
  void run_blocking(std::move_only_function<void()> work, job_owner whose = {});
  // Its slice is over for the watch, which does not look at it from here on: before its memory may go.
  void slice_over() noexcept;
  // Null ends it, and returns when no worker is in it any more. False when there is one already, or no worker.
  [[nodiscard]] bool set_idle_work(idle_work* what);
  // For a worker in a turn of it. How long may it sleep? None: it has work. Then `rested`, on the same thread.
  [[nodiscard]] std::optional<duration> rest() noexcept;
  void rested() noexcept;
  [[nodiscard]] bool has_sleepers() const noexcept { return sleeping_.load(std::memory_order_seq_cst) > 0; }
  void wake_one() noexcept { notify(); }

  void start();  // the threads; signals are blocked in all of them
  void stop();   // joins them, however long they take; what is queued stays queued
  // The same without joining: true when all have ended within `limit`.
  [[nodiscard]] bool leave(duration limit);
  void each_holder(const std::function<void(const thread_holder&)>& tell);
  [[nodiscard]] unsigned workers() const noexcept { return options_.workers; }
  [[nodiscard]] troupe::clock& clock() const noexcept { return *options_.clock; }
  [[nodiscard]] bool on_worker() const noexcept;  // is this one of its threads?
  // Which of its workers calls; their number: another thread, or there are none.
  [[nodiscard]] unsigned worker_here() const noexcept;

  // -- without threads
  bool run_one();          // false when nothing is queued
  std::size_t fire_due();  // timers whose time has come; how many
  [[nodiscard]] time_point next_due() const noexcept { return next_due_.load(std::memory_order_acquire); }

 private:
  friend class worker;
  // What the watch saw at its last look. Real time: it is about threads.
  struct sight {
    std::uint32_t ticks = 0;
    std::chrono::steady_clock::time_point since{};
    duration next_report{};
  };
  void push_own(runnable& what) noexcept;
  // One of those that `leave` waits for. Throws std::system_error.
  [[nodiscard]] std::thread start_counted(const std::string& name, std::move_only_function<void()> body);
  void add_blocking_thread();  // with blocking_mutex_
  void lane();
  void rest_in_lane(std::unique_lock<std::mutex>& lock);
  void keep_lane_open() noexcept;
  void look_after_lane(bool all_held) noexcept;
  [[nodiscard]] bool look_at(worker& w, sight& seen, std::chrono::steady_clock::time_point now);
  [[nodiscard]] worker& thread_at(std::size_t i) noexcept { return i < workers_.size() ? *workers_[i] : *lane_; }
  void notify() noexcept;
  void ask_to_end();
  void thread_ended() noexcept;
  void update_due_locked() noexcept;
  void blocking_thread();
  void begin_watch() noexcept;
  void watch();
  bool look_around();
  bool take_idle_turn();
  void interrupt_idle_work() noexcept;
  void reclaim_idle_work() noexcept;
  void look_after_idle_work();

  scheduler_options options_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::vector<std::thread> threads_;
  std::unique_ptr<worker> inline_worker_;  // stands in when there are no threads
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint32_t> sleeping_{0}, searching_{0};

  run_queue global_, own_;  // for whichever worker; of the node's own processes

  std::unique_ptr<worker> lane_;  // its counters alone: nothing is pushed to it
  std::mutex lane_mutex_;
  std::condition_variable lane_signal_;
  std::atomic<bool> lane_open_{false};                  // whoever adds work of the node's own says so
  std::chrono::steady_clock::time_point lane_until_{};  // with its mutex
  std::thread lane_thread_;

  std::mutex sleepers_mutex_;
  std::vector<worker*> sleepers_;

  mutable std::mutex timers_mutex_;
  timer_heap timers_;
  std::atomic<time_point> next_due_{time_point::max()};

  std::atomic<idle_work*> idle_work_{nullptr};
  std::atomic<std::uint32_t> in_idle_work_{0};  // threads that may hold the pointer

  struct blocking_job {
    std::move_only_function<void()> work;
    job_owner whose;
    std::chrono::steady_clock::time_point began{};
  };
  std::mutex blocking_mutex_;
  std::deque<blocking_job> blocking_work_;
  std::vector<const blocking_job*> blocking_active_;
  std::vector<std::thread> blocking_threads_;
  std::size_t blocking_idle_ = 0;
  std::condition_variable blocking_signal_, blocking_done_;

  std::mutex watch_mutex_;
  std::condition_variable watch_signal_;
  std::vector<sight> sights_;         // of each worker, and of the lane
  std::uint64_t own_taken_seen_ = 0;  // what waited at the last look of the watch, and for whom
  bool own_waited_ = false;
  time_point overdue_ = time_point::max();
  std::atomic<bool> watching_{false};  // false: it sleeps until a worker wakes
  std::thread watch_thread_;

  std::mutex ended_mutex_;
  std::condition_variable ended_signal_;
  std::size_t inside_ = 0;  // threads that have not ended
};

// A process-wide notion of "the worker that this thread is"; null elsewhere. Not inline: thread-local
// storage must not be cached across a suspension.
[[nodiscard]] worker* current_worker() noexcept;
// The same for the lane, on which `current_worker` is null: what it adds goes to the workers.
[[nodiscard]] worker* current_lane() noexcept;

}  // namespace troupe::internal
