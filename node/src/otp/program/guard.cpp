#include "otp/program/guard.hpp"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "otp/program/children.hpp"

namespace troupe::internal {
namespace {

constexpr int end_ms = 2'000;

constexpr const char* script = R"(trap '' HUP INT QUIT TERM
p=' '
while read -r what group; do
  case $what in
    +) p="$p$group " ;;
    -) case $p in *" $group "*) p="${p%% $group *} ${p#* $group }" ;; esac ;;
  esac
done
for g in $p; do kill -s TERM -- "-$g"; kill -s CONT -- "-$g"; done
n=0
while [ $n -lt 50 ]; do
  left=
  for g in $p; do kill -s 0 -- "-$g" && left="$left $g"; done
  [ -n "$left" ] || exit 0
  p=$left n=$((n + 1))
  sleep 0.1
done
for g in $p; do kill -s KILL -- "-$g"; done
)";

}  // namespace

program_guard::~program_guard() {
  if (!shell_.pidfd) return;
  shell_.input.close();
  pollfd ended{shell_.pidfd.get(), POLLIN, 0};
  if (::poll(&ended, 1, end_ms) <= 0) ::kill(shell_.os_pid, SIGKILL);
  while (::waitpid(shell_.os_pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  forget_child_of_ours(shell_.os_pid);
}

void program_guard::add(pid_t group) {
  std::lock_guard lock(mutex_);
  if (!std::exchange(started_, true)) {
    auto made = spawn_shell(script, "troupe-programs");
    if (made) shell_ = std::move(*made);
    else lose(made.error().message());
  }
  tell('+', group);
}

void program_guard::remove(pid_t group) {
  std::lock_guard lock(mutex_);
  tell('-', group);
}

// Never waits: what a shell that is stopped has not read is a few bytes for each program.
void program_guard::tell(char what, pid_t group) {
  if (!shell_.input) return;
  const std::string line = std::string(1, what) + " " + std::to_string(group) + "\n";
  ssize_t written = 0;
  do {
    written = ::send(shell_.input.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (written < 0 && errno == EINTR);
  if (written < 0) lose(::strerror(errno));
}

void program_guard::lose(std::string why) {
  shell_.input.close();
  if (!log_) return;
  map fields;
  fields.emplace_back("reason", std::move(why));
  log_->log(log_level::warning, "programs of this node will outlive it if it is killed by SIGKILL", std::move(fields));
}

}  // namespace troupe::internal
