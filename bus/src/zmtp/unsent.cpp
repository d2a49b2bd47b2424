#include "zmtp/unsent.hpp"

#include <algorithm>
#include <array>

namespace troupe::bus::internal::zmtp {
namespace {

constexpr std::size_t worth_keeping = 4096;     // below, a copy is cheaper than a piece of its own
constexpr std::size_t most_copied = 64u << 10;  // in one piece

}  // namespace

void unsent::append(std::span<const std::byte> copied) {
  if (copied.empty()) return;
  const bool room = !pieces_.empty() && pieces_.back().given.size() == 0 &&
                    pieces_.back().copied.size() + copied.size() <= most_copied;
  if (!room) pieces_.emplace_back();
  bytes& last = pieces_.back().copied;
  last.insert(last.end(), copied.begin(), copied.end());
  size_ += copied.size();
}

void unsent::append(frame_payload given, std::size_t gone) {
  if (given.size() - gone >= worth_keeping) {
    size_ += given.size() - gone;
    pieces_.push_back({{}, std::move(given), gone});
    return;
  }
  for (std::span<const std::byte> part : given.parts()) {
    const std::size_t before = std::min(gone, part.size());
    gone -= before;
    append(part.subspan(before));
  }
}

std::size_t unsent::front(std::span<iovec> out) const noexcept {
  std::size_t used = 0;
  for (const piece& one : pieces_) {
    std::size_t gone = one.gone;
    const auto given = one.given.parts();
    for (std::span<const std::byte> part : {std::span<const std::byte>(one.copied), given[0], given[1]}) {
      const std::size_t before = std::min(gone, part.size());
      gone -= before;
      if (before == part.size()) continue;
      if (used == out.size()) return used;
      out[used++] = {const_cast<std::byte*>(part.data() + before), part.size() - before};
    }
  }
  return used;
}

void unsent::drop_front(std::size_t count) noexcept {
  size_ -= count;
  while (count > 0) {
    piece& first = pieces_.front();
    const std::size_t left = first.size() - first.gone;
    if (count < left) {
      first.gone += count;
      return;
    }
    count -= left;
    pieces_.pop_front();
  }
}

}  // namespace troupe::bus::internal::zmtp
