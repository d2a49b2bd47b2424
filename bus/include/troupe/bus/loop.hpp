#pragma once
// The thread on which a bus lives. Several hubs may share one.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <troupe/time.hpp>

namespace troupe::bus {

using timer_id = std::uint64_t;

// Owner: whoever made it; it must outlive every hub and transport made on it. `post` and `now` are thread-safe, all
// else is for the loop's own thread (the simulated form has one thread in all).
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
};

struct loop_options {
  std::string thread_name = "troupe-bus";  // cut to 15 bytes
  std::chrono::microseconds spin{0};       // polls so long after traffic before it sleeps; 0 never
  std::shared_ptr<clock> time;             // system_clock() when empty
};

// A thread of its own, all signals blocked, asleep in epoll. Its destructor ends the thread; post no more by then.
[[nodiscard]] std::unique_ptr<loop> make_loop(loop_options options = {});

}  // namespace troupe::bus
