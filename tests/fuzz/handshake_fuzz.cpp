// Any bytes as a step of the handshake, and as each of its bodies: refused, or within what `meet` may rely on.
#include "fuzz.hpp"

#include "handshake.hpp"

namespace {

namespace wire = troupe::bus::internal;

[[noreturn]] void broken(const char* what) { ::broken("handshake_fuzz", what); }

void check_body(std::span<const std::byte> body) {
  troupe::bus::identity self;
  self.name = "a@host";
  self.creation = 1;
  if (const auto hello = wire::parse_hello(body)) {
    if (hello->nonce.size() != wire::nonce_bytes) broken("a nonce of another length");
    static_cast<void>(wire::choose_protocol(hello->protocol_min, hello->protocol_max));
    const auto met = wire::meet(hello->who, self, {});
    if (met && met->tick < std::chrono::milliseconds(1)) broken("a tick of nothing");
    const auto again = wire::encode_step("hello", *hello);
    const auto step = wire::parse_step(again);
    if (again.size() <= wire::longest_handshake && (!step || !wire::parse_hello(step->body))) broken("a hello changed");
  }
  if (const auto challenge = wire::parse_challenge(body)) {
    if (challenge->connection.size() != sizeof(wire::wire_id)) broken("an id of another length");
  }
  static_cast<void>(wire::parse_proof(body));
  if (wire::parse_refusal(body).code() == troupe::errc::none) broken("a refusal without a code");
}

bool is_good(const wire::parsed_step& one) {
  switch (one.kind) {
    case wire::step::hello: return wire::parse_hello(one.body).has_value();
    case wire::step::challenge: return wire::parse_challenge(one.body).has_value();
    case wire::step::proof:
    case wire::step::welcome: return wire::parse_proof(one.body).has_value();
    case wire::step::refused: return wire::parse_refusal(one.body) == troupe::errc::name_taken;  // the sample's
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span in(reinterpret_cast<const std::byte*>(data), size);
  check_body(in);
  fuzz_accepted = false;
  if (const auto step = wire::parse_step(in)) {
    if (!wire::is_step(in)) broken("a step that does not look like one");
    fuzz_accepted = is_good(*step);
    check_body(step->body);
  }
  return 0;
}
