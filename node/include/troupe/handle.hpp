#pragma once
// A thread of the program takes part: a pid with a mailbox that the thread reads when it likes (node/DESIGN.md, A node
// in a program).
//     auto here = node->make_handle().or_exit();
//     auto total = here->call("counter", Read("apples"), 500ms);             // result<Total>
//     poll(here->fd()) in a loop of your own, then here->receive(0s).
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>

#include <troupe/call.hpp>
#include <troupe/spawn.hpp>

namespace troupe {

namespace detail {
template <class T>
struct task_result;
template <class T>
struct task_result<task<T>> {
  using type = T;
};
}  // namespace detail

// Owner: the program; must be destroyed before its node stops. Thread: one at a time. Links and monitors end with it.
class handle {
 public:
  ~handle();
  handle(const handle&) = delete;
  handle& operator=(const handle&) = delete;

  [[nodiscard]] pid id() const noexcept;
  // Readable when a message waits; for poll and epoll. Never read from it.
  [[nodiscard]] int fd() const noexcept;

  // A thread cannot be parked as a process is: what did not leave this side, and why, as of process::try_send
  // (overloaded: too much waits for that node). errc::none: on its way.
  template <class T>
  errc send(const address& to, T&& content) {
    const auto sent = self().try_send(to, std::forward<T>(content));
    return sent ? errc::none : sent.error().code();
  }
  [[nodiscard]] result<message> receive(duration limit);
  // The whole process API without the awaits: send, monitor, link, register_name, group_leader, send_after.
  [[nodiscard]] process& self() const noexcept;

  template <class Reply = detail::named_reply, class Request>
  [[nodiscard]] result<detail::reply_of_call<Reply, Request>> call(const address& to, Request&& request,
                                                                   duration limit = default_call_time) {
    auto got = call_raw(to, detail::as_call(std::forward<Request>(request)), limit);
    if (!got) return got.error();
    return detail::take_reply<detail::reply_of_call<Reply, Request>>(*got);
  }
  // A failure (system_limit, shutting_down) has no process to end here: it is a std::runtime_error. `try_spawn` answers
  // it.
  template <process_body F, class... Args>
  pid spawn(F&& body, Args&&... args) {
    auto made = try_spawn(spawn_options{}, std::forward<F>(body), std::forward<Args>(args)...);
    if (!made) throw std::runtime_error("spawn: " + made.error().message());
    return made->process;
  }
  template <process_body F, class... Args>
  result<spawned> try_spawn(spawn_options options, F&& body, Args&&... args) {
    return troupe::try_spawn(self(), std::move(options), std::forward<F>(body), std::forward<Args>(args)...);
  }
  // Runs a coroutine `task<T>(process&)` in a process of its own and waits for what it returns: how a thread uses an
  // awaiting API. errc::exited when it ended otherwise (the text is its reason); at `limit` it is killed:
  // errc::timeout; system_limit, shutting_down when there is no process for it.
  template <class F>
  auto run(duration limit, F body) {
    using type = typename detail::task_result<std::invoke_result_t<F&, process&>>::type;
    using stored = std::conditional_t<std::is_void_v<type>, std::monostate, type>;
    auto kept = std::make_shared<std::optional<stored>>();
    auto runner = [kept, work = std::move(body)](process& child) mutable -> task<> {
      if constexpr (std::is_void_v<type>) {
        auto running = work(child);
        co_await std::move(running);
        kept->emplace();
      } else {
        auto running = work(child);
        kept->emplace(co_await std::move(running));
      }
    };
    spawn_options watched;
    watched.monitor = true;
    auto child = try_spawn(std::move(watched), std::move(runner));
    if (!child) return result<type>(child.error());
    auto ended = join(*child, limit);
    if (!ended) return result<type>(ended.error());
    if (!*kept) return result<type>(error(errc::exited, ended->text()));
    if constexpr (std::is_void_v<type>) return result<type>();
    else return result<type>(std::move(**kept));
  }
  // Waits for the DOWN of a monitored process; kills it at `limit` (errc::timeout), and returns 5 s later even when it
  // still holds its worker: then it ends once it lets go.
  [[nodiscard]] result<exit_reason> join(const spawned& child, duration limit);

 private:
  friend class node;
  struct impl;
  explicit handle(std::unique_ptr<impl> made) noexcept;
  [[nodiscard]] result<message> call_raw(const address& to, detail::envelope* request, duration limit);
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
