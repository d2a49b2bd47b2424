#pragma once
// One task for each of many items, a bounded number of them at a time (Elixir's Task.async_stream).
//     troupe::task_stream_options options{.max_concurrency = 4, .ordered = false};
//     auto sizes = troupe::async_stream(self, paths, size_of, options);       // size_of: (process&, path) or (path)
//     for (;;) {
//       auto size = co_await sizes.next(self);                                // optional<result<int>>: none at the end
//       if (!size) break;
//       …
//     }
//     auto there = troupe::async_stream<Image>(self, {"images.tasks", node}, "image.resize", names, options);
// Nothing runs before the first `next`; no more than max_concurrency tasks run, or have an outcome that waits, at a
// time. Destroyed, it ends those that run.
#include <algorithm>
#include <deque>
#include <thread>

#include <troupe/task_supervisor.hpp>

namespace troupe {

struct task_stream_options {
  std::size_t max_concurrency = 0;           // 0: the machine's cores
  bool ordered = true;                       // outcomes in the order of the items; else as they come
  duration limit = std::chrono::seconds(5);  // of each task, from its start
  // What a task that is late does. end_stream: errc::timeout, and the others are ended with it. kill_task: it is
  // killed, and its outcome is errc::timeout.
  enum class on_timeout : std::uint8_t { end_stream, kill_task } late = on_timeout::end_stream;
  bool linked = true;  // false: a task that crashes is an outcome (errc::exited), and does not end the owner
};

namespace detail {

// What a stream shares with the wait for its next outcome. Thread: the owner's.
template <class R>
class stream_state {
 public:
  using begin_item = std::function<std::shared_ptr<pending_call>(process&, std::size_t, bool linked)>;

  stream_state(process& owner, std::size_t items, begin_item begin, const task_stream_options& options)
      : owner_(owner), items_(items), begin_(std::move(begin)), options_(options) {
    if (options_.max_concurrency == 0) options_.max_concurrency = std::max(1u, std::thread::hardware_concurrency());
  }
  stream_state(const stream_state&) = delete;
  ~stream_state() { end_all(); }

  struct running {
    std::shared_ptr<pending_call> call;
    time_point deadline;
  };

  void fill() {
    while (running_.size() < options_.max_concurrency && next_ < items_) {
      auto call = begin_(owner_, next_++, options_.linked);
      running_.push_back({std::move(call), wait_deadline(owner_, options_.limit)});
    }
  }
  void end_all() {
    for (running& one : running_) {
      order_end(owner_, *one.call, duration::zero());
      abandon(*one.call);
    }
    running_.clear();
    next_ = items_;
  }
  // Which has an outcome; in an ordered stream the first only.
  [[nodiscard]] std::size_t answered() const {
    const std::size_t seen = options_.ordered ? std::min<std::size_t>(1, running_.size()) : running_.size();
    for (std::size_t i = 0; i < seen; ++i) {
      if (is_answered(*running_[i].call)) return i;
    }
    return running_.size();
  }
  [[nodiscard]] std::vector<pending_call*> watched() const {
    std::vector<pending_call*> out;
    for (const running& one : running_) {
      out.push_back(one.call.get());
      if (options_.ordered) break;
    }
    return out;
  }
  // The oldest runs out first.
  [[nodiscard]] duration left() const {
    const time_point until = running_.front().deadline;
    return until == time_point::max() ? wait_forever : std::max(duration::zero(), duration(until - owner_.now()));
  }
  [[nodiscard]] std::deque<running>& under_way() noexcept { return running_; }
  [[nodiscard]] const task_stream_options& options() const noexcept { return options_; }
  [[nodiscard]] process& owner() const noexcept { return owner_; }

 private:
  process& owner_;
  std::size_t items_, next_ = 0;
  begin_item begin_;
  task_stream_options options_;
  std::deque<running> running_;  // in the order of their start
};

class [[nodiscard]] any_awaiter : private wait_state {
 public:
  any_awaiter(process& self, std::vector<pending_call*> calls, duration limit)
      : self_(self), calls_(std::move(calls)), limit_(limit) {
    takes_messages = false;
  }
  bool await_ready() { return watch_any(self_, calls_, *this, limit_); }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> caller) {
    begin_wait(self_, *this, caller);
    return true;
  }
  void await_resume() {
    if (found) release_envelope(std::exchange(found, nullptr));
    unwatch(calls_);
  }

 private:
  process& self_;
  std::vector<pending_call*> calls_;
  duration limit_;
};

template <class R>
task<outcome<R>> next_of(process& self, std::shared_ptr<stream_state<R>> stream) {
  if (self.id() != stream->owner().id())
    co_return outcome<R>(result<R>(error(errc::not_allowed, "this stream belongs to " + stream->owner().id().text())));
  stream->fill();
  auto& running = stream->under_way();
  if (running.empty()) co_return std::nullopt;
  std::size_t at = stream->answered();
  while (at == running.size() && stream->left() > duration::zero()) {
    any_awaiter waiting(self, stream->watched(), stream->left());
    co_await waiting;
    at = stream->answered();
  }
  const bool late = at == running.size();
  if (late) at = 0;
  const auto call = running[at].call;
  running.erase(running.begin() + static_cast<std::ptrdiff_t>(at));
  if (!late) {
    outcome_awaiter<R> taking(self, *call, duration::zero());
    auto got = co_await taking;
    co_return got;
  }
  auto ending = shutdown_task<R>(self, call, self.id(), duration::zero());
  auto slipped = co_await std::move(ending);
  if (slipped) co_return slipped;
  if (stream->options().late == task_stream_options::on_timeout::end_stream) stream->end_all();
  co_return outcome<R>(result<R>(late_task(*call, stream->options().limit)));
}

}  // namespace detail

// Owner: the process that made it. It has a name before `next` is awaited, as an async_task has.
template <class R>
class [[nodiscard]] task_stream {
 public:
  task_stream(process& owner, std::size_t items, typename detail::stream_state<R>::begin_item begin,
              const task_stream_options& options)
      : state_(std::make_shared<detail::stream_state<R>>(owner, items, std::move(begin), options)) {}
  task_stream(task_stream&&) noexcept = default;
  task_stream& operator=(task_stream&&) noexcept = default;
  // The outcome of one more item; none: there are no more, or one was late and ended the stream.
  [[nodiscard]] task<std::optional<result<R>>> next(process& self) & { return detail::next_of<R>(self, state_); }

 private:
  std::shared_ptr<detail::stream_state<R>> state_;
};

// `work` is (process&, item) or (item), copied into each task.
template <class T, class F>
  requires(std::invocable<F&, process&, T> || std::invocable<F&, T>)
[[nodiscard]] auto async_stream(process& self, std::vector<T> items, F work, const task_stream_options& options = {},
                                std::optional<address> supervisor = std::nullopt) {
  auto bind = [work = std::move(work)](T item) {
    if constexpr (std::invocable<F&, process&, T>) {
      return [work, item = std::move(item)](process& self) mutable { return work(self, std::move(item)); };
    } else {
      return [work, item = std::move(item)]() mutable { return work(std::move(item)); };
    }
  };
  using bound = decltype(bind(std::declval<T>()));
  using R = detail::work_result<bound>;
  const std::size_t count = items.size();
  auto begin = [kept = std::make_shared<std::vector<T>>(std::move(items)), bind = std::move(bind),
                supervisor = std::move(supervisor)](process& owner, std::size_t at, bool linked) {
    detail::task_order what(detail::work_from(bind(std::move((*kept)[at]))));
    what.supervisor = supervisor;
    what.linked = linked;
    return detail::begin_task(owner, std::move(what));
  };
  return task_stream<R>(self, count, std::move(begin), options);
}

// A function of the catalogue with each item as its one argument, as children of that supervisor.
template <class R = value, class T>
[[nodiscard]] task_stream<R> async_stream(process& self, address supervisor, std::string function, std::vector<T> items,
                                          const task_stream_options& options = {}) {
  const std::size_t count = items.size();
  auto begin = [kept = std::make_shared<std::vector<T>>(std::move(items)), supervisor = std::move(supervisor),
                function = std::move(function)](process& owner, std::size_t at, bool linked) {
    detail::task_order what(function, detail::argument_list((*kept)[at]));
    what.supervisor = supervisor;
    what.linked = linked;
    return detail::begin_task(owner, std::move(what));
  };
  return task_stream<R>(self, count, std::move(begin), options);
}

}  // namespace troupe
