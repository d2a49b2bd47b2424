// Calls that are begun now and awaited later: rpc::async, rpc::multicall.
//
// Each runs in a process of its own, which waits for the answer as any caller does. The process that began it and the
// one that makes it share a `pending_call`; who comes second finds what the first has left there.
#include "dist/async.hpp"

#include "runtime/core.hpp"
#include "runtime/place.hpp"

namespace troupe::detail {

void pending_call::settle(result<message> got, bool by_order) {
  pid wakes, tells;
  std::uint64_t id = 0;
  {
    std::lock_guard guard(mutex);
    if (over) return;
    over = true;
    stopped = by_order;
    outcome.emplace(std::move(got));
    wakes = std::exchange(waiter, pid());
    if (woken && woken->exchange(true)) wakes = pid();
    tells = std::exchange(told, pid());
    id = reply_id;
  }
  if (tells) home.deliver(tells, make_envelope<task_ready>(signal::message, told_id));
  if (!wakes) return;
  envelope* wake = make_envelope<value>(signal::reply, value());
  wake->id = id;
  home.deliver(wakes, wake);
}

namespace {

// A request whose reply is taken as it came.
class plain_request : private wait_state {
 public:
  plain_request(process& self, remote_request what) : self_(self), what_(std::move(what)) { takes_messages = false; }

  bool await_ready() {
    start_request(self_, what_, *this, wait_forever);
    return false;
  }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    begin_wait(self_, *this, caller);
    return true;
  }
  result<message> await_resume() {
    if (!found || found->kind != signal::reply)
      return request_failure(self_, what_, std::exchange(found, nullptr), *this);
    return message(std::exchange(found, nullptr));
  }

 private:
  process& self_;
  remote_request what_;
};

task<result<message>> ask(process& self, remote_request what) {
  plain_request asking(self, std::move(what));
  auto got = co_await asking;
  co_return got;
}

task<> make_call(process& self, settled_at_end call, pending_work work) {
  auto running = work(self);
  auto got = co_await std::move(running);
  call->settle(std::move(got));
}

}  // namespace

std::shared_ptr<pending_call> begin_pending(process& self, std::string what, pending_work work) {
  auto call = std::make_shared<pending_call>(self.core(), std::move(what));
  spawn_options options;
  options.entry = "troupe.call";
  auto made = try_spawn(self, std::move(options), &make_call, settled_at_end(call), std::move(work));
  if (made) call->worker = made->process;
  else call->settle(made.error());
  return call;
}

std::shared_ptr<pending_call> begin_pending(process& self, remote_request what) {
  std::string name = what.entry + " on " + (what.node.empty() ? self.core().life()->name : what.node);
  pending_work work = [what = std::move(what)](process& worker) mutable { return ask(worker, std::move(what)); };
  return begin_pending(self, std::move(name), std::move(work));
}

void give_up(pending_call& call) noexcept {
  {
    std::lock_guard guard(call.mutex);
    call.outcome.reset();
    if (std::exchange(call.over, true)) return;
  }
  call.home.deliver(call.worker, make_envelope<exit_reason>(signal::exit_asked, exit_reason::kill()));
}

void abandon(pending_call& call) noexcept {
  std::lock_guard guard(call.mutex);
  call.over = true;
  call.outcome.reset();
  call.told = pid();
}

pid worker_of(const pending_call& call) noexcept { return call.worker; }

std::uint64_t notify_of(process& self, pending_call& call) {
  const std::uint64_t id = self.make_ref_id();
  {
    std::lock_guard guard(call.mutex);
    if (!call.over) {
      call.told = self.id();
      call.told_id = id;
      return id;
    }
  }
  self.send(self.id(), task_ready(id));
  return id;
}

bool was_stopped(pending_call& call) {
  std::lock_guard guard(call.mutex);
  return call.stopped;
}

bool is_answered(pending_call& call) {
  std::lock_guard guard(call.mutex);
  return call.over;
}

bool watch_pending(process& self, pending_call& call, wait_state& wait, duration limit) {
  wait.reply_id = self.make_ref_id();
  wait.deadline = wait_deadline(self, limit);
  std::lock_guard guard(call.mutex);
  if (call.over) return true;
  call.waiter = self.id();
  call.reply_id = wait.reply_id;
  return false;
}

bool watch_any(process& self, std::span<pending_call* const> calls, wait_state& wait, duration limit) {
  wait.reply_id = self.make_ref_id();
  wait.deadline = wait_deadline(self, limit);
  bool there = calls.empty();
  const auto woken = std::make_shared<std::atomic<bool>>(false);
  for (pending_call* call : calls) {
    std::lock_guard guard(call->mutex);
    there = there || call->over;
    if (there) break;
    call->waiter = self.id();
    call->reply_id = wait.reply_id;
    call->woken = woken;
  }
  if (there) unwatch(calls);
  return there;
}

void unwatch(std::span<pending_call* const> calls) noexcept {
  for (pending_call* call : calls) {
    std::lock_guard guard(call->mutex);
    call->waiter = pid();
    call->woken.reset();
  }
}

std::optional<result<message>> take_if_there(pending_call& call, wait_state& wait) {
  if (wait.found) message(std::exchange(wait.found, nullptr));  // only woke us
  std::lock_guard guard(call.mutex);
  call.waiter = pid();
  if (call.outcome) {
    std::optional<result<message>> out = std::move(call.outcome);
    call.outcome.reset();
    return out;
  }
  if (call.over)
    return result<message>(error(errc::cancelled, "the outcome of " + call.name + " has been taken already"));
  return std::nullopt;
}

result<message> take_pending(pending_call& call, wait_state& wait) {
  if (auto got = take_if_there(call, wait)) return std::move(*got);
  return error(errc::timeout, call.name + " did not answer in time" + at_place(wait.where)).set_maybe_executed(true);
}

}  // namespace troupe::detail
