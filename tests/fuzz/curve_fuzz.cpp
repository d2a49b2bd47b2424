// Any bytes as those of a dialler of CURVE that has proved nothing: frames as they come, or, behind an odd first byte,
// what is in the box of an INITIATE, so that the checks behind the box are reached too.
#include "fuzz.hpp"

#include <algorithm>
#include <vector>

#include <troupe/time.hpp>

#include "zmtp/curve.hpp"
#include "zmtp/curve_parts.hpp"

namespace {

namespace zmtp = troupe::bus::internal::zmtp;
using troupe::internal::box_key;
using troupe::internal::box_proof_bytes;

[[noreturn]] void broken(const char* what) { ::broken("curve_fuzz", what); }

// 00 01 02 …, as the samples have it.
class counted_random final : public troupe::random_source {
 public:
  void fill(std::span<std::byte> out) override {
    for (std::byte& one : out) one = static_cast<std::byte>(next_++);
  }

 private:
  unsigned next_ = 0;
};

const troupe::bus::internal::kept_keys& keys() {
  static const auto made = troupe::bus::internal::keep(troupe::bus::derive_channel_keys("an-example-of-a-cookie"));
  return made;
}

// False when the acceptor has ended it.
bool take(zmtp::curve& acceptor, const zmtp::command& what, unsigned& taken) {
  const auto now = acceptor.take(what);
  const bool failed = now.why.code() != troupe::errc::none;
  if (now.say.size() > 512) broken("a long answer to a stranger");
  if (failed && now.theirs) broken("somebody was let in and refused");
  if (!failed && now.say.empty()) broken("no answer");
  if (now.theirs && taken == 0) broken("somebody was let in at once");
  taken += failed ? 0 : 1;
  return !failed && !now.theirs;
}

void take_frames(std::span<const std::byte> in) {
  counted_random random;
  const auto acceptor = zmtp::curve_of_acceptor(keys(), random);
  unsigned taken = 0;
  while (!in.empty()) {
    const auto one = zmtp::cut_frame(in, 0);
    if (!one || one->used == 0) break;
    const auto what = zmtp::parse_command(one->what.body);
    if (!one->what.command || !what || !take(*acceptor, *what, taken)) break;
    in = in.subspan(one->used);
  }
  fuzz_accepted = taken > 0;
  if (taken > 2) broken("a handshake of more than two commands");
}

// The dialler's secret and the acceptor's are the same bytes, so the keys of the boxes are known here.
void take_inner(std::span<const std::byte> inner) {
  counted_random random, drawn;
  const auto acceptor = zmtp::curve_of_acceptor(keys(), random);
  const auto dialler = zmtp::curve_of_dialler(keys(), drawn);
  counted_random again;
  troupe::internal::secret_key secret;
  const auto open = troupe::internal::draw_pair(again, secret);
  box_key outer, session;
  if (!outer.agree(keys()->acceptor_public, secret.data) || !session.agree(open, secret.data)) broken("no keys");
  const std::string hello = dialler->begin();
  const auto whole = zmtp::cut_frame(std::as_bytes(std::span(hello)), 0);
  const std::string said = acceptor->take(*zmtp::parse_command(whole->what.body)).say;
  const auto welcome = std::as_bytes(std::span(said)).subspan(2 + 8);
  std::vector<std::byte> opened(welcome.size() - 16 - box_proof_bytes);
  if (!outer.open(welcome.subspan(16), zmtp::nonce_of("WELCOME-", welcome.first(16)), opened)) broken("no WELCOME");
  const auto number = zmtp::bytes_of(2);
  std::vector<std::byte> body(opened.begin() + 32, opened.end());  // the cookie
  body.insert(body.end(), number.begin(), number.end());
  const std::size_t box = body.size();
  body.resize(box + inner.size() + box_proof_bytes);
  session.seal(inner, zmtp::nonce_of("CurveZMQINITIATE", number), std::span(body).subspan(box));
  unsigned taken = 1;
  take(*acceptor, {"INITIATE", zmtp::text_of(body)}, taken);
  fuzz_accepted = taken == 2;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span in(reinterpret_cast<const std::byte*>(data), size);
  fuzz_accepted = false;
  if (in.empty()) return 0;
  if ((in[0] & std::byte{1}) == std::byte{0}) take_frames(in.subspan(1));
  else take_inner(in.subspan(1));
  return 0;
}
