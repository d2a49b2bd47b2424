#pragma once
// Ask a server and wait for its answer (gen_server:call). 5 s unless `.within` says otherwise.
//     auto total = co_await troupe::call(self, "counter", Read("apples")).within(500ms);   // result<Total>
//     auto total = co_await troupe::call(self, "counter", Read("apples")).or_exit();       // Total, or we exit
// `Read` names its reply (<troupe/message.hpp>). A message that names none gives a `value`, or what is asked for:
// `call<Total>`; what comes instead of a Total is then errc::bad_message.
// Errors: noproc, noconnection, timeout, exited (the text is the server's exit reason), cancelled (the server forgot
// the call), and whatever the server replied with. A late reply is dropped and counted. The deadline is the caller's
// own: the server is not told it, and works on a call whose caller has given up.
#include <troupe/process.hpp>

namespace troupe {

inline constexpr duration default_call_time = std::chrono::seconds(5);

namespace detail {

// A wait for the answer of a call. Known among other waits by `match`, which is never asked: the wait takes no message.
struct call_wait : wait_state {
  explicit call_wait(address whom) noexcept : to(std::move(whom)) {
    takes_messages = false;
    match = &mark;
  }
  static bool mark(wait_state&, envelope&) { return false; }
  address to;
};

// Sends a call whose reply `wait.reply_id` names.
void start_call(process& self, envelope* request, call_wait& wait, duration limit);
[[nodiscard]] error reply_failure(envelope* reply, const call_wait& wait);

template <class Request>
[[nodiscard]] envelope* as_call(Request&& request) {
  envelope* e = as_message(std::forward<Request>(request)).release();
  e->kind = signal::call;
  return e;
}

template <class Reply>
[[nodiscard]] result<Reply> take_reply(message& taken) {
  if constexpr (std::is_void_v<Reply>) {
    return {};
  } else if constexpr (std::same_as<Reply, value>) {
    return result<value>(taken.to_value());
  } else {
    if (Reply* content = exactly<Reply>(taken.peek())) return result<Reply>(std::move(*content));
    error why;
    Reply* content = taken.get<Reply>(&why);
    if (!content) return result<Reply>(std::move(why));
    return result<Reply>(std::move(*content));
  }
}

// A request that may stand in an await. What is no message passes: `as_message` says so in one sentence.
template <class Request>
concept named_or_safe = await_safe<Request> || !sendable<Request>;

}  // namespace detail

template <class Reply>
class [[nodiscard]] call_awaiter : private detail::call_wait {
 public:
  call_awaiter(process& self, address to, detail::envelope* request, std::source_location place)
      : detail::call_wait(std::move(to)), self_(self), request_(request) {
    where = place;
  }
  call_awaiter(call_awaiter&& other) noexcept
      : detail::call_wait(std::move(other)),
        self_(other.self_),
        request_(std::exchange(other.request_, nullptr)),
        limit_(other.limit_) {}
  ~call_awaiter() {
    if (request_) detail::release_envelope(request_);
  }

  call_awaiter&& within(duration limit) && {
    limit_ = limit;
    return std::move(*this);
  }

  bool await_ready() {
    detail::start_call(self_, std::exchange(request_, nullptr), *this, limit_);
    return false;
  }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    return detail::take_or_wait(self_, *this, caller);
  }
  result<Reply> await_resume() {
    if (!found || found->kind != detail::signal::reply)
      return detail::reply_failure(std::exchange(found, nullptr), *this);
    message taken(found);
    return detail::take_reply<Reply>(taken);
  }

  class exiting {
   public:
    explicit exiting(call_awaiter&& inner, std::source_location place) : inner_(std::move(inner)), place_(place) {}
    bool await_ready() { return inner_.await_ready(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> caller) {
      return inner_.await_suspend(caller);
    }
    Reply await_resume() { return inner_.await_resume().or_exit(place_); }

   private:
    call_awaiter inner_;
    std::source_location place_;
  };
  exiting or_exit(std::source_location place = std::source_location::current()) && {
    return exiting(std::move(*this), place);
  }

 private:
  process& self_;
  detail::envelope* request_;
  duration limit_ = default_call_time;
};

template <class Reply = detail::named_reply, detail::named_or_safe Request>
[[nodiscard]] call_awaiter<detail::reply_of_call<Reply, Request>> call(
    process& self, address to, Request&& request, std::source_location where = std::source_location::current()) {
  return call_awaiter<detail::reply_of_call<Reply, Request>>(self, std::move(to),
                                                             detail::as_call(std::forward<Request>(request)), where);
}

// gen_server:cast: no answer, no error.
template <class Request>
void cast(process& self, const address& to, Request&& request) {
  self.send(to, std::forward<Request>(request));
}

}  // namespace troupe
