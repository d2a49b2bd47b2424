#pragma once
// One thread's share of the work. Private to the scheduler.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "sched/scheduler.hpp"

namespace troupe::internal {

class worker {
 public:
  explicit worker(scheduler& owner, unsigned index) noexcept : owner_(owner), index_(index) {}

  void run();                          // the thread's body
  bool run_one();                      // one slice of whatever is next
  void push(runnable& what) noexcept;  // LIFO slot; by its own thread only
  void push_last(runnable& what) noexcept;
  [[nodiscard]] bool steal_into(worker& thief) noexcept;  // by the thief's thread
  [[nodiscard]] bool ring_empty() const noexcept {
    return head_.load(std::memory_order_seq_cst) == tail_.load(std::memory_order_seq_cst);
  }
  // Enough waits in its ring that another worker shall take of it: one that is awake, or be woken for it.
  [[nodiscard]] bool has_for_others(bool awake) const noexcept;
  void share_from(std::uint32_t waiting) noexcept;  // wakes another when that is so now; its own thread, or the watch
  void wake() noexcept;
  // In a turn of idle work: see scheduler.
  [[nodiscard]] std::optional<duration> rest() noexcept;
  void rested() noexcept;
  void slice_over() noexcept { running_.store(nullptr, std::memory_order_release); }
  [[nodiscard]] scheduler& owner() const noexcept { return owner_; }
  [[nodiscard]] unsigned index() const noexcept { return index_; }

 private:
  friend class scheduler;  // the watch
  bool turn();
  void begin_measure() noexcept;
  void measure() noexcept;
  [[nodiscard]] bool ring_seems_empty() const noexcept {
    return head_.load(std::memory_order_relaxed) == tail_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] runnable* next() noexcept;
  [[nodiscard]] runnable* search() noexcept;
  [[nodiscard]] runnable* pop_ring() noexcept;
  [[nodiscard]] runnable* take_kept() noexcept;  // by the watch
  [[nodiscard]] runnable* pop_lifo() noexcept;
  [[nodiscard]] bool anything_waits() const noexcept;  // that this worker may run
  [[nodiscard]] bool others_may_take(bool awake) const noexcept;
  std::uint32_t stop_searching() noexcept;
  void found_work() noexcept;
  void visit_idle_work();
  void park();
  void fall_asleep() noexcept;
  [[nodiscard]] duration until_due() const noexcept;
  void wake_up() noexcept;

  static constexpr std::uint32_t ring_size = 256;
  static constexpr unsigned lifo_limit = 3, global_interval = 61, timer_interval = 16;
  static constexpr duration idle_work_interval = std::chrono::microseconds(200);
  // Waking a worker costs 7 us, and 30 pass until it runs. So much work must wait before it pays, by the mean of the
  // last slices; and no more of them than this, whatever the mean says.
  static constexpr duration worth_waking = std::chrono::microseconds(20);
  static constexpr std::int64_t most_kept = ring_size / 2;

  scheduler& owner_;
  unsigned index_;
  // Only its own thread fills it; the watch may empty it when the thread does not come to that.
  std::atomic<runnable*> lifo_{nullptr};
  unsigned lifo_run_ = 0;
  bool after_own_ = false;  // the last slice was of the node's own
  bool searching_ = false;
  std::atomic<std::uint32_t> ticks_{0};      // turns; written by its own thread alone
  std::atomic<runnable*> running_{nullptr};  // whose slice it is
  std::atomic<std::uint32_t> head_{0}, tail_{0};
  std::array<std::atomic<runnable*>, ring_size> ring_{};
  std::atomic<std::uint32_t> signal_{0};   // futex: 1 = woken
  std::atomic<bool> in_idle_work_{false};  // sleeps there, not on the futex
  bool visits_ = false;                    // it is at idle work although it has work of its own
  std::chrono::steady_clock::time_point visited_{};
  std::atomic<std::uint32_t> wake_from_{8};  // so many in its ring wake another; written by its thread and the watch
  std::chrono::steady_clock::time_point measured_{};
  std::uint32_t measured_from_ = 0;         // turns by then
  duration mean_slice_ = worth_waking / 8;  // then; above 0
};

}  // namespace troupe::internal
