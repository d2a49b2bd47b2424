#pragma once
// What the benchmark programs share. Each prints lines `name value unit`; tests/bench/run reads them.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

using time = std::chrono::steady_clock::time_point;
inline time now() { return std::chrono::steady_clock::now(); }
inline double seconds_since(time start) { return std::chrono::duration<double>(now() - start).count(); }
inline double micros_since(time start) { return seconds_since(start) * 1e6; }

inline void emit(const std::string& name, double value, const char* unit) {
  std::printf("%s %.3f %s\n", name.c_str(), value, unit);
  std::fflush(stdout);
}

inline void percentiles(const std::string& name, std::vector<double> us) {
  std::sort(us.begin(), us.end());
  auto at = [&](double p) { return us[static_cast<std::size_t>(std::ceil(p * static_cast<double>(us.size()))) - 1]; };
  emit(name + "_p50", at(0.50), "us");
  emit(name + "_p99", at(0.99), "us");
}

// The command line's scale makes every count smaller; 1 is a full run.
inline int scaled(double scale, int full, int least = 1) {
  return std::max(least, static_cast<int>(std::lround(full * scale)));
}

inline double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// Another OS process that runs `work` and dies with this one. Only to be made while this process has one thread.
class child {
 public:
  explicit child(const std::function<void()>& work) {
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) std::_Exit(1);
    work();
    std::fflush(nullptr);
    std::_Exit(0);
  }
  child(child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  child& operator=(child&&) = delete;
  ~child() {
    kill();
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
  }
  void kill() const {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
  }

 private:
  pid_t pid_ = -1;
};

}  // namespace bench
