#pragma once
// The loop with a thread of its own, and what a transport may hang into it.
#include <sys/epoll.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include <troupe/bus/loop.hpp>
#include <troupe/expect.hpp>

#include "timer_queue.hpp"
#include "unique_fd.hpp"

namespace troupe::bus::internal {

// What a source has to do yet after its turn.
enum class appetite : std::uint8_t { none, soon, now };

// Something that is asked in every turn of the loop. All calls are on the loop's thread.
class loop_source {
 public:
  virtual ~loop_source() = default;
  virtual appetite turn() = 0;
};

// Told that its descriptor is readable, or broken, in every turn until it is no more (epoll, level-triggered); and that
// it is writable, while that was asked for. It may end another in that, not itself.
class fd_watcher {
 public:
  virtual ~fd_watcher() = default;
  virtual void readable() = 0;
  virtual void writable() {}
};

// Design notes.
// A turn: posted work, timers, sources; then a sleep in epoll, unless one of them wants more. Whoever leads holds
// `led_` from before its turn until after it: the flag's mutex is the fence with which libzmq's sockets change threads.
// Nobody waits for the lead. Who posts while nobody has it (the loop is lent, and the leaders work) wakes an idle
// leader; a leader itself need not, since it takes a turn when it has run dry and now and then before. If none does,
// because all are held up, who watches them calls `step_in`.
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
    TROUPE_EXPECT(inside());
    return timers_.add(when, std::move(work));
  }
  void cancel(timer_id timer) override {
    TROUPE_EXPECT(inside(), "timer", timer);
    timers_.cancel(timer);
  }

  bool lend(leaders* to) override;
  bool lead() override;
  void interrupt() override;
  void step_in() override;
  void reclaim() override;
  [[nodiscard]] std::uint64_t turns() const noexcept override { return turns_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool led() const noexcept override { return led_now_.load(std::memory_order_relaxed); }

  void add(loop_source& source) {
    TROUPE_EXPECT(inside());
    sources_.push_back(&source);
  }
  void remove(loop_source& source) {
    TROUPE_EXPECT(inside());
    std::erase(sources_, &source);
  }
  [[nodiscard]] bool watch(int fd, fd_watcher& watcher);
  void watch_writable(int fd, fd_watcher& watcher, bool on);  // of one that is watched
  void unwatch(int fd, fd_watcher& watcher);

  // One for all transports on this loop, made when the first asks; ends with the loop.
  std::shared_ptr<void>& shared_context() noexcept { return context_; }

 private:
  void body() noexcept;
  void take_lead() noexcept;   // mutex_ held
  void leave_lead() noexcept;  // mutex_ held
  [[nodiscard]] appetite work();
  bool run_posted();
  appetite ask_sources();
  void wait(duration longest);
  [[nodiscard]] int poll(std::span<epoll_event> into, duration longest);
  [[nodiscard]] static duration patience(appetite wanted) noexcept;
  void wake_locked();  // mutex_ held: whoever sleeps, or is about to, takes another turn

  std::shared_ptr<clock> time_;
  const duration spin_;
  time_point spin_until_{};
  troupe::internal::unique_fd epoll_;
  std::span<epoll_event> ready_;      // of this turn, not yet told
  troupe::internal::unique_fd wake_;  // eventfd
  bool fine_waits_ = true;            // the kernel waits by the nanosecond

  std::mutex mutex_;
  std::condition_variable lead_changed_;
  // under mutex_
  std::vector<std::move_only_function<void()>> posted_;
  bool asleep_ = false;
  bool interrupted_ = false;  // whoever is about to sleep must not
  bool stopping_ = false;
  bool led_ = false;  // by the thread of thread_id_
  bool stepped_in_ = false;
  leaders* lent_ = nullptr;

  std::atomic<bool> led_now_{false};  // led_, for who only looks
  std::atomic<std::uint64_t> turns_{0};
  timer_queue timers_;
  std::vector<loop_source*> sources_;
  std::shared_ptr<void> context_;
  std::atomic<std::thread::id> thread_id_;  // who leads
  std::thread thread_;
};

}  // namespace troupe::bus::internal
