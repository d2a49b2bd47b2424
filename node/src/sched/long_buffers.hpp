#pragma once
// The bytes of long messages on their way: buffers that are used again. Given back to the C library, each would cost a
// fault for every page of the next one. One store for the program; thread-safe.
#include <cstddef>

#include <troupe/value.hpp>

namespace troupe::internal {

inline constexpr std::size_t long_buffer = 256u << 10;           // shorter ones are not worth it
inline constexpr std::size_t most_long_buffers_keep = 8u << 20;  // bytes, of all that lie here

// Empty, with room for `size`; without a size, any that lies here, or none.
[[nodiscard]] bytes take_long_buffer(std::size_t size = 0);
void give_long_buffer(bytes&& used) noexcept;

}  // namespace troupe::internal
