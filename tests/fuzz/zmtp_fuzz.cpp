// Any bytes as those of a ZeroMQ connection: cut into frames wherever they are cut, and the same ones; commands parsed
// or refused.
#include "fuzz.hpp"

#include <vector>

#include "zmtp/codec.hpp"

namespace {

namespace zmtp = troupe::bus::internal::zmtp;

constexpr std::size_t longest = 4096;

[[noreturn]] void broken(const char* what) { ::broken("zmtp_fuzz", what); }

void check_command(std::span<const std::byte> body) {
  const auto one = zmtp::parse_command(body);
  if (!one) return;
  fuzz_accepted = true;
  if (one->name.size() + one->data.size() + 1 != body.size()) broken("a command lost bytes");
  static_cast<void>(zmtp::parse_ready(one->data));
  if (const auto context = zmtp::parse_ping(one->data)) {
    const std::string answer = zmtp::pong(*context);
    const auto again = zmtp::cut_frame(std::as_bytes(std::span(answer)), longest);
    if (!again || again->used != answer.size() || !again->what.command) broken("a PONG that is none");
  }
}

void check_message(std::span<const std::byte> body) {
  const zmtp::frame_head head = zmtp::head_of_message(body.size());
  std::vector<std::byte> whole(head.span().begin(), head.span().end());
  whole.insert(whole.end(), body.begin(), body.end());
  const auto again = zmtp::cut_frame(whole, longest);
  if (!again || again->used != whole.size() || again->what.command || again->what.more) broken("a message changed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::span<const std::byte> in(reinterpret_cast<const std::byte*>(data), size);
  fuzz_accepted = false;
  if (in.size() >= zmtp::greeting_bytes && zmtp::may_be_greeting(in)) {
    for (std::size_t seen = 0; seen < zmtp::greeting_bytes; ++seen) {
      if (!zmtp::may_be_greeting(in.first(seen))) broken("a greeting that was none at first");
    }
    fuzz_accepted = true;
    static_cast<void>(zmtp::mechanism_of(in.first<zmtp::greeting_bytes>()));
    in = in.subspan(zmtp::greeting_bytes);
  }
  while (!in.empty()) {
    const auto one = zmtp::cut_frame(in, longest);
    if (!one || one->used == 0) break;
    const auto short_of_it = zmtp::cut_frame(in.first(one->used - 1), longest);
    if (!short_of_it || short_of_it->used != 0) broken("a frame that is not whole");
    if (short_of_it->wanted != 0 && short_of_it->wanted != one->used) broken("a frame of another length than it says");
    if (one->what.command) {
      check_command(one->what.body);
    } else {
      fuzz_accepted = true;
      check_message(one->what.body);
    }
    in = in.subspan(one->used);
  }
  return 0;
}
