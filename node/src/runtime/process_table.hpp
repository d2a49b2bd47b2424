#pragma once
// Where the processes of a node live, by the lower half of a pid's id. Blocks are recycled and never freed while the
// node lives, so that whoever holds a pid may look at its block without a lock.
//
// Each worker has a shelf of free blocks and counts on it what it has begun and ended; other threads share one, and its
// lock. So what a short process costs two workers at once is not a cache line that both write.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include <troupe/process.hpp>

namespace troupe::detail {

// Thread-safe. Owner: the core. `worker`: which of the scheduler's calls, or their number for any other thread.
class process_table {
 public:
  process_table(core& home, std::size_t most, unsigned workers);
  ~process_table();
  process_table(const process_table&) = delete;
  process_table& operator=(const process_table&) = delete;

  [[nodiscard]] process* at(std::uint64_t id) const noexcept {  // null: never used
    const std::size_t index = static_cast<std::uint32_t>(id);
    if (index == 0 || index >= used_.load(std::memory_order_acquire)) return nullptr;
    return segments_[index / segment_size].load(std::memory_order_acquire)->at(index % segment_size);
  }
  [[nodiscard]] std::size_t used() const noexcept { return used_.load(std::memory_order_acquire); }  // above all ids

  [[nodiscard]] process* take(unsigned worker);  // a block without a life, closed; null: as many live as may
  // A block goes in two steps: it no longer counts, then another life may begin in it.
  void end(unsigned worker) noexcept;
  void give(process& p, unsigned worker) noexcept;

  // Exact while nothing begins or ends.
  [[nodiscard]] std::uint64_t begun() const noexcept;
  [[nodiscard]] std::uint64_t ended() const noexcept;
  [[nodiscard]] std::size_t live() const noexcept {
    const std::uint64_t gone = ended();  // first: what has ended had begun
    return static_cast<std::size_t>(begun() - gone);
  }

 private:
  static constexpr std::size_t segment_size = 1024, batch = 64;
  struct segment {
    alignas(64) std::byte memory[segment_size * sizeof(process)];
    process* at(std::size_t i) noexcept { return reinterpret_cast<process*>(memory + i * sizeof(process)); }
  };
  struct alignas(64) shelf {
    runnable* first = nullptr;
    std::size_t count = 0;
    std::atomic<std::uint64_t> begun{0}, ended{0};  // written by its worker alone, or with the lock
  };

  [[nodiscard]] process* pop(shelf& from) noexcept;
  [[nodiscard]] process* carve();  // with the lock
  void refill(shelf& s);           // the same
  [[nodiscard]] bool at_limit() const noexcept { return used_.load(std::memory_order_relaxed) > most_; }
  static void count(std::atomic<std::uint64_t>& one) noexcept {
    one.store(one.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  core& home_;
  const std::size_t most_;
  const unsigned workers_;
  std::vector<shelf> shelves_;  // of each worker; the last holds what is for all
  std::mutex mutex_;            // guards the last shelf, and growth
  std::unique_ptr<std::atomic<segment*>[]> segments_;
  std::size_t segment_count_ = 0;
  std::atomic<std::size_t> used_{1};  // index 0 is nobody's: an id of 0 means none
};

}  // namespace troupe::detail
