#include "boot/daemon.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <fstream>
#include <iostream>

#include <troupe/utf8.hpp>

#include "boot/options.hpp"
#include "boot/readiness.hpp"

extern char** environ;

namespace troupe::internal {
namespace {

using steady_time = std::chrono::steady_clock;

constexpr int pipe_in_child = 3;

int complain(const daemon_options& options, const std::string& what) {
  std::cerr << options.program << ": " << for_terminal(what) << "\n";
  return exit_failed;
}

// The child's own lines: from where the log ended when it began.
void print_log_tail(const std::string& path, std::uintmax_t from) {
  std::ifstream in(path);
  in.seekg(static_cast<std::streamoff>(from));
  std::deque<std::string> last;
  for (std::string line; std::getline(in, line);) {
    last.push_back(line);
    if (last.size() > 20) last.pop_front();
  }
  if (last.empty()) return;
  std::cerr << "the end of " << path << ":\n";
  for (const std::string& line : last) std::cerr << "  " << for_terminal(line) << "\n";
}

bool is_variable(std::string_view entry, std::string_view name) {
  return entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name);
}

class child_process {
 public:
  // 0, or the errno.
  int start(const daemon_options& options, int write_end) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, options.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0640);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    posix_spawn_file_actions_adddup2(&files, write_end, pipe_in_child);  // clears close-on-exec even on itself
    posix_spawn_file_actions_addclosefrom_np(&files, pipe_in_child + 1);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    // Who is started so as to outlive a logout must do so too before it has a session of its own.
    struct sigaction hangup{};
    if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler == SIG_IGN) sigdelset(&all, SIGHUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    std::vector<std::string> words = options.words;
    words.insert(words.begin(), options.called);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::string ready = std::string(ready_fd_variable) + "=" + std::to_string(pipe_in_child);
    std::string daemon = std::string(daemon_variable) + "=1";
    std::vector<char*> environment;
    // Those of whoever started us are of another pipe, which ends here: the first of two would be read.
    for (char** at = environ; *at; ++at) {
      if (!is_variable(*at, ready_fd_variable) && !is_variable(*at, daemon_variable)) environment.push_back(*at);
    }
    environment.push_back(ready.data());
    environment.push_back(daemon.data());
    environment.push_back(nullptr);
    int failed = posix_spawn(&pid_, "/proc/self/exe", &files, &attributes, argv.data(), environment.data());
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return failed;
  }

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  // How it ended, in words. Waits.
  std::string ending() const {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status))
      return "ended by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
    return "ended with exit code " + std::to_string(WEXITSTATUS(status));
  }

  // Asks, and kills who does not answer within 5 s.
  void end() const {
    kill(pid_, SIGTERM);
    auto until = steady_time::now() + std::chrono::seconds(5);
    while (waitpid(pid_, nullptr, WNOHANG) == 0) {
      if (steady_time::now() >= until) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        return;
      }
      poll(nullptr, 0, 20);
    }
  }

 private:
  pid_t pid_ = -1;
};

enum class heard { ready, failed, ended, late };

// What the child says until its end of the pipe closes.
heard listen(int fd, duration limit, std::string& said) {
  auto until = steady_time::now() + limit;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - steady_time::now()).count();
    pollfd waiting{fd, POLLIN, 0};
    int got = left <= 0 ? 0 : poll(&waiting, 1, static_cast<int>(std::min<long long>(left, 1'000'000)));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0 && left <= 0) return heard::late;
    if (got <= 0) continue;
    char bytes[4096];
    ssize_t count = read(fd, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count > 0) {
      said.append(bytes, static_cast<std::size_t>(count));
      continue;
    }
    while (!said.empty() && said.back() == '\n') said.pop_back();
    if (said.starts_with("ready ")) return heard::ready;
    if (said.starts_with("failed ")) return heard::failed;
    return heard::ended;
  }
}

}  // namespace

int start_daemon(const daemon_options& options) {
  struct stat before{};
  std::uintmax_t log_end =
      stat(options.log_file.c_str(), &before) == 0 ? static_cast<std::uintmax_t>(before.st_size) : 0;
  int log = open(options.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (log < 0) return complain(options, options.log_file + ": " + std::strerror(errno));
  // Whose log is open holds this lock (log_file.cpp): what is written meanwhile may be another node's.
  const bool shared = flock(log, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(log);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return complain(options, std::string("pipe: ") + std::strerror(errno));
  child_process child;
  int failed = child.start(options, ends[1]);
  close(ends[1]);
  if (failed) {
    close(ends[0]);
    return complain(options, std::string("cannot start: ") + std::strerror(failed));
  }
  std::string said;
  heard what = listen(ends[0], options.ready_within, said);
  close(ends[0]);
  switch (what) {
    case heard::ready:
      std::cout << said.substr(6) << " is ready (os pid " << child.pid() << ")\n" << std::flush;
      return exit_ok;
    case heard::late:
      child.end();
      complain(options, "not ready in time; it has been ended");
      if (!shared) print_log_tail(options.log_file, log_end);
      return exit_timeout;
    case heard::failed:
    case heard::ended: {
      std::string how = child.ending();
      complain(options, what == heard::failed ? "did not start: " + said.substr(7) : "did not start: it " + how);
      if (!shared) print_log_tail(options.log_file, log_end);
      return exit_failed;
    }
  }
  return exit_failed;
}

}  // namespace troupe::internal
