#include "support/terminal.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace troupe::test {
namespace {

winsize window(int rows, int columns) {
  return {static_cast<unsigned short>(rows), static_cast<unsigned short>(columns), 0, 0};
}

}  // namespace

terminal::terminal(const std::vector<std::string>& command, const terminal_options& options)
    : screen_(options.rows, options.columns) {
  auto child = options.child;
  child.environment.try_emplace("TERM", "xterm");
  // Everything that allocates is made before the fork: the test may have threads.
  auto texts = command;
  auto environment = child_environment(child);
  std::vector<char*> arguments, variables;
  for (auto& text : texts) arguments.push_back(text.data());
  for (auto& text : environment) variables.push_back(text.data());
  arguments.push_back(nullptr);
  variables.push_back(nullptr);

  const auto size = window(options.rows, options.columns);
  pid_ = forkpty(&master_, nullptr, nullptr, &size);
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "forkpty");
  if (pid_ == 0) {
    // A terminal's program starts with every signal at its default, whatever the test was started with.
    for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (!child.directory.empty() && chdir(child.directory.c_str()) != 0) _exit(126);
    execvpe(arguments[0], arguments.data(), variables.data());
    _exit(127);
  }
  fcntl(master_, F_SETFD, FD_CLOEXEC);
  fcntl(master_, F_SETFL, O_NONBLOCK);
}

terminal::~terminal() {
  hang_up();
  if (!wait_exit(std::chrono::seconds(2))) {
    kill(-pid_, SIGKILL);
    (void)wait_exit();
  }
}

void terminal::type(std::string_view keys) {
  while (!keys.empty() && master_ >= 0) {
    const auto written = write(master_, keys.data(), keys.size());
    if (written > 0) {
      keys.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      update();
      pollfd polled{master_, POLLIN | POLLOUT, 0};
      poll(&polled, 1, 100);
    } else if (errno != EINTR) {
      return;
    }
  }
}

void terminal::type_line(std::string_view text) { type(std::string(text) + "\r"); }

void terminal::resize(int rows, int columns) {
  screen_.resize(rows, columns);
  const auto size = window(rows, columns);
  ioctl(master_, TIOCSWINSZ, &size);
}

bool terminal::echoes() const {
  termios modes{};
  return tcgetattr(master_, &modes) == 0 && (modes.c_lflag & ECHO) != 0;
}

void terminal::hang_up() {
  if (master_ >= 0) close(master_);
  master_ = -1;
}

bool terminal::update() {
  std::array<char, 4096> buffer;
  while (master_ >= 0) {
    const auto got = read(master_, buffer.data(), buffer.size());
    if (got > 0) {
      const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
      transcript_ += bytes;
      screen_.feed(bytes);
      const auto answers = screen_.answers();
      screen_.clear_answers();
      if (!answers.empty()) type(answers);
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    return false;  // EIO: the program and all that shared its terminal are gone
  }
  return false;
}

const screen& terminal::shown() {
  update();
  return screen_;
}

bool terminal::wait_screen(const std::function<bool(const screen&)>& condition, std::chrono::milliseconds deadline) {
  bool open = true;
  bool held = false;
  (void)wait_until(
      [&] {
        open = update();
        held = condition(screen_);
        return held || !open;
      },
      deadline);
  return held;
}

bool terminal::wait_text(std::string_view text, std::chrono::milliseconds deadline) {
  return wait_screen([text](const screen& shown) { return shown.text().find(text) != std::string::npos; }, deadline);
}

std::optional<int> terminal::wait_exit(std::chrono::milliseconds deadline) {
  if (exit_code_) return exit_code_;
  (void)wait_until(
      [&] {
        update();
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) != pid_) return false;
        exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return true;
      },
      deadline);
  update();
  return exit_code_;
}

}  // namespace troupe::test
