#pragma once
// What the node's own processes do with messages that are not for them. They end for nobody's mistake.
#include <string_view>

#include <troupe/process.hpp>

namespace troupe::internal {

// Answers a call with bad_message; logs and counts (`not_understood`) whatever it is.
void refuse_stranger(process& self, std::string_view who, message& got);

// The content as an M when the tag says so; null also when its fields do not fit. The message keeps it.
template <class M>
[[nodiscard]] M* content_as(message& got, std::string_view tag) {
  return tag == M::troupe_tag() ? got.get<M>() : nullptr;
}

// An exit message that the runtime made, not one that a process wrote.
[[nodiscard]] bool is_genuine_exit(const message& got) noexcept;

// A time that came in a message, which may be any number: below zero, and beyond what a clock can say, is for ever.
[[nodiscard]] constexpr duration microseconds_given(std::int64_t given) noexcept {
  constexpr std::int64_t most = wait_forever / std::chrono::microseconds(1);
  return given < 0 || given >= most ? wait_forever : duration(std::chrono::microseconds(given));
}

}  // namespace troupe::internal
