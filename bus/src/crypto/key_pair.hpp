#pragma once
// Key pairs that follow from a secret: whoever knows it has them.
#include <array>
#include <cstddef>
#include <string_view>

namespace troupe::internal {

using curve_key = std::array<std::byte, 32>;

// Curve25519, as CURVE and crypto_box use it.
struct key_pair {
  curve_key open;
  curve_key secret;
};

// The secret key is `prove(secret, label)` over no parts, so that nothing but a hash and Curve25519 is needed to make
// it.
[[nodiscard]] key_pair derive_key_pair(std::string_view secret, std::string_view label);

}  // namespace troupe::internal
