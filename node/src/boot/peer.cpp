#include <troupe/peer.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <troupe/bus/security.hpp>
#include <troupe/run.hpp>

#include "boot/readiness.hpp"

extern char** environ;

namespace troupe::testing {
namespace {

namespace fs = std::filesystem;
using steady_time = std::chrono::steady_clock;

constexpr std::size_t shown_bytes = 2000;  // of what a program wrote that did not start
constexpr auto pause = std::chrono::milliseconds(2), longest_pause = std::chrono::milliseconds(50);

// Whoever started a program that dies with its starter must live as long as that may run: a thread dies as well.
class starter {
 public:
  starter() : thread_([this] { work(); }) {}
  ~starter() {
    run(nullptr);
    thread_.join();
  }
  pid_t fork_by(std::move_only_function<pid_t()> start) {
    std::promise<pid_t> done;
    auto made = done.get_future();
    run([&] { done.set_value(start()); });
    return made.get();
  }

 private:
  void run(std::move_only_function<void()> job) {
    {
      std::lock_guard lock(mutex_);
      job_ = std::move(job);
      has_job_ = true;
    }
    changed_.notify_one();
  }
  void work() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return has_job_; });
      has_job_ = false;
      auto job = std::exchange(job_, nullptr);
      lock.unlock();
      if (!job) return;
      job();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::move_only_function<void()> job_;
  bool has_job_ = false;
  std::thread thread_;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& changes) {
  std::vector<std::string> out;
  for (char** at = environ; *at; ++at) {
    const std::string_view one = *at;
    if (!changes.contains(std::string(one.substr(0, one.find('='))))) out.emplace_back(one);
  }
  for (const auto& [name, text] : changes) {
    if (!text.empty()) out.push_back(name + "=" + text);
  }
  return out;
}

// In the child of a program with threads: nothing but calls that are safe in a signal handler.
[[noreturn]] void become(const char* path, char* const* words, char* const* environment, int log, int keep) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::fcntl(keep, F_SETFD, 0);
  ::execve(path, words, environment);
  // To its log, which is shown when it does not start.
  const char* why = ::strerrordesc_np(errno);
  for (const char* piece : {"cannot be run: ", path, ": ", why != nullptr ? why : "unknown error", "\n"})
    (void)!::write(STDERR_FILENO, piece, std::strlen(piece));
  ::_exit(127);
}

class started_peer final : public peer {
 public:
  started_peer(std::string name, pid_t pid, fs::path log) : name_(std::move(name)), pid_(pid), log_(std::move(log)) {}
  ~started_peer() override { kill(); }

  const std::string& name() const noexcept override { return name_; }
  int os_pid() const noexcept override { return pid_; }
  std::string output() const override {
    std::ifstream in(log_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool wait_output(std::string_view text, duration within) const override {
    const auto end = steady_time::now() + within;
    for (auto wait = pause;; wait = std::min(wait * 2, longest_pause)) {
      if (output().contains(text)) return true;
      if (steady_time::now() >= end) return false;
      std::this_thread::sleep_for(wait);
    }
  }
  bool running() override { return !ended(0); }
  void kill() override {
    if (!status_) ::kill(pid_, SIGKILL);
    while (!ended(0)) std::this_thread::sleep_for(pause);
  }
  result<int> stop(duration within) override {
    if (!status_) ::kill(pid_, SIGTERM);
    const auto end = steady_time::now() + within;
    for (auto wait = pause; !ended(0); wait = std::min(wait * 2, longest_pause)) {
      if (steady_time::now() >= end) {
        kill();
        return error(errc::timeout, name_ + " had not stopped in time, and was killed");
      }
      std::this_thread::sleep_for(wait);
    }
    if (WIFEXITED(*status_)) return WEXITSTATUS(*status_);
    return error(errc::exited, name_ + " was ended by signal " + std::to_string(WTERMSIG(*status_)));
  }
  [[nodiscard]] std::string last_words() const {
    std::string all = output();
    if (all.size() > shown_bytes) all = "…" + all.substr(all.size() - shown_bytes);
    return all.empty() ? "it wrote nothing" : all;
  }

 private:
  bool ended(int options) {
    if (status_) return true;
    int status = 0;
    if (::waitpid(pid_, &status, options | WNOHANG) != pid_) return false;
    status_ = status;
    return true;
  }

  const std::string name_;
  const pid_t pid_;
  const fs::path log_;
  std::optional<int> status_;
};

}  // namespace

struct cluster::impl {
  impl() : random(system_random()) {
    std::string made = (fs::temp_directory_path() / "troupe-XXXXXX").string();
    if (::mkdtemp(made.data()) == nullptr) {
      throw std::runtime_error("no folder for a cluster of a test in " + fs::temp_directory_path().string() + ": " +
                               std::strerror(errno));
    }
    folder = made;
    run_directory = folder / "run";
    run_text = run_directory.string();
    fs::create_directory(run_directory);
    fs::permissions(run_directory, fs::perms::owner_all);
    cookie = bus::generate_cookie(*random);
  }
  ~impl() {
    for (auto& one : started) one->kill();
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  std::string name_for(std::string_view base) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out(base);
    out += '-';
    for (int i = 0; i < 4; ++i) out += digits[random->below(digits.size())];
    return out + "@localhost";
  }

  std::shared_ptr<random_source> random;
  fs::path folder, run_directory;
  std::string run_text, cookie;
  testing::starter starter;
  std::vector<std::shared_ptr<started_peer>> started;
};

cluster::cluster() : impl_(std::make_unique<impl>()) {}
cluster::~cluster() = default;
const std::string& cluster::run_directory() const noexcept { return impl_->run_text; }
const std::string& cluster::cookie() const noexcept { return impl_->cookie; }

result<std::shared_ptr<peer>> cluster::start(std::string_view base, const std::string& program,
                                             std::vector<std::string> arguments, duration ready_within) {
  const std::string name = impl_->name_for(base);
  const fs::path log = impl_->folder / (name + ".log");
  int ready[2] = {-1, -1};
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (out < 0 || ::pipe2(ready, O_CLOEXEC) != 0) {
    const int number = errno;
    if (out >= 0) ::close(out);
    return error(errc::io, "a node cannot be started: " + std::string(std::strerror(number)));
  }
  arguments.insert(arguments.begin(), {program, "--name", name});
  std::vector<std::string> environment = environment_with({{"TROUPE_RUN_DIR", impl_->run_text},
                                                           {"TROUPE_COOKIE", impl_->cookie},
                                                           {"HOME", impl_->folder.string()},
                                                           {"NOTIFY_SOCKET", ""},
                                                           {internal::daemon_variable, ""},
                                                           {internal::ready_fd_variable, std::to_string(ready[1])}});
  const auto words = pointers(arguments);
  const auto variables = pointers(environment);
  const pid_t pid = impl_->starter.fork_by([&] {
    const pid_t child = ::fork();
    if (child == 0) become(program.c_str(), words.data(), variables.data(), out, ready[1]);
    return child;
  });
  ::close(out);
  ::close(ready[1]);
  if (pid < 0) {
    ::close(ready[0]);
    return error(errc::io, "a node cannot be started: " + std::string(std::strerror(errno)));
  }
  auto made = std::make_shared<started_peer>(name, pid, log);
  impl_->started.push_back(made);

  // One line, "ready NAME" or "failed WHY"; or the end, when it ended before it said either.
  std::string said;
  const auto end = steady_time::now() + ready_within;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady_time::now()).count();
    pollfd one{.fd = ready[0], .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) == 0) {
      if (left > 0) continue;
      ::close(ready[0]);
      made->kill();
      return error(errc::timeout, name + " was not ready in time: " + made->last_words());
    }
    char data[512];
    const ssize_t count = ::read(ready[0], data, sizeof data);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    said.append(data, static_cast<std::size_t>(count));
  }
  ::close(ready[0]);
  if (said.starts_with("ready ")) return std::shared_ptr<peer>(std::move(made));
  made->kill();
  return error(errc::exited,
               name + (said.empty() ? " ended before it was ready: " : " did not start: ") + said + made->last_words());
}

result<std::unique_ptr<node>> cluster::join(std::string_view base, node_options options) {
  options.name = impl_->name_for(base);
  options.run_directory = impl_->run_directory;
  options.cookie = impl_->cookie;
  return node::start(std::move(options));
}

}  // namespace troupe::testing
