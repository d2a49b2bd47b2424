#pragma once
// What one frame carries: bytes of its own, then perhaps a part of something long that several frames share.
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include <troupe/value.hpp>

namespace troupe::bus {

// A long message goes in frames that point into it, so that nothing copies it on its way to the socket. Value type:
// what is shared lives as long as the last frame that points there, on whichever thread that ends.
class frame_payload {
 public:
  frame_payload() = default;
  frame_payload(bytes own) noexcept : own_(std::move(own)) {}  // NOLINT(google-explicit-constructor): most are that
  // `part` lies in `whole`.
  frame_payload(bytes own, std::shared_ptr<const bytes> whole, std::span<const std::byte> part) noexcept
      : own_(std::move(own)), whole_(std::move(whole)), part_(part) {}
  frame_payload(const frame_payload&) = default;
  frame_payload& operator=(const frame_payload&) = default;
  // What was moved from is empty: it points nowhere.
  frame_payload(frame_payload&& other) noexcept
      : own_(std::move(other.own_)), whole_(std::move(other.whole_)), part_(std::exchange(other.part_, {})) {}
  frame_payload& operator=(frame_payload&& other) noexcept {
    own_ = std::move(other.own_);
    whole_ = std::move(other.whole_);
    part_ = std::exchange(other.part_, {});
    return *this;
  }

  [[nodiscard]] std::size_t size() const noexcept { return own_.size() + part_.size(); }
  [[nodiscard]] std::array<std::span<const std::byte>, 2> parts() const noexcept { return {std::span(own_), part_}; }

 private:
  bytes own_;
  std::shared_ptr<const bytes> whole_;
  std::span<const std::byte> part_;
};

}  // namespace troupe::bus
