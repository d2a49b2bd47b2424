#include "dist/call_numbers.hpp"

#include <bit>

namespace troupe::internal {

namespace {

// One round of Speck64, forwards and back.
void forwards(std::uint32_t& x, std::uint32_t& y, std::uint32_t key) noexcept {
  x = (std::rotr(x, 8) + y) ^ key;
  y = std::rotl(y, 3) ^ x;
}
void back(std::uint32_t& x, std::uint32_t& y, std::uint32_t key) noexcept {
  y = std::rotr(y ^ x, 3);
  x = std::rotl((x ^ key) - y, 8);
}

}  // namespace

call_numbers::call_numbers(const key& secret) noexcept {
  std::array<std::uint32_t, 3> left{secret[1], secret[2], secret[3]};
  std::uint32_t round_key = secret[0];
  for (std::uint32_t i = 0; i < rounds; ++i) {
    keys_[i] = round_key;
    forwards(left[i % 3], round_key, i);
  }
}

call_numbers::key call_numbers::draw(random_source& random) {
  const std::uint64_t low = random.next(), high = random.next();
  return {static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(low >> 32), static_cast<std::uint32_t>(high),
          static_cast<std::uint32_t>(high >> 32)};
}

std::uint64_t call_numbers::outside(std::uint64_t own) const noexcept {
  auto x = static_cast<std::uint32_t>(own >> 32), y = static_cast<std::uint32_t>(own);
  for (std::uint32_t each : keys_) forwards(x, y, each);
  return static_cast<std::uint64_t>(x) << 32 | y;
}

std::uint64_t call_numbers::inside(std::uint64_t told) const noexcept {
  auto x = static_cast<std::uint32_t>(told >> 32), y = static_cast<std::uint32_t>(told);
  for (std::size_t i = rounds; i > 0; --i) back(x, y, keys_[i - 1]);
  return static_cast<std::uint64_t>(x) << 32 | y;
}

}  // namespace troupe::internal
