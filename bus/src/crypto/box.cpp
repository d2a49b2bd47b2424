#include "crypto/box.hpp"

#include <sodium.h>

#include <troupe/time.hpp>

namespace troupe::internal {
namespace {

static_assert(box_proof_bytes == crypto_box_MACBYTES && box_proof_bytes == crypto_secretbox_MACBYTES);
static_assert(std::tuple_size_v<box_nonce> == crypto_box_NONCEBYTES);
static_assert(std::tuple_size_v<box_nonce> == crypto_secretbox_NONCEBYTES);
static_assert(std::tuple_size_v<curve_key> == crypto_box_BEFORENMBYTES);

template <class Bytes>
const unsigned char* in(const Bytes& data) {
  return reinterpret_cast<const unsigned char*>(data.data());
}
template <class Bytes>
unsigned char* out_of(Bytes& data) {
  return reinterpret_cast<unsigned char*>(data.data());
}

}  // namespace

curve_key draw_pair(random_source& random, secret_key& secret) {
  random.fill(secret.data);
  curve_key open{};
  if (crypto_scalarmult_base(out_of(open), in(secret.data)) != 0) open = {};
  return open;
}

bool box_key::agree(const curve_key& their_open, const curve_key& our_secret) noexcept {
  return crypto_box_beforenm(out_of(key_.data), in(their_open), in(our_secret)) == 0;
}

void box_key::draw(random_source& random) { random.fill(key_.data); }

void box_key::seal(std::span<const std::byte> text, const box_nonce& nonce, std::span<std::byte> out) const noexcept {
  crypto_box_easy_afternm(out_of(out), in(text), text.size(), in(nonce), in(key_.data));
}

bool box_key::open(std::span<const std::byte> box, const box_nonce& nonce, std::span<std::byte> out) const noexcept {
  return crypto_box_open_easy_afternm(out_of(out), in(box), box.size(), in(nonce), in(key_.data)) == 0;
}

}  // namespace troupe::internal
