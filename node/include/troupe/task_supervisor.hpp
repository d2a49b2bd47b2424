#pragma once
// Tasks: one piece of work in a process of its own, near or far, whose outcome the process that began it awaits once.
//     auto thumb = troupe::async<Image>(self, {"images.tasks", "images@hostb"}, "image.resize", picture, 320);
//     auto sum   = troupe::async(self, [big](troupe::process&) -> troupe::task<double> { co_return total(big); });
//     auto image = co_await thumb.await(self);                        // result<Image>; 5 s unless a time is given
//     auto found = co_await sum.yield_or_shutdown(self, 500ms);       // optional<result<double>>: none is "too late"
// In a tree: supervise("images").child("tasks", task_supervisor("images.tasks")), or start_task_supervisor.
//
// Semantics are Elixir's Task and Task.Supervisor:
// * `async` links the task to its owner, who began it: when one crashes, so does the other, unless it traps exits (the
//   exit message then comes from `task.process()`). `async_nolink` does not. An owner's end that is normal leaves the
//   task alone. A function that returns an error has not crashed.
// * Nothing waits in `async`. What went wrong is the outcome: noproc (no such supervisor), noconnection, system_limit
//   (max_children), undef, bad_argument, exited (the text is the reason of the task's end), exception, or what the
//   function returned. `maybe_executed()` tells whether it may have run.
// * Only the owner may wait (else not_allowed). An outcome is given once (then cancelled); `await` may be called once,
//   also when it timed out; `yield` again and again.
// * A task that is destroyed unawaited runs on; its outcome is dropped.
// A function that runs far away must be in the catalogue there; it prints where its supervisor prints.
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <troupe/dynamic_supervisor.hpp>
#include <troupe/rpc.hpp>

namespace troupe {

namespace detail {

// What a task is to do: a function of the catalogue, or `work` on this node.
struct task_order {
  task_order(std::string function_given, value arguments_given)
      : function(std::move(function_given)), arguments(std::move(arguments_given)) {}
  explicit task_order(pending_work given) : work(std::move(given)) {}

  std::optional<address> supervisor;  // none: nobody's child
  std::string function;
  value arguments;  // a list
  pending_work work;
  bool linked = true;
};

[[nodiscard]] std::shared_ptr<pending_call> begin_task(process& self, task_order what);
// Has the task end with `shutdown`, and after `limit` by force; 0: at once. Its outcome is settled then.
void order_end(process& self, pending_call& call, duration limit);
// No exit signal of the task reaches `self` afterwards.
[[nodiscard]] task<> forget_task(process& self, pid keeper);
[[nodiscard]] task<result<pid>> start_task_child(process& self, address supervisor, task_order what, duration limit);

// The longest that the end of a task which is killed may take: then its worker does not let it go.
inline constexpr duration kill_time = std::chrono::seconds(5);

template <class R>
using outcome = std::optional<result<R>>;

// Await it: none when the time is over.
template <class R>
class [[nodiscard]] outcome_awaiter : private wait_state {
 public:
  outcome_awaiter(process& self, pending_call& call, duration limit) : self_(self), call_(call), limit_(limit) {
    takes_messages = false;
  }
  bool await_ready() { return watch_pending(self_, call_, *this, limit_); }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    begin_wait(self_, *this, caller);
    return true;
  }
  outcome<R> await_resume() {
    auto got = take_if_there(call_, *this);
    if (!got) return std::nullopt;
    return outcome<R>(outcome_as<R>(std::move(*got)));
  }

 private:
  process& self_;
  pending_call& call_;
  duration limit_;
};

[[nodiscard]] error not_the_owner(const process& self, const pending_call& call, pid owner);
[[nodiscard]] error late_task(const pending_call& call, duration limit);
[[nodiscard]] error awaited_twice(const pending_call& call);

template <class R>
task<outcome<R>> yield_task(process& self, std::shared_ptr<pending_call> call, pid owner, duration limit) {
  if (self.id() != owner) co_return outcome<R>(result<R>(not_the_owner(self, *call, owner)));
  outcome_awaiter<R> waiting(self, *call, limit);
  auto got = co_await waiting;
  co_return got;
}

template <class R>
task<result<R>> await_task(process& self, std::shared_ptr<pending_call> call, pid owner, duration limit, bool again) {
  if (again) co_return result<R>(awaited_twice(*call));
  auto yielding = yield_task<R>(self, call, owner, limit);
  auto got = co_await std::move(yielding);
  if (got) co_return std::move(*got);
  co_return result<R>(late_task(*call, limit));
}

// Whichever comes first is the outcome: one that slipped in before the end wins.
template <class R>
task<outcome<R>> shutdown_task(process& self, std::shared_ptr<pending_call> call, pid owner, duration limit) {
  auto looking = yield_task<R>(self, call, owner, duration::zero());
  auto there = co_await std::move(looking);
  if (there) co_return there;
  auto forgetting = forget_task(self, worker_of(*call));
  co_await std::move(forgetting);
  order_end(self, *call, limit);
  outcome_awaiter<R> ending(self, *call, limit == wait_forever ? limit : limit + 2 * kill_time);
  auto got = co_await ending;
  if (got && was_stopped(*call)) co_return std::nullopt;
  if (!got) co_return outcome<R>(result<R>(late_task(*call, limit)));
  co_return got;
}

template <class R>
task<outcome<R>> yield_then_shutdown(process& self, std::shared_ptr<pending_call> call, pid owner, duration limit,
                                     duration stop_within) {
  auto yielding = yield_task<R>(self, call, owner, limit);
  auto got = co_await std::move(yielding);
  if (got) co_return got;
  auto stopping = shutdown_task<R>(self, std::move(call), owner, stop_within);
  co_return co_await std::move(stopping);
}

template <class R>
task<outcome<R>> ignore_task(process& self, std::shared_ptr<pending_call> call, pid owner) {
  auto looking = yield_task<R>(self, call, owner, duration::zero());
  auto there = co_await std::move(looking);
  if (there) co_return there;
  auto forgetting = forget_task(self, worker_of(*call));
  co_await std::move(forgetting);
  abandon(*call);
  co_return std::nullopt;
}

template <class F>
using work_of =
    typename std::conditional_t<std::invocable<F&, process&>, std::invoke_result<F&, process&>, std::invoke_result<F&>>;
template <class F>
using work_result = typename unwrap<typename work_of<F>::type>::type;

template <class R, class Given>
result<message> as_outcome(Given&& given) {
  if constexpr (is_result<std::remove_cvref_t<Given>>) {
    if (!given) return given.error();
    if constexpr (std::is_void_v<R>) return message(value());
    else return message(make_envelope<R>(signal::message, std::move(*given)));
  } else {
    return message(make_envelope<R>(signal::message, std::forward<Given>(given)));
  }
}

// `work` outlives this: the process that runs it keeps it.
template <class F>
task<result<message>> run_work(process& self, F* work) {
  using returned = typename work_of<F>::type;
  auto begin = [&]() -> decltype(auto) {
    if constexpr (std::invocable<F&, process&>) return (*work)(self);
    else return (*work)();
  };
  if constexpr (std::same_as<returned, task<>>) {
    auto running = begin();
    co_await std::move(running);
    co_return message(value());
  } else if constexpr (is_task<returned>) {
    auto running = begin();
    auto got = co_await std::move(running);
    co_return as_outcome<work_result<F>>(std::move(got));
  } else if constexpr (std::is_void_v<returned>) {
    begin();
    co_return message(value());
  } else {
    co_return as_outcome<work_result<F>>(begin());
  }
}

template <class F>
pending_work work_from(F work) {
  return [work = std::move(work)](process& worker) mutable { return run_work<F>(worker, &work); };
}

template <class F>
concept task_work = std::invocable<F&, process&> || std::invocable<F&>;

}  // namespace detail

// A task under way. Owner: the process that began it. Move-only. It has a name before it is awaited: `await` and its
// kin refuse a temporary, since a lambda that began it would be one of the same expression (await_safe).
template <class R = value>
class [[nodiscard]] async_task {
 public:
  async_task(troupe::process& owner, std::shared_ptr<detail::pending_call> call)
      : owner_(owner.id()), call_(std::move(call)) {}
  async_task(async_task&&) noexcept = default;
  async_task& operator=(async_task&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(call_, other.call_);
    std::swap(awaited_, other.awaited_);
    return *this;
  }
  ~async_task() {
    if (call_) detail::abandon(*call_);
  }

  [[nodiscard]] bool ready() const { return detail::is_answered(*call_); }  // then waiting does not wait
  // The owner's end of it, on the owner's node: what it is linked to.
  [[nodiscard]] pid process() const noexcept { return detail::worker_of(*call_); }
  // The owner gets the message `task_ready` with this id once the outcome is there. For servers, which must not wait.
  std::uint64_t notify(troupe::process& self) { return detail::notify_of(self, *call_); }

  // errc::timeout: it runs on, to be yielded or shut down; `.or_exit()` on the result ends both, as in Elixir.
  [[nodiscard]] task<result<R>> await(troupe::process& self, duration limit = default_call_time) & {
    const bool again = self.id() == owner_ && std::exchange(awaited_, true);  // a stranger's is refused, and leaves it
    return detail::await_task<R>(self, call_, owner_, limit, again);
  }
  // None: not yet.
  [[nodiscard]] task<std::optional<result<R>>> yield(troupe::process& self, duration limit = default_call_time) & {
    return detail::yield_task<R>(self, call_, owner_, limit);
  }
  // Unlinks it, has it end with `shutdown`, kills it after `limit` (0: at once). An outcome that slipped in is given,
  // also the reason of a crash; none: it was ended.
  [[nodiscard]] task<std::optional<result<R>>> shutdown(troupe::process& self,
                                                        duration limit = std::chrono::seconds(5)) & {
    return detail::shutdown_task<R>(self, call_, owner_, limit);
  }
  // Task.yield(task, limit) || Task.shutdown(task, stop_within)
  [[nodiscard]] task<std::optional<result<R>>> yield_or_shutdown(troupe::process& self, duration limit,
                                                                 duration stop_within = std::chrono::seconds(5)) & {
    return detail::yield_then_shutdown<R>(self, call_, owner_, limit, stop_within);
  }
  // Unlinks it and lets it run on; its outcome, if it is there, is given, else dropped.
  [[nodiscard]] task<std::optional<result<R>>> ignore(troupe::process& self) & {
    return detail::ignore_task<R>(self, call_, owner_);
  }

  [[nodiscard]] const std::shared_ptr<detail::pending_call>& call() const noexcept {
    return call_;
  }  // not for programs

 private:
  pid owner_;
  std::shared_ptr<detail::pending_call> call_;
  bool awaited_ = false;
};

namespace detail {

template <class R, class... Args>
async_task<R> begin_named(process& self, address supervisor, bool linked, std::string function, const Args&... args) {
  task_order what(std::move(function), argument_list(args...));
  what.supervisor = std::move(supervisor);
  what.linked = linked;
  return async_task<R>(self, begin_task(self, std::move(what)));
}
template <class F>
async_task<work_result<F>> begin_work(process& self, std::optional<address> supervisor, bool linked, F work) {
  task_order what(work_from(std::move(work)));
  what.supervisor = std::move(supervisor);
  what.linked = linked;
  return async_task<work_result<F>>(self, begin_task(self, std::move(what)));
}

}  // namespace detail

// A function of the catalogue, as a child of that supervisor, near or far: "images.tasks", {"images.tasks", node}, pid.
template <class R = value, detail::rpc_argument... Args>
[[nodiscard]] async_task<R> async(process& self, address supervisor, std::string function, Args&&... args) {
  return detail::begin_named<R>(self, std::move(supervisor), true, std::move(function), args...);
}
template <class R = value, detail::rpc_argument... Args>
[[nodiscard]] async_task<R> async_nolink(process& self, address supervisor, std::string function, Args&&... args) {
  return detail::begin_named<R>(self, std::move(supervisor), false, std::move(function), args...);
}
// `work` is (process&) or () and returns R, result<R>, task<R> or nothing: on this node, as nobody's child or as that
// of a supervisor of this node.
template <detail::task_work F>
[[nodiscard]] auto async(process& self, F work) {
  return detail::begin_work(self, std::nullopt, true, std::move(work));
}
template <detail::task_work F>
[[nodiscard]] auto async(process& self, address supervisor, F work) {
  return detail::begin_work(self, std::move(supervisor), true, std::move(work));
}
template <detail::task_work F>
[[nodiscard]] auto async_nolink(process& self, address supervisor, F work) {
  return detail::begin_work(self, std::move(supervisor), false, std::move(work));
}

// One deadline for all: an outcome for each, in their order; those that are late have errc::timeout, and run on.
template <class R>
task<std::vector<result<R>>> await_many(process& self, std::span<async_task<R>> tasks,
                                        duration limit = default_call_time) {
  std::vector<result<R>> out;
  const time_point until = detail::wait_deadline(self, limit);
  for (async_task<R>& one : tasks) {
    auto waiting = one.await(
        self, until == time_point::max() ? wait_forever : std::max(duration::zero(), duration(until - self.now())));
    out.push_back(co_await std::move(waiting));
  }
  co_return out;
}
template <class R>
task<std::vector<std::optional<result<R>>>> yield_many(process& self, std::span<async_task<R>> tasks,
                                                       duration limit = default_call_time) {
  std::vector<std::optional<result<R>>> out;
  const time_point until = detail::wait_deadline(self, limit);
  for (async_task<R>& one : tasks) {
    auto waiting = one.yield(
        self, until == time_point::max() ? wait_forever : std::max(duration::zero(), duration(until - self.now())));
    out.push_back(co_await std::move(waiting));
  }
  co_return out;
}

// -- the supervisor's own

struct task_supervisor_options {
  std::size_t max_children = static_cast<std::size_t>(-1);
  duration stop_within = std::chrono::seconds(5);  // for all children together, when it stops
};
// As a child of a tree, or by hand. Tasks are temporary: none is restarted.
[[nodiscard]] child_spec task_supervisor(std::string name, task_supervisor_options options = {});
[[nodiscard]] task<started> start_task_supervisor(process& self, std::string name, task_supervisor_options options);

// Work that nobody awaits. errc: noproc, noconnection, system_limit, undef.
template <detail::rpc_argument... Args>
[[nodiscard]] task<result<pid>> start_task(process& self, address supervisor, std::string function, Args&&... args) {
  return detail::start_task_child(self, std::move(supervisor),
                                  detail::task_order(std::move(function), detail::argument_list(args...)),
                                  default_call_time);
}
template <detail::task_work F>
  requires await_safe<F>
[[nodiscard]] task<result<pid>> start_task(process& self, address supervisor, F&& work) {
  detail::task_order what(detail::work_from<std::decay_t<F>>(std::forward<F>(work)));
  return detail::start_task_child(self, std::move(supervisor), std::move(what), default_call_time);
}
[[nodiscard]] task<result<std::vector<pid>>> task_children(process& self, address supervisor);

}  // namespace troupe
