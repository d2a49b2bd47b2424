#pragma once
// The messages that a server lists, what their handlers may return, and what the compiler says where the two do not
// fit: one sentence each, which stands before whatever else follows from it. Part of <troupe/server.hpp>.
#include <concepts>
#include <type_traits>
#include <utility>
#include <variant>

#include <troupe/message.hpp>
#include <troupe/task.hpp>

namespace troupe {

template <class... Message>
struct handles {};

// What a handler may return instead of a plain reply: it is sent, then the server ends with `reason`; or it is sent,
// then on_continue(process&) runs before the next message. Of a handler without a reply: then_stop, then_continue().
template <class R>
struct stopping {
  stopping(R reply_given, exit_reason reason_given) : reply(std::move(reply_given)), reason(std::move(reason_given)) {}
  R reply;
  exit_reason reason;
};
template <class R>
struct continuing {
  explicit continuing(R reply_given) : reply(std::move(reply_given)) {}
  R reply;
};
template <class R>
[[nodiscard]] stopping<R> then_stop(R reply, exit_reason reason = exit_reason::normal()) {
  return {std::move(reply), std::move(reason)};
}
template <class R = std::monostate>
[[nodiscard]] continuing<R> then_continue(R reply = {}) {
  return continuing<R>(std::move(reply));
}

namespace detail {

template <class T>
inline constexpr bool is_stopping = false;
template <class R>
inline constexpr bool is_stopping<stopping<R>> = true;
template <class T>
inline constexpr bool is_continuing = false;
template <class R>
inline constexpr bool is_continuing<continuing<R>> = true;

// What is sent for what a handler returns; void: nil, once it is done.
template <class R>
struct sent_for {
  using type = R;
};
template <>
struct sent_for<std::monostate> {
  using type = void;
};
template <class R>
struct sent_for<task<R>> : sent_for<R> {};
template <class R>
struct sent_for<result<R>> : sent_for<R> {};
template <class R>
struct sent_for<stopping<R>> : sent_for<R> {};
template <class R>
struct sent_for<continuing<R>> : sent_for<R> {};

template <class State, class M>
concept handles_request = requires(process& self, State& state, M&& content, message& request) {
  state.on(self, std::move(content), request);
};
template <class State, class M>
concept handles_content = handles_request<State, M> || requires(process& self, State& state, M&& content) {
  state.on(self, std::move(content));
} || requires(State& state, M&& content) { state.on(std::move(content)); };

template <class State, class M>
decltype(auto) run_handler(process& self, State& state, M& content, message& request) {
  if constexpr (handles_request<State, M>) return state.on(self, std::move(content), request);
  else if constexpr (requires { state.on(self, std::move(content)); }) return state.on(self, std::move(content));
  else return state.on(std::move(content));
}

// A handler that is given the request may answer later, with what no compiler sees; then it returns nothing.
template <class State, class M>
consteval bool answers_as_named() {
  if constexpr (names_reply<M>) {
    using returned = decltype(run_handler(std::declval<process&>(), std::declval<State&>(), std::declval<M&>(),
                                          std::declval<message&>()));
    using sent = typename sent_for<std::remove_cvref_t<returned>>::type;
    return std::same_as<sent, typename M::reply> || (std::is_void_v<sent> && handles_request<State, M>);
  }
  return true;
}

// Turns into every message but those listed: a handler that can be called with it is one of another message.
template <class... Listed>
struct unlisted {
  template <class M>
    requires(tagged<M> && !(std::same_as<M, Listed> || ...))
  operator M() const;
};

// Of several handlers that could be called none is, which a compiler does not tell from "no handler": unless there is
// one that takes anything, and is taken last.
struct no_handler {};
template <class State>
struct with_last_handler : State {
  using State::on;
  no_handler on(...);
};
struct has_on {
  int on;
};
template <class State>
struct with_two_on : State, has_on {};

template <class State, class... Given>
concept handles_no_other = requires(with_last_handler<State>& state, Given&&... given) {
  { state.on(std::forward<Given>(given)...) } -> std::same_as<no_handler>;
};

// What nobody can derive from is not looked into.
template <class State, class... Listed>
consteval bool lists_all_handlers() {
  if constexpr (std::is_final_v<State>) return true;
  else if constexpr (requires { &with_two_on<State>::on; }) return true;  // it has no `on` at all
  else
    return handles_no_other<State, unlisted<Listed...>> && handles_no_other<State, process&, unlisted<Listed...>> &&
           handles_no_other<State, process&, unlisted<Listed...>, message&>;
}

template <class State, class Message>
consteval bool check_handler() {
  static_assert(tagged<Message>, "handles<> lists what is no message: a struct becomes one by TROUPE_MESSAGE");
  if constexpr (tagged<Message>) {
    constexpr bool handled = handles_content<State, Message>;
    static_assert(handled, "handles<> lists a message that no handler `on` of this server takes");
    if constexpr (handled) {
      constexpr bool as_named = answers_as_named<State, Message>();
      static_assert(as_named, "a handler returns something else than the reply that its message names");
      return as_named;
    }
  }
  return false;
}

// True, or it does not compile: State has a handler for each of its messages that returns their replies, and no other.
template <class State, class... Listed>
consteval bool check_server(handles<Listed...>) {
  constexpr bool each = (check_handler<State, Listed>() & ... & true);
  if constexpr (each) {
    constexpr bool all = lists_all_handlers<State, Listed...>();
    static_assert(all, "this server has a handler `on` for a message that its handles<> does not list");
    return all;
  }
  return false;
}

}  // namespace detail
}  // namespace troupe
