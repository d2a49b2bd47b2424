#pragma once
// Work that would hold a worker: files, locks, long computations. It runs on a thread that may block; the process waits
// without holding anything up.
//     auto text = co_await troupe::blocking(self, [&path] { return read_file(path); });
// What the function throws is thrown here. If the process ends meanwhile, the function runs to its end and its result
// is dropped: so capture by reference only what outlives that. A lambda that owns what it captures gets a name first
// (await_safe); one that cannot be copied is named as a std::move_only_function and moved in.
// Under simulation it runs at once, in place.
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include <troupe/process.hpp>

namespace troupe {

namespace detail {

// Runs `work` elsewhere; then the process finds `wait` fulfilled.
void start_blocking(process& self, wait_state& wait, std::move_only_function<void()> work);
void finish_blocking(wait_state& wait) noexcept;

}  // namespace detail

template <class F>
class [[nodiscard]] blocking_awaiter : private detail::wait_state {
  using type = std::invoke_result_t<F&>;
  using stored = std::conditional_t<std::is_void_v<type>, std::monostate, type>;
  struct shared {
    explicit shared(F given) : work(std::move(given)) {}
    F work;
    std::optional<stored> result;
    std::exception_ptr failure;
  };

 public:
  blocking_awaiter(process& self, F work, std::source_location place)
      : self_(self), state_(std::make_shared<shared>(std::move(work))) {
    takes_messages = false;
    may_expire = false;  // another thread is making the result
    where = place;
  }
  bool await_ready() {
    detail::start_blocking(self_, *this, [state = state_] {
      try {
        if constexpr (std::is_void_v<type>) {
          state->work();
          state->result.emplace();
        } else {
          state->result.emplace(state->work());
        }
      } catch (...) {  // handed to the process below
        state->failure = std::current_exception();
      }
    });
    return false;
  }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    return detail::take_or_wait(self_, *this, caller);
  }
  type await_resume() {
    detail::finish_blocking(*this);
    if (state_->failure) std::rethrow_exception(state_->failure);
    if constexpr (!std::is_void_v<type>) return std::move(*state_->result);
  }

 private:
  process& self_;
  std::shared_ptr<shared> state_;
};

template <class F>
  requires await_safe<F>
[[nodiscard]] blocking_awaiter<std::decay_t<F>> blocking(process& self, F&& work,
                                                         std::source_location where = std::source_location::current()) {
  return blocking_awaiter<std::decay_t<F>>(self, std::forward<F>(work), where);
}

}  // namespace troupe
