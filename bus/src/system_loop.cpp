#include "system_loop.hpp"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <future>
#include <system_error>

#include "thread.hpp"

namespace troupe::bus {
namespace internal {

system_loop::system_loop(loop_options options)
    : time_(options.time ? std::move(options.time) : system_clock()), spin_(options.spin) {
  epoll_ = troupe::internal::unique_fd(epoll_create1(EPOLL_CLOEXEC));
  wake_ = troupe::internal::unique_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (!epoll_ || !wake_ || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
    throw std::system_error(errno, std::system_category(), "the bus's loop cannot start");
  }
  // Those threads that libzmq starts from this one block all signals too.
  thread_ = troupe::internal::start_thread(options.thread_name, [this] { body(); });
}

system_loop::~system_loop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  lead_changed_.notify_all();
  eventfd_write(wake_.get(), 1);
  thread_.join();
  timers_.clear();
  context_.reset();
}

void system_loop::post(std::move_only_function<void()> work) {
  bool wake = false;
  leaders* call = nullptr;
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    wake = std::exchange(asleep_, false);
    if (!led_ && lent_ != nullptr && !stepped_in_ && !lent_->here()) call = lent_;
    if (call != nullptr) call->wanted();  // under the lock: `lend` may be taking it back
  }
  if (wake) eventfd_write(wake_.get(), 1);
}

void system_loop::run(std::move_only_function<void()> work) {
  if (inside()) return work();
  std::promise<void> done;  // no std::semaphore: that of GCC 12 loses wake-ups (GCC bug 104928)
  auto finished = done.get_future();
  post([&work, done = std::move(done)]() mutable {
    work();
    done.set_value();
  });
  if (!led()) step_in();  // the leader that would come to it may be this thread, which waits
  finished.wait();
}

bool system_loop::watch(int fd, fd_watcher& watcher) {
  TROUPE_EXPECT(inside(), "fd", fd);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &watcher}};
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void system_loop::watch_writable(int fd, fd_watcher& watcher, bool on) {
  TROUPE_EXPECT(inside(), "fd", fd);
  epoll_event event{.events = EPOLLIN | (on ? EPOLLOUT : 0u), .data = {.ptr = &watcher}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void system_loop::unwatch(int fd, fd_watcher& watcher) {
  TROUPE_EXPECT(inside(), "fd", fd);  // who is told of a turn may end another, and nobody else
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  for (epoll_event& one : ready_) {
    if (one.data.ptr == &watcher) one.events = 0;
  }
}

// -- who leads

void system_loop::take_lead() noexcept {
  TROUPE_EXPECT(!led_, "stepped_in", stepped_in_);  // one thread at a time
  led_ = true;
  led_now_.store(true, std::memory_order_relaxed);
  thread_id_.store(std::this_thread::get_id(), std::memory_order_relaxed);
}

void system_loop::leave_lead() noexcept {
  TROUPE_EXPECT(led_ && inside(), "led", led_);
  led_ = false;
  led_now_.store(false, std::memory_order_relaxed);
  thread_id_.store(std::thread::id(), std::memory_order_relaxed);
}

// An exception that leaves work of ours is a broken invariant of the runtime: it ends the program, here, with its
// stack.
void system_loop::body() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    lead_changed_.wait(lock, [this] { return !led_ && (stopping_ || stepped_in_ || lent_ == nullptr); });
    if (stopping_ && posted_.empty()) return;
    take_lead();
    do {
      lock.unlock();
      wait(patience(work()));
      lock.lock();
    } while (!(stopping_ && posted_.empty()) && (lent_ == nullptr || !lent_->idle()));
    leave_lead();
    lead_changed_.notify_all();
    if (lent_ == nullptr) continue;
    stepped_in_ = false;
    lent_->wanted();
  }
}

bool system_loop::lend(leaders* to) {
  std::unique_lock lock(mutex_);
  if (to != nullptr && (lent_ != nullptr || stopping_)) return false;
  lent_ = to;
  wake_locked();
  if (to != nullptr) return true;
  stepped_in_ = false;
  lead_changed_.notify_all();
  // Who leads now may be one of those that do so no more.
  const auto own = thread_.get_id();
  lead_changed_.wait(lock, [&] { return !led_ || thread_id_.load(std::memory_order_relaxed) == own; });
  return true;
}

bool system_loop::lead() {
  leaders* with = nullptr;
  {
    std::lock_guard lock(mutex_);
    if (led_ || stopping_ || lent_ == nullptr) return false;
    with = lent_;
    take_lead();
  }
  const duration longest = patience(work());
  if (const auto rest = with->rest()) {
    wait(std::min(longest, *rest));
    with->rested();
    static_cast<void>(work());
  }
  bool changed = false;
  {
    std::lock_guard lock(mutex_);
    leave_lead();
    changed = lent_ == nullptr || stepped_in_;
  }
  if (changed) lead_changed_.notify_all();
  return true;
}

void system_loop::wake_locked() {
  interrupted_ = true;
  if (std::exchange(asleep_, false)) eventfd_write(wake_.get(), 1);
}

void system_loop::interrupt() {
  std::lock_guard lock(mutex_);
  wake_locked();
}

void system_loop::reclaim() {
  std::lock_guard lock(mutex_);
  if (led_ && thread_id_.load(std::memory_order_relaxed) == thread_.get_id()) wake_locked();
}

void system_loop::step_in() {
  {
    std::lock_guard lock(mutex_);
    if (lent_ == nullptr) return;
    stepped_in_ = true;
  }
  lead_changed_.notify_all();
}

// -- a turn

// What it has to do yet afterwards.
appetite system_loop::work() {
  turns_.fetch_add(1, std::memory_order_relaxed);
  const bool worked = run_posted();
  timers_.run(now());
  const appetite wanted = ask_sources();
  if (worked && spin_ > duration::zero()) spin_until_ = now() + spin_;
  if (wanted != appetite::now && spin_until_ > now()) {
    sched_yield();
    return appetite::now;
  }
  return wanted;
}

bool system_loop::run_posted() {
  std::vector<std::move_only_function<void()>> batch;
  {
    std::lock_guard lock(mutex_);
    batch.swap(posted_);
  }
  for (auto& work : batch) {
    work();
    work = nullptr;  // what it holds ends before the next begins
  }
  return !batch.empty();
}

appetite system_loop::ask_sources() {
  appetite most = appetite::none;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (const appetite one = sources_[i]->turn(); one > most) most = one;
  }
  return most;
}

duration system_loop::patience(appetite wanted) noexcept {
  switch (wanted) {
    case appetite::now: return duration::zero();
    case appetite::soon: return std::chrono::milliseconds(1);
    case appetite::none: break;
  }
  return wait_forever;
}

int system_loop::poll(std::span<epoll_event> into, duration longest) {
  const int room = static_cast<int>(into.size());
  if (longest <= duration::zero()) return epoll_wait(epoll_.get(), into.data(), room, 0);
  if (longest == wait_forever) return epoll_wait(epoll_.get(), into.data(), room, -1);
  if (fine_waits_) {
    const timespec limit{.tv_sec = longest.count() / 1'000'000'000, .tv_nsec = longest.count() % 1'000'000'000};
    const int count = epoll_pwait2(epoll_.get(), into.data(), room, &limit, nullptr);
    if (count >= 0 || errno != ENOSYS) return count;
    fine_waits_ = false;  // a kernel before 5.11
  }
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(longest).count();
  return epoll_wait(epoll_.get(), into.data(), room, static_cast<int>(std::min<std::int64_t>(ms, INT_MAX)));
}

void system_loop::wait(duration longest) {
  if (longest > duration::zero()) {
    if (const auto next = timers_.next()) longest = std::min<duration>(longest, *next - now());
  }
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || !posted_.empty() || interrupted_) longest = duration::zero();
    interrupted_ = false;
    asleep_ = longest > duration::zero();
  }
  std::array<epoll_event, 64> ready;
  const int count = poll(ready, longest);
  if (longest > duration::zero()) {
    std::lock_guard lock(mutex_);
    asleep_ = false;
  }
  bool traffic = false;
  ready_ = std::span(ready).first(static_cast<std::size_t>(std::max(count, 0)));
  for (const epoll_event& one : ready_) {
    if (one.data.ptr == nullptr) {
      eventfd_t ignored = 0;
      eventfd_read(wake_.get(), &ignored);
      continue;
    }
    traffic = true;
    auto* watcher = static_cast<fd_watcher*>(one.data.ptr);
    if ((one.events & EPOLLOUT) != 0) watcher->writable();
    if ((one.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) watcher->readable();
  }
  ready_ = {};
  if (traffic && spin_ > duration::zero()) spin_until_ = now() + spin_;
}

}  // namespace internal

std::unique_ptr<loop> make_loop(loop_options options) {
  return std::make_unique<internal::system_loop>(std::move(options));
}

}  // namespace troupe::bus
