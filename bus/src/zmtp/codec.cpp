#include "zmtp/codec.hpp"

#include <algorithm>
#include <cstring>

namespace troupe::bus::internal::zmtp {
namespace {

constexpr std::size_t mechanism_at = 12, longest_mechanism = 20, as_server_at = 32;
constexpr unsigned flag_more = 1, flag_long = 2, flag_command = 4, known_flags = 7;
constexpr std::byte signature_first{0xff}, signature_last{0x7f}, version_major{3}, version_minor{1};
constexpr std::string_view socket_type_key = "Socket-Type";
constexpr std::size_t longest_context = 16;

std::string_view text_of(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

template <class Integer>
Integer big_endian(std::span<const std::byte> data) {
  Integer out = 0;
  for (const std::byte one : data.first(sizeof(Integer)))
    out = static_cast<Integer>(out << 8 | std::to_integer<Integer>(one));
  return out;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

}  // namespace

std::array<std::byte, greeting_bytes> greeting(mechanism which, bool as_server) noexcept {
  std::array<std::byte, greeting_bytes> out{};
  out[0] = signature_first;
  out[8] = std::byte{1};  // with the zeros before it: the length of an old version's first frame, and no more is asked
  out[9] = signature_last;
  out[10] = version_major;
  out[11] = version_minor;
  const std::string_view name = which == mechanism::curve ? "CURVE" : "NULL";
  std::memcpy(&out[mechanism_at], name.data(), name.size());
  out[as_server_at] = std::byte{as_server};
  return out;
}

bool may_be_greeting(std::span<const std::byte> seen) noexcept {
  if (!seen.empty() && seen[0] != signature_first) return false;
  if (seen.size() > 9 && (seen[9] & std::byte{1}) == std::byte{0}) return false;
  return seen.size() <= 10 || seen[10] >= version_major;
}

mechanism mechanism_of(std::span<const std::byte, greeting_bytes> whole) noexcept {
  std::string_view name = text_of(whole.subspan(mechanism_at, longest_mechanism));
  name = name.substr(0, name.find('\0'));
  return name == "NULL" ? mechanism::null : name == "CURVE" ? mechanism::curve : mechanism::other;
}

bool is_server(std::span<const std::byte, greeting_bytes> whole) noexcept {
  return whole[as_server_at] == std::byte{1};
}

frame_head head_of_message(std::size_t size) noexcept {
  frame_head out;
  if (size <= 255) {
    out.data[1] = static_cast<std::byte>(size);
    out.size = 2;
    return out;
  }
  out.data[0] = std::byte{flag_long};
  for (std::size_t i = 0; i < 8; ++i) out.data[1 + i] = static_cast<std::byte>(size >> (56 - 8 * i));
  out.size = longest_head;
  return out;
}

std::string frame_of_command(std::string_view name, std::string_view data) {
  frame_head head = head_of_message(1 + name.size() + data.size());
  head.data[0] |= std::byte{flag_command};
  std::string out(text_of(head.span()));
  out += static_cast<char>(name.size());
  out += name;
  return out.append(data);
}

std::string metadata(socket_type ours) {
  auto property = [](std::string_view key, std::string_view value) {
    std::string out(1, static_cast<char>(key.size()));
    out += key;
    out += std::string(3, '\0') + static_cast<char>(value.size());
    return out.append(value);
  };
  return property(socket_type_key, ours == socket_type::router ? "ROUTER" : "DEALER") + property("Identity", {});
}

std::string ready(socket_type ours) { return frame_of_command("READY", metadata(ours)); }

std::string pong(std::string_view context) { return frame_of_command("PONG", context); }

result<cut> cut_frame(std::span<const std::byte> data, std::size_t longest) {
  cut out;
  if (data.empty()) return out;
  const auto flags = std::to_integer<unsigned>(data[0]);
  const bool command = (flags & flag_command) != 0;
  if ((flags & ~known_flags) != 0 || (command && (flags & flag_more) != 0)) {
    return error(errc::bad_message, "a frame with flags that mean nothing");
  }
  const std::size_t head = (flags & flag_long) != 0 ? longest_head : 2;
  if (data.size() < head) return out;
  const std::uint64_t size =
      head == 2 ? std::to_integer<std::uint64_t>(data[1]) : big_endian<std::uint64_t>(data.subspan(1));
  if (size > (command ? longest_command : longest)) {
    return error(errc::too_large, "a frame of " + std::to_string(size) + " bytes");
  }
  out.wanted = head + static_cast<std::size_t>(size);
  if (data.size() < out.wanted) return out;
  out.used = out.wanted;
  out.what = {(flags & flag_more) != 0, command, data.subspan(head, static_cast<std::size_t>(size))};
  return out;
}

result<command> parse_command(std::span<const std::byte> body) {
  const std::string_view text = text_of(body);
  const std::size_t name = text.empty() ? 0 : static_cast<unsigned char>(text[0]);
  if (name == 0 || text.size() <= name) return error(errc::bad_message, "a command without a name");
  return command{text.substr(1, name), text.substr(1 + name)};
}

result<socket_type> parse_ready(std::string_view metadata) {
  result<socket_type> out = error(errc::bad_message, "READY names no socket type");
  while (!metadata.empty()) {
    const std::size_t name = static_cast<unsigned char>(metadata[0]);
    if (name == 0 || metadata.size() < 1 + name + 4) return error(errc::bad_message, "READY is malformed");
    const std::string_view key = metadata.substr(1, name);
    const std::size_t size = big_endian<std::uint32_t>(std::as_bytes(std::span(metadata.substr(1 + name))));
    metadata.remove_prefix(1 + name + 4);
    if (metadata.size() < size) return error(errc::bad_message, "READY is malformed");
    if (same_word(key, socket_type_key)) {
      const std::string_view value = metadata.substr(0, size);
      out = value == "DEALER" ? socket_type::dealer : value == "ROUTER" ? socket_type::router : socket_type::other;
    }
    metadata.remove_prefix(size);
  }
  return out;
}

result<std::string_view> parse_ping(std::string_view data) {
  if (data.size() < 2 || data.size() > 2 + longest_context) return error(errc::bad_message, "PING is malformed");
  return data.substr(2);
}

}  // namespace troupe::bus::internal::zmtp
