#pragma once
// The coroutine that every server runs, and how it finds the handler of a message. Not for programs:
// <troupe/server.hpp>.
//
// Design notes
// * A message finds its handler by the address of its payload's type, one comparison for each message listed; a plain
//   handler runs without allocation. Only what does not match is looked at again, by tag: values, wire bytes, DOWN,
//   EXIT.
// * A handler that is a task is wrapped in one more coroutine, which answers; the loop awaits that.
// * What a handler throws is caught here, for terminate() and the report, and then is the exit reason.
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <troupe/call.hpp>
#include <troupe/catalogue.hpp>
#include <troupe/handlers.hpp>
#include <troupe/spawn.hpp>
#include <troupe/started.hpp>

namespace troupe {

namespace detail {

struct server_start {
  pid starter;
  std::uint64_t ticket = 0;  // 0: nobody waits
  bool linked = false;
  bool replaceable = false;
  std::optional<global::name> name;                // taken before init
  duration name_within = std::chrono::seconds(5);  // for that
};

// What sys.log and sys.statistics have a server keep; there while one of them is on.
struct server_debug;
struct drop_debug {
  void operator()(server_debug* kept) const noexcept;
};

// What the loop knows of its server whatever the state's type. Lives in the coroutine's frame.
struct server_context {
  server_context(process& self, const server_start& how, const char* entry_given, const void* state_given) noexcept;

  pid parent;  // its exit ends a server that traps exits
  const char* entry;
  const void* state;
  result<value> (*show)(const void* state) = nullptr;
  value (*redact)(const void* state, value shown) = nullptr;
  result<void> (*replace)(void* state, value with) = nullptr;  // null: not allowed, or not possible
  void* mutable_state = nullptr;
  std::unique_ptr<server_debug, drop_debug> debug;
  std::uint64_t handled = 0, refused = 0;
  bool suspended = false;
  bool continuing = false;  // a handler returned then_continue
  bool given_away = false;  // the content of the last message was moved into its handler
  std::optional<exit_reason> ending;
};

enum class server_event : std::uint8_t { other, down, exit, parent_exit, system };

void tell_starter(process& self, const server_start& how, bool ignored, pid holder = {});
// Ends the process when another one has the name: its starter is told whose it is.
[[nodiscard]] task<> take_global_name(process& self, const server_start* how);
[[nodiscard]] server_event classify(server_context& context, message& received);
void handle_system(process& self, server_context& context, message& request);
void note_received(process& self, server_context& context, const message& received);  // while `debug` is there
[[nodiscard]] task<> stay_suspended(process& self, server_context* context);
[[nodiscard]] bool has_tag(const message& received, std::string_view tag);
void refuse_fields(process& self, server_context& context, message& received, const error& why);
void refuse_unknown(process& self, server_context& context, message& received);
// The same of a server of the node's own, which ends for nobody's mistake: a call is answered with an error.
void answer_unknown(process& self, server_context& context, message& received);
// By an exit signal to itself that it does not trap: no hook runs any more.
[[nodiscard]] bool ends_at_once(const process& self) noexcept;
// Sent by the runtime for an end, not by a process that wrote the same.
[[nodiscard]] bool is_genuine(const message& received, server_event event) noexcept;
void answer_nothing(process& self, message& request);  // nil, unless it was answered or moved away
void refuse_cast(process& self, const error& why);
[[nodiscard]] std::string handler_name(process& self, const char* entry, std::string_view tag);
[[nodiscard]] exit_reason reason_of(const std::exception_ptr& failure);
void report_end(process& self, const server_context& context, const message& last, const exit_reason& reason);

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<result<T>> = true;

template <class State>
const char* entry_of() {
  if constexpr (requires {
                  { State::entry } -> std::convertible_to<const char*>;
                }) {
    return State::entry;
  } else {
    // "… [with State = app::Counter]": the name without its namespaces.
    static const std::string name = [](std::string_view pretty) {
      pretty.remove_prefix(pretty.find("State = ") + 8);
      pretty = pretty.substr(0, pretty.find_first_of(";]"));
      if (auto colon = pretty.rfind("::"); colon != pretty.npos && pretty.find('<') == pretty.npos)
        pretty.remove_prefix(colon + 2);
      return std::string(pretty);
    }(__PRETTY_FUNCTION__);
    return name.c_str();
  }
}

// Runs a hook that is plain now; hands back one that is a task.
template <class Hook>
task<> begin_hook(Hook&& hook) {
  if constexpr (std::same_as<std::invoke_result_t<Hook&>, task<>>) {
    return hook();
  } else {
    static_assert(std::is_void_v<std::invoke_result_t<Hook&>>, "a hook returns nothing or task<>");
    hook();
    return task<>();
  }
}

// State has a handler of just these parameters.
template <class State, class R, class... Given>
concept handler_of = requires { static_cast<R (State::*)(Given...)>(&State::on); } ||
                     requires { static_cast<R (State::*)(Given...) const>(&State::on); };
// It leaves the message whole: what the report of an end shows as the last one.
template <class State, class M, class R>
concept handled_by_reference = handler_of<State, R, const M&> || handler_of<State, R, process&, const M&> ||
                               handler_of<State, R, process&, const M&, message&>;

// Longer messages are not copied for a report that will hardly ever be written.
inline constexpr std::size_t most_copied = 4096;

template <class Field>
std::size_t size_of_field(const Field& field) {
  if constexpr (std::same_as<Field, value>) {
    if (field.text()) return field.text()->size();
    if (field.binary()) return field.binary()->size();
    return field.items() || field.entries() ? most_copied : sizeof(value);
  } else if constexpr (requires {
                         { field.size() } -> std::convertible_to<std::size_t>;
                       }) {
    // A container of containers may be anything: as if each were of a middle size.
    constexpr bool flat = requires { requires std::is_trivially_copyable_v<typename Field::value_type>; };
    return field.size() * (flat ? 1 : 64);
  } else {
    return sizeof(Field);
  }
}
template <class M>
std::size_t rough_size(const M& content) {
  std::size_t out = 0;
  M::troupe_each(content, [&out](std::string_view, const auto& field) {
    out += size_of_field(field);
    return true;
  });
  return out;
}

// Gives a message its content back that a handler by value has taken, unless the message itself went away. A handler
// that is a coroutine has moved it into its frame by then.
template <class M>
class kept_content {
 public:
  kept_content(message& request, M& content) : request_(request), content_(content), copy_(std::as_const(content)) {}
  kept_content(const kept_content&) = delete;
  ~kept_content() {
    const envelope* now = request_.peek();
    if (now && now->payload() == &content_ && now->type == &type_of<M>) content_ = std::move(copy_);
  }

 private:
  message& request_;
  M& content_;
  M copy_;
};

template <class R>
value shown_result(const R& given) {
  auto shown = as_result(R(given));
  return shown ? std::move(*shown) : map_of({{"error", to_value(shown.error())}});
}

template <class R>
value shown_reply(const R& given) {
  if constexpr (is_stopping<R> || is_continuing<R>) {
    return shown_reply(given.reply);
  } else if constexpr (std::same_as<R, std::monostate>) {
    return value();
  } else {
    return shown_result(given);
  }
}

template <class R>
void answer(process& self, message& request, R&& given) {
  using type = std::remove_cvref_t<R>;
  if constexpr (is_stopping<type>) {
    answer(self, request, std::move(given.reply));
    self.exit(std::move(given.reason));
  } else if constexpr (is_continuing<type>) {
    answer(self, request, std::move(given.reply));
  } else if constexpr (std::same_as<type, std::monostate>) {
    answer_nothing(self, request);
  } else if constexpr (is_result<type>) {
    if (!given) {
      if (request.is_call()) self.reply_error(request, std::move(given.error()));
      else refuse_cast(self, given.error());
    } else if constexpr (std::is_void_v<typename type::value_type>) {
      answer_nothing(self, request);
    } else {
      if (request.is_call()) self.reply(request, std::move(*given));
    }
  } else {
    if (request.is_call()) self.reply(request, std::forward<R>(given));
  }
}

// The handlers of one State, and the coroutine that runs them.
template <class State>
struct server_loop {
  // Awaits a handler that is a task, then answers. `traced` is the handler's name, or empty.
  template <class Running>
  static task<> finish(process& self, server_context* context, message* request, Running running, std::string traced) {
    if constexpr (std::same_as<Running, task<>>) {
      co_await std::move(running);
      if (!traced.empty()) trace_return(self, traced, value());
      answer_nothing(self, *request);
    } else {
      auto given = co_await std::move(running);
      if (!traced.empty()) trace_return(self, traced, shown_reply(given));
      if constexpr (is_continuing<decltype(given)>) context->continuing = true;
      answer(self, *request, std::move(given));
    }
  }

  template <class M>
  static std::string trace_handler(process& self, const char* entry, const M& content) {
    std::string name = handler_name(self, entry, M::troupe_tag());
    list arguments;
    M::troupe_each(content, [&](std::string_view, const auto& field) {
      arguments.push_back(to_value(field));
      return true;
    });
    trace_call(self, name, std::move(arguments));
    return name;
  }

  template <class M>
  static void run(process& self, State& state, server_context& context, message& request, task<>& pending) {
    M& content = *static_cast<M*>(request.peek()->payload());
    using returned = decltype(run_handler(self, state, content, request));
    if constexpr (std::is_trivially_copyable_v<M> || handled_by_reference<State, M, returned>) {
      context.given_away = false;
    } else if constexpr (std::copy_constructible<M> && std::is_nothrow_move_assignable_v<M>) {
      context.given_away = rough_size(content) > most_copied;
      if (!context.given_away) {
        const kept_content<M> kept(request, content);
        return handle<M>(self, state, context, request, content, pending);
      }
    } else {
      context.given_away = true;
    }
    handle<M>(self, state, context, request, content, pending);
  }

  template <class M>
  static void handle(process& self, State& state, server_context& context, message& request, M& content,
                     task<>& pending) {
    ++context.handled;
    std::string traced;
    if (calls_traced(self)) [[unlikely]]
      traced = trace_handler(self, context.entry, content);
    using returned = std::remove_cvref_t<decltype(run_handler(self, state, content, request))>;
    if constexpr (is_task<returned>) {
      pending = finish(self, &context, &request, run_handler(self, state, content, request), std::move(traced));
    } else if constexpr (std::is_void_v<returned>) {
      run_handler(self, state, content, request);
      if (!traced.empty()) [[unlikely]]
        trace_return(self, traced, value());
      if (request.is_call()) answer_nothing(self, request);
    } else {
      auto given = run_handler(self, state, content, request);
      if (!traced.empty()) [[unlikely]]
        trace_return(self, traced, shown_reply(given));
      if constexpr (is_continuing<returned>) context.continuing = true;
      answer(self, request, std::move(given));
    }
  }

  template <class M>
  static bool run_converted(process& self, State& state, server_context& context, message& request, task<>& pending) {
    if (!has_tag(request, M::troupe_tag())) return false;
    error why;
    if (request.get<M>(&why)) run<M>(self, state, context, request, pending);
    else refuse_fields(self, context, request, why);
    return true;
  }

  // By the payload's type first: one comparison of pointers for each message listed. Then by tag: values, wire bytes.
  template <class... M>
  static task<> dispatch(process& self, State& state, server_context& context, message& request, handles<M...>) {
    task<> pending;
    [[maybe_unused]] const message_type* type = request.peek()->type;
    if (((type == &type_of<M> && (run<M>(self, state, context, request, pending), true)) || ...)) return pending;
    server_event event = classify(context, request);
    if (event == server_event::other && (run_converted<M>(self, state, context, request, pending) || ...))
      return pending;
    return special(self, state, context, request, event);
  }

  // A server of the node's own: what it does not know, and an end that somebody made up, is refused.
  static constexpr bool refuses_strangers = requires { requires State::refuses_strangers; };

  static task<> special(process& self, State& state, server_context& context, message& request, server_event event) {
    if (event == server_event::system) {
      handle_system(self, context, request);
      return {};
    }
    if constexpr (refuses_strangers) {
      if (event != server_event::other && !is_genuine(request, event)) event = server_event::other;
    }
    if (event == server_event::parent_exit) {
      context.ending = request.get<exit_message>()->reason;
      return {};
    }
    if constexpr (requires(down& ended) { state.on_down(self, ended); }) {
      if (event == server_event::down) return begin_hook([&] { return state.on_down(self, *request.get<down>()); });
    }
    if constexpr (requires(exit_message& ended) { state.on_exit(self, ended); }) {
      if (event == server_event::exit)
        return begin_hook([&] { return state.on_exit(self, *request.get<exit_message>()); });
    }
    if constexpr (requires { state.on_other(self, request); })
      return begin_hook([&] { return state.on_other(self, request); });
    if constexpr (refuses_strangers) answer_unknown(self, context, request);
    else refuse_unknown(self, context, request);
    return {};
  }

  static result<value> show(const void* state_given) {
    const auto& state = *static_cast<const State*>(state_given);
    if constexpr (requires { to_value(state.state()); }) return to_value(state.state());
    else if constexpr (encodable<State>) return to_value(state);
    else return error(errc::unsupported, "this server shows no state: it has neither state() nor TROUPE_FIELDS");
  }
  static value redact(const void* state_given, value shown) {
    if constexpr (requires(const State& s, value v) {
                    { s.redact(std::move(v)) } -> std::same_as<value>;
                  }) {
      return static_cast<const State*>(state_given)->redact(std::move(shown));
    }
    return shown;
  }

  // A state that says how it is replaced, or one of fields. What fails, or throws, leaves the old one.
  static constexpr bool can_replace = requires(State s, value v) {
    { s.replace(std::move(v)) } -> std::same_as<result<void>>;
  } || (encodable<State> && std::is_move_assignable_v<State>);
  static result<void> replace(void* state_given, value with) {
    auto& state = *static_cast<State*>(state_given);
    if constexpr (requires {
                    { state.replace(std::move(with)) } -> std::same_as<result<void>>;
                  }) {
      return state.replace(std::move(with));
    } else if constexpr (encodable<State> && std::is_move_assignable_v<State>) {
      auto made = from_value<State>(with);
      if (!made) return error(errc::bad_argument, made.error().text());
      state = std::move(*made);
      return {};
    } else {
      return error(errc::unsupported, "this server's state has neither replace(value) nor TROUPE_FIELDS");
    }
  }

  static duration wait_of(const State& state) {
    if constexpr (requires {
                    { state.timeout() } -> std::convertible_to<duration>;
                  })
      return state.timeout();
    else return wait_forever;
  }
  static task<> on_silence(process& self, State& state) {
    if constexpr (requires { state.on_timeout(self); }) return begin_hook([&] { return state.on_timeout(self); });
    else return {};
  }

  static task<init_result> finish_init(process& self, State* state) {
    using returned = decltype(state->init(self));
    if constexpr (!is_task<returned>) {
      co_return init_outcome([&] { return state->init(self); });
    } else if constexpr (std::same_as<returned, task<>>) {
      auto running = state->init(self);
      co_await std::move(running);
      co_return init_result::ok();
    } else {
      auto running = state->init(self);
      auto given = co_await std::move(running);
      co_return init_outcome([&] { return std::move(given); });
    }
  }
  template <class Init>
  static init_result init_outcome(Init init) {
    using returned = std::invoke_result_t<Init&>;
    if constexpr (std::is_void_v<returned>) {
      init();
      return init_result::ok();
    } else if constexpr (std::same_as<returned, init_result>) {
      return init();
    } else {
      static_assert(std::same_as<returned, result<void>>, "init returns nothing, result<void> or init_result");
      auto given = init();
      return given ? init_result::ok() : init_result::stop(exit_reason(given.error()));
    }
  }
  static constexpr bool has_init = requires(State s, process& p) { s.init(p); };
};

template <class State, class... Args>
task<> server_body(process& self, server_start how, Args... args) {
  using loop = server_loop<State>;
  if (how.name) {
    auto taking = take_global_name(self, &how);
    co_await std::move(taking);
  }
  State state(std::move(args)...);
  server_context context(self, how, entry_of<State>(), &state);
  context.show = &loop::show;
  context.redact = &loop::redact;
  context.mutable_state = &state;
  if constexpr (loop::can_replace) {
    if (how.replaceable) context.replace = &loop::replace;
  }
  if constexpr (loop::has_init) {
    auto starting = loop::finish_init(self, &state);
    init_result began = co_await std::move(starting);
    if (!began.is_ok()) {
      if (began.is_ignore()) tell_starter(self, how, true);
      self.exit(began.reason());
    }
  }
  tell_starter(self, how, false);

  message current;  // while it is held unanswered, its caller waits: it hears the exit reason once the process is gone
  std::exception_ptr failure;
  try {
    if constexpr (requires { state.on_continue(self); }) {
      task<> pending = begin_hook([&] { return state.on_continue(self); });
      if (pending) co_await std::move(pending);
    }
    while (!context.ending) {
      auto received = co_await self.receive(loop::wait_of(state));
      task<> pending;
      if (received) {
        current = std::move(*received);
        if (context.debug) [[unlikely]]
          note_received(self, context, current);
        pending = loop::dispatch(self, state, context, current, typename State::messages{});
      } else {
        pending = loop::on_silence(self, state);
      }
      if (pending) co_await std::move(pending);
      while (context.continuing && !context.ending) {
        context.continuing = false;
        if constexpr (requires { state.on_continue(self); }) {
          task<> more = begin_hook([&] { return state.on_continue(self); });
          if (more) co_await std::move(more);
        }
      }
      if (context.suspended) {
        task<> quiet = stay_suspended(self, &context);
        co_await std::move(quiet);
      }
    }
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure && ends_at_once(self)) std::rethrow_exception(failure);

  const exit_reason reason = failure ? reason_of(failure) : *context.ending;
  if constexpr (requires { state.terminate(self, reason); }) {
    task<> ending = begin_hook([&] { return state.terminate(self, reason); });
    if (ending) co_await std::move(ending);
  }
  report_end(self, context, current, reason);
  self.exit(reason);
}

}  // namespace detail
}  // namespace troupe
