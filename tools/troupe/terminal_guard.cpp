#include "troupe/terminal_guard.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace troupe::tool {
namespace {

// What handlers of signals may look at: plain memory that is written before the flag that tells of it.
struct shared {
  std::atomic<bool> armed{false};    // `before` is known
  std::atomic<bool> taken{false};    // `ours` is known, and is what the terminal should have
  std::atomic<unsigned> returns{0};  // how often a signal has given the terminal back
  termios before{}, ours{};
  int wake = -1;
  std::timed_mutex changing;
};
shared& here() {
  static shared one;
  return one;
}

// In the background the modes are those of another program. TCSANOW: a terminal that takes no output (Ctrl-S) holds
// nobody up.
void set_modes(const termios& modes) noexcept {
  if (tcgetpgrp(STDIN_FILENO) == getpgrp()) tcsetattr(STDIN_FILENO, TCSANOW, &modes);
}

void note_resumed() noexcept {
  shared& s = here();
  if (!s.taken.load(std::memory_order_acquire)) return;
  set_modes(s.ours);
  std::uint64_t one = 1;
  (void)!write(s.wake, &one, sizeof one);
}

void install(int number, void (*handler)(int)) noexcept {
  struct sigaction how{};
  how.sa_handler = handler;
  how.sa_flags = SA_RESTART;
  sigemptyset(&how.sa_mask);
  sigaction(number, &how, nullptr);
}

// What the signal does of itself, at once and in this thread.
void act_by_default(int number) noexcept {
  install(number, SIG_DFL);
  raise(number);
  sigset_t only, before;
  sigemptyset(&only);
  sigaddset(&only, number);
  pthread_sigmask(SIG_UNBLOCK, &only, &before);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void on_signal(int number) {
  const int kept = errno;
  shared& s = here();
  if (number == SIGCONT) {
    note_resumed();
  } else {
    // Also in the middle of a change: the prompt is drawn, and may wait for the terminal, before the change is done.
    if (s.armed.load(std::memory_order_acquire)) {
      s.returns.fetch_add(1, std::memory_order_acq_rel);
      set_modes(s.before);
    }
    act_by_default(number);
    install(number, &on_signal);
    note_resumed();  // also where the system ignores a stop, as it does in a group that nobody could continue
  }
  errno = kept;
}

constexpr int watched[] = {SIGTSTP, SIGQUIT, SIGCONT};

}  // namespace

terminal_guard::terminal_guard() {
  shared& s = here();
  if (tcgetattr(STDIN_FILENO, &s.before) != 0) return;
  if (s.wake < 0) s.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  s.armed.store(true, std::memory_order_release);
  for (int number : watched) {
    // Who has started us with one of them ignored does not want it to do anything.
    struct sigaction now{};
    if (sigaction(number, nullptr, &now) == 0 && now.sa_handler != SIG_IGN) install(number, &on_signal);
  }
}

terminal_guard::~terminal_guard() {
  shared& s = here();
  for (int number : watched) {
    struct sigaction now{};
    if (sigaction(number, nullptr, &now) == 0 && now.sa_handler == &on_signal) install(number, SIG_DFL);
  }
  s.taken.store(false, std::memory_order_release);
  s.armed.store(false, std::memory_order_release);
}

int terminal_guard::fd() const noexcept { return here().wake; }

void terminal_guard::resumed() noexcept {
  std::uint64_t count = 0;
  (void)!read(here().wake, &count, sizeof count);
}

terminal_guard::change::change(bool takes_keys) noexcept : takes_keys_(takes_keys) {
  here().changing.lock();
  began_ = here().returns.load(std::memory_order_acquire);
  if (!takes_keys) here().taken.store(false, std::memory_order_release);
}

terminal_guard::change::~change() { here().changing.unlock(); }

bool terminal_guard::change::done() noexcept {
  shared& s = here();
  if (!takes_keys_ || !s.armed.load(std::memory_order_acquire) || tcgetattr(STDIN_FILENO, &s.ours) != 0) return true;
  s.taken.store(true, std::memory_order_release);
  if (s.returns.load(std::memory_order_acquire) == began_) return true;
  s.taken.store(false, std::memory_order_release);
  return false;
}

void terminal_guard::give_back() noexcept {
  shared& s = here();
  if (!s.armed.load(std::memory_order_acquire)) return;
  // The editor may be held up by a terminal that takes nothing (Ctrl-S): the end does not wait for that.
  (void)s.changing.try_lock_for(std::chrono::milliseconds(200));
  set_modes(s.before);
}

}  // namespace troupe::tool
