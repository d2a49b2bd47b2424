#include <troupe/time.hpp>

#include <time.h>

#include <atomic>
#include <cstring>

namespace troupe {
namespace {

class monotonic_clock final : public clock {
 public:
  time_point now() const noexcept override {
    return time_point(std::chrono::duration_cast<duration>(std::chrono::steady_clock::now().time_since_epoch()));
  }
  std::chrono::system_clock::time_point wall() const noexcept override { return std::chrono::system_clock::now(); }
  // The kernel's last tick, and one more: it is read from memory, where `now` asks the CPU's counter.
  time_point soon() const noexcept override { return of(CLOCK_MONOTONIC_COARSE, &clock_gettime) + tick_; }

 private:
  static time_point of(clockid_t which, int (*ask)(clockid_t, timespec*)) noexcept {
    timespec out{};
    ask(which, &out);
    return time_point(std::chrono::seconds(out.tv_sec) + duration(out.tv_nsec));
  }
  const duration tick_ = of(CLOCK_MONOTONIC_COARSE, &clock_getres).time_since_epoch();
};

// splitmix64: its state is a counter, so threads share it without a lock and one thread always sees the same sequence.
class splitmix final : public random_source {
 public:
  explicit splitmix(std::uint64_t seed) noexcept : state_(seed) {}

  void fill(std::span<std::byte> out) override {
    while (!out.empty()) {
      const std::uint64_t word = draw();
      const std::size_t part = out.size() < sizeof word ? out.size() : sizeof word;
      std::memcpy(out.data(), &word, part);
      out = out.subspan(part);
    }
  }

 private:
  std::uint64_t draw() noexcept {
    constexpr std::uint64_t step = 0x9e3779b97f4a7c15ull;
    std::uint64_t z = state_.fetch_add(step, std::memory_order_relaxed) + step;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  std::atomic<std::uint64_t> state_;
};

}  // namespace

std::uint64_t random_source::next() {
  std::uint64_t word = 0;
  fill(std::as_writable_bytes(std::span(&word, 1)));
  return word;
}

std::uint64_t random_source::below(std::uint64_t bound) {
  if (bound == 0) return 0;
  const std::uint64_t uneven = (0 - bound) % bound;  // 2^64 mod bound: as many of the lowest words are drawn again
  for (;;) {
    if (const std::uint64_t word = next(); word >= uneven) return word % bound;
  }
}

std::shared_ptr<clock> system_clock() {
  static const auto shared = std::make_shared<monotonic_clock>();
  return shared;
}

std::shared_ptr<random_source> seeded_random(std::uint64_t seed) { return std::make_shared<splitmix>(seed); }

}  // namespace troupe
