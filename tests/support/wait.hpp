#pragma once

#include <chrono>
#include <thread>

namespace troupe::test {

// Generous, because a loaded machine with two cores is slow and a passing test never waits for it.
inline constexpr std::chrono::seconds default_deadline{30};

// Asks until the condition holds; false when it did not before the deadline. The one place where a test looks again
// after a pause: a test never sleeps for a fixed time and hopes.
template <typename Condition>
[[nodiscard]] bool wait_until(Condition&& condition, std::chrono::milliseconds deadline = default_deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  auto pause = std::chrono::microseconds(200);
  for (;;) {
    if (condition()) return true;
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(pause);
    if (pause < std::chrono::milliseconds(20)) pause *= 2;
  }
}

}  // namespace troupe::test
