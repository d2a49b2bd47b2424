#include "zmtp/curve.hpp"

#include <cstring>

#include "zmtp/curve_parts.hpp"

namespace troupe::bus::internal::zmtp {
namespace {

using troupe::internal::box_proof_bytes;

constexpr std::string_view message_name = "\7MESSAGE";
constexpr std::size_t number_bytes = 8;
constexpr std::size_t box_at = message_name.size() + number_bytes;
constexpr std::byte flag_more{1}, flag_command{2};

static_assert(curve::overhead == box_at + box_proof_bytes + 1);

error not_sealed() { return error(errc::noconnection, "what came from the other side could not be decrypted"); }

}  // namespace

bool curve::rises(std::uint64_t number) noexcept {
  if (number <= last_theirs_) return false;
  last_theirs_ = number;
  return true;
}

void curve::seal(bool is_command, std::span<const std::span<const std::byte>> parts, raw_bytes& out) {
  std::size_t size = 0;
  for (const auto part : parts) size += part.size();
  const frame_head head = head_of_message(size + overhead);
  out.reserve(out.size() + head.size + size + overhead);
  out.append(head.span());
  out.append(std::as_bytes(std::span(message_name)));
  const std::uint64_t number = next_number();
  out.append(bytes_of(number));
  const std::span<std::byte> box = out.grow(box_proof_bytes + 1 + size);
  const std::span<std::byte> text = box.subspan(box_proof_bytes);
  text[0] = is_command ? flag_command : std::byte{0};
  std::size_t at = 1;
  for (const auto part : parts) {
    if (!part.empty()) std::memcpy(&text[at], part.data(), part.size());
    at += part.size();
  }
  session_.seal(text, nonce_of(our_messages_, number), box);
}

result<frame> curve::open(std::span<const std::byte> body, raw_bytes& room) {
  if (body.size() < overhead || text_of(body.first(message_name.size())) != message_name) return not_sealed();
  const auto number = number_at(body, message_name.size());
  if (!rises(number)) return not_sealed();
  const auto box = body.subspan(box_at);
  room.clear();
  const std::span<std::byte> text = room.grow(box.size() - box_proof_bytes);
  if (!session_.open(box, nonce_of(their_messages_, number), text)) return not_sealed();
  return frame{.more = (text[0] & flag_more) != std::byte{0},
               .command = (text[0] & flag_command) != std::byte{0},
               .body = text.subspan(1)};
}

}  // namespace troupe::bus::internal::zmtp
