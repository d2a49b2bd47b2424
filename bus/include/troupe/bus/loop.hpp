#pragma once
// The loop on which a bus lives. Several hubs may share one.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <troupe/time.hpp>

namespace troupe::bus {

using timer_id = std::uint64_t;

// The threads of a program that drive a loop when they have nothing else to do. All calls may come at any time until
// `lend(nullptr)` has returned.
class leaders {
 public:
  virtual ~leaders() = default;
  // By a thread in `lead`, before it sleeps: for how long may it? Zero to look without sleeping, none when there is
  // something else to do at once. Followed by `rested`, on the same thread, unless there was none.
  [[nodiscard]] virtual std::optional<duration> rest() noexcept = 0;
  virtual void rested() noexcept = 0;
  // Is this thread one of those that lead?
  [[nodiscard]] virtual bool here() const noexcept = 0;
  // Does one of them sleep elsewhere? It would lead, if `wanted` woke it: called only while nobody leads.
  [[nodiscard]] virtual bool idle() const noexcept = 0;
  virtual void wanted() noexcept = 0;
};

// One thread drives a loop at a time: that is "the loop's thread". It is the loop's own, or, while the loop is lent,
// whichever of the leaders has nothing else to do: what arrives is then read by the thread that will work on it, and
// what that sends leaves without waking another ("leader and followers": Schmidt, O'Ryan, Kircher, Pyarali, 2000).
//
// Owner: whoever made it; it must outlive every hub and transport made on it. `post`, `now` and what is about leading
// are thread-safe, all else is for the loop's thread (the simulated form has one thread in all).
class loop {
 public:
  virtual ~loop() = default;

  // Runs `work` on the loop's thread, in the order of the posts; never inside this call.
  virtual void post(std::move_only_function<void()> work) = 0;
  // Runs `work` there and returns when it is done; at once when called on that thread.
  virtual void run(std::move_only_function<void()> work) = 0;
  [[nodiscard]] virtual bool inside() const noexcept = 0;
  [[nodiscard]] virtual bool threaded() const noexcept = 0;  // false: nothing happens unless somebody drives it
  [[nodiscard]] virtual time_point now() const noexcept = 0;

  virtual timer_id at(time_point when, std::move_only_function<void()> work) = 0;
  virtual void cancel(timer_id timer) = 0;

  // From now on these lead, and the loop's own thread sleeps until `step_in`; null ends that and waits for whoever
  // leads. False when it is lent already, or has no thread that could be relieved.
  [[nodiscard]] virtual bool lend(leaders* to) {
    static_cast<void>(to);
    return false;
  }
  // By a leader: takes a turn, and sleeps in it as long as `leaders::rest` says or until something happens. False, at
  // once, when another thread leads.
  virtual bool lead() { return false; }
  // Whoever sleeps in `lead` takes another turn.
  virtual void interrupt() {}
  // The leaders do not come to it: the loop's own thread leads until one of them says by `reclaim`, when it is about to
  // sleep elsewhere, that it has nothing else to do.
  virtual void step_in() {}
  virtual void reclaim() {}
  // Turns so far, and whether anybody leads now: for who watches that turns are taken.
  [[nodiscard]] virtual std::uint64_t turns() const noexcept { return 0; }
  [[nodiscard]] virtual bool led() const noexcept { return true; }
};

struct loop_options {
  std::string thread_name = "troupe-bus";  // cut to 15 bytes
  std::chrono::microseconds spin{0};       // polls so long after traffic before it sleeps; 0 never
  std::shared_ptr<clock> time;             // system_clock() when empty
};

// Has a thread of its own, all signals blocked, asleep in epoll. Its destructor ends the thread; post no more by then.
[[nodiscard]] std::unique_ptr<loop> make_loop(loop_options options = {});

}  // namespace troupe::bus
