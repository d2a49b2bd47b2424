#pragma once
// What stands in front of every frame of a connection, and the lane of ticks, credit and goodbyes.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <troupe/codec.hpp>

namespace troupe::bus::internal {

// The random id of a connection, drawn by its acceptor.
using wire_id = std::array<std::byte, 8>;

enum class frame_kind : std::uint8_t { signals = 1, control = 2 };

// 92 KIND c4 08 ID: the msgpack list [KIND, bytes(ID)].
inline constexpr std::size_t header_bytes = 12;
using frame_header = std::array<std::byte, header_bytes>;

// What a frame costs beside its bytes, so that credit bounds the number of frames too.
inline constexpr std::size_t frame_cost = 64;

[[nodiscard]] frame_header make_header(frame_kind kind, const wire_id& id) noexcept;

struct parsed_frame {
  frame_kind kind;
  wire_id id;
  std::span<const std::byte> payload;
};
// Nothing when the bytes do not begin as a frame of a connection does.
[[nodiscard]] std::optional<parsed_frame> parse_frame(std::span<const std::byte> data) noexcept;

struct control {
  enum class what : std::uint8_t { ping, pong, credit, bye, gone, ended };
  what kind = what::ping;
  std::uint64_t number = 0;  // of the tick, or bytes of credit
  std::uint64_t health = 0;  // pong
  error reason;              // bye
};
void encode_control(const control& in, wire_buffer& out);
// The payload of a control frame; names that this version does not know are passed over.
[[nodiscard]] result<std::vector<control>> parse_control(std::span<const std::byte> payload);

}  // namespace troupe::bus::internal
