#pragma once
// Timers by their time. An owner has at most one entry, which knows where it stands: it can be moved and taken back, so
// that the heap holds what is still wanted and nothing else.
#include <cstdint>
#include <vector>

#include <troupe/task.hpp>
#include <troupe/time.hpp>

namespace troupe::internal {

using detail::runnable;

// `fire(context, a, b)` once `when` has come.
struct timer_entry {
  time_point when;
  void (*fire)(void* context, std::uint64_t a, std::uint64_t b) = nullptr;
  void* context = nullptr;
  std::uint64_t a = 0, b = 0;
  std::uint64_t order = 0;    // equal times fire in the order of arming
  runnable* owner = nullptr;  // empty: one of many, which cannot be taken back
};

// Owner: the scheduler, whose lock guards it and the `timer_place` of every owner.
class timer_heap {
 public:
  void put(timer_entry entry);  // in the place of its owner's, if there is one
  void remove(runnable& owner) noexcept;
  void remove_all(const void* context);
  // Moves what is due at `now` to the end of `out`, in the order of firing.
  void take_due(time_point now, std::vector<timer_entry>& out);
  [[nodiscard]] time_point next() const noexcept { return entries_.empty() ? time_point::max() : entries_[0].when; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  void set(std::size_t at, const timer_entry& entry) noexcept;
  void settle(std::size_t at, const timer_entry& entry) noexcept;  // up or down, to where it belongs
  void remove_at(std::size_t at) noexcept;

  std::vector<timer_entry> entries_;  // a binary heap, earliest first
  std::uint64_t order_ = 0;
};

}  // namespace troupe::internal
