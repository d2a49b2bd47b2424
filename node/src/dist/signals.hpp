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
};
// A newer peer's op from here on may be ignored by who does not know it; an unknown one below ends the connection.
inline constexpr std::uint64_t first_optional_op = 128;

// Whom a signal is for. A pid of the life that the connection leads to is written as its number alone.
struct destination {
  pid process;
  std::string_view name;                 // set: a registered name
  const node_life* connected = nullptr;  // the receiver's life, when it is known
};

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
void encode_order(wire_buffer& out, const node_life* own, const work_order& order);

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
};

// Reads one signal that `in` begins with; how many bytes it took, or what is wrong with it (bad_message, unsupported).
[[nodiscard]] result<std::size_t> decode_signal(std::span<const std::byte> in, const limits& budget,
                                                const node_life* own, const node_life* peer, arrival& out);

// An envelope whose content stays msgpack until somebody looks at it.
[[nodiscard]] detail::envelope* wire_envelope(detail::signal kind, std::span<const std::byte> content);
// Frees an envelope that has been sent or refused: a call among them is not "dropped by its server".
void discard(detail::envelope* e) noexcept;

}  // namespace troupe::internal
