#pragma once
// The one place, with random.cpp, that knows libsodium.
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace troupe::internal {

inline constexpr std::size_t proof_bytes = 32;
using proof = std::array<std::byte, proof_bytes>;

// HMAC-SHA256 under `key` over the label and then each part, every one of these behind its length (4 bytes, big end
// first), so that no two transcripts run together.
[[nodiscard]] proof prove(std::string_view key, std::string_view label,
                          std::span<const std::span<const std::byte>> parts);

// In a time that does not depend on where they differ.
[[nodiscard]] bool same_proof(std::span<const std::byte> given, const proof& wanted) noexcept;

// Overwrites a secret in a way that the compiler keeps.
void wipe(std::span<std::byte> secret) noexcept;

}  // namespace troupe::internal
