#pragma once
// Time and randomness come in through these two interfaces, so that a whole cluster runs under a seeded simulation.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace troupe {

using duration = std::chrono::nanoseconds;

// Steady time: its zero means nothing, it never jumps.
struct steady {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<steady>;
  static constexpr bool is_steady = true;
};
using time_point = steady::time_point;

// Spelled where a wait has no end.
inline constexpr duration wait_forever = duration::max();

// Thread-safe. Wall time is for people only: no deadline is ever computed from it.
class clock {
 public:
  virtual ~clock() = default;
  [[nodiscard]] virtual time_point now() const noexcept = 0;
  [[nodiscard]] virtual std::chrono::system_clock::time_point wall() const noexcept = 0;
  // At or after `now`, by some milliseconds at most, and cheaper: for deadlines that are long beside that.
  [[nodiscard]] virtual time_point soon() const noexcept { return now(); }
};

// Thread-safe. Keys, nonces and creations come from here: the system's form is a CSPRNG.
class random_source {
 public:
  virtual ~random_source() = default;
  virtual void fill(std::span<std::byte> out) = 0;
  [[nodiscard]] std::uint64_t next();                      // uniform over all 64 bits
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound); 0 for bound 0
};

[[nodiscard]] std::shared_ptr<clock> system_clock();           // CLOCK_MONOTONIC
[[nodiscard]] std::shared_ptr<random_source> system_random();  // getrandom, through libsodium
[[nodiscard]] std::shared_ptr<random_source> seeded_random(std::uint64_t seed);

// `after + by`, saturating: adding wait_forever gives time_point::max().
[[nodiscard]] constexpr time_point deadline_after(time_point from, duration by) noexcept {
  if (by == wait_forever) return time_point::max();
  if (by > duration::zero() && from > time_point::max() - by) return time_point::max();
  return from + by;
}

}  // namespace troupe
