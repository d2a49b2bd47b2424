#pragma once
// Functions and processes of other nodes' catalogues.
//     auto small = co_await troupe::rpc::call<Image>(self, "images@hostb", "image.resize", picture, 320).within(2s);
//     auto worker = co_await troupe::spawn_on(self, "images@hostb", "image.worker", queue_name).linked();
//     auto loads = co_await troupe::rpc::multicall<double>(self, names, "load.now").within(1s);   // one for each name
//     auto later = troupe::rpc::async<Image>(self, "images@hostb", "image.resize", picture, 320);
//     auto image = co_await later.within(5s);                              // result<Image>; or `later` is given up
// Each call runs in a process of its own, whose group leader is the caller's: what it prints comes back. This node's
// own name works too, without network. Errors: undef (no such function there), bad_argument (names the argument),
// exception (type and text), exited (the text is the reason), noconnection, timeout, overloaded, too_large, whatever
// the function returned; `maybe_executed()` tells whether it may have run.
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include <troupe/cluster.hpp>
#include <troupe/spawn.hpp>

namespace troupe {

namespace detail {

template <class T>
[[nodiscard]] value argument_value(const T& given) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) return value(std::string_view(given));
  else return to_value(given);
}

template <class... Args>
[[nodiscard]] value argument_list(const Args&... args) {
  list items;
  items.reserve(sizeof...(args));
  (items.push_back(argument_value(args)), ...);
  return value(std::move(items));
}

// A call under way in a process of its own, until its outcome is taken or given up. Thread-safe.
struct pending_call;
}  // namespace detail

// To who asked by `async_task::notify`: the outcome is there.
struct task_ready {
  std::uint64_t id = 0;
  TROUPE_MESSAGE(task_ready, "task.ready", id)
};

namespace detail {

using pending_work = std::move_only_function<task<result<message>>(process&)>;

// `what` names it in errors: "image.resize on images@hostb". No process for it: that error is its outcome.
[[nodiscard]] std::shared_ptr<pending_call> begin_pending(process& self, std::string what, pending_work work);
[[nodiscard]] std::shared_ptr<pending_call> begin_pending(process& self, remote_request what);
void give_up(pending_call& call) noexcept;
void abandon(pending_call& call) noexcept;  // drops the outcome, ends nothing
[[nodiscard]] pid worker_of(const pending_call& call) noexcept;
[[nodiscard]] std::uint64_t notify_of(process& self, pending_call& call);  // the id of the `task_ready` that will come
[[nodiscard]] bool was_stopped(pending_call& call);                        // ended by order, without an outcome
[[nodiscard]] bool is_answered(pending_call& call);
// True when the outcome is there, else `self` will be woken with it.
[[nodiscard]] bool watch_pending(process& self, pending_call& call, wait_state& wait, duration limit);
[[nodiscard]] result<message> take_pending(pending_call& call, wait_state& wait);
[[nodiscard]] std::optional<result<message>> take_if_there(pending_call& call, wait_state& wait);
// The same for the first of several; `unwatch` when it is over.
[[nodiscard]] bool watch_any(process& self, std::span<pending_call* const> calls, wait_state& wait, duration limit);
void unwatch(std::span<pending_call* const> calls) noexcept;

template <class R>
result<R> outcome_as(result<message>&& got) {
  if (!got) return result<R>(std::move(got.error()));
  if constexpr (std::is_void_v<R>) {
    return {};
  } else if constexpr (std::same_as<R, value>) {
    return result<value>(got->to_value());
  } else {
    if (got->peek()->type == &type_of<R>) return result<R>(std::move(*static_cast<R*>(got->peek()->payload())));
    error why(errc::bad_message, "an outcome of another type");
    if constexpr (encodable<R>) {
      if (R* content = got->template get<R>(&why)) return result<R>(std::move(*content));
    }
    return result<R>(std::move(why));
  }
}

template <class T>
concept rpc_argument = await_safe<T> && (std::is_convertible_v<const std::remove_cvref_t<T>&, std::string_view> ||
                                         encodable<std::remove_cvref_t<T>>);

}  // namespace detail

namespace rpc {

template <class R = value, detail::rpc_argument... Args>
[[nodiscard]] request_awaiter<R> call(process& self, detail::asked_node node, std::string function, Args&&... args) {
  return request_awaiter<R>(self,
                            detail::remote_request(detail::remote_request::kind::rpc, std::move(node.name),
                                                   std::move(function), detail::argument_list(args...)),
                            node.where);
}

// `arguments` is a list. For tools and scripts.
[[nodiscard]] request_awaiter<value> call_values(process& self, std::string node, std::string function, value arguments,
                                                 std::source_location where = std::source_location::current());

// No answer, no error; what cannot be run is logged there.
template <detail::rpc_argument... Args>
void cast(process& self, std::string node, std::string function, Args&&... args) {
  detail::remote_request what(detail::remote_request::kind::rpc, std::move(node), std::move(function),
                              detail::argument_list(args...));
  detail::cast_request(self, what);
}

template <class R>
class [[nodiscard]] pending_awaiter : private detail::wait_state {
 public:
  pending_awaiter(process& self, detail::pending_call& call, duration limit, std::source_location place)
      : self_(self), call_(call), limit_(limit) {
    where = place;
    takes_messages = false;
  }

  bool await_ready() { return detail::watch_pending(self_, call_, *this, limit_); }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    detail::begin_wait(self_, *this, caller);
    return true;
  }
  result<R> await_resume() { return detail::outcome_as<R>(detail::take_pending(call_, *this)); }

 private:
  process& self_;
  detail::pending_call& call_;
  duration limit_;
};

// A call that was begun. Owner: the process that began it, which awaits it once it wants the outcome: 5 s unless
// `.within` says otherwise. errc::timeout leaves it under way, to be awaited again; an outcome is given once (then
// errc::cancelled). Destroying it gives it up: its outcome is dropped, the function goes on where it runs.
template <class R = value>
class [[nodiscard]] pending {
 public:
  // `begun`: the line that began it, for what tells of a wait that names no line of its own.
  pending(process& self, std::shared_ptr<detail::pending_call> call, std::source_location begun)
      : self_(&self), call_(std::move(call)), begun_(begun) {}
  pending(pending&&) noexcept = default;
  pending& operator=(pending&& other) noexcept {
    std::swap(self_, other.self_);
    std::swap(call_, other.call_);
    std::swap(begun_, other.begun_);
    return *this;
  }
  ~pending() {
    if (call_) detail::give_up(*call_);
  }

  [[nodiscard]] bool ready() const { return detail::is_answered(*call_); }  // then awaiting it does not wait
  [[nodiscard]] pending_awaiter<R> within(duration limit,
                                          std::source_location where = std::source_location::current()) & {
    return pending_awaiter<R>(*self_, *call_, limit, where);
  }
  pending_awaiter<R> operator co_await() & { return within(default_call_time, begun_); }

 private:
  process* self_;
  std::shared_ptr<detail::pending_call> call_;
  std::source_location begun_;
};

// Begins the call and returns at once; others may follow before it is awaited.
template <class R = value, detail::rpc_argument... Args>
[[nodiscard]] pending<R> async(process& self, detail::asked_node node, std::string function, Args&&... args) {
  detail::remote_request what(detail::remote_request::kind::rpc, std::move(node.name), std::move(function),
                              detail::argument_list(args...));
  return pending<R>(self, detail::begin_pending(self, std::move(what)), node.where);
}

template <class R>
task<std::vector<result<R>>> gather(process& self, std::vector<pending<R>> calls, duration limit,
                                    std::source_location where) {
  std::vector<result<R>> out;
  out.reserve(calls.size());
  const time_point until = detail::wait_deadline(self, limit);
  for (pending<R>& one : calls) {
    const duration left = until == time_point::max() ? wait_forever : std::max(duration::zero(), until - self.now());
    auto got = co_await one.within(left, where);
    out.push_back(std::move(got));
  }
  co_return out;
}

// Await it: a result for each node, in their order. All are asked at once, and one deadline holds for all.
template <class R>
class [[nodiscard]] multicall_awaitable {
 public:
  multicall_awaitable(process& self, detail::asked_nodes nodes, std::string function, value arguments)
      : self_(self), nodes_(std::move(nodes)), function_(std::move(function)), arguments_(std::move(arguments)) {}

  multicall_awaitable&& within(duration limit) && {
    limit_ = limit;
    return std::move(*this);
  }
  auto operator co_await() && {
    std::vector<pending<R>> calls;
    calls.reserve(nodes_.names.size());
    for (std::string& node : nodes_.names) {
      detail::remote_request what(detail::remote_request::kind::rpc, std::move(node), function_, arguments_);
      calls.emplace_back(self_, detail::begin_pending(self_, std::move(what)), nodes_.where);
    }
    running_ = gather<R>(self_, std::move(calls), limit_, nodes_.where);
    return std::move(running_).operator co_await();
  }

 private:
  process& self_;
  detail::asked_nodes nodes_;
  std::string function_;
  value arguments_;
  duration limit_ = default_call_time;
  task<std::vector<result<R>>> running_;
};

template <class R = value, detail::rpc_argument... Args>
[[nodiscard]] multicall_awaitable<R> multicall(process& self, detail::asked_nodes nodes, std::string function,
                                               Args&&... args) {
  return multicall_awaitable<R>(self, std::move(nodes), std::move(function), detail::argument_list(args...));
}

}  // namespace rpc

// result<pid>; with `.monitored()` result<spawned>. Link and monitor are there before the process runs, so its reason
// is never missed. The group leader is inherited.
class [[nodiscard]] spawn_awaiter : public request_awaiter<pid> {
 public:
  using request_awaiter<pid>::request_awaiter;

  spawn_awaiter&& within(duration time) && {
    static_cast<void>(static_cast<request_awaiter<pid>&&>(*this).within(time));
    return std::move(*this);
  }
  spawn_awaiter&& linked() && {
    request().link = true;
    return std::move(*this);
  }
  [[nodiscard]] request_awaiter<spawned> monitored() && {
    request().monitor = true;
    return request_awaiter<spawned>(owner(), std::move(request()), place()).within(limit());
  }
};

template <detail::rpc_argument... Args>
[[nodiscard]] spawn_awaiter spawn_on(process& self, detail::asked_node node, std::string entry, Args&&... args) {
  return spawn_awaiter(self,
                       detail::remote_request(detail::remote_request::kind::spawn, std::move(node.name),
                                              std::move(entry), detail::argument_list(args...)),
                       node.where);
}
[[nodiscard]] spawn_awaiter spawn_values_on(process& self, std::string node, std::string entry, value arguments,
                                            std::source_location where = std::source_location::current());

}  // namespace troupe
