#include "system_loop.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <future>
#include <system_error>

namespace troupe::bus {
namespace internal {

system_loop::system_loop(loop_options options)
    : time_(options.time ? std::move(options.time) : system_clock()), spin_(options.spin) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (epoll_ < 0 || wake_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
    const int cause = errno;
    if (epoll_ >= 0) ::close(epoll_);
    if (wake_ >= 0) ::close(wake_);
    throw std::system_error(cause, std::system_category(), "the bus's loop cannot start");
  }
  // Signals belong to the program: neither this thread nor those that libzmq starts from it take any.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    thread_id_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    body();
  });
  pthread_setname_np(thread_.native_handle(), options.thread_name.substr(0, 15).c_str());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

system_loop::~system_loop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  eventfd_write(wake_, 1);
  thread_.join();
  timers_.clear();
  context_.reset();
  ::close(wake_);
  ::close(epoll_);
}

void system_loop::post(std::move_only_function<void()> work) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    wake = std::exchange(asleep_, false);
  }
  if (wake) eventfd_write(wake_, 1);
}

void system_loop::run(std::move_only_function<void()> work) {
  if (inside()) return work();
  std::promise<void> done;  // no std::semaphore: that of GCC 12 loses wake-ups (GCC bug 104928)
  auto finished = done.get_future();
  post([&work, done = std::move(done)]() mutable {
    work();
    done.set_value();
  });
  finished.wait();
}

bool system_loop::watch(int fd, fd_watcher& watcher) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &watcher}};
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void system_loop::unwatch(int fd) { epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

// An exception that leaves work of ours is a broken invariant of the runtime: it ends the program, here, with its
// stack.
void system_loop::body() noexcept {
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (stopping_ && posted_.empty()) return;
    }
    const bool worked = run_posted();
    timers_.run(now());
    appetite wanted = ask_sources();
    if (worked && spin_ > duration::zero()) spin_until_ = now() + spin_;
    if (wanted != appetite::now && spin_until_ > now()) {
      sched_yield();
      wanted = appetite::now;
    }
    wait(wanted);
  }
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

void system_loop::wait(appetite wanted) {
  int timeout = wanted == appetite::now ? 0 : wanted == appetite::soon ? 1 : -1;
  if (timeout != 0) {
    if (const auto next = timers_.next()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - now()).count();
      const int until_next = left <= 0 ? 0 : left > INT_MAX ? INT_MAX : static_cast<int>(left);
      if (timeout < 0 || until_next < timeout) timeout = until_next;
    }
  }
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || !posted_.empty()) timeout = 0;
    asleep_ = timeout != 0;
  }
  std::array<epoll_event, 64> ready;
  const int count = epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), timeout);
  {
    std::lock_guard lock(mutex_);
    asleep_ = false;
  }
  bool traffic = false;
  for (int i = 0; i < count; ++i) {
    const epoll_event& one = ready[static_cast<std::size_t>(i)];
    if (one.data.ptr == nullptr) {
      eventfd_t ignored = 0;
      eventfd_read(wake_, &ignored);
    } else {
      traffic = true;
      static_cast<fd_watcher*>(one.data.ptr)->readable();
    }
  }
  if (traffic && spin_ > duration::zero()) spin_until_ = now() + spin_;
}

}  // namespace internal

std::unique_ptr<loop> make_loop(loop_options options) {
  return std::make_unique<internal::system_loop>(std::move(options));
}

}  // namespace troupe::bus
