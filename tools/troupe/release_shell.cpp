// `troupe release shell`: what `bin/NAME start --shell` becomes. It starts the program as a daemon, puts a shell in
// front, and stops the node when the shell is left or a signal says so. Each of these is a child process, and this one
// does nothing but wait for them: so it is there for a signal at any time, as process 1 of a container too.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <troupe/ids.hpp>

#include "boot/local_nodes.hpp"
#include "troupe/output.hpp"
#include "troupe/release_commands.hpp"

extern char** environ;

namespace troupe::tool {
namespace {

using words = std::vector<std::string>;

// What Ctrl-C and Ctrl-\ do, and how the line looks: a shell that was ended by a signal has no time to give it back.
class terminal_state {
 public:
  terminal_state() : known_(tcgetattr(STDIN_FILENO, &state_) == 0) {}
  ~terminal_state() {
    if (known_) tcsetattr(STDIN_FILENO, TCSANOW, &state_);
  }
  terminal_state(const terminal_state&) = delete;
  terminal_state& operator=(const terminal_state&) = delete;

 private:
  termios state_{};
  bool known_;
};

// Thread: main's, which has all these signals blocked (main.cpp) and waits for them here.
class attendant {
 public:
  explicit attendant(std::string node) : node_(std::move(node)) {
    sigemptyset(&watched_);
    for (int number : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&watched_, number);
    struct sigaction before{};
    if (sigaction(SIGHUP, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) sigaddset(&watched_, SIGHUP);
    signal(SIGCHLD, SIG_DFL);  // a caller that ignores it would take our children's ends away
  }

  int run(const words& program) {
    if (!program.empty()) {
      int code = step(program, phase::start);
      if (code != internal::exit_ok && !ending_) return code;
      // `--help`, `--version` and the like are no start.
      auto runs = internal::find_local_node(node_);
      if (!runs && runs.error() == errc::noproc) return code;
    }
    int code = internal::exit_ok;
    if (!ending_) {
      terminal_state kept;
      code = step({"remote", node_}, phase::shell);
      if (ending_) code = internal::exit_ok;                          // by our signal
      if (ending_ && !hung_up_ && isatty(STDOUT_FILENO)) emit("\n");  // not behind its prompt
    }
    int stopped = step({"stop", node_}, phase::stop);
    if (now_) stopped = step({"stop", node_, "--timeout", "1s", "--kill"}, phase::kill);
    return stopped != internal::exit_ok ? stopped : code;
  }

 private:
  enum class phase { start, shell, stop, kill };

  // Runs a program, or a command of this tool, and waits for its end: its exit code, 128 + N after signal N.
  int step(words command, phase now) {
    if (now != phase::start) command.insert(command.begin(), "troupe");
    pid_t child = -1;
    const char* file = now == phase::start ? command.front().c_str() : "/proc/self/exe";
    if (int failed = launch(file, command, now, child); failed != 0) {
      return complain("release shell", error(errc::io, command.front() + ": " + std::strerror(failed)));
    }
    for (;;) {
      int number = sigwaitinfo(&watched_, nullptr);
      if (number == SIGCHLD) {
        if (auto code = reap(child)) return *code;
      } else if (number > 0) {
        told(number, now, child);
      }
    }
  }

  int launch(const char* file, words& command, phase now, pid_t& child) const {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    if (now != phase::shell) posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (hung_up_) {
      posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
      posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    }
    sigset_t none, standard;  // the tool blocks all and ignores SIGPIPE
    sigemptyset(&none);
    sigemptyset(&standard);
    sigaddset(&standard, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &standard);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    // Ctrl-C is for the shell: a start or a stop that it broke off would leave the node without anybody. Hence a group
    // of their own, which may still write to the terminal.
    struct sigaction ignore{}, before{};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGTTOU, &ignore, &before);
    if (now == phase::shell) sigaction(SIGTTOU, &before, nullptr);
    else flags |= POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setflags(&attributes, flags);
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    int failed = posix_spawn(&child, file, &files, &attributes, argv.data(), environ);
    sigaction(SIGTTOU, &before, nullptr);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return failed;
  }

  // Whoever has ended: as process 1 the node and all that it leaves are ours to wait for.
  static std::optional<int> reap(pid_t child) {
    std::optional<int> out;
    int status = 0;
    for (pid_t one = 0; (one = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (one == child) out = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return out;
  }

  void told(int number, phase now, pid_t child) {
    if (number == SIGINT && now != phase::start) return;  // the shell has it too; a stop is under way
    if (now_) return;  // the node is ended by force already: whoever goes on asking must not end who does that
    hung_up_ = hung_up_ || number == SIGHUP;
    // As with the program itself: the first asks for an orderly end, one that comes two seconds later or more for one
    // at once. What comes sooner is the same wish, arrived twice.
    const auto at = std::chrono::steady_clock::now();
    const bool second = ending_ && at - asked_ >= std::chrono::seconds(2);
    if (!std::exchange(ending_, true)) asked_ = at;
    if (now == phase::shell || second) kill(child, SIGTERM);
    now_ = now_ || (second && now == phase::stop);
  }

  std::string node_;
  sigset_t watched_{};
  bool ending_ = false, now_ = false, hung_up_ = false;
  std::chrono::steady_clock::time_point asked_;  // when `ending_` became true
};

int run(const parsed_options& given) {
  auto name = complete_node_name(given.text("NODE"));
  if (!name) {
    (void)complain("release shell", name.error());
    return internal::exit_usage;
  }
  return attendant(std::move(*name)).run(given.all("PROGRAM"));
}

}  // namespace

command release_shell_command() {
  command_table rows;
  rows.name = "release shell";
  rows.summary = "Starts a node with a shell in front, and stops it when the shell is left.";
  rows.arguments = {node_here_argument(),
                    {"PROGRAM",
                     "after --: a program and its arguments that return when the node is ready; without "
                     "it the node must be running",
                     false, true}};
  rows.notes =
      "Leaving the shell, SIGTERM and SIGHUP stop the node in order; another one, two seconds later or more, ends it "
      "by force. Ctrl-C only "
      "stops what the shell evaluates. Exit code: that of the stop, if it failed, else that of the shell, as for "
      "remote; 0 after a signal.";
  rows.example = "troupe release shell exercise -- ./exercise --daemon --log-file /tmp/exercise.log";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
