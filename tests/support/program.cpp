#include "support/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace troupe::test {
namespace {

struct pipe_ends {
  int read = -1, write = -1;
};

pipe_ends make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  return {ends[0], ends[1]};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

pid_t spawn_child(std::vector<std::string> command, const program_options& options, int in, int out, int err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  if (!options.directory.empty()) posix_spawn_file_actions_addchdir_np(&actions, options.directory.c_str());

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);

  auto environment = child_environment(options);
  auto arguments = pointers(command);
  auto variables = pointers(environment);
  pid_t pid = -1;
  const int failure = posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0) throw std::system_error(failure, std::generic_category(), command.front());
  return pid;
}

}  // namespace

std::vector<std::string> child_environment(const program_options& options) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!options.environment.contains(std::string(text.substr(0, text.find('='))))) result.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) {
    if (value) result.push_back(name + "=" + *value);
  }
  return result;
}

program::program(const std::vector<std::string>& command, const program_options& options) {
  const auto in = make_pipe(), out = make_pipe(), err = make_pipe();
  try {
    pid_ = spawn_child(command, options, in.read, out.write, err.write);
  } catch (...) {
    for (int fd : {in.read, in.write, out.read, out.write, err.read, err.write}) close(fd);
    throw;
  }
  for (int fd : {in.read, out.write, err.write}) close(fd);
  input_ = in.write;
  wake_ = eventfd(0, EFD_CLOEXEC);
  collector_ = std::thread([this, out, err] { collect(out.read, err.read); });
  if (!options.input.empty()) write(options.input);
  if (!options.keep_input) close_input();
}

program::~program() {
  close_input();
  if (!exit_code_) {
    kill(-pid_, SIGKILL);
    (void)wait_exit();
  } else {
    kill(-pid_, SIGKILL);  // what it left behind in its group
  }
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
  if (collector_.joinable()) collector_.join();
  close(wake_);
}

std::string program::out() const {
  std::lock_guard lock(mutex_);
  return out_;
}

std::string program::err() const {
  std::lock_guard lock(mutex_);
  return err_;
}

void program::signal(int number) const {
  if (!exit_code_) kill(pid_, number);
}

void program::write(std::string_view text) {
  // A program that has ended gives EPIPE, which its exit code explains better than a signal in the test would.
  sigset_t pipe_only, before;
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
  while (!text.empty() && input_ >= 0) {
    const auto written = ::write(input_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  const timespec at_once{};
  while (sigtimedwait(&pipe_only, nullptr, &at_once) > 0) {
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void program::close_input() {
  if (input_ >= 0) close(input_);
  input_ = -1;
}

bool program::wait_output(std::string_view text, std::chrono::milliseconds deadline) const {
  const auto seen = [&] {
    std::lock_guard lock(mutex_);
    return out_.find(text) != std::string::npos || err_.find(text) != std::string::npos;
  };
  return wait_until([&] { return seen() || collected_; }, deadline) && seen();
}

std::optional<int> program::wait_exit(std::chrono::milliseconds deadline) {
  if (exit_code_) return exit_code_;
  const bool ended = wait_until(
      [&] {
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) != pid_) return false;
        exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return true;
      },
      deadline);
  if (!ended) return std::nullopt;
  // A daemon that it left behind may keep the pipes open for ever: what matters has arrived by now.
  (void)wait_until([&] { return collected_.load(); }, std::chrono::seconds(1));
  return exit_code_;
}

void program::collect(int out, int err) {
  std::array<pollfd, 3> polled{pollfd{out, POLLIN, 0}, pollfd{err, POLLIN, 0}, pollfd{wake_, POLLIN, 0}};
  std::array<char, 16384> buffer;
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) break;
    if (polled[2].revents != 0) break;
    for (std::size_t n = 0; n < 2; ++n) {
      if (polled[n].revents == 0) continue;
      const auto got = read(polled[n].fd, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        polled[n].fd = -1;
        continue;
      }
      std::lock_guard lock(mutex_);
      (n == 0 ? out_ : err_).append(buffer.data(), static_cast<std::size_t>(got));
    }
  }
  close(out);
  close(err);
  collected_ = true;
}

outcome run_program(const std::vector<std::string>& command, const program_options& options,
                    std::chrono::milliseconds deadline) {
  program child(command, options);
  outcome result;
  auto code = child.wait_exit(deadline);
  if (!code) {
    result.timed_out = true;
    kill(-child.pid(), SIGKILL);
    code = child.wait_exit();
  }
  result.exit_code = code.value_or(-1);
  result.out = child.out();
  result.err = child.err();
  return result;
}

bool process_exists(pid_t pid) { return kill(pid, 0) == 0 || errno == EPERM; }

}  // namespace troupe::test
