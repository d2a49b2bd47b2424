#pragma once
// Signals as they travel: each one msgpack array, [op, from, …]. The table is in bus/PROTOCOL.md, "Signals".
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <troupe/message.hpp>
#include <troupe/wire.hpp>

namespace troupe::internal {

enum class op : std::uint8_t {
  message = 1,
  call = 2,
  reply = 3,
  reply_error = 4,
  down = 5,
  exit = 6,
  exit_asked = 7,
  link = 8,
  unlink = 9,
  unlink_ack = 10,
  monitor = 11,
  demonitor = 12,
  group_leader = 13,
  spawn = 14,
  rpc = 15,
  chunk = 16,
  nodes = 128,
};
// A newer peer's op from here on may be ignored by who does not know it; an unknown one below ends the connection.
inline constexpr std::uint64_t first_optional_op = 128;

// Whom a signal is for. A pid of the life that the connection leads to is written as its number alone.
struct destination {
  pid process;
  std::string_view name;                 // set: a registered name
  const node_life* connected = nullptr;  // the receiver's life, when it is known
};

// A value nested deeper than this is not sent: readers follow 128 levels.
inline constexpr std::size_t deepest = 100;
[[nodiscard]] bool too_deep(const value& content, std::size_t left = deepest) noexcept;

// False for what never leaves a node (timer, inspect, resume). Converts the payload in place where it must.
[[nodiscard]] bool encode_signal(wire_buffer& out, const node_life* own, const destination& to, detail::envelope*& e);

// What a node is asked to do in a process of its own.
struct work_order {
  op what = op::rpc;
  pid from;              // who is answered; empty: nobody
  std::uint64_t id = 0;  // of the answer
  std::string entry;
  value arguments;
  pid leader;
  bool link = false;
  std::uint64_t watch = 0;  // id of the monitor by `from`; 0: none
};
void encode_order(wire_buffer& out, const node_life* own, const work_order& order, std::uint64_t id);

// A part of a signal that is longer than a frame.
struct piece {
  std::uint64_t stream = 0;         // of this connection and direction
  std::uint64_t total = 0;          // bytes of the whole signal
  std::span<const std::byte> data;  // never empty
};
inline constexpr std::size_t chunk_head = 160;  // bytes that a chunk has besides its data, at most
// All of a chunk but its data, which follow.
void encode_chunk_head(wire_buffer& out, const node_life* own, pid from, const piece& part);

// A node, and where it can be dialled from elsewhere.
struct known_node {
  std::string name;
  std::vector<std::string> endpoints;
};
void encode_nodes(wire_buffer& out, const std::vector<known_node>& known);

// A signal that has arrived, partly read. Texts and bytes point into the frame.
struct arrival {
  op what = op::message;
  bool known = true;  // false: optional and not known here
  pid from;
  pid to;  // when not by name
  std::string_view name;
  std::uint64_t id = 0;
  std::span<const std::byte> body;  // msgpack: a message's content
  value reason;                     // of down, exit, exit_asked
  error failure;                    // of reply_error
  pid leader;                       // of group_leader
  std::optional<work_order> order;  // of spawn, rpc
  piece part;                       // of chunk
  std::vector<known_node> known_nodes;
  bytes* whole = nullptr;  // the signal's own bytes, when they may be taken: it came in chunks
};

// Reads one signal that `in` begins with; how many bytes it took, or what is wrong with it (bad_message, unsupported).
[[nodiscard]] result<std::size_t> decode_signal(std::span<const std::byte> in, const limits& budget,
                                                const node_life* own, const node_life* peer, arrival& out);

// An envelope whose content stays msgpack until somebody looks at it.
[[nodiscard]] detail::envelope* wire_envelope(detail::signal kind, const arrival& a);
// Frees an envelope that has been sent or refused: a call among them is not "dropped by its server".
void discard(detail::envelope* e) noexcept;

}  // namespace troupe::internal
