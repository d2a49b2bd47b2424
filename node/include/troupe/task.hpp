#pragma once
// task<T>: a lazy coroutine that runs inside a process. It starts when awaited, on the process that awaits it, and is
// destroyed with its handle. Never resumed by anything but the process's own trampoline.
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <utility>

namespace troupe {

class process;
template <class T = void>
class task;

// What ends a process that awaits, or is spawned with, a task that cannot run: `return {};` where a coroutine was
// meant.
class empty_task : public std::logic_error {
 public:
  empty_task();
};

namespace detail {

// What a worker runs: a process. Linked into at most one run queue, and at most once among the timers.
struct runnable {
  runnable* next_run = nullptr;
  std::uint32_t timer_place = 0;  // its scheduler's: its place in the heap of timers, from 1; 0: none
};

// Frames come from per-thread free lists and count towards the process that runs. Not inline: thread-local storage must
// not be cached across a suspension.
[[nodiscard]] void* allocate_frame(std::size_t bytes);
void release_frame(void* frame, std::size_t bytes) noexcept;
// Has `p` run `next` when the current coroutine has suspended. One slot: there is always at most one.
void set_next(process& p, std::coroutine_handle<> next) noexcept;

class promise_base {
 public:
  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { release_frame(frame, bytes); }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { failure_ = std::current_exception(); }

  process* owner = nullptr;                // set when the task is awaited or made the root of a process
  std::coroutine_handle<> continuation{};  // who awaits it; none for the root
  [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
      promise_base& promise = finished.promise();
      // A trampoline, not symmetric transfer: under -O0 and sanitizers that is no tail call and costs stack.
      if (promise.continuation && promise.owner) set_next(*promise.owner, promise.continuation);
    }
    void await_resume() const noexcept {}
  };
  final_awaiter final_suspend() const noexcept { return {}; }

 protected:
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }
  std::exception_ptr failure_;
};

template <class T>
class task_promise final : public promise_base {
 public:
  task<T> get_return_object() noexcept;
  template <class U>
    requires std::convertible_to<U, T>
  void return_value(U&& result) {
    result_.emplace(std::forward<U>(result));
  }
  T take() {
    rethrow();
    return std::move(*result_);
  }

 private:
  std::optional<T> result_;
};

template <>
class task_promise<void> final : public promise_base {
 public:
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const { rethrow(); }
};

}  // namespace detail

// Owner: whoever holds it; move-only. Thread: that of its process. `co_await` it once, or hand it to spawn.
template <class T>
class [[nodiscard]] task {
 public:
  using promise_type = detail::task_promise<T>;
  using handle_type = std::coroutine_handle<promise_type>;

  task() noexcept = default;
  explicit task(handle_type handle) noexcept : handle_(handle) {}
  task(task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  task& operator=(task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~task() {
    if (handle_) handle_.destroy();
  }

  class awaiter {
   public:
    explicit awaiter(handle_type handle) noexcept : handle_(handle) {}
    // One that is empty, or ran before, is not resumed: await_resume says so.
    bool await_ready() noexcept {
      if (handle_ && !handle_.promise().owner) [[likely]]
        return false;
      handle_ = {};
      return true;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> parent) noexcept {
      detail::promise_base& up = parent.promise();
      handle_.promise().owner = up.owner;
      handle_.promise().continuation = parent;
      detail::set_next(*up.owner, handle_);
    }
    T await_resume() {
      if (!handle_) [[unlikely]]
        throw empty_task();
      return handle_.promise().take();
    }

   private:
    handle_type handle_;
  };
  awaiter operator co_await() & noexcept { return awaiter(handle_); }
  awaiter operator co_await() && noexcept { return awaiter(handle_); }

  [[nodiscard]] handle_type release() noexcept { return std::exchange(handle_, {}); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(handle_); }
  [[nodiscard]] bool can_run() const noexcept { return handle_ && !handle_.promise().owner; }

 private:
  handle_type handle_{};
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}
inline task<void> task_promise<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

}  // namespace detail
}  // namespace troupe
