#pragma once
// The numbers by which other nodes know our calls.
#include <array>
#include <cstdint>

#include <troupe/time.hpp>

namespace troupe::internal {

// An answer to a call is believed for the number that it carries, whoever it comes from: a call may have been passed on
// to a node that we did not ask. Our own numbers count up, so anybody could guess them. Others are therefore told a
// permutation of all 64 bits (the cipher Speck64/128) under a key that is drawn in each life of the node: only who was
// asked, or was passed the call, can answer it, and no table is needed to find our number again. Owner: the
// distribution. Thread: any, it never changes.
class call_numbers {
 public:
  using key = std::array<std::uint32_t, 4>;
  explicit call_numbers(const key& secret) noexcept;
  explicit call_numbers(random_source& random) : call_numbers(draw(random)) {}

  [[nodiscard]] std::uint64_t outside(std::uint64_t own) const noexcept;
  [[nodiscard]] std::uint64_t inside(std::uint64_t told) const noexcept;
  // Ours count up from a small number: one that was made up is almost surely none of them.
  [[nodiscard]] static bool is_possible(std::uint64_t own) noexcept { return own >> 48 == 0; }

 private:
  static constexpr std::size_t rounds = 27;
  [[nodiscard]] static key draw(random_source& random);
  std::array<std::uint32_t, rounds> keys_;
};

}  // namespace troupe::internal
