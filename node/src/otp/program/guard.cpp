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
constexpr std::size_t most_unsent = std::size_t{1} << 20;

// Each group has a variable of its own, so that a removal does not copy all of them.
constexpr const char* script = R"(trap '' HUP INT QUIT TERM
p= n=0
filter() {
  left=
  for g in $p; do eval "[ \"\$g$g\" ]" && left="$left $g"; done
  p=$left n=0
}
while read -r what group; do
  case $what in
    +) eval "g$group=1"; p="$p $group" ;;
    -) unset "g$group"; n=$((n + 1)); [ $n -lt 500 ] || filter ;;
  esac
done
filter
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
  if (flush()) ::kill(shell_.os_pid, SIGKILL);  // what it knows is old
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

// Never waits: what a shell that is slow, or stopped, has no room for is kept.
void program_guard::tell(char what, pid_t group) {
  if (!shell_.input) return;
  unsent_ += std::string(1, what) + " " + std::to_string(group) + "\n";
  send_rest();
}

bool program_guard::flush() {
  std::lock_guard lock(mutex_);
  send_rest();
  return !unsent_.empty();
}

void program_guard::send_rest() {
  while (shell_.input && !unsent_.empty()) {
    const ssize_t written = ::send(shell_.input.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written >= 0) {
      unsent_.erase(0, static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      if (unsent_.size() > most_unsent) lose("the shell that ends them does not read");
      return;
    } else if (errno != EINTR) {
      lose(::strerror(errno));
    }
  }
}

// To a shell that lives, the end of its input would mean that the node is dead.
void program_guard::lose(std::string why) {
  if (shell_.pidfd) ::kill(shell_.os_pid, SIGKILL);
  shell_.input.close();
  unsent_.clear();
  if (!log_) return;
  map fields;
  fields.emplace_back("reason", std::move(why));
  log_->log(log_level::warning, "programs of this node will outlive it if it is killed by SIGKILL", std::move(fields));
}

}  // namespace troupe::internal
