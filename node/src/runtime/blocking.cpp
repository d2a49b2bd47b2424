#include <troupe/blocking.hpp>

#include "runtime/process_private.hpp"

namespace troupe::detail {

void start_blocking(process& self, wait_state& wait, std::move_only_function<void()> work) {
  wait.reply_id = self.make_ref_id();
  core* home = &self.core();
  auto run = [home, who = self.id(), id = wait.reply_id, job = std::move(work)]() mutable {
    job();
    job = nullptr;  // what it holds is the process's alone from here on: it may end with the process
    envelope* e = make_signal(signal::resume);
    e->id = id;
    home->deliver(who, e);
  };
  process_private::wait(self) = &wait;
  try {
    home->scheduler().run_blocking(std::move(run), {home, self.id().id(), process_private::entry(self)});
  } catch (...) {  // no thread, no memory: the frame that waits goes
    process_private::wait(self) = nullptr;
    throw;
  }
}

void finish_blocking(wait_state& wait) noexcept {
  if (wait.found) release_envelope(std::exchange(wait.found, nullptr));
}

}  // namespace troupe::detail
