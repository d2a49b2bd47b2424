#include "otp/stop_process.hpp"

namespace troupe::internal {
namespace {

// Waits until `watch` says that its process has ended. Nothing when it has not within `limit`.
task<std::optional<exit_reason>> await_end(process& self, ref watch, duration limit) {
  auto ended = [&watch](const message& m) {
    return m.peek()->type == &detail::type_of<down> && static_cast<const down*>(m.peek()->payload())->monitor == watch;
  };
  auto got = co_await self.receive_if(ended, limit);
  if (!got) co_return std::nullopt;
  co_return got->get<down>()->reason;
}

// The exit message of a process that has ended, if it has come.
task<std::optional<exit_reason>> take_exit(process& self, pid process) {
  auto its_exit = [&process](const message& m) {
    return m.peek()->type == &detail::type_of<exit_message> &&
           static_cast<const exit_message*>(m.peek()->payload())->from == process;
  };
  auto got = co_await self.receive_if(its_exit, duration::zero());
  if (!got) co_return std::nullopt;
  co_return got->get<exit_message>()->reason;
}

}  // namespace

task<stopped> stop_process(process& self, pid child, duration limit) {
  const ref watch = self.monitor(child);
  const bool at_once = limit <= duration::zero();
  self.exit(child, at_once ? exit_reason::kill() : exit_reason::shutdown());
  auto waiting = await_end(self, watch, at_once ? std::chrono::seconds(5) : limit);
  auto reason = co_await std::move(waiting);
  if (!reason && !at_once) {
    self.exit(child, exit_reason::kill());
    auto killing = await_end(self, watch, std::chrono::seconds(5));
    reason = co_await std::move(killing);
  }
  stopped out;
  out.seen = reason.has_value();
  auto taking = take_exit(self, child);
  auto told = co_await std::move(taking);
  if (told) reason = std::move(told);  // it had ended by itself: its monitor knows only noproc
  if (!out.seen) self.demonitor(watch);
  out.reason = reason ? std::move(*reason) : exit_reason("killed");
  co_return out;
}

bool stopped_as_asked(const exit_reason& reason, bool at_once, bool permanent) noexcept {
  return reason.is("shutdown") || reason.is("noproc") || (at_once && reason.is("killed")) ||
         (reason.is_normal() && !permanent);
}

}  // namespace troupe::internal
