#include "crypto/proof.hpp"

#include <sodium.h>

#include <cstdint>

namespace troupe::internal {
namespace {

static_assert(proof_bytes == crypto_auth_hmacsha256_BYTES);

void add(crypto_auth_hmacsha256_state& state, std::span<const std::byte> part) {
  const auto size = static_cast<std::uint32_t>(part.size());
  const std::array<unsigned char, 4> length{static_cast<unsigned char>(size >> 24),
                                            static_cast<unsigned char>(size >> 16),
                                            static_cast<unsigned char>(size >> 8), static_cast<unsigned char>(size)};
  crypto_auth_hmacsha256_update(&state, length.data(), length.size());
  crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
}

}  // namespace

proof prove(std::string_view key, std::string_view label, std::span<const std::span<const std::byte>> parts) {
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, reinterpret_cast<const unsigned char*>(key.data()), key.size());
  add(state, std::as_bytes(std::span(label)));
  for (const auto& part : parts) add(state, part);
  proof out;
  crypto_auth_hmacsha256_final(&state, reinterpret_cast<unsigned char*>(out.data()));
  sodium_memzero(&state, sizeof state);
  return out;
}

bool same_proof(std::span<const std::byte> given, const proof& wanted) noexcept {
  return given.size() == wanted.size() && sodium_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
}

void wipe(std::span<std::byte> secret) noexcept { sodium_memzero(secret.data(), secret.size()); }

}  // namespace troupe::internal
