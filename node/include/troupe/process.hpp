#pragma once
// A process as its own code sees it: `process& self`, the first parameter of every process body.
//
// Threads: every member below is called by the process's own code only. Other processes and threads reach it by its pid
// (<troupe/spawn.hpp>, <troupe/handle.hpp>, <troupe/node.hpp>).
// Sources of the semantics: erlang(3) send, link, monitor, exit, process_flag, register.
#include <atomic>
#include <exception>
#include <functional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/log.hpp>
#include <troupe/message.hpp>
#include <troupe/name_directory.hpp>
#include <troupe/task.hpp>
#include <troupe/time.hpp>

namespace troupe {

class node;

// What happens to a process that sends to another node faster than the network takes it (`queue_bytes` of the node).
// park: what it sends waits, and so does the process, at its next receive, sleep or yield, until all of it has left or
// the connection is lost; a call's wait is not held. refuse: the message is dropped and counted.
enum class when_full : std::uint8_t { park, refuse };

// Whom to address: a pid, a local name, a name on a node, or a global name. Converts from each, so that every function
// below takes all.
class address {
 public:
  address(troupe::pid p) noexcept : pid_(p) {}
  address(std::string local_name) noexcept : name_(std::move(local_name)) {}
  address(std::string_view local_name) : name_(local_name) {}
  address(const char* local_name) : name_(local_name) {}
  address(std::string name, std::string node) noexcept : name_(std::move(name)), node_(std::move(node)) {}
  address(const global::name& name) : name_(name.key()), node_(detail::any_node) {}

  [[nodiscard]] bool by_name() const noexcept { return !name_.empty(); }
  [[nodiscard]] troupe::pid pid() const noexcept { return pid_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& node() const noexcept { return node_; }  // empty: this node
  // Then name() is the key that the directory knows, and node() is no node's name.
  [[nodiscard]] bool is_global() const noexcept { return node_ == detail::any_node; }
  [[nodiscard]] std::string text() const;

 private:
  troupe::pid pid_;
  std::string name_, node_;
};

namespace detail {

class core;
struct process_private;
struct cold_part;

// What a suspended process waits for. Lives in the awaiter, in the coroutine's frame.
struct wait_state {
  // Looks at one waiting message; true takes it. Null takes any, `nothing` none.
  bool (*match)(wait_state& self, envelope& candidate) = nullptr;
  bool takes_messages = true;
  bool may_expire = true;      // false: only what it waits for ends it, no interrupt
  bool for_credit = false;     // until the nodes that hold this process take what it sent
  std::uint64_t reply_id = 0;  // wait for this reply (or `resume`) instead of a message
  time_point deadline = time_point::max();
  std::coroutine_handle<> resume{};
  envelope* found = nullptr;
  bool timed_out = false;
  std::source_location where;
};

// Runs a test of a waiting message, which stays where it is. What the test throws is kept in `failure` and ends the
// wait: it belongs to the code that waits, not to the worker that looks.
template <class Test>
bool test_waiting(wait_state& wait, envelope& candidate, std::exception_ptr& failure, Test&& test) {
  if (failure) return false;
  message view(&candidate);
  bool fits = false;
  try {
    fits = test(std::as_const(view));
  } catch (...) {
    failure = std::current_exception();
    wait.timed_out = true;
  }
  (void)view.release();
  return fits;
}

struct cannot_fail {};

}  // namespace detail

// One-shot or repeating; ends with its owner.
class timer {
 public:
  timer() = default;
  explicit timer(std::uint64_t id) noexcept : id_(id) {}
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

 private:
  std::uint64_t id_ = 0;
};

// `co_await self.receive(1s)`: the oldest waiting message that fits, or errc::timeout.
template <class T = message>
class [[nodiscard]] receive_awaiter : private detail::wait_state {
 public:
  receive_awaiter(process& self, duration limit, std::source_location where) noexcept;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    return suspend(caller);
  }
  result<T> await_resume();

 private:
  static constexpr bool may_fail = !std::same_as<T, message> && !tagged<T>;  // it looks into what waits

  bool suspend(std::coroutine_handle<> caller);
  static bool fits(detail::wait_state& self, detail::envelope& candidate);
  process& self_;
  [[no_unique_address]] std::conditional_t<may_fail, std::exception_ptr, detail::cannot_fail> failure_;
};

// The same with a predicate on the whole message.
template <class Predicate>
class [[nodiscard]] receive_if_awaiter : private detail::wait_state {
 public:
  receive_if_awaiter(process& self, Predicate predicate, duration limit, std::source_location where);
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    return suspend(caller);
  }
  result<message> await_resume();

 private:
  bool suspend(std::coroutine_handle<> caller);
  process& self_;
  Predicate predicate_;
  std::exception_ptr failure_;
};

class [[nodiscard]] sleep_awaiter : private detail::wait_state {
 public:
  sleep_awaiter(process& self, duration limit, std::source_location where) noexcept;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    return suspend(caller);
  }
  void await_resume() const noexcept {}

 private:
  bool suspend(std::coroutine_handle<> caller);
  process& self_;
};

class [[nodiscard]] yield_awaiter {
 public:
  explicit yield_awaiter(process& self) noexcept : self_(self) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> caller) noexcept;
  void await_resume() const noexcept {}

 private:
  process& self_;
};

// The process's control block. Owner: its node, in a table whose blocks are recycled and never freed while the node
// lives. Never made or destroyed by user code.
class process : public detail::runnable {
 public:
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  // -- who and where
  [[nodiscard]] pid id() const noexcept;
  [[nodiscard]] troupe::node& node() const noexcept;
  [[nodiscard]] time_point now() const noexcept;
  [[nodiscard]] logger log() const;                     // with pid, registered name and this process's metadata
  void set_metadata(std::string_view key, value item);  // goes with every later log line of this process
  void set_label(std::string text);                     // shown by ps and info

  // -- messages. Sending never waits, never fails: what cannot be delivered is counted (`troupe info`). A call that was
  // received and is sent on keeps its caller, who gets the answer of whoever replies.
  template <class T>
  void send(const address& to, T&& content) {
    send_envelope(to, detail::as_message(std::forward<T>(content)).release());
  }
  template <class T>
  void send(troupe::pid to, T&& content) {  // the usual way, without an address
    send_envelope(to, detail::as_message(std::forward<T>(content)).release());
  }
  // The same, but never parks, and says what became of the message on this side: noproc (no such local process or
  // name), overloaded (a full mailbox, too much waits for that node), noconnection (that node cannot be reached; a dial
  // that begins now is no error), too_large.
  template <class T>
  result<void> try_send(const address& to, T&& content) {
    return try_send_envelope(to, detail::as_message(std::forward<T>(content)).release());
  }
  void on_full(when_full policy) noexcept;  // park, unless said otherwise
  [[nodiscard]] receive_awaiter<> receive(duration limit,
                                          std::source_location where = std::source_location::current()) noexcept {
    return receive_awaiter<>(*this, limit, where);
  }
  // The oldest message that is a T; others stay where they are.
  template <class T>
  [[nodiscard]] receive_awaiter<T> receive(duration limit,
                                           std::source_location where = std::source_location::current()) noexcept {
    return receive_awaiter<T>(*this, limit, where);
  }
  // The oldest message for which `predicate(const message&)` says yes. What it throws, this await throws; the
  // message stays. A lambda that owns what it captures gets a name first (await_safe).
  template <class Predicate>
    requires await_safe<Predicate>
  [[nodiscard]] receive_if_awaiter<std::decay_t<Predicate>> receive_if(
      Predicate&& predicate, duration limit, std::source_location where = std::source_location::current()) {
    return receive_if_awaiter<std::decay_t<Predicate>>(*this, std::forward<Predicate>(predicate), limit, where);
  }
  [[nodiscard]] std::size_t waiting_messages() const noexcept;
  [[nodiscard]] std::size_t waiting_bytes() const noexcept;  // of them, with all that they hold
  // What this process takes while it does not come to read: messages that find so many, or so many bytes, waiting are
  // refused and counted, calls answered overloaded. 0: no limit. As `mailbox_limit` and `mailbox_bytes` of its spawn.
  void limit_mailbox(std::size_t messages, std::size_t bytes) noexcept;
  // Answers a call. The caller may be gone: then nothing happens.
  template <class Reply>
  void reply(message& call, Reply&& content) {
    using type = std::remove_cvref_t<Reply>;
    if (call.is_call())
      reply_envelope(call, detail::make_envelope<type>(detail::signal::reply, std::forward<Reply>(content)));
  }
  void reply_error(message& call, error why);

  // -- time
  [[nodiscard]] sleep_awaiter sleep(duration time,
                                    std::source_location where = std::source_location::current()) noexcept {
    return sleep_awaiter(*this, time, where);
  }
  [[nodiscard]] yield_awaiter yield() noexcept { return yield_awaiter(*this); }
  template <class T>
  timer send_after(duration delay, const address& to, T&& content) {
    return start_timer(delay, duration::zero(), to, detail::as_message(std::forward<T>(content)));
  }
  // Repeats until cancelled or until this process ends, on the beat: due, due + period, …; a beat that was missed by a
  // whole period is skipped and counted (`timers_skipped`), not made up for. T must be copyable: it is sent as a value
  // each time. A period that is not above zero ends this process with bad_argument.
  template <class T>
  timer send_interval(duration period, const address& to, T&& content) {
    return start_interval(period, to, detail::as_message(std::forward<T>(content)));
  }
  bool cancel(timer t);  // false when it has fired for the last time already

  // -- links and monitors
  void link(pid other);    // a dead, empty or unreachable one answers with an exit signal noproc or noconnection
  void unlink(pid other);  // when it returns, no exit signal of `other` reaches this process by that link
  ref monitor(const address& target);  // exactly one `down` per monitor
  void demonitor(ref monitor);         // and no `down` of it afterwards, not even one already waiting
  void trap_exits(bool on) noexcept;
  [[nodiscard]] bool traps_exits() const noexcept;
  [[noreturn]] void exit(exit_reason reason = exit_reason::normal());  // ends this process, wherever it is called
  // erlang:exit/2; "kill" cannot be trapped. To itself it acts at once: a process that traps exits has the message when
  // this returns, any other one ends here.
  void exit(pid other, exit_reason reason);

  // -- names
  // errc: name_taken, already_named, bad_name, noproc
  result<void> register_name(std::string_view name);
  bool unregister_name();
  [[nodiscard]] std::string name() const;  // empty when it has none

  // -- output: a line to the group leader, which is inherited across spawn, near and far
  [[nodiscard]] pid group_leader() const noexcept { return leader_; }
  void group_leader(pid leader) noexcept { leader_ = leader; }
  void print(std::string_view text);

  // For libraries over the runtime (servers, scripts); not for programs.
  [[nodiscard]] detail::core& core() const noexcept { return *core_; }
  void send_envelope(const address& to, detail::envelope* e);
  void send_envelope(troupe::pid to, detail::envelope* e);
  result<void> try_send_envelope(const address& to, detail::envelope* e);
  void reply_envelope(message& call, detail::envelope* e);
  [[nodiscard]] std::uint64_t make_ref_id() noexcept;
  [[nodiscard]] ref make_ref() noexcept;

 private:
  friend struct detail::process_private;
  friend class detail::core;
  process() = default;
  timer start_timer(duration first, duration period, const address& to, message content);
  timer start_interval(duration period, const address& to, message content);

  // Small, because there may be a million: what not every process has lives in `cold_`.
  std::atomic<std::uint64_t> inbox_{0};
  detail::envelope* first_ = nullptr;  // fetched, in order
  detail::envelope* last_ = nullptr;
  detail::envelope* scanned_ = nullptr;  // the last one that the current receive has refused
  detail::core* core_ = nullptr;
  detail::cold_part* cold_ = nullptr;
  std::coroutine_handle<detail::task_promise<void>> root_{};
  std::coroutine_handle<> next_{};
  detail::wait_state* wait_ = nullptr;
  time_point armed_ = time_point::max();  // when the one timer entry of this process fires
  pid leader_;
  std::atomic<const char*> entry_{nullptr};  // what it was spawned as; read by others while it runs
  std::uint64_t parent_ = 0;                 // id of its local spawner
  std::atomic<std::uint64_t> reductions_{0};
  std::atomic<std::uint32_t> generation_{0};
  std::uint32_t index_ = 0;
  // Messages of this life and their bytes (process_private::weight): waiting are those that arrived and were not taken.
  // Two counts, because many threads write the first, but one at a time the second.
  std::atomic<std::uint64_t> arrived_{0};
  std::atomic<std::uint64_t> taken_{0};
  std::atomic<std::uint64_t> mailbox_bytes_{0};
  std::atomic<std::uint32_t> mailbox_limit_{0};
  std::atomic<std::uint32_t> memory_{0};
  std::int32_t budget_ = 0;
  std::atomic<std::uint8_t> trace_{0};
  std::atomic<std::uint8_t> status_{0};
  std::uint8_t flags_ = 0;
  std::uint8_t held_ = 0;  // by so many nodes that do not take what it sent
};

// -- the rest is how the awaiters work --------------------------------------------------------------------------------
namespace detail {

// True when what `wait` wants is there now, within this slice's budget.
[[nodiscard]] bool poll_wait(process& self, wait_state& wait);
// Both in one, for an awaiter that has begun to suspend: false when it was there.
[[nodiscard]] bool take_or_wait(process& self, wait_state& wait, std::coroutine_handle<> caller);
// Parks the process on `wait`.
void begin_wait(process& self, wait_state& wait, std::coroutine_handle<> caller) noexcept;
[[nodiscard]] error timeout_error(const wait_state& wait);
[[nodiscard]] time_point wait_deadline(process& self, duration limit) noexcept;

}  // namespace detail

template <class T>
receive_awaiter<T>::receive_awaiter(process& self, duration limit, std::source_location place) noexcept : self_(self) {
  if constexpr (!std::same_as<T, message>) match = &fits;
  if (limit != wait_forever) deadline = detail::wait_deadline(self, limit);
  where = place;
}
template <class T>
bool receive_awaiter<T>::fits(detail::wait_state& self, detail::envelope& candidate) {
  if constexpr (std::same_as<T, message>) {
    return true;
  } else if constexpr (tagged<T>) {
    return candidate.type == &detail::type_of<T> || detail::tag_in_place(candidate) == T::troupe_tag();
  } else {
    if (candidate.type == &detail::type_of<T>) return true;
    // Thousands may lie there that are something else: its first word says so, where it lies.
    if constexpr (requires { T::troupe_first_word; }) {
      if (detail::tag_in_place(candidate) != T::troupe_first_word) return false;
    }
    auto is_one = [](const message& view) { return static_cast<bool>(from_value<T>(view.to_value())); };
    return detail::test_waiting(self, candidate, static_cast<receive_awaiter&>(self).failure_, is_one);
  }
}
template <class T>
bool receive_awaiter<T>::suspend(std::coroutine_handle<> caller) {
  return detail::take_or_wait(self_, *this, caller);
}
template <class T>
result<T> receive_awaiter<T>::await_resume() {
  if constexpr (may_fail) {
    if (failure_) std::rethrow_exception(failure_);
  }
  if (!found) return result<T>(detail::timeout_error(*this));
  message taken(found);
  if constexpr (std::same_as<T, message>) {
    return result<T>(std::move(taken));
  } else {
    if (T* content = detail::exactly<T>(found)) return result<T>(std::move(*content));
    error why;
    T* content = taken.get<T>(&why);
    if (!content) return result<T>(std::move(why));
    return result<T>(std::move(*content));
  }
}

template <class Predicate>
receive_if_awaiter<Predicate>::receive_if_awaiter(process& self, Predicate predicate, duration limit,
                                                  std::source_location place)
    : self_(self), predicate_(std::move(predicate)) {
  match = [](detail::wait_state& wait, detail::envelope& candidate) {
    auto& waiting = static_cast<receive_if_awaiter&>(wait);
    return detail::test_waiting(wait, candidate, waiting.failure_, waiting.predicate_);
  };
  deadline = detail::wait_deadline(self, limit);
  where = place;
}
template <class Predicate>
bool receive_if_awaiter<Predicate>::suspend(std::coroutine_handle<> caller) {
  return detail::take_or_wait(self_, *this, caller);
}
template <class Predicate>
result<message> receive_if_awaiter<Predicate>::await_resume() {
  if (failure_) std::rethrow_exception(failure_);
  if (!found) return detail::timeout_error(*this);
  return result<message>(message(found));
}

}  // namespace troupe
