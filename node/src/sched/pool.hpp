#pragma once
// Memory for frames, messages and cold parts: size classes with a list per thread. Like malloc, one for the program:
// blocks may be freed by another thread than the one that took them. Plain malloc under sanitizers.
#include <cstddef>

namespace troupe::internal {

inline constexpr std::size_t pool_step = 16, pool_limit = 1024;

// What `pool_take(bytes)` really takes; for memory counters.
[[nodiscard]] constexpr std::size_t pool_size(std::size_t bytes) noexcept {
  return (bytes + pool_step - 1) / pool_step * pool_step;
}
// May a block that was taken for `had` bytes hold `wanted`, more than 0, in its place, and be given back as these?
[[nodiscard]] constexpr bool pool_serves(std::size_t had, std::size_t wanted) noexcept {
#ifdef TROUPE_SANITIZED
  return had == wanted;  // each is malloc's own, to the byte
#else
  return had <= pool_limit && pool_size(had) == pool_size(wanted);
#endif
}
[[nodiscard]] void* pool_take(std::size_t bytes);
void pool_give(void* block, std::size_t bytes) noexcept;
// Gives the memory that lies unused behind the threads' own lists back to the system. May take a while; other threads
// go on meanwhile.
void pool_trim() noexcept;

}  // namespace troupe::internal
