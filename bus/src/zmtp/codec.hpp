#pragma once
// ZMTP 3.1 as bytes: what ZeroMQ puts on a stream socket (rfc.zeromq.org/spec/37). Knows no socket. What the mechanism
// CURVE adds is in curve.hpp.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <troupe/error.hpp>

namespace troupe::bus::internal::zmtp {

inline constexpr std::size_t greeting_bytes = 64;
inline constexpr std::size_t opening_bytes = 11;  // of the greeting: signature and major version
inline constexpr std::size_t longest_head = 9;    // of a frame
inline constexpr std::size_t longest_command = 1024;

enum class mechanism : std::uint8_t { null, curve, other };
enum class socket_type : std::uint8_t { dealer, router, other };

// Ours. `as_server`: of two that speak CURVE, the one that was dialled.
[[nodiscard]] std::array<std::byte, greeting_bytes> greeting(mechanism which, bool as_server) noexcept;
// `seen` is what has come of the other's, from its beginning. Does it begin as ZMTP 3 does? True while it may.
[[nodiscard]] bool may_be_greeting(std::span<const std::byte> seen) noexcept;
[[nodiscard]] mechanism mechanism_of(std::span<const std::byte, greeting_bytes> whole) noexcept;
[[nodiscard]] bool is_server(std::span<const std::byte, greeting_bytes> whole) noexcept;

// The flags and the length before a message of one part.
struct frame_head {
  std::array<std::byte, longest_head> data{};
  std::uint8_t size = 0;
  [[nodiscard]] std::span<const std::byte> span() const noexcept { return {data.data(), size}; }
};
[[nodiscard]] frame_head head_of_message(std::size_t size) noexcept;
// Whole frames.
[[nodiscard]] std::string frame_of_command(std::string_view name, std::string_view data);
[[nodiscard]] std::string ready(socket_type ours);
[[nodiscard]] std::string pong(std::string_view context);

struct frame {
  bool more = false;
  bool command = false;
  std::span<const std::byte> body;
};
struct cut {
  std::size_t used = 0;    // bytes of this frame, head included; 0: it is not whole
  std::size_t wanted = 0;  // how long it will be, when that is known
  zmtp::frame what;
};
// The first frame of `data`. errc::bad_message: its flags mean nothing; too_large: its body is longer than `longest`.
[[nodiscard]] result<cut> cut_frame(std::span<const std::byte> data, std::size_t longest);

struct command {
  std::string_view name;  // "READY", "PING", "ERROR", …
  std::string_view data;
};
// errc::bad_message when the name does not fit.
[[nodiscard]] result<command> parse_command(std::span<const std::byte> body);
// What READY says of its sender, and what INITIATE of CURVE does.
[[nodiscard]] std::string metadata(socket_type ours);
// errc::bad_message: malformed, or it names no socket type.
[[nodiscard]] result<socket_type> parse_ready(std::string_view metadata);
// PING: two bytes of time to live, then what PONG repeats, at most 16 bytes.
[[nodiscard]] result<std::string_view> parse_ping(std::string_view data);

}  // namespace troupe::bus::internal::zmtp
