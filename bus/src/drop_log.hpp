#pragma once
// Counts what was dropped, by cause, and logs it without letting a stranger fill the log.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/log_sink.hpp>
#include <troupe/time.hpp>

namespace troupe::bus::internal {

// At most so many events in a burst, and then `per_second`.
class token_bucket {
 public:
  token_bucket(unsigned burst, unsigned per_second) noexcept : burst_(burst), gap_(1'000'000'000 / per_second) {}
  [[nodiscard]] bool take(time_point now) noexcept {
    if (full_at_ < now) full_at_ = now;
    if (full_at_ - now >= gap_ * burst_) return false;
    full_at_ += gap_;
    return true;
  }

 private:
  std::int64_t burst_;
  duration gap_;
  time_point full_at_{};  // when it will be full again
};

// Owner: a hub; the loop's thread.
class drop_log {
 public:
  explicit drop_log(log_sink* sink) noexcept : sink_(sink) {}

  // `cause` must live for ever: it is a literal.
  void drop(std::string_view cause, time_point now, std::string_view message, map fields = {});
  void count(std::string_view cause) { ++causes_[cause].count; }
  void log(log_level level, std::string_view message, map fields) const;
  [[nodiscard]] log_sink* sink() const noexcept { return sink_; }
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> counts() const;

 private:
  struct cause_state {
    std::uint64_t count = 0;
    std::uint64_t unsaid = 0;  // since the last line
    token_bucket lines{5, 1};
  };
  log_sink* sink_;
  std::map<std::string_view, cause_state> causes_;
};

}  // namespace troupe::bus::internal
