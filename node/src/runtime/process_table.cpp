#include "runtime/process_table.hpp"

#include <troupe/expect.hpp>

#include "runtime/process_private.hpp"

namespace troupe::detail {

using priv = process_private;

process_table::process_table(core& home, std::size_t most, unsigned workers)
    : home_(home), most_(most), workers_(workers), shelves_(workers + 1) {
  // What lies on the shelves of others is no reason to refuse a process: so many blocks more than may live at once.
  const std::size_t blocks = most + workers * (2 * batch + 1) + 1;
  segment_count_ = blocks / segment_size + 1;
  segments_ = std::make_unique<std::atomic<segment*>[]>(segment_count_);
}

process_table::~process_table() {
  for (std::size_t s = 0; s < segment_count_; ++s) {
    segment* seg = segments_[s].load();
    if (!seg) continue;
    for (std::size_t i = 0; i < segment_size && s * segment_size + i < used_.load(); ++i) seg->at(i)->~process();
    delete seg;
  }
}

process* process_table::take(unsigned worker) {
  shelf& mine = shelves_[worker];
  if (worker < workers_ && mine.first && !at_limit()) [[likely]] {
    count(mine.begun);
    return pop(mine);
  }
  std::lock_guard lock(mutex_);
  if (at_limit() && live() >= most_) return nullptr;
  if (!mine.first) refill(mine);
  count(mine.begun);
  return pop(mine);
}

process* process_table::pop(shelf& from) noexcept {
  auto* p = static_cast<process*>(from.first);
  const std::uint64_t word = priv::inbox(*p).load(std::memory_order_relaxed) & ~priv::tag_mask;
  // Of a life that is over: nobody reaches it, and it has kept nothing.
  TROUPE_EXPECT(word == priv::closed && !priv::root(*p) && !priv::cold_of(*p) && !priv::first(*p) && !priv::wait(*p),
                "process", priv::index(*p), "inbox", word);
  from.first = p->next_run;
  --from.count;
  p->next_run = nullptr;
  return p;
}

void process_table::refill(shelf& s) {
  shelf& shared = shelves_[workers_];
  if (!shared.first) {
    process* made = carve();
    made->next_run = shared.first;
    shared.first = made;
    ++shared.count;
  }
  if (&s == &shared) return;
  for (std::size_t i = 0; i < batch && shared.first; ++i) {
    runnable* moved = shared.first;
    shared.first = moved->next_run;
    --shared.count;
    moved->next_run = s.first;
    s.first = moved;
    ++s.count;
  }
}

process* process_table::carve() {
  const std::size_t index = used_.load(std::memory_order_relaxed);
  TROUPE_EXPECT(index / segment_size < segment_count_, "used", index);
  auto& place = segments_[index / segment_size];
  if (!place.load(std::memory_order_relaxed)) place.store(new segment, std::memory_order_release);
  process* p = priv::make_in(place.load(std::memory_order_relaxed)->at(index % segment_size));
  priv::index(*p) = static_cast<std::uint32_t>(index);
  priv::core_of(*p) = &home_;
  priv::inbox(*p).store(priv::closed, std::memory_order_relaxed);
  used_.store(index + 1, std::memory_order_release);
  return p;
}

void process_table::end(unsigned worker) noexcept {
  shelf& mine = shelves_[worker];
  if (worker < workers_) return count(mine.ended);
  std::lock_guard lock(mutex_);
  count(mine.ended);
}

void process_table::give(process& p, unsigned worker) noexcept {
  shelf& shared = shelves_[workers_];
  shelf& mine = shelves_[worker];
  std::unique_lock<std::mutex> lock;
  if (&mine == &shared) lock = std::unique_lock(mutex_);
  p.next_run = mine.first;
  mine.first = &p;
  if (++mine.count <= 2 * batch || &mine == &shared) return;
  runnable* const first = mine.first;
  runnable* last = first;
  for (std::size_t i = 1; i < batch; ++i) last = last->next_run;
  mine.first = last->next_run;
  mine.count -= batch;
  lock = std::unique_lock(mutex_);
  last->next_run = shared.first;
  shared.first = first;
  shared.count += batch;
}

std::uint64_t process_table::begun() const noexcept {
  std::uint64_t sum = 0;
  for (const shelf& each : shelves_) sum += each.begun.load(std::memory_order_acquire);
  return sum;
}
std::uint64_t process_table::ended() const noexcept {
  std::uint64_t sum = 0;
  for (const shelf& each : shelves_) sum += each.ended.load(std::memory_order_acquire);
  return sum;
}

}  // namespace troupe::detail
