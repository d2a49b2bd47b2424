#pragma once
// How often, and how soon, a supervisor starts a child again.
#include <algorithm>
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

// "Start it now": sent to itself after a start that failed, or after a pause.
struct try_again {
  std::string id;
  TROUPE_MESSAGE(try_again, "supervisor.try_again", id)
};

}  // namespace troupe::internal
