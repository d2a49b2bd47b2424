#include "sched/trim.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "sched/pool.hpp"

namespace troupe::internal {
namespace {

using steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t much = 64u << 20;
constexpr steady::duration shortest_pause = 2s, longest_pause = 60s;
constexpr std::size_t part = 8;  // of what is resident: less is not worth it

std::atomic<std::size_t> freed{0};
std::atomic<std::size_t> due_at{much};  // so much must have been freed

struct state {
  std::mutex mutex;
  std::size_t at_last_trim = 0, at_last_look = 0;
  steady::time_point last_trim{}, last_look{};
  steady::duration pause = shortest_pause;
};

state& trimming() {
  static state* instance = new state;  // never destroyed: a watch may outlive what is static
  return *instance;
}

std::size_t resident_bytes() noexcept {
  std::array<char, 128> text{};
  const int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const auto got = ::read(fd, text.data(), text.size() - 1);
  ::close(fd);
  if (got <= 0) return 0;
  char* behind = nullptr;
  static_cast<void>(std::strtoull(text.data(), &behind, 10));
  return std::strtoull(behind, nullptr, 10) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

void note_freed(std::size_t bytes) noexcept { freed.fetch_add(bytes, std::memory_order_relaxed); }

bool trim_is_due() noexcept { return freed.load(std::memory_order_relaxed) >= due_at.load(std::memory_order_relaxed); }

void trim_when_calm(steady::time_point now) noexcept {
  state& s = trimming();
  std::unique_lock lock(s.mutex, std::try_to_lock);
  if (!lock.owns_lock() || now - s.last_look < 1s) return;
  const std::size_t all = freed.load(std::memory_order_relaxed);
  const std::size_t recent = all - std::exchange(s.at_last_look, all), since = all - s.at_last_trim;
  s.last_look = now;
  if (recent > since / part || now - s.last_trim < s.pause) return;
  const std::size_t before = resident_bytes();
  if (since < before / part) {
    due_at.store(s.at_last_trim + before / part, std::memory_order_relaxed);
    return;
  }
  pool_trim();
#ifndef TROUPE_SANITIZED
  ::malloc_trim(0);
#endif
  const std::size_t after = resident_bytes();
  s.pause = after + before / part > before ? std::min(2 * s.pause, longest_pause) : shortest_pause;
  s.last_trim = now;
  s.at_last_trim = all;
  due_at.store(all + much, std::memory_order_relaxed);
}

}  // namespace troupe::internal
