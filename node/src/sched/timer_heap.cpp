#include "sched/timer_heap.hpp"

#include <algorithm>

#include <troupe/expect.hpp>

namespace troupe::internal {
namespace {

bool sooner(const timer_entry& a, const timer_entry& b) noexcept {
  return a.when != b.when ? a.when < b.when : a.order < b.order;
}

}  // namespace

void timer_heap::set(std::size_t at, const timer_entry& entry) noexcept {
  if (&entries_[at] != &entry) entries_[at] = entry;
  if (entry.owner) entry.owner->timer_place = static_cast<std::uint32_t>(at + 1);
}

void timer_heap::settle(std::size_t at, const timer_entry& given) noexcept {
  const timer_entry entry = given;  // it may lie in a place that is about to be filled
  while (at > 0 && sooner(entry, entries_[(at - 1) / 2])) {
    set(at, entries_[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  for (;;) {
    std::size_t child = 2 * at + 1;
    if (child >= entries_.size()) break;
    if (child + 1 < entries_.size() && sooner(entries_[child + 1], entries_[child])) ++child;
    if (!sooner(entries_[child], entry)) break;
    set(at, entries_[child]);
    at = child;
  }
  set(at, entry);
}

void timer_heap::put(timer_entry entry) {
  entry.order = order_++;
  if (entry.owner && entry.owner->timer_place != 0) {
    const std::size_t at = entry.owner->timer_place - 1;
    TROUPE_EXPECT(at < entries_.size() && entries_[at].owner == entry.owner, "at", at, "entries", entries_.size());
    settle(at, entry);
    return;
  }
  entries_.push_back(entry);
  settle(entries_.size() - 1, entry);
}

void timer_heap::remove_at(std::size_t at) noexcept {
  if (entries_[at].owner) entries_[at].owner->timer_place = 0;
  const timer_entry last = entries_.back();
  entries_.pop_back();
  if (at < entries_.size()) settle(at, last);
}

void timer_heap::remove(runnable& owner) noexcept {
  if (owner.timer_place == 0) return;
  const std::size_t at = owner.timer_place - 1;
  TROUPE_EXPECT(at < entries_.size() && entries_[at].owner == &owner, "at", at, "entries", entries_.size());
  remove_at(at);
}

void timer_heap::remove_all(const void* context) {
  std::vector<timer_entry> kept;
  for (const timer_entry& entry : entries_) {
    if (entry.owner) entry.owner->timer_place = 0;
    if (entry.context != context) kept.push_back(entry);
  }
  std::sort(kept.begin(), kept.end(), sooner);
  entries_ = std::move(kept);
  for (std::size_t at = 0; at < entries_.size(); ++at) set(at, entries_[at]);
}

void timer_heap::take_due(time_point now, std::vector<timer_entry>& out) {
  while (!entries_.empty() && entries_[0].when <= now) {
    out.push_back(entries_[0]);
    remove_at(0);
  }
}

}  // namespace troupe::internal
