#include "thread.hpp"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace troupe::internal {
namespace {

class signals_blocked {
 public:
  signals_blocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~signals_blocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

std::thread start_thread(const std::string& name, std::move_only_function<void()> body) {
  const signals_blocked until_it_has_the_mask;
  std::thread made([work = std::move(body)]() mutable { work(); });
  pthread_setname_np(made.native_handle(), name.substr(0, 15).c_str());
  return made;
}

}  // namespace troupe::internal
