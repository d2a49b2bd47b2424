#include "otp/program/children.hpp"

#include <signal.h>
#include <unistd.h>

#include <mutex>
#include <set>

namespace troupe::internal {
namespace {

struct table {
  std::mutex mutex;
  std::set<pid_t> ours;
};

// Never destroyed: a thread may still look while the program exits.
table& shared() {
  static table* instance = new table;
  return *instance;
}

}  // namespace

pid_t start_child_of_ours(const std::function<pid_t()>& start) {
  if (getpid() != 1) return start();  // nobody else waits for our children
  table& all = shared();
  std::lock_guard lock(all.mutex);
  const pid_t made = start();
  if (made > 0) all.ours.insert(made);
  return made;
}

void forget_child_of_ours(pid_t child) {
  if (getpid() != 1) return;
  {
    table& all = shared();
    std::lock_guard lock(all.mutex);
    all.ours.erase(child);
  }
  kill(1, SIGCHLD);  // who reaps may have stopped at this one
}

bool is_child_of_ours(pid_t child) {
  table& all = shared();
  std::lock_guard lock(all.mutex);
  return all.ours.contains(child);
}

}  // namespace troupe::internal
