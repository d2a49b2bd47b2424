#pragma once
// A server (OTP's gen_server): a plain struct that holds state, and a handler for each message that it lists.
//     struct Counter {
//       using messages = troupe::handles<Add, Read, Save>;
//       std::map<std::string, std::int64_t> totals;
//       void on(const Add& add) { totals[add.name] += add.amount; }                 // cast: no reply
//       Total on(const Read& read) { return Total(totals[read.name]); }             // call: the reply that Read names
//       troupe::task<Saved> on(troupe::process& self, Save save);                   // a call that waits
//     };
//     auto counter = co_await troupe::start_link<Counter>(self, "counter");         // `started`: init has returned
//     auto total = co_await troupe::call(self, "counter", Read("apples"));          // result<Total>
//
// Handlers: on(const M&), on(M), on(process&, M) or on(process&, M, message& request), plain or a task. What a handler
// returns is the reply; result<R> replies with R or the error; void replies nil when somebody asked; then_stop(R,
// reason) and then_continue(R) reply, and then end the server or run on_continue before the next message. One that
// moves `request` away answers later, from any process, with process::reply. To stop: process::exit(reason), in any of
// them.
//
// Hooks, each optional, plain or a task unless said otherwise:
//   init(process&)                      before the starter hears; void, result<void> or init_result
//   on_continue(process&)               right after the starter was answered, before the first message; and after a
//                                       handler that returned then_continue
//   on_other(process&, message&)        a message that no handler lists
//   on_down(process&, down&), on_exit(process&, exit_message&)
//   timeout() const -> duration         (plain) asked before each wait; after so long without a message: on_timeout
//   on_timeout(process&)
//   terminate(process&, const exit_reason&)   at every end but a kill and an exit signal that is not trapped
//   state() const -> encodable          (plain) what sys.get_state shows; else the struct, if it has TROUPE_FIELDS
//   redact(value) const -> value        (plain) hides secrets from sys.get_state and from the crash log
//   replace(value) -> result<void>      (plain) sys.replace_state, where server_options allow it; else TROUPE_FIELDS
//
// What no handler takes: an unknown call, as in OTP, ends the server with {"function_clause", "…"}; an unknown plain
// message is logged and counted. A message with a known tag and wrong fields is refused with an error that names the
// path, and the server lives on. Every server answers the calls of namespace sys, below, and `sys.terminate`.
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <troupe/node.hpp>
#include <troupe/server_loop.hpp>

namespace troupe {

// A local name, or one of the whole cluster.
class name_of_server {
 public:
  name_of_server() = default;
  name_of_server(const char* local) : local_(local) {}
  name_of_server(std::string_view local) : local_(local) {}
  name_of_server(std::string local) noexcept : local_(std::move(local)) {}
  name_of_server(global::name shared) : global_(std::move(shared)) {}
  [[nodiscard]] const std::string& local() const noexcept { return local_; }
  [[nodiscard]] const std::optional<global::name>& global() const noexcept { return global_; }

 private:
  std::string local_;
  std::optional<global::name> global_;
};

struct server_options {
  // Registered before the state is made. Of a global name that another process has, the start answers
  // `already_started` with that process, on whatever node it is.
  name_of_server name;
  std::size_t mailbox_limit = 0;                     // messages; 0: the node's default
  std::size_t mailbox_bytes = 0;                     // 0: the node's default
  duration start_within = std::chrono::seconds(30);  // for init; then the server is killed and the start has failed
  pid group_leader;                                  // empty: the starter's
  bool replace_state = false;                        // sys.replace_state is allowed: for maintenance and debugging
};
inline const server_options unnamed{};  // start_link<Worker>(self, troupe::unnamed, arguments…)

// -- what every server understands besides its own messages
struct sys_get_state {
  TROUPE_MESSAGE(sys_get_state, "sys.get_state")
};
struct sys_get_status {  // {name, pid, status = "running" | "suspended", parent, handled, refused, state}
  TROUPE_MESSAGE(sys_get_status, "sys.get_status")
};
struct sys_suspend {
  TROUPE_MESSAGE(sys_suspend, "sys.suspend")
};
struct sys_resume {
  TROUPE_MESSAGE(sys_resume, "sys.resume")
};
struct sys_terminate {
  value reason;
  TROUPE_MESSAGE(sys_terminate, "sys.terminate", reason)
};

struct sys_replace_state {  // -> nil
  value state;
  TROUPE_MESSAGE(sys_replace_state, "sys.replace_state", state)
};
struct sys_log {  // what: an integer, how many events are kept from now on (0: none); "get" -> list of events
  value what;
  TROUPE_MESSAGE(sys_log, "sys.log", what)
};
struct sys_statistics {  // what: true, false; "get" -> {running_us, reductions, messages_in, calls_in}
  std::string what;
  TROUPE_MESSAGE(sys_statistics, "sys.statistics", what)
};

// Calls that every server answers, but while it works: errc::not_responding when it has not within `limit`; noproc,
// noconnection, exited; unsupported, not_allowed as said.
namespace sys {

inline constexpr std::size_t default_log = 10;

// unsupported: it shows none.
[[nodiscard]] task<result<value>> get_state(process& self, address server, duration limit = default_call_time);
[[nodiscard]] task<result<value>> get_status(process& self, address server, duration limit = default_call_time);
// not_allowed unless its server_options say replace_state; bad_argument: what the state's type does not take, which
// leaves the old one.
[[nodiscard]] task<result<void>> replace_state(process& self, address server, value state,
                                               duration limit = default_call_time);
// Until `resume` it takes nothing but these calls.
[[nodiscard]] task<result<void>> suspend(process& self, address server, duration limit = default_call_time);
[[nodiscard]] task<result<void>> resume(process& self, address server, duration limit = default_call_time);
// Keeps the last `events` messages; 0 ends that. `log_get`: {{at_us, call, message}, …}, the oldest first.
[[nodiscard]] task<result<void>> log(process& self, address server, std::size_t events = default_log,
                                     duration limit = default_call_time);
[[nodiscard]] task<result<value>> log_get(process& self, address server, duration limit = default_call_time);
// Counts from the moment it is switched on. errc::not_found when it is off.
[[nodiscard]] task<result<void>> statistics(process& self, address server, bool on, duration limit = default_call_time);
[[nodiscard]] task<result<value>> statistics_get(process& self, address server, duration limit = default_call_time);

}  // namespace sys

// gen_server:stop: asks the server to end with `reason`, waits until it has. errc: timeout, noproc, noconnection;
// exited when it ended with another reason, which is the text.
task<result<void>> stop_server(process& self, address server, exit_reason reason = exit_reason::normal(),
                               duration within = std::chrono::seconds(5));

namespace detail {

[[nodiscard]] task<started> await_started(process& self, server_start how, result<spawned> made, std::string name,
                                          duration limit);
[[nodiscard]] started start_from_outside(node& where, duration limit,
                                         std::move_only_function<task<started>(process&)> start);

template <class State, class... Args>
result<spawned> spawn_server(core& where, process* parent, const server_options& options, const server_start& how,
                             bool monitored, Args&&... args) {
  if constexpr (check_server<State>(typename State::messages{})) {
    spawn_options spawning;
    spawning.name = options.name.local();
    spawning.link = how.linked;
    spawning.monitor = monitored;
    spawning.group_leader = options.group_leader;
    spawning.mailbox_limit = options.mailbox_limit;
    spawning.mailbox_bytes = options.mailbox_bytes;
    spawning.entry = entry_of<State>();
    return spawn_in(where, parent, std::move(spawning), &server_body<State, std::decay_t<Args>...>, how,
                    std::forward<Args>(args)...);
  } else {
    return {};
  }
}

template <class State, class... Args>
task<started> start_server_in(process& self, const server_options& options, bool link, Args&&... args) {
  if constexpr (!check_server<State>(typename State::messages{})) return {};
  server_start how{self.id(),           self.make_ref_id(), link, options.replace_state, options.name.global(),
                   options.start_within};
  auto made = spawn_server<State>(self.core(), &self, options, how, true, std::forward<Args>(args)...);
  return await_started(self, how, std::move(made), options.name.local(), options.start_within);
}

// server_options are named before they are given to what one awaits: GCC 12 destroys aggregate temporaries of an await
// twice.
template <class Options>
concept named_options =
    std::same_as<std::remove_cvref_t<Options>, server_options> && std::is_lvalue_reference_v<Options>;

}  // namespace detail

// From a process: starts at once, is finished (`co_await`) when init has returned. The arguments go to State's
// constructor. `start_link` links it to the caller, whose end ends it.
//     co_await troupe::start_link<Counter>(self, "counter")
//     troupe::server_options options{.name = "counter", .mailbox_limit = 10'000};
//     co_await troupe::start_link<Counter>(self, options)
template <class State, detail::named_options Options, class... Args>
  requires(await_safe<Args> && ...)
task<started> start_link(process& self, Options&& options, Args&&... args) {
  return detail::start_server_in<State>(self, options, true, std::forward<Args>(args)...);
}
template <class State, class... Args>
  requires(await_safe<Args> && ...)
task<started> start_link(process& self, std::string_view name, Args&&... args) {
  return detail::start_server_in<State>(self, server_options{.name = std::string(name)}, true,
                                        std::forward<Args>(args)...);
}
template <class State, class... Args>
  requires(await_safe<Args> && ...)
task<started> start_link(process& self, const global::name& name, Args&&... args) {
  return detail::start_server_in<State>(self, server_options{.name = name}, true, std::forward<Args>(args)...);
}
template <class State, detail::named_options Options, class... Args>
  requires(await_safe<Args> && ...)
task<started> start_server(process& self, Options&& options, Args&&... args) {
  return detail::start_server_in<State>(self, options, false, std::forward<Args>(args)...);
}
template <class State, class... Args>
  requires(await_safe<Args> && ...)
task<started> start_server(process& self, std::string_view name, Args&&... args) {
  return detail::start_server_in<State>(self, server_options{.name = std::string(name)}, false,
                                        std::forward<Args>(args)...);
}

template <class State, class... Args>
  requires(await_safe<Args> && ...)
task<started> start_server(process& self, const global::name& name, Args&&... args) {
  return detail::start_server_in<State>(self, server_options{.name = name}, false, std::forward<Args>(args)...);
}

// From a thread of the program: waits until init has returned. Never inside a process, whose worker it would hold.
template <class State, class... Args>
started start_server(node& where, server_options options, Args&&... args) {
  if constexpr (!detail::check_server<State>(typename State::messages{})) return {};
  const duration limit = options.start_within;
  return detail::start_from_outside(
      where, limit,
      [options = std::move(options),
       kept = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)](process& self) mutable {
        return std::apply(
            [&](auto&... each) { return detail::start_server_in<State>(self, options, false, std::move(each)...); },
            kept);
      });
}

// Without waiting for init, like spawn: a failing init is then only an exit. From a process it is linked.
template <class State, class... Args>
result<pid> serve(node& where, const server_options& options = {}, Args&&... args) {
  auto made =
      detail::spawn_server<State>(detail::core_of(where), nullptr, options,
                                  {{}, 0, false, options.replace_state, options.name.global(), options.start_within},
                                  false, std::forward<Args>(args)...);
  if (!made) return made.error();
  return made->process;
}
template <class State, class... Args>
pid serve(process& self, const server_options& options = {}, Args&&... args) {
  detail::server_start how{self.id(), 0, true, options.replace_state, options.name.global(), options.start_within};
  return detail::spawn_server<State>(self.core(), &self, options, how, false, std::forward<Args>(args)...)
      .or_exit()
      .process;
}

}  // namespace troupe
