#include "otp/program/spawn.hpp"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <system_error>

#include "otp/program/children.hpp"

extern char** environ;

namespace troupe {
namespace {

namespace fs = std::filesystem;

std::string reason_of(int number) { return std::system_category().message(number); }

// What an error of the system means to who asked for `what`.
error system_error(int number, const std::string& what) {
  const std::string text = what + ": " + reason_of(number);
  switch (number) {
    case ENOENT:
    case ENOTDIR: return error(errc::not_found, text);
    case EACCES:
    case EPERM: return error(errc::not_allowed, text);
    case E2BIG: return error(errc::too_large, text);
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return error(errc::system_limit, text);
    default: return error(errc::io, text);
  }
}

std::string shown(std::string_view text) { return value(text).print(1, 200); }

// Is there a file that may be executed? Says of a file why not.
result<void> may_run(const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0) return system_error(errno, "executable " + shown(path));
  if (S_ISDIR(about.st_mode)) return error(errc::not_allowed, "executable " + shown(path) + ": is a directory");
  if (::access(path.c_str(), X_OK) != 0)
    return error(errc::not_allowed, "executable " + shown(path) + ": is not executable");
  return {};
}

result<void> check_words(const command::plan& what) {
  if (what.words.empty() || what.words.front().empty())
    return error(errc::bad_argument, "the name of an executable expected");
  for (std::size_t i = 0; i < what.words.size(); ++i) {
    if (what.words[i].find('\0') == std::string::npos) continue;
    return error(errc::bad_argument, (i == 0 ? std::string("the executable's name") : "argument " + std::to_string(i)) +
                                         " has a NUL: " + shown(what.words[i]));
  }
  for (const auto& [name, content] : what.environment) {
    if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos)
      return error(errc::bad_argument, "the environment has no variable named " + shown(name) +
                                           ": a name is not empty, and without '=' and NUL");
    if (content && content->find('\0') != std::string::npos)
      return error(errc::bad_argument, "environment variable " + shown(name) + " has a NUL");
  }
  if (what.directory.native().find('\0') != std::string::npos)
    return error(errc::bad_argument, "the working directory has a NUL: " + shown(what.directory.native()));
  return {};
}

result<void> check_bounds(const command::plan& what) {
  auto positive = [](bool ok, const char* name) -> result<void> {
    if (ok) return {};
    return error(errc::bad_argument, std::string(name) + ": more than 0 expected");
  };
  if (auto ok = positive(what.line_bytes > 0, "lines"); !ok) return ok;
  if (auto ok = positive(what.most_waiting > 0, "most_waiting"); !ok) return ok;
  if (auto ok = positive(what.idle > duration::zero(), "idle"); !ok) return ok;
  if (what.stop_within < duration::zero()) return error(errc::bad_argument, "stop_within: a negative time");
  return {};
}

// The path of what is to run, from the root: the working directory of the program may be another one.
result<std::string> resolve(const command::plan& what) {
  if (auto ok = check_words(what); !ok) return ok.error();
  if (auto ok = check_bounds(what); !ok) return ok.error();
  if (!what.directory.empty()) {
    struct stat about{};
    if (::stat(what.directory.c_str(), &about) != 0)
      return system_error(errno, "working directory " + shown(what.directory.native()));
    if (!S_ISDIR(about.st_mode))
      return error(errc::not_found, "working directory " + shown(what.directory.native()) + ": is not a directory");
  }
  return find_executable(what.words.front());
}

}  // namespace

result<std::string> find_executable(const std::string& name) {
  if (name.empty() || name.find('\0') != std::string::npos)
    return error(errc::bad_argument, "no name of an executable: " + shown(name));
  if (name.find('/') != std::string::npos) {
    std::error_code failed;
    std::string path = fs::absolute(name, failed).string();
    if (failed) return error(errc::io, "executable " + shown(name) + ": " + failed.message());
    if (auto ok = may_run(path); !ok) return ok.error();
    return path;
  }
  const char* given = ::getenv("PATH");
  const std::string places = given ? given : "/usr/local/bin:/usr/bin:/bin";
  error denied;
  for (std::size_t at = 0; at <= places.size();) {
    const std::size_t end = std::min(places.find(':', at), places.size());
    std::string path = places.substr(at, end - at);
    at = end + 1;
    if (!path.starts_with('/')) continue;  // the working directory of a node is no place to look for programs
    path += "/";
    path += name;
    auto ok = may_run(path);
    if (ok) return path;
    if (ok.error() == errc::not_allowed && denied == errc::none) denied = ok.error();
  }
  if (denied != errc::none) return denied;
  return error(errc::not_found, "executable " + shown(name) + " is not in the PATH: " + places);
}

result<void> check(const command& what) {
  if (auto path = resolve(what.described()); !path) return path.error();
  return {};
}

namespace internal {

void descriptor::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

namespace {

// 0 to 2 are what the child's own descriptors are put on: none of ours may lie there, though the node's be closed.
result<descriptor> above_standard(int fd, const char* what) {
  descriptor held(fd);
  if (fd < 0) return system_error(errno, what);
  if (fd > 2) return held;
  descriptor moved(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!moved) return system_error(errno, what);
  return moved;
}

struct pipe_ends {
  descriptor ours, theirs;
};
result<pipe_ends> make_pipe(bool we_write) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error(errno, "a pipe");
  auto read = above_standard(ends[0], "a pipe");
  auto write = above_standard(ends[1], "a pipe");
  if (!read) return read.error();
  if (!write) return write.error();
  pipe_ends out;
  out.ours = std::move(we_write ? *write : *read);
  out.theirs = std::move(we_write ? *read : *write);
  ::fcntl(out.ours.get(), F_SETFL, ::fcntl(out.ours.get(), F_GETFL) | O_NONBLOCK);
  return out;
}

std::vector<std::string> environment_of(const command::plan& what) {
  std::vector<std::string> out;
  for (char** each = environ; each && *each; ++each) {
    const std::string_view entry(*each);
    const std::string name(entry.substr(0, entry.find('=')));
    if (!what.environment.contains(name)) out.emplace_back(entry);
  }
  for (const auto& [name, content] : what.environment) {
    if (content) out.push_back(name + "=" + *content);
  }
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// What the child does before it becomes the program. Owner: one start.
class child_setup {
 public:
  child_setup() {
    posix_spawn_file_actions_init(&files_);
    posix_spawnattr_init(&attributes_);
  }
  ~child_setup() {
    posix_spawn_file_actions_destroy(&files_);
    posix_spawnattr_destroy(&attributes_);
  }
  child_setup(const child_setup&) = delete;
  child_setup& operator=(const child_setup&) = delete;

  void put(const descriptor& from, int at) {
    if (from) posix_spawn_file_actions_adddup2(&files_, from.get(), at);
    else posix_spawn_file_actions_addopen(&files_, at, "/dev/null", at == 0 ? O_RDONLY : O_WRONLY, 0);
  }
  void same(int from, int at) { posix_spawn_file_actions_adddup2(&files_, from, at); }
  void directory(const char* path) { posix_spawn_file_actions_addchdir_np(&files_, path); }

  result<spawned_program> start(const std::string& path, std::vector<std::string> words,
                                std::vector<std::string> environment, short group) {
    posix_spawn_file_actions_addclosefrom_np(&files_, 3);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group));
    const std::vector<char*> argv = pointers(words), variables = pointers(environment);
    spawned_program made;
    int failed = 0;
    made.os_pid = start_child_of_ours([&] {
      pid_t child = -1;
      failed = posix_spawn(&child, path.c_str(), &files_, &attributes_, argv.data(), variables.data());
      return failed ? pid_t{-1} : child;
    });
    if (failed) return system_error(failed, "executable " + shown(path));
    made.pidfd = descriptor(static_cast<int>(::syscall(SYS_pidfd_open, made.os_pid, 0)));
    if (!made.pidfd) {
      const int number = errno;
      ::kill(made.os_pid, SIGKILL);
      while (::waitpid(made.os_pid, nullptr, 0) < 0 && errno == EINTR) {
      }
      forget_child_of_ours(made.os_pid);
      return system_error(number, "a descriptor of the program");
    }
    return made;
  }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

}  // namespace

result<spawned_program> spawn_program(const command::plan& what) {
  auto path = resolve(what);
  if (!path) return path.error();
  pipe_ends input, output, errors;
  if (what.input) {
    auto made = make_pipe(true);
    if (!made) return made.error();
    input = std::move(*made);
  }
  auto out = make_pipe(false);
  if (!out) return out.error();
  output = std::move(*out);
  if (what.errors == program_errors::apart) {
    auto made = make_pipe(false);
    if (!made) return made.error();
    errors = std::move(*made);
  }
  child_setup setup;
  setup.put(input.theirs, 0);
  setup.put(output.theirs, 1);
  if (what.errors == program_errors::with_output) setup.same(1, 2);
  else setup.put(errors.theirs, 2);
  if (!what.directory.empty()) setup.directory(what.directory.c_str());
  auto made = setup.start(*path, what.words, environment_of(what), POSIX_SPAWN_SETPGROUP);
  if (!made) return made;
  made->input = std::move(input.ours);
  made->output = std::move(output.ours);
  made->errors = std::move(errors.ours);
  return made;
}

result<spawned_program> spawn_shell(const char* script, std::string name) {
  // A socket, which can be written to without SIGPIPE.
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return system_error(errno, "a socket");
  auto ours = above_standard(ends[0], "a socket");
  auto theirs = above_standard(ends[1], "a socket");
  if (!ours) return ours.error();
  if (!theirs) return theirs.error();
  child_setup setup;
  setup.put(*theirs, 0);
  setup.put({}, 1);
  setup.put({}, 2);
  setup.directory("/");
  // A session of its own: no signal of a terminal or to the node's group reaches it.
  auto made = setup.start("/bin/sh", {std::move(name), "-c", script}, {"PATH=/usr/bin:/bin"}, POSIX_SPAWN_SETSID);
  if (made) made->input = std::move(*ours);
  return made;
}

}  // namespace internal
}  // namespace troupe
