// Any bytes as a frame of a connection: parsed or refused, never more; and what was parsed is encoded to the same
// meaning.
#include "fuzz.hpp"

#include "frames.hpp"

namespace {

namespace wire = troupe::bus::internal;

[[noreturn]] void broken(const char* what) { ::broken("frames_fuzz", what); }

// Are they some?
bool check_controls(std::span<const std::byte> payload) {
  const auto first = wire::parse_control(payload);
  if (!first) return false;
  troupe::wire_buffer out;
  for (const auto& one : *first) wire::encode_control(one, out);
  const auto second = wire::parse_control(out.data());
  if (!second || second->size() != first->size()) broken("controls do not survive");
  for (std::size_t i = 0; i < first->size(); ++i) {
    if ((*first)[i].kind != (*second)[i].kind || (*first)[i].number != (*second)[i].number) broken("a control changed");
  }
  return !first->empty();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span in(reinterpret_cast<const std::byte*>(data), size);
  fuzz_accepted = check_controls(in);
  if (const auto frame = wire::parse_frame(in)) {
    const auto header = wire::make_header(frame->kind, frame->id);
    if (!std::equal(header.begin(), header.end(), in.begin())) broken("a header changed");
    if (frame->payload.size() + header.size() != size) broken("a payload of the wrong length");
    const bool controls = check_controls(frame->payload);
    fuzz_accepted = controls || frame->kind == wire::frame_kind::signals;
  }
  return 0;
}
