#include "crypto/key_pair.hpp"

#include <sodium.h>

#include "crypto/proof.hpp"

namespace troupe::internal {

static_assert(std::tuple_size_v<curve_key> == crypto_box_SECRETKEYBYTES);
static_assert(std::tuple_size_v<curve_key> == proof_bytes);

key_pair derive_key_pair(std::string_view secret, std::string_view label) {
  key_pair out;
  out.secret = prove(secret, label, {});
  // Fails for a secret key of zeros alone, which no hash gives.
  if (crypto_scalarmult_base(reinterpret_cast<unsigned char*>(out.open.data()),
                             reinterpret_cast<const unsigned char*>(out.secret.data())) != 0) {
    out.open = {};
  }
  return out;
}

}  // namespace troupe::internal
