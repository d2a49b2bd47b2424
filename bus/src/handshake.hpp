#pragma once
// The messages of the handshake, and what is proved over them. No state: hub_handshake.cpp has the order of events.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/bus/connection.hpp>
#include <troupe/codec.hpp>

#include "crypto/proof.hpp"
#include "frames.hpp"

namespace troupe::bus::internal {

inline constexpr unsigned protocol_min = 1;
inline constexpr unsigned protocol_max = 1;
inline constexpr std::size_t nonce_bytes = 32;
inline constexpr std::size_t longest_handshake = 16 * 1024;

// Both sides tell these.
struct introduction {
  std::string name;
  std::uint64_t creation = 0;
  bool hidden = false;
  bool tool = false;
  std::string application;
  std::vector<std::string> features;
  std::vector<std::string> needs;
  std::uint64_t frame_bytes = 0;
  std::uint64_t message_bytes = 0;
  std::uint64_t credit_bytes = 0;
  std::uint64_t tick_ms = 0;
  TROUPE_FIELDS(introduction, name, creation, hidden, tool, application, features, needs, frame_bytes, message_bytes,
                credit_bytes, tick_ms)
};

struct hello_message {
  std::uint32_t protocol_min = 0;
  std::uint32_t protocol_max = 0;
  introduction who;
  std::string secret;  // "cookie" or "control_key": which one the dialler will prove
  bytes nonce;
  TROUPE_FIELDS(hello_message, protocol_min, protocol_max, who, secret, nonce)
};

struct challenge_message {
  std::uint32_t protocol = 0;
  introduction who;
  bytes nonce;
  bytes connection;  // the id that every frame will carry
  TROUPE_FIELDS(challenge_message, protocol, who, nonce, connection)
};

struct proof_message {
  bytes proof;
  TROUPE_FIELDS(proof_message, proof)
};

enum class step : std::uint8_t { hello, challenge, proof, welcome, refused };

// ["troupe", STEP, BODY]
template <class Body>
[[nodiscard]] bytes encode_step(std::string_view name, const Body& body) {
  wire_buffer out;
  const auto w = wire_writer(out);
  w->begin_list(3);
  w->put_text("troupe");
  w->put_text(name);
  codec<Body>::put(*w, body);
  return std::move(out).take();
}

struct parsed_step {
  step kind;
  std::span<const std::byte> body;
};
// errc::bad_message for what is no handshake, unsupported for a step that this version does not know.
[[nodiscard]] result<parsed_step> parse_step(std::span<const std::byte> data);
// Does it look like one at all? Frames of a connection do not.
[[nodiscard]] bool is_step(std::span<const std::byte> data) noexcept;

[[nodiscard]] result<hello_message> parse_hello(std::span<const std::byte> body);
[[nodiscard]] result<challenge_message> parse_challenge(std::span<const std::byte> body);
[[nodiscard]] result<bytes> parse_proof(std::span<const std::byte> body);
[[nodiscard]] error parse_refusal(std::span<const std::byte> body);

[[nodiscard]] introduction introduce(const identity& self, const limits& ours);
// What follows from both introductions: who, limits, tick; errc::unsupported when a needed feature is missing.
[[nodiscard]] result<peer_info> meet(const introduction& theirs, const identity& self, const limits& ours);
// The highest protocol of both ranges.
[[nodiscard]] result<unsigned> choose_protocol(std::uint32_t lowest, std::uint32_t highest);

// The frames as they travelled.
struct transcript {
  bytes hello;
  bytes challenge;
  bytes proof;
  channel over = channel::plain;  // each side's own view: proofs hold only when both have the same
};
[[nodiscard]] troupe::internal::proof prove_dialler(std::string_view key, const transcript& so_far);
[[nodiscard]] troupe::internal::proof prove_acceptor(std::string_view key, const transcript& so_far);

}  // namespace troupe::bus::internal
