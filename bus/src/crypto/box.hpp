#pragma once
// Boxes: bytes that only who shares a key can read or make, as crypto_box and crypto_secretbox of NaCl have them.
#include <array>
#include <cstddef>
#include <optional>
#include <span>

#include "crypto/key_pair.hpp"
#include "crypto/proof.hpp"

namespace troupe {
class random_source;
}

namespace troupe::internal {

inline constexpr std::size_t box_proof_bytes = 16;  // a box is so much longer than what it holds
using box_nonce = std::array<std::byte, 24>;        // never twice with one key

// Bytes that are overwritten when they go.
template <std::size_t Size>
struct secret_bytes {
  std::array<std::byte, Size> data{};
  secret_bytes() = default;
  secret_bytes(const secret_bytes&) = delete;
  secret_bytes& operator=(const secret_bytes&) = delete;
  ~secret_bytes() { clear(); }
  void clear() noexcept { wipe(data); }
};
using secret_key = secret_bytes<32>;

// A fresh pair: the public key is returned, the secret one is drawn into `secret`.
[[nodiscard]] curve_key draw_pair(random_source& random, secret_key& secret);

// What opens and closes boxes; overwritten when it goes.
class box_key {
 public:
  // What the owner of `their_open` and the owner of `our_secret` both can compute. False when the other's key is none:
  // a point of small order, with which everybody would share the same.
  [[nodiscard]] bool agree(const curve_key& their_open, const curve_key& our_secret) noexcept;
  void draw(random_source& random);
  void clear() noexcept { key_.clear(); }

  // `out` is box_proof_bytes longer than `text`, which may be its end.
  void seal(std::span<const std::byte> text, const box_nonce& nonce, std::span<std::byte> out) const noexcept;
  // `out` is box_proof_bytes shorter than `box`. False when that is no box of this key and nonce.
  [[nodiscard]] bool open(std::span<const std::byte> box, const box_nonce& nonce,
                          std::span<std::byte> out) const noexcept;

 private:
  secret_key key_;
};

}  // namespace troupe::internal
