// A task as its owner's node sees it.
//
// Design notes
// * Between the owner and the task stands a *keeper*, a process of the owner's node. It is linked to the owner (by
//   `async`) and to the task, so that the end of either reaches the other, and it alone decides what the outcome is: it
//   reads what the task says and how it ends in the order in which that was sent, so nothing can slip by between a
//   deadline and an answer.
//       starting --task_started--> running --task_done / its end--> settled
//          | task_refused, end of the supervisor ----------------------^
//       task_end may come in either: `shutdown` to the task, at the deadline `kill`, then settled as stopped.
// * The outcome lies in a pending_call, as that of rpc::async. Work of this node settles it itself; only a crash is
//   left to the keeper.
// * A crash reaches a linked owner as an exit signal *before* the outcome: an owner that does not trap exits ends with
//   the task's reason and never sees it, as in Elixir. A start that fails is an outcome alone.
// * The task links itself to the keeper first of all. A monitor that finds no process (noproc) therefore says only that
//   its exit signal is under way; it gets `grace` to arrive.
#include "otp/task_messages.hpp"

#include <troupe/node.hpp>
#include <troupe/task_supervisor.hpp>

#include "dist/async.hpp"
#include "dist/serving.hpp"
#include "otp/strangers.hpp"
#include "runtime/core.hpp"

namespace troupe {

namespace internal {
namespace {

using detail::pending_call;
using detail::settled_at_end;

constexpr duration grace = std::chrono::seconds(1);

struct keeping {
  keeping(pid owner_given, bool linked_given, std::optional<address> supervisor_given)
      : owner(owner_given), linked(linked_given), supervisor(std::move(supervisor_given)) {}
  pid owner;
  bool linked;
  std::optional<address> supervisor;
};

class keeper {
 public:
  keeper(process& self, pending_call& call, const keeping& what) : self_(self), call_(call), what_(what) {}

  // False: the task was not even asked for; its outcome is settled.
  bool begin(task_run order) {
    self_.trap_exits(true);
    id_ = self_.core().random().next() >> 1 | 1;  // nobody else hits it, by guess or by mistake
    if (!what_.supervisor) return spawn_here(std::move(order.near));
    order.keeper = self_.id();
    order.id = id_;
    over_supervisor_ = self_.monitor(*what_.supervisor);
    self_.send(*what_.supervisor, std::move(order));
    return true;
  }

  [[nodiscard]] duration wait() const {
    return deadline_ == time_point::max() ? wait_forever
                                          : std::max(duration::zero(), duration(deadline_ - self_.now()));
  }

  // True: it is over.
  bool take(message& m) {
    if (is_genuine_exit(m)) {
      const auto& end = *static_cast<const exit_message*>(m.peek()->payload());
      return ended(end.from, end.reason);
    }
    if (m.peek()->kind == detail::signal::down) return gone(*m.get<down>());
    if (!m.is_call()) {
      const std::string_view tag = detail::tag_in_place(*m.peek());
      if (tag == task_started::troupe_tag()) {
        if (auto* started = m.get<task_started>(); started && started->id == id_ && !task_)
          return begun(started->process);
      } else if (tag == task_refused::troupe_tag()) {
        if (auto* refused = m.get<task_refused>(); refused && refused->id == id_) {
          call_.settle(named(std::move(refused->why)), ordered_);
          return true;
        }
      } else if (tag == task_done::troupe_tag()) {
        if (auto* done = m.get<task_done>(); done && done->id == id_) {
          call_.settle(done->ok ? result<message>(message(std::move(done->outcome))) : std::move(done->why));
          return true;
        }
      } else if (tag == task_end::troupe_tag() && m.peek()->from == what_.owner) {
        if (auto* order = m.get<task_end>()) {
          end(*order);
          return false;
        }
      }
    }
    refuse_stranger(self_, "troupe.keeper", m);
    return false;
  }

  // The deadline has passed. True: it is over.
  bool late() {
    if (last_reason_) return task_ended(*last_reason_);
    if (!ordered_) {  // its supervisor has ended, and nothing was heard of the task since
      return task_ended(exit_reason("noproc"));
    }
    if (task_ && !killing_) {
      killing_ = true;
      self_.exit(task_, exit_reason::kill());
      deadline_ = detail::wait_deadline(self_, detail::kill_time);
      return false;
    }
    // Not started yet, or its worker does not let it go: it ends as soon as that can be, one by its link.
    call_.settle(error(errc::cancelled, call_.name + " was ended"), true);
    return true;
  }

 private:
  void end(const task_end& order) {
    ordered_ = true;
    killing_ = order.within_us == 0;
    deadline_ = detail::wait_deadline(self_, killing_ ? detail::kill_time : microseconds_given(order.within_us));
    if (task_) self_.exit(task_, killing_ ? exit_reason::kill() : exit_reason::shutdown());
  }

  bool spawn_here(std::shared_ptr<near_work> near) {
    spawn_options options;
    options.link = options.monitor = true;
    options.entry = "troupe.task";
    auto made = try_spawn(self_, std::move(options), &run_near_task, pid(), std::move(near));
    if (!made) {
      call_.settle(made.error());
      return false;
    }
    task_ = made->process;
    over_task_ = made->monitor;
    return true;
  }

  bool begun(pid process) {
    task_ = process;
    if (last_reason_ && last_from_ == process) return task_ended(*last_reason_);
    over_task_ = self_.monitor(process);
    if (last_reason_ && last_from_) {  // meant for it
      self_.exit(process, *std::exchange(last_reason_, std::nullopt));
      deadline_ = time_point::max();
    }
    if (ordered_) self_.exit(process, killing_ ? exit_reason::kill() : exit_reason::shutdown());
    return false;
  }

  bool ended(pid who, const exit_reason& reason) {
    if (task_ && who == task_) return task_ended(reason);
    if (who == what_.owner && reason.is_normal()) return false;
    if (who == what_.owner || !who) self_.exit(reason);  // the link tells the task; none: the node stops
    // A stranger's exit/2 is as if the task had been meant. Or the end of the task, before it was announced.
    if (task_) {
      self_.exit(task_, reason);
      return false;
    }
    last_from_ = who;
    wait_for_reason(reason);
    return false;
  }

  bool gone(const down& end) {
    if (end.monitor == over_task_) {
      if (!end.reason.is("noproc")) return task_ended(end.reason);
      wait_for_reason(end.reason);
      return false;
    }
    if (end.monitor != over_supervisor_) return false;
    if (!task_) {
      const error why = end.reason.is("noproc")         ? error(errc::noproc, what_.supervisor->text())
                        : end.reason.is("noconnection") ? error(errc::noconnection, what_.supervisor->text())
                                                        : error(errc::exited, end.reason.text());
      call_.settle(named(why), ordered_);
      return true;
    }
    // It ends its children, or they end by its link: their own end says more.
    wait_for_reason(end.reason);
    return false;
  }

  void wait_for_reason(const exit_reason& reason) {
    if (!last_reason_) last_reason_ = reason;
    deadline_ = std::min(deadline_, detail::wait_deadline(self_, grace + detail::kill_time));
  }

  bool task_ended(const exit_reason& reason) {
    const bool by_order =
        ordered_ && (reason.is("shutdown") || reason.is("killed") || reason.is("kill") || reason.is("noproc"));
    if (by_order) {
      call_.settle(error(errc::cancelled, call_.name + " was ended"), true);
      return true;
    }
    if (what_.linked && !ordered_ && !reason.is_normal()) {
      detail::envelope* e = detail::make_envelope<exit_reason>(detail::signal::exit, reason);
      e->from = self_.id();
      self_.core().deliver(what_.owner, e);
    }
    const bool lost = reason.is("noconnection");
    error why(lost ? errc::noconnection : errc::exited, reason.text());
    why.set_maybe_executed(true);
    call_.settle(lost ? named(why) : why);
    return true;
  }

  [[nodiscard]] error named(const error& why) const {
    error out(why.code(), call_.name + (why.text().empty() ? "" : ": " + why.text()));
    out.set_maybe_executed(why.maybe_executed());
    return out;
  }

  process& self_;
  pending_call& call_;
  const keeping& what_;
  std::uint64_t id_ = 0;
  pid task_;
  ref over_task_, over_supervisor_;
  bool ordered_ = false, killing_ = false;
  std::optional<exit_reason> last_reason_;
  pid last_from_;
  time_point deadline_ = time_point::max();
};

task<> keep_task(process& self, settled_at_end call, keeping what, task_run order) {
  keeper me(self, *call, what);
  if (!me.begin(std::move(order))) co_return;
  for (;;) {
    auto got = co_await self.receive(me.wait());
    if (got ? me.take(*got) : me.late()) break;
  }
}

}  // namespace

task<> run_far_task(process& self, pid keeper, std::uint64_t id, const catalogue_entry* entry, value arguments) {
  if (keeper) self.link(keeper);
  const std::size_t given = argument_count(arguments);
  auto running = entry->run(self, std::move(arguments));
  auto got = co_await std::move(running);
  if (!keeper) co_return;
  task_done last;
  last.id = id;
  last.ok = got.has_value();
  if (got) last.outcome = std::move(*got);
  else last.why = about_arguments(*entry, given, std::move(got.error()));
  self.send(keeper, std::move(last));
}

task<> run_near_task(process& self, pid keeper, std::shared_ptr<near_work> near) {
  if (keeper) self.link(keeper);
  auto running = near->work(self);
  auto got = co_await std::move(running);
  if (near->call) near->call->settle(std::move(got));
}

}  // namespace internal

namespace detail {

std::shared_ptr<pending_call> begin_task(process& self, task_order what) {
  std::string name = what.function.empty() ? "a task" : what.function;
  if (what.supervisor) name += " under " + what.supervisor->text();
  auto call = std::make_shared<pending_call>(self.core(), std::move(name));
  internal::task_run order;
  order.function = std::move(what.function);
  order.arguments = std::move(what.arguments);
  if (what.work) order.near = std::make_shared<internal::near_work>(std::move(what.work), call);
  spawn_options options;
  options.link = what.linked;
  options.entry = "troupe.keeper";
  auto made = try_spawn(self, std::move(options), &internal::keep_task, settled_at_end(call),
                        internal::keeping(self.id(), what.linked, std::move(what.supervisor)), std::move(order));
  if (made) call->worker = made->process;
  else call->settle(made.error());
  return call;
}

void order_end(process& self, pending_call& call, duration limit) {
  internal::task_end order;
  order.within_us = limit == wait_forever ? -1 : limit / std::chrono::microseconds(1);
  self.send(call.worker, std::move(order));
}

task<> forget_task(process& self, pid keeper) {
  if (!keeper) co_return;
  self.unlink(keeper);
  if (!self.traps_exits()) co_return;
  auto its_exit = [&keeper](const message& m) {
    return m.peek()->type == &type_of<exit_message> &&
           static_cast<const exit_message*>(m.peek()->payload())->from == keeper;
  };
  auto flushed = co_await self.receive_if(its_exit, duration::zero());
  (void)flushed;
}

error not_the_owner(const process& self, const pending_call& call, pid owner) {
  return {errc::not_allowed,
          call.name + " belongs to " + owner.text() + ": " + self.id().text() + " may not wait for it"};
}
error late_task(const pending_call& call, duration limit) {
  error late(errc::timeout,
             call.name + " was not done within " + std::to_string(limit / std::chrono::milliseconds(1)) + " ms");
  late.set_maybe_executed(true);
  return late;
}
error awaited_twice(const pending_call& call) {
  return {errc::cancelled, call.name + " has been awaited already: yield can be repeated"};
}

task<result<pid>> start_task_child(process& self, address supervisor, task_order what, duration limit) {
  internal::ask_start_task ask;
  ask.function = std::move(what.function);
  ask.arguments = std::move(what.arguments);
  if (what.work) ask.near = std::make_shared<internal::near_work>(std::move(what.work), nullptr);
  auto started = co_await troupe::call<pid>(self, std::move(supervisor), std::move(ask)).within(limit);
  co_return started;
}

}  // namespace detail
}  // namespace troupe
