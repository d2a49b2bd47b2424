#pragma once
// That a program shall stop.
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace troupe::internal {

// That somebody wants this program to stop, and why. Thread-safe; `fd` wakes the main thread.
class stop_wish {
 public:
  stop_wish() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~stop_wish() { close(fd_); }
  stop_wish(const stop_wish&) = delete;
  stop_wish& operator=(const stop_wish&) = delete;

  enum class place : std::uint8_t { first, same, second };

  void ask(std::string why) {
    std::lock_guard guard(mutex_);
    set(std::move(why));
  }
  // One wish may arrive twice: `timeout` and a terminal's Ctrl-C signal a whole group, a wrapper passes its own on, and
  // a tool that gets no answer, although it was heard, sends SIGTERM as long as it has waited later.
  place signalled(const std::string& name) {
    std::lock_guard guard(mutex_);
    const auto now = std::chrono::steady_clock::now();
    const bool first = why_.empty();
    if (first) set(name);
    if (!signalled_) signalled_ = now;
    if (now - *signalled_ >= std::chrono::seconds(2)) return place::second;
    return first ? place::first : place::same;
  }
  // It stops by itself: a signal from now on is a second wish.
  void stops_itself(std::string why) {
    std::lock_guard guard(mutex_);
    set(std::move(why));
    if (!signalled_) signalled_ = std::chrono::steady_clock::now();
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] std::string why() const {
    std::lock_guard guard(mutex_);
    return why_;
  }

 private:
  void set(std::string why) {
    if (!why_.empty()) return;
    why_ = std::move(why);
    std::uint64_t one = 1;
    (void)!write(fd_, &one, sizeof one);
  }

  mutable std::mutex mutex_;
  std::string why_;
  std::optional<std::chrono::steady_clock::time_point> signalled_;  // when the first signal came
  int fd_;
};

}  // namespace troupe::internal
