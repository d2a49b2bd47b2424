#include <troupe/handle.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include <troupe/node.hpp>

#include "runtime/process_private.hpp"

namespace troupe {

using detail::process_private;

namespace {

constexpr duration kill_time = std::chrono::seconds(5);

}  // namespace

struct handle::impl {
  process* self = nullptr;
  detail::thread_port port;
  bool marked = false;      // our `waiting` mark was on the inbox when we last looked
  std::uint64_t taken = 0;  // marks that a sender took off: each brings one wake_from_outside

  // What the handle's code does counts as its process's: spawns inherit, dropped calls answer.
  class active {
   public:
    explicit active(process& p) : before_(detail::running_process()) { detail::set_running_process(&p); }
    ~active() { detail::set_running_process(before_); }

   private:
    process* before_;
  };

  // Fetches until `wait` has what it wants or its deadline passes.
  bool wait_for(detail::wait_state& wait) {
    active here(*self);
    process_private::wait(*self) = &wait;
    for (;;) {
      port.clear();
      process_private::fetch(*self);
      if (!wait.found && wait.takes_messages) wait.found = process_private::take_message(*self, wait);
      if (wait.found) break;
      if (!mark_waiting()) continue;
      time_point now = self->now();
      if (wait.deadline <= now) break;
      sleep_until(wait.deadline, now);
    }
    process_private::wait(*self) = nullptr;
    process_private::scanned(*self) = nullptr;
    // The descriptor says what `receive` would find.
    if (!mark_waiting() || process_private::first(*self)) port.wake();
    return wait.found != nullptr;
  }

  [[nodiscard]] std::uint64_t inbox_word(std::uint64_t low) const noexcept {
    return process_private::tag_of(process_private::generation(*self).load(std::memory_order_relaxed)) | low;
  }

  // True when the inbox is empty and marked: the next sender wakes us.
  bool mark_waiting() noexcept {
    auto& inbox = process_private::inbox(*self);
    std::uint64_t expected = inbox_word(process_private::empty);
    if (inbox.compare_exchange_strong(expected, inbox_word(process_private::waiting), std::memory_order_acq_rel)) {
      // Empty means fetched: a mark of before was taken off.
      taken += marked ? 1 : 0;
      marked = true;
      return true;
    }
    return expected == inbox_word(process_private::waiting);
  }

  // No sender takes a mark from here on, and none that did still uses the port.
  void withdraw() noexcept {
    std::uint64_t expected = inbox_word(process_private::waiting);
    const bool ours = process_private::inbox(*self).compare_exchange_strong(
        expected, inbox_word(process_private::empty), std::memory_order_acq_rel);
    if (marked && !ours) ++taken;
    marked = false;
    while (port.woken.load(std::memory_order_acquire) < taken) std::this_thread::yield();
  }

  void sleep_until(time_point deadline, time_point now) const {
    pollfd ready{port.fd, POLLIN, 0};
    int limit = -1;
    if (deadline != time_point::max()) {
      auto ms = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
      limit = static_cast<int>(std::min<std::int64_t>(ms, 60'000));
    }
    ::poll(&ready, 1, limit);
  }
};

handle::handle(std::unique_ptr<impl> made) noexcept : impl_(std::move(made)) {}

handle::~handle() {
  impl::active here(*impl_->self);
  impl_->withdraw();
  process_private::finish(*impl_->self, exit_reason::normal());
  ::close(impl_->port.fd);
}

result<std::unique_ptr<handle>> node::make_handle() {
  auto slot = core_->take_slot();
  if (!slot) return slot.error();
  auto made = std::make_unique<handle::impl>();
  made->self = *slot;
  made->port.fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (made->port.fd < 0) {
    core_->abandon_slot(**slot);
    return error(errc::system_limit, "no descriptor is left for a handle");
  }
  process& self = **slot;
  process_private::cold(self).port = &made->port;
  process_private::entry(self).store("thread", std::memory_order_relaxed);
  self.limit_mailbox(0, 0);
  core_->open_slot(self, core_->default_leader(), true);
  (void)made->mark_waiting();
  return std::unique_ptr<handle>(new handle(std::move(made)));
}

pid handle::id() const noexcept { return impl_->self->id(); }
int handle::fd() const noexcept { return impl_->port.fd; }
process& handle::self() const noexcept { return *impl_->self; }

result<message> handle::receive(duration limit) {
  detail::wait_state wait;
  wait.deadline = detail::wait_deadline(self(), limit);
  if (!impl_->wait_for(wait)) return error(errc::timeout, "no message came in time");
  return result<message>(message(wait.found));
}

result<message> handle::call_raw(const address& to, detail::envelope* request, duration limit) {
  detail::call_wait wait(to);
  detail::start_call(self(), request, wait, limit);
  if (impl_->wait_for(wait) && wait.found->kind == detail::signal::reply) return result<message>(message(wait.found));
  return detail::reply_failure(std::exchange(wait.found, nullptr), wait);
}

result<exit_reason> handle::join(const spawned& child, duration limit) {
  struct down_wait : detail::wait_state {
    std::uint64_t id = 0;
  } wait;
  wait.id = child.monitor.id();
  wait.match = [](detail::wait_state& me, detail::envelope& candidate) {
    return candidate.kind == detail::signal::down && candidate.id == static_cast<down_wait&>(me).id;
  };
  wait.deadline = detail::wait_deadline(self(), limit);
  if (!impl_->wait_for(wait)) {
    self().exit(child.process, exit_reason::kill());
    wait.deadline = detail::wait_deadline(self(), kill_time);
    if (impl_->wait_for(wait)) {
      message gone(wait.found);
      return error(errc::timeout, "the process was killed at its deadline");
    }
    self().demonitor(child.monitor);
    return error(errc::timeout,
                 child.process.text() + " holds its worker: killed at its deadline, it ends when it lets go");
  }
  message ended(wait.found);
  return result<exit_reason>(ended.as<down>().reason);
}

}  // namespace troupe
