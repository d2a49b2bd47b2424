#pragma once
// The loop with a thread of its own, and what a transport may hang into it.
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <troupe/bus/loop.hpp>

#include "timer_queue.hpp"

namespace troupe::bus::internal {

// What a source has to do yet after its turn.
enum class appetite : std::uint8_t { none, soon, now };

// Something that is asked in every turn of the loop. All calls are on the loop's thread.
class loop_source {
 public:
  virtual ~loop_source() = default;
  virtual appetite turn() = 0;
};

// Told that its descriptor is readable, in every turn until it is no more (epoll, level-triggered).
class fd_watcher {
 public:
  virtual ~fd_watcher() = default;
  virtual void readable() = 0;
};

// A turn: posted work, timers, readable descriptors, sources. It sleeps only when all of them want nothing.
class system_loop final : public loop {
 public:
  explicit system_loop(loop_options options);
  ~system_loop() override;

  void post(std::move_only_function<void()> work) override;
  void run(std::move_only_function<void()> work) override;
  [[nodiscard]] bool inside() const noexcept override {
    return std::this_thread::get_id() == thread_id_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool threaded() const noexcept override { return true; }
  [[nodiscard]] time_point now() const noexcept override { return time_->now(); }
  timer_id at(time_point when, std::move_only_function<void()> work) override {
    return timers_.add(when, std::move(work));
  }
  void cancel(timer_id timer) override { timers_.cancel(timer); }

  void add(loop_source& source) { sources_.push_back(&source); }
  void remove(loop_source& source) { std::erase(sources_, &source); }
  [[nodiscard]] bool watch(int fd, fd_watcher& watcher);
  void unwatch(int fd);

  // One for all transports on this loop, made when the first asks; ends with the loop.
  std::shared_ptr<void>& shared_context() noexcept { return context_; }

 private:
  void body() noexcept;
  bool run_posted();
  appetite ask_sources();
  void wait(appetite wanted);

  std::shared_ptr<clock> time_;
  const duration spin_;
  time_point spin_until_{};
  int epoll_ = -1;
  int wake_ = -1;  // eventfd

  std::mutex mutex_;
  std::vector<std::move_only_function<void()>> posted_;  // under mutex_
  bool asleep_ = false;                                  // under mutex_
  bool stopping_ = false;                                // under mutex_

  timer_queue timers_;
  std::vector<loop_source*> sources_;
  std::shared_ptr<void> context_;
  std::atomic<std::thread::id> thread_id_;
  std::thread thread_;
};

}  // namespace troupe::bus::internal
