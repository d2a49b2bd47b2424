#pragma once
// Locks of the whole cluster (OTP's global:set_lock, trans), with a queue in order and a fencing number.
//     auto mine = co_await troupe::lock::acquire(self, "invoices", 2s);     // result<guard>
//     if (mine) store.write(row, mine->fence());                            // released with the guard
// A lock is free again when its holder ends or its node is lost. A partition gives each side a holder of its own: a
// store that refuses a fencing number below the greatest it has seen keeps the older one out. node/GLOBAL.md.
#include <optional>
#include <utility>

#include <troupe/global.hpp>
#include <troupe/handle.hpp>

namespace troupe::lock {

// Sent to a holder whose lock went to the other side of a partition when both met.
struct lock_lost {
  value resource, requester;
  std::int64_t fence = 0;
  TROUPE_MESSAGE(lock_lost, "lock_lost", resource, requester, fence)
};

// OTP's id: who asks in the name of a requester that has the lock shares it; each who got it must give it back.
class id {
 public:
  id(value resource, value requester) : resource_(std::move(resource)), requester_(std::move(requester)) {}
  [[nodiscard]] const value& resource() const noexcept { return resource_; }
  [[nodiscard]] const value& requester() const noexcept { return requester_; }

 private:
  value resource_, requester_;
};

// errc: timeout, not_allowed (a resource "troupe.…"). Within 0: tried once, as with OTP's 0 retries: timeout as soon as
// the lock's arbiter says that another has it. An arbiter that does not run is given up after 5 s: timeout, whatever
// the limit. The fencing number is greater than any that the nodes it sees
// have given before, and than the clock (milliseconds since 1970, shifted by 21 bits).
[[nodiscard]] task<result<std::int64_t>> set_lock(process& self, id what, duration within = wait_forever);
// False when the calling process did not hold it.
[[nodiscard]] task<result<bool>> del_lock(process& self, id what);

// Owner: the process that acquired it. Gives the lock back when it goes, also with the process; does not wait.
class [[nodiscard]] guard {
 public:
  guard(process& self, id what, std::int64_t fence) : self_(&self), what_(std::move(what)), fence_(fence) {}
  guard(guard&& other) noexcept
      : self_(std::exchange(other.self_, nullptr)), what_(std::move(other.what_)), fence_(other.fence_) {}
  guard& operator=(guard&& other) noexcept {
    std::swap(self_, other.self_);
    std::swap(what_, other.what_);
    std::swap(fence_, other.fence_);
    return *this;
  }
  ~guard() { release(); }
  void release() noexcept;
  [[nodiscard]] std::int64_t fence() const noexcept { return fence_; }
  [[nodiscard]] const value& resource() const noexcept { return what_.resource(); }

 private:
  process* self_;
  id what_;
  std::int64_t fence_;
};

// The requester is the calling process.
[[nodiscard]] task<result<guard>> acquire(process& self, value resource, duration within);

namespace detail {

template <class Body>
auto run_held(process& self, id what, Body body, duration within)
    -> task<result<typename troupe::detail::task_result<std::invoke_result_t<Body&, process&>>::type>> {
  using type = typename troupe::detail::task_result<std::invoke_result_t<Body&, process&>>::type;
  auto asking = set_lock(self, what, within);
  auto fence = co_await std::move(asking);
  if (!fence) co_return result<type>(fence.error());
  const guard held(self, std::move(what), *fence);
  auto running = body(self);
  if constexpr (std::is_void_v<type>) {
    co_await std::move(running);
    co_return result<type>();
  } else {
    co_return result<type>(co_await std::move(running));
  }
}

}  // namespace detail

// Runs `body`, a function `task<T>(process&)`, while the lock is held, and gives it back however that ends. result<T>:
// errc::timeout when the lock was not given, and `body` has not run. A lambda that owns what it captures is named
// first.
template <class Body>
  requires await_safe<Body>
[[nodiscard]] auto trans(process& self, id what, Body&& body, duration within = wait_forever) {
  return detail::run_held<std::decay_t<Body>>(self, std::move(what), std::forward<Body>(body), within);
}

// What is held and who waits, on all nodes: {locks = {{resource, requester, pid, state = "held"|"waits", fence |
// waited_ms}, …}, cycles = {{pid, …}, …}, missing = {node, …}}. A cycle is processes of which each waits for a lock
// that the next one holds: none goes on before a deadline passes.
[[nodiscard]] task<value> survey(process& self, duration within = default_call_time);

// The same with the calls that wait for an answer, which close cycles too: {calls = {{pid, to, at}, …}, …}. Every
// waiting process is asked (inspect::calls), so it is for the moment when something hangs.
[[nodiscard]] task<value> waits(process& self, duration within = default_call_time);

}  // namespace troupe::lock
