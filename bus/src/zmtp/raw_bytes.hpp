#pragma once
// A buffer of bytes.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>

namespace troupe::bus::internal::zmtp {

// Bytes whose room is not zeroed first.
class raw_bytes {
 public:
  [[nodiscard]] std::byte* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::span<const std::byte> span() const noexcept { return {data_.get(), size_}; }
  void reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity);
    std::copy_n(data_.get(), size_, larger.get());
    data_ = std::move(larger);
    capacity_ = capacity;
  }
  void set_size(std::size_t size) noexcept { size_ = size; }  // at most the capacity
  void append(std::span<const std::byte> more) {
    if (more.empty()) return;
    std::copy(more.begin(), more.end(), grow(more.size()).begin());
  }
  // Room for `more` bytes at the end, which are its own from now on.
  std::span<std::byte> grow(std::size_t more) {
    if (size_ + more > capacity_) reserve(std::max({size_ + more, capacity_ * 2, std::size_t{256}}));
    size_ += more;
    return {data_.get() + size_ - more, more};
  }
  void clear() noexcept { size_ = 0; }

 private:
  std::unique_ptr<std::byte[]> data_;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace troupe::bus::internal::zmtp
