#include "handshake.hpp"

#include <algorithm>
#include <array>

#include "quoted.hpp"

namespace troupe::bus::internal {
namespace {

constexpr limits handshake_budget{.frame_bytes = longest_handshake, .value_nodes = 1024, .depth = 8};
constexpr std::array<std::byte, 5> encryption_used{std::byte{'c'}, std::byte{'u'}, std::byte{'r'}, std::byte{'v'},
                                                   std::byte{'e'}};
constexpr std::array<std::string_view, 5> step_names{"hello", "challenge", "proof", "welcome", "refused"};
// A list of three whose first item is the text "troupe".
constexpr std::array<std::byte, 8> opening{std::byte{0x93}, std::byte{0xa6}, std::byte{'t'}, std::byte{'r'},
                                           std::byte{'o'},  std::byte{'u'},  std::byte{'p'}, std::byte{'e'}};

error bad(std::string text) { return error(errc::bad_message, "handshake: " + std::move(text)); }

// The last part of a proof stands there on encrypted connections alone.
std::span<const std::span<const std::byte>> proved_parts(std::span<const std::span<const std::byte>> parts,
                                                         channel over) {
  return over == channel::encrypted ? parts : parts.first(parts.size() - 1);
}

result<void> check(const introduction& who) {
  if (auto legal = check_node_name(who.name); !legal) return legal.error();
  if (who.creation == 0) return bad("no creation");
  if (who.application.size() > 255) return bad("application too long");
  if (who.features.size() > 64 || who.needs.size() > 64) return bad("too many features");
  if (who.frame_bytes < 1024 || who.frame_bytes > (std::uint64_t{1} << 31)) return bad("frame_bytes out of range");
  if (who.credit_bytes < 1024 || who.credit_bytes > (std::uint64_t{1} << 31)) return bad("credit_bytes out of range");
  if (who.tick_ms < 10 || who.tick_ms > 600'000) return bad("tick_ms out of range");
  return {};
}

error missing(const std::vector<std::string>& needs, const std::vector<std::string>& has, std::string_view whose) {
  for (const std::string& need : needs) {
    if (std::ranges::find(has, need) != has.end()) continue;
    return error(errc::unsupported, std::string(whose) + " the feature " + troupe::internal::quoted(need));
  }
  return {};
}

}  // namespace

bool is_step(std::span<const std::byte> data) noexcept {
  return data.size() >= opening.size() && std::equal(opening.begin(), opening.end(), data.begin());
}

result<parsed_step> parse_step(std::span<const std::byte> data) {
  if (!is_step(data)) return bad("not one of ours");
  if (data.size() > longest_handshake) {
    return error(errc::too_large, "handshake: a message of more than " + std::to_string(longest_handshake) + " bytes");
  }
  const auto r = wire_reader(data, handshake_budget);
  std::size_t count = 0;
  std::string_view text;
  if (!r->begin_list(count) || !r->read_text(text) || !r->read_text(text)) return r->failure();
  const auto found = std::ranges::find(step_names, text);
  if (found == step_names.end()) {
    return error(errc::unsupported, "handshake: unknown step " + troupe::internal::quoted(text, 32));
  }
  return parsed_step{.kind = static_cast<step>(found - step_names.begin()), .body = data.subspan(wire_position(*r))};
}

result<hello_message> parse_hello(std::span<const std::byte> body) {
  auto out = from_wire<hello_message>(body, handshake_budget);
  if (!out) return out;
  if (auto legal = check(out->who); !legal) return legal.error();
  if (out->nonce.size() != nonce_bytes) return bad("the nonce must have 32 bytes");
  if (out->secret != "cookie" && out->secret != "control_key") {
    return error(errc::unsupported, "handshake: proof of " + troupe::internal::quoted(out->secret, 32));
  }
  return out;
}

result<challenge_message> parse_challenge(std::span<const std::byte> body) {
  auto out = from_wire<challenge_message>(body, handshake_budget);
  if (!out) return out;
  if (auto legal = check(out->who); !legal) return legal.error();
  if (out->nonce.size() != nonce_bytes) return bad("the nonce must have 32 bytes");
  if (out->connection.size() != std::tuple_size_v<wire_id>) return bad("the connection's id must have 8 bytes");
  return out;
}

result<bytes> parse_proof(std::span<const std::byte> body) {
  auto out = from_wire<proof_message>(body, handshake_budget);
  if (!out) return out.error();
  return std::move(out->proof);
}

error parse_refusal(std::span<const std::byte> body) {
  auto out = from_wire<error>(body, handshake_budget);
  if (!out) return bad("a refusal that cannot be read");
  if (out->code() == errc::none) return bad("a refusal without a code");
  return std::move(*out);
}

introduction introduce(const identity& self, const limits& ours) {
  introduction out;
  out.name = self.name;
  out.creation = self.creation;
  out.hidden = self.hidden || self.tool;
  out.tool = self.tool;
  out.application = self.application;
  out.features = self.features;
  out.needs = self.needs;
  out.frame_bytes = ours.frame_bytes;
  out.message_bytes = ours.message_bytes;
  out.credit_bytes = ours.credit_bytes;
  out.tick_ms = static_cast<std::uint64_t>(ours.tick.count());
  return out;
}

result<peer_info> meet(const introduction& theirs, const identity& self, const limits& ours) {
  if (error lack = missing(self.needs, theirs.features, "the other side lacks"); lack.code() != errc::none) return lack;
  if (error lack = missing(theirs.needs, self.features, "this side lacks"); lack.code() != errc::none) return lack;
  peer_info out;
  out.who = {.name = theirs.name,
             .creation = theirs.creation,
             .hidden = theirs.hidden || theirs.tool,
             .tool = theirs.tool,
             .application = theirs.application,
             .features = theirs.features,
             .needs = theirs.needs};
  out.theirs.frame_bytes = theirs.frame_bytes;
  out.theirs.message_bytes = std::max(theirs.message_bytes, theirs.frame_bytes);
  out.theirs.credit_bytes = theirs.credit_bytes;
  out.theirs.tick = std::chrono::milliseconds(theirs.tick_ms);
  out.tick = std::min(out.theirs.tick, ours.tick);
  if (self.tool || theirs.tool) {
    out.tick = std::min(out.tick, std::chrono::milliseconds(1000));
    out.silent_ticks = 3;
  }
  return out;
}

result<unsigned> choose_protocol(std::uint32_t lowest, std::uint32_t highest) {
  const unsigned chosen = std::min<std::uint32_t>(highest, protocol_max);
  if (lowest <= chosen && chosen >= protocol_min) return chosen;
  return error(errc::unsupported, "protocol " + std::to_string(lowest) + " to " + std::to_string(highest) +
                                      " is asked for, " + std::to_string(protocol_min) + " to " +
                                      std::to_string(protocol_max) + " is spoken here");
}

troupe::internal::proof prove_dialler(std::string_view key, const transcript& so_far) {
  const std::array<std::span<const std::byte>, 3> parts{so_far.hello, so_far.challenge, encryption_used};
  return troupe::internal::prove(key, "troupe 1 dialler", proved_parts(parts, so_far.over));
}

troupe::internal::proof prove_acceptor(std::string_view key, const transcript& so_far) {
  const std::array<std::span<const std::byte>, 4> parts{so_far.hello, so_far.challenge, so_far.proof, encryption_used};
  return troupe::internal::prove(key, "troupe 1 acceptor", proved_parts(parts, so_far.over));
}

}  // namespace troupe::bus::internal
