#pragma once
// Memory that much lay in and that is free again goes back to the system: the pools' and malloc's, which both keep what
// they are given. One for the program; the watch of each scheduler looks after it.
//
// Trimming malloc holds each arena's lock, and so whoever allocates there, the longer the more small blocks lie there.
// So what is small and many, frames, messages and the blocks of Lua's states, is the pools', which are sorted out
// without a lock; and it is done once much has been freed and no more is being freed at that rate, at most every two
// seconds, more seldom where it gives back little.
#include <chrono>
#include <cstddef>

namespace troupe::internal {

// Told of what is freed at once: an ended Lua state, a long message, blocks in batches. What is small counts nowhere.
void note_freed(std::size_t bytes) noexcept;
// Much has been: `trim_when_calm` wants to be called again, every second or more often.
[[nodiscard]] bool trim_is_due() noexcept;
void trim_when_calm(std::chrono::steady_clock::time_point now) noexcept;

}  // namespace troupe::internal
