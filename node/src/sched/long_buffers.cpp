#include "sched/long_buffers.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

namespace troupe::internal {
namespace {

struct store {
  std::mutex mutex;
  std::array<bytes, 16> kept;  // unused places are empty
  std::size_t total = 0;
};

// Never destroyed: threads may still give during program exit.
store& store_of_buffers() {
  static store* instance = new store;
  return *instance;
}

}  // namespace

bytes take_long_buffer(std::size_t size) {
  bytes out;
  if (size == 0 || size >= long_buffer) {
    store& s = store_of_buffers();
    std::lock_guard lock(s.mutex);
    bytes* best = nullptr;
    for (bytes& one : s.kept) {
      if (one.capacity() == 0 || one.capacity() < size) continue;
      if (best == nullptr || one.capacity() < best->capacity()) best = &one;
    }
    if (best != nullptr) {
      s.total -= best->capacity();
      out = std::exchange(*best, {});
    }
  }
  out.reserve(size);
  return out;
}

void give_long_buffer(bytes&& used) noexcept {
  bytes given = std::move(used);  // freed here, outside of the lock, when it is not kept
  if (given.capacity() < long_buffer || given.capacity() > most_long_buffers_keep / 2) return;
  given.clear();
  store& s = store_of_buffers();
  std::lock_guard lock(s.mutex);
  if (s.total + given.capacity() > most_long_buffers_keep) return;
  const auto place = std::find_if(s.kept.begin(), s.kept.end(), [](const bytes& one) { return one.capacity() == 0; });
  if (place == s.kept.end()) return;
  s.total += given.capacity();
  *place = std::move(given);
}

}  // namespace troupe::internal
