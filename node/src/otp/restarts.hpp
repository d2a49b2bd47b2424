#pragma once
// How often, and how soon, a supervisor starts a child again.
#include <algorithm>
#include <cstdint>
#include <deque>

#include <troupe/supervisor.hpp>

namespace troupe::internal {

// The intensity: says when there were too many.
class restart_counter {
 public:
  restart_counter(std::size_t allowed, duration period) : allowed_(allowed), period_(period) {}
  // Counts one; false: one too many.
  [[nodiscard]] bool count(time_point now) {
    while (!times_.empty() && now - times_.front() > period_) times_.pop_front();
    times_.push_back(now);
    return times_.size() <= allowed_;
  }
  [[nodiscard]] std::size_t recent() const noexcept { return times_.size(); }
  [[nodiscard]] std::size_t allowed() const noexcept { return allowed_; }
  [[nodiscard]] duration period() const noexcept { return period_; }

 private:
  std::size_t allowed_;
  duration period_;
  std::deque<time_point> times_;
};

// Of one child: each wait twice the one before, and the first one again when it has run for longer than the longest.
class restart_pause {
 public:
  void ran(time_point now) noexcept { since_ = now; }
  [[nodiscard]] duration next(const restart_backoff& plan, time_point now) noexcept {
    if (plan.first <= duration::zero()) return duration::zero();
    const bool calm = since_ != time_point() && now - since_ > plan.most;
    last_ = last_ == duration::zero() || calm ? plan.first : std::min(2 * last_, plan.most);
    since_ = {};
    return last_;
  }

 private:
  time_point since_{};
  duration last_ = duration::zero();
};

// Of one child, a number above zero while a `try_again` is under way for it. One that is terminated, deleted, started
// or restarted meanwhile has another number or none, so that what comes late is nobody's.
class restart_retry {
 public:
  void begin(std::uint64_t number) noexcept { number_ = number; }
  void drop() noexcept { number_ = 0; }
  [[nodiscard]] bool pending() const noexcept { return number_ != 0; }
  [[nodiscard]] bool is(std::uint64_t number) const noexcept { return number_ != 0 && number_ == number; }

 private:
  std::uint64_t number_ = 0;
};

// "Start it now": sent to itself after a start that failed, or after a pause.
struct try_again {
  std::uint64_t retry = 0;
  std::uint64_t child = 0;  // its number under a dynamic supervisor
  TROUPE_MESSAGE(try_again, "supervisor.try_again", retry, child)
};

// Whether a supervisor has sent this to itself: nobody else may tell it what to do next.
[[nodiscard]] inline bool is_own(const process& self, const message& got) noexcept {
  return got.peek()->from == self.id() && !got.is_call();
}

}  // namespace troupe::internal
