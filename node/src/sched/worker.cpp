#include "sched/worker.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include <troupe/expect.hpp>

namespace troupe::internal {
namespace {

thread_local worker* this_worker = nullptr;

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected, duration limit) noexcept {
  timespec relative{};
  timespec* timeout = nullptr;
  if (limit != wait_forever) {
    if (limit <= duration::zero()) return;
    relative.tv_sec = limit.count() / 1'000'000'000;
    relative.tv_nsec = limit.count() % 1'000'000'000;
    timeout = &relative;
  }
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT_PRIVATE, expected, timeout, nullptr, 0);
}

void futex_wake(std::atomic<std::uint32_t>& word) noexcept {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace

[[gnu::noinline]] worker* current_worker() noexcept { return this_worker; }

void worker::run() {
  this_worker = this;
  begin_measure();
  while (!owner_.stopping_.load(std::memory_order_acquire)) {
    if (!turn()) park();
  }
  this_worker = nullptr;
}

bool worker::run_one() {
  worker* outer = std::exchange(this_worker, this);
  const bool ran = turn();
  this_worker = outer;
  return ran;
}

bool worker::turn() {
  const std::uint32_t tick = ticks_.load(std::memory_order_relaxed) + 1;
  ticks_.store(tick, std::memory_order_relaxed);
  if (tick % timer_interval == 0) {
    if (owner_.next_due() != time_point::max()) owner_.fire_due();
    if (owner_.workers_.size() > 1) measure();
  }
  if (tick % global_interval == 0 && owner_.idle_work_.load(std::memory_order_relaxed) != nullptr) visit_idle_work();
  runnable* what = next();
  if (!what) what = search();
  if (!what) return false;
  if (searching_) found_work();
  running_.store(what, std::memory_order_release);
  owner_.options_.run(*what);
  running_.store(nullptr, std::memory_order_release);
  return true;
}

// -- whether it pays that others help

void worker::begin_measure() noexcept {
  measured_ = std::chrono::steady_clock::now();
  measured_from_ = ticks_.load(std::memory_order_relaxed);
}

void worker::measure() noexcept {
  const std::uint32_t turns = ticks_.load(std::memory_order_relaxed) - measured_from_;
  const auto before = measured_;
  begin_measure();
  if (turns == 0) return;
  const duration mean = std::max<duration>((measured_ - before) / turns, duration(1));
  const duration usual = std::min(mean, std::exchange(mean_slice_, mean));  // one long slice says nothing of the next
  share_from(static_cast<std::uint32_t>(std::clamp<std::int64_t>(worth_waking / usual, 1, most_kept)));
}

void worker::share_from(std::uint32_t waiting) noexcept {
  const std::uint32_t before = wake_from_.load(std::memory_order_relaxed);
  if (waiting == before) return;
  wake_from_.store(waiting, std::memory_order_seq_cst);
  if (waiting < before && has_for_others(false)) owner_.notify();
}

bool worker::has_for_others(bool awake) const noexcept {
  const std::uint32_t head = head_.load(std::memory_order_seq_cst);  // first: it never passes the tail
  const std::uint32_t waiting = tail_.load(std::memory_order_seq_cst) - head;
  const std::uint32_t from = wake_from_.load(std::memory_order_seq_cst);
  return waiting >= (awake ? std::max(1u, from / 4) : from);
}

// How many searched until now, this one among them.
std::uint32_t worker::stop_searching() noexcept {
  searching_ = false;
  const std::uint32_t before = owner_.searching_.fetch_sub(1, std::memory_order_seq_cst);
  TROUPE_EXPECT(before > 0, "worker", index_);
  return before;
}

// One searcher at a time: it hands the search on when it has found, so that a burst wakes workers one after the other.
void worker::found_work() noexcept {
  if (stop_searching() == 1 && others_may_take(false)) owner_.notify();
}

runnable* worker::next() noexcept {
  if (!owner_.own_.seems_empty() && !std::exchange(after_own_, true)) {
    if (runnable* what = owner_.own_.pop()) return what;
  }
  after_own_ = false;
  if (ticks_.load(std::memory_order_relaxed) % global_interval == 0) {
    if (runnable* what = owner_.global_.pop()) return what;
  }
  if (runnable* what = pop_lifo()) {
    if (++lifo_run_ <= lifo_limit) return what;
    lifo_run_ = 0;
    if (ring_seems_empty() && owner_.global_.seems_empty()) return what;  // nobody is kept from running
    push_last(*what);
  }
  if (runnable* what = pop_ring()) {
    lifo_run_ = 0;
    return what;
  }
  if (runnable* what = owner_.global_.pop()) return what;
  return owner_.own_.pop();
}

runnable* worker::search() noexcept {
  if (owner_.fire_due() > 0) {
    if (runnable* what = next()) return what;
  }
  for (std::size_t i = 1; i < owner_.workers_.size(); ++i) {
    worker& victim = *owner_.workers_[(index_ + i) % owner_.workers_.size()];
    if (&victim != this && victim.has_for_others(true) && victim.steal_into(*this)) {
      if (runnable* what = pop_ring()) return what;
    }
  }
  return nullptr;
}

void worker::push(runnable& what) noexcept {
  // Nobody else fills the slot, so that an empty one stays empty.
  if (!lifo_.load(std::memory_order_relaxed)) {
    lifo_.store(&what, std::memory_order_release);
    return;
  }
  if (runnable* before = lifo_.exchange(&what, std::memory_order_acq_rel)) push_last(*before);
}

runnable* worker::pop_lifo() noexcept {
  runnable* what = lifo_.load(std::memory_order_relaxed);
  if (!what) return nullptr;
  if (owner_.workers_.size() > 1) return lifo_.exchange(nullptr, std::memory_order_acq_rel);
  lifo_.store(nullptr, std::memory_order_relaxed);  // with nobody to give it to, the watch leaves it alone
  return what;
}

void worker::push_last(runnable& what) noexcept {
  std::uint32_t tail = tail_.load(std::memory_order_relaxed);
  std::uint32_t head = head_.load(std::memory_order_acquire);
  if (tail - head >= ring_size) {
    owner_.global_.push(what);
    return;
  }
  ring_[tail % ring_size].store(&what, std::memory_order_relaxed);
  if (owner_.workers_.size() > 1 && tail - head + 1 >= wake_from_.load(std::memory_order_relaxed)) {
    tail_.store(tail + 1, std::memory_order_seq_cst);
    owner_.notify();
  } else {
    tail_.store(tail + 1, std::memory_order_release);
  }
}

runnable* worker::pop_ring() noexcept {
  std::uint32_t head = head_.load(std::memory_order_acquire);
  for (;;) {
    if (head == tail_.load(std::memory_order_acquire)) return nullptr;
    runnable* what = ring_[head % ring_size].load(std::memory_order_relaxed);
    if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel, std::memory_order_acquire)) return what;
  }
}

// What waits for this worker alone while it holds on to a slice.
runnable* worker::take_kept() noexcept {
  if (runnable* kept = lifo_.exchange(nullptr, std::memory_order_acq_rel)) return kept;
  return pop_ring();
}

// Takes the older half of this worker's ring into the thief's, which is empty.
bool worker::steal_into(worker& thief) noexcept {
  std::uint32_t head = head_.load(std::memory_order_acquire);
  for (;;) {
    std::uint32_t tail = tail_.load(std::memory_order_acquire);
    std::uint32_t waiting = tail - head;
    if (waiting == 0 || waiting > ring_size) return false;
    std::uint32_t count = waiting - waiting / 2;
    std::uint32_t to = thief.tail_.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < count; ++i) {
      runnable* what = ring_[(head + i) % ring_size].load(std::memory_order_relaxed);
      thief.ring_[(to + i) % ring_size].store(what, std::memory_order_relaxed);
    }
    if (head_.compare_exchange_strong(head, head + count, std::memory_order_acq_rel, std::memory_order_acquire)) {
      thief.tail_.store(to + count, std::memory_order_seq_cst);
      return true;
    }
  }
}

bool worker::anything_waits() const noexcept { return !ring_empty() || others_may_take(true); }

bool worker::others_may_take(bool awake) const noexcept {
  if (!owner_.global_.empty() || !owner_.own_.empty()) return true;
  return std::ranges::any_of(owner_.workers_, [awake](const auto& each) { return each->has_for_others(awake); });
}

// -- asleep

// While it has work: what waits in the network must not wait until it has run dry.
void worker::visit_idle_work() {
  const auto now = std::chrono::steady_clock::now();
  if (now - visited_ < idle_work_interval) return;
  visited_ = now;
  visits_ = true;
  owner_.take_idle_turn();
  visits_ = false;
}

void worker::park() {
  if (owner_.workers_.size() > 1) measure();
  if (searching_) stop_searching();
  if (owner_.take_idle_turn()) return;
  fall_asleep();
  if (!anything_waits() && !owner_.stopping_.load(std::memory_order_seq_cst)) {
    owner_.reclaim_idle_work();
    futex_wait(signal_, 0, until_due());
  }
  wake_up();
}

// From here on it may be woken.
void worker::fall_asleep() noexcept {
  signal_.store(0, std::memory_order_relaxed);
  std::lock_guard lock(owner_.sleepers_mutex_);
  owner_.sleepers_.push_back(this);
  owner_.sleeping_.fetch_add(1, std::memory_order_seq_cst);
}

duration worker::until_due() const noexcept {
  const time_point due = owner_.next_due();
  return due == time_point::max() ? wait_forever : std::max(due - owner_.clock().now(), duration::zero());
}

void worker::wake_up() noexcept {
  {
    std::lock_guard lock(owner_.sleepers_mutex_);
    in_idle_work_.store(false, std::memory_order_relaxed);
    auto mine = std::find(owner_.sleepers_.begin(), owner_.sleepers_.end(), this);
    if (mine != owner_.sleepers_.end()) {  // nobody woke it: a timer, a spurious return, or work seen at the last look
      owner_.sleepers_.erase(mine);
      const std::uint32_t before = owner_.sleeping_.fetch_sub(1, std::memory_order_seq_cst);
      TROUPE_EXPECT(before > owner_.sleepers_.size(), "worker", index_, "sleeping", before, "listed",
                    owner_.sleepers_.size());
    } else {
      searching_ = true;  // counted by who woke it
    }
  }
  owner_.begin_watch();
  begin_measure();
}

std::optional<duration> worker::rest() noexcept {
  if (visits_) return duration::zero();
  if (lifo_.load(std::memory_order_relaxed) != nullptr || anything_waits()) return std::nullopt;
  in_idle_work_.store(true, std::memory_order_relaxed);
  fall_asleep();
  if (anything_waits() || owner_.stopping_.load(std::memory_order_seq_cst)) return duration::zero();
  return until_due();
}

void worker::rested() noexcept {
  if (!visits_) wake_up();
}

void worker::wake() noexcept {
  signal_.store(1, std::memory_order_release);
  if (in_idle_work_.load(std::memory_order_relaxed)) owner_.interrupt_idle_work();
  else futex_wake(signal_);
}

}  // namespace troupe::internal
