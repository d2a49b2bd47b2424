#include <troupe/blocking.hpp>

#include "runtime/process_private.hpp"

namespace troupe::detail {

void start_blocking(process& self, wait_state& wait, std::move_only_function<void()> work) {
  wait.reply_id = self.make_ref_id();
  process_private::wait(self) = &wait;
  core* home = &self.core();
  self.core().scheduler().run_blocking([home, who = self.id(), id = wait.reply_id, job = std::move(work)]() mutable {
    job();
    envelope* e = make_signal(signal::resume);
    e->id = id;
    home->deliver(who, e);
  });
}

void finish_blocking(wait_state& wait) noexcept {
  if (wait.found) release_envelope(std::exchange(wait.found, nullptr));
}

}  // namespace troupe::detail
