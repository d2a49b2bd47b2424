#include "boot/signals.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include "otp/program/children.hpp"
#include "thread.hpp"

namespace troupe::internal {
namespace {

bool ignored(int number) {
  struct sigaction now{};
  return sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

sigset_t watched() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGCHLD);
  if (!ignored(SIGHUP)) sigaddset(&set, SIGHUP);
  return set;
}

void wait_for(pid_t child) {
  if (!is_child_of_ours(child)) waitpid(child, nullptr, WNOHANG);
}

// A program of a node is waited for by its node, which may take its time: until then the system may name it each time,
// and whoever stands behind it is looked for.
void reap_strangers() {
  for (;;) {
    siginfo_t ended{};
    if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
    if (is_child_of_ours(ended.si_pid)) break;
    wait_for(ended.si_pid);
  }
  std::error_code failed;
  for (std::filesystem::directory_iterator at("/proc", failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename();
    pid_t number = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), number);
    if (read.ec == std::errc() && read.ptr == name.data() + name.size() && number > 1) wait_for(number);
  }
}

}  // namespace

void block_signals() {
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
  // Not those of a fault: blocked, they would end the program without a word or spin. Not those of the terminal's job
  // control, which are between the shell and the user.
  sigset_t set;
  sigfillset(&set);
  for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU,
                     SIGQUIT, SIGPROF}) {
    sigdelset(&set, number);
  }
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void raise_file_limit() noexcept {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

signal_watch::signal_watch(std::function<void(int)> handler) : handler_(std::move(handler)) {
  sigset_t set = watched();
  signals_ = unique_fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  wake_ = unique_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!signals_ || !wake_) throw std::system_error(errno, std::generic_category(), "signalfd");
  thread_ = start_thread("troupe-signals", [this] { watch(); });
}

signal_watch::~signal_watch() {
  std::uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
  thread_.join();
}

void signal_watch::watch() {
  for (;;) {
    pollfd waiting[2] = {{signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents) return;
    signalfd_siginfo info{};
    while (read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo != SIGCHLD) {
        handler_(static_cast<int>(info.ssi_signo));
      } else if (getpid() == 1) {
        reap_strangers();
      }
    }
  }
}

}  // namespace troupe::internal
