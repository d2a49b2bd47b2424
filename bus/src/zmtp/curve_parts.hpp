#pragma once
// What the commands of CURVE are made of; for curve*.cpp alone.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "crypto/box.hpp"

namespace troupe::bus::internal::zmtp {

inline std::string_view text_of(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}
inline std::span<const std::byte> bytes_in(std::string_view text) { return std::as_bytes(std::span(text)); }

// A number of a nonce, big end first.
inline std::array<std::byte, 8> bytes_of(std::uint64_t number) {
  std::array<std::byte, 8> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(number >> (56 - 8 * i));
  return out;
}
inline std::uint64_t number_at(std::span<const std::byte> data, std::size_t at) {
  std::uint64_t out = 0;
  for (const std::byte one : data.subspan(at, 8)) out = out << 8 | std::to_integer<std::uint64_t>(one);
  return out;
}

// The beginning, 16 bytes or 8, says what is sealed; the rest is never the same twice.
inline troupe::internal::box_nonce nonce_of(std::string_view beginning, std::span<const std::byte> rest) {
  troupe::internal::box_nonce out{};
  std::ranges::copy(bytes_in(beginning), out.begin());
  std::ranges::copy(rest, out.begin() + static_cast<std::ptrdiff_t>(beginning.size()));
  return out;
}
inline troupe::internal::box_nonce nonce_of(std::string_view beginning, std::uint64_t number) {
  return nonce_of(beginning, bytes_of(number));
}

}  // namespace troupe::bus::internal::zmtp
