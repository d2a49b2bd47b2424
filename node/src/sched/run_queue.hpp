#pragma once
// What waits to run, in order, chained through itself. Thread-safe; empty, it is read without its lock.
#include <atomic>
#include <cstdint>
#include <mutex>

#include <troupe/task.hpp>

namespace troupe::internal {

using detail::runnable;

class run_queue {
 public:
  void push(runnable& what) noexcept {
    what.next_run = nullptr;
    std::lock_guard lock(mutex_);
    (last_ ? last_->next_run : first_) = &what;
    last_ = &what;
    size_.fetch_add(1, std::memory_order_seq_cst);
  }

  [[nodiscard]] runnable* pop() noexcept {  // null: empty
    if (size_.load(std::memory_order_acquire) == 0) return nullptr;
    std::lock_guard lock(mutex_);
    runnable* what = first_;
    if (!what) return nullptr;
    first_ = what->next_run;
    if (!first_) last_ = nullptr;
    size_.fetch_sub(1, std::memory_order_seq_cst);
    taken_.store(taken_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return what;
  }

  // In one order with the announcements of those that fall asleep.
  [[nodiscard]] bool empty() const noexcept { return size_.load(std::memory_order_seq_cst) == 0; }
  // The same for who will look again: what was pushed a moment ago may be missed.
  [[nodiscard]] bool seems_empty() const noexcept { return size_.load(std::memory_order_relaxed) == 0; }
  [[nodiscard]] std::uint64_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  runnable* first_ = nullptr;
  runnable* last_ = nullptr;
  std::atomic<std::size_t> size_{0};
  std::atomic<std::uint64_t> taken_{0};  // written with the lock
};

}  // namespace troupe::internal
