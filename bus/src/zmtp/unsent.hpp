#pragma once
// What a socket has not taken yet, in order.
#include <sys/uio.h>

#include <cstddef>
#include <deque>
#include <span>

#include <troupe/bus/payload.hpp>

namespace troupe::bus::internal::zmtp {

// Short things are copied, one behind the other; what is long is kept as it is. Owner: a stream.
class unsent {
 public:
  [[nodiscard]] bool empty() const noexcept { return pieces_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void append(std::span<const std::byte> copied);
  // Without its first `gone` bytes.
  void append(frame_payload given, std::size_t gone);
  // Its beginning, for sendmsg: how many of `out` are used.
  [[nodiscard]] std::size_t front(std::span<iovec> out) const noexcept;
  void drop_front(std::size_t count) noexcept;
  void clear() noexcept {
    pieces_.clear();
    size_ = 0;
  }

 private:
  struct piece {
    bytes copied;
    frame_payload given;
    std::size_t gone = 0;  // of both
    [[nodiscard]] std::size_t size() const noexcept { return copied.size() + given.size(); }
  };
  std::size_t size_ = 0;
  std::deque<piece> pieces_;  // none is empty; one has either copied or given
};

}  // namespace troupe::bus::internal::zmtp
