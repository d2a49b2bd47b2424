#pragma once
// Starting processes. A body is a coroutine `task<>(process&, Args...)`; arguments are copied or moved into it.
//     troupe::pid worker = troupe::spawn(self, resize, "a.png");            // inherits the group leader
//     auto [worker, watch] = troupe::spawn_monitor(self, resize, "a.png");
// A body that is a lambda with captures is kept, with its captures, until the process has ended.
#include <string>
#include <tuple>
#include <utility>

#include <troupe/process.hpp>

namespace troupe {

class node;

struct spawn_options {
  std::string name;               // registered before the body runs; a taken name fails the spawn
  bool link = false;              // to the spawner: only with a process
  bool monitor = false;           // by the spawner: only with a process
  pid group_leader;               // empty: the spawner's, or the node's
  std::size_t mailbox_limit = 0;  // 0: the node's default; messages beyond are refused and counted
  std::size_t mailbox_bytes = 0;  // the same in bytes: messages that find so many waiting are refused
  const char* entry = nullptr;    // what ps shows as its initial function; a literal. "process" when not said
};

struct spawned {
  pid process;
  ref monitor;  // set when asked for
};

namespace detail {

// Starts a body that is at its initial suspension. errc: system_limit, name_taken, bad_name, shutting_down.
result<spawned> start_process(core& where, process* parent, spawn_options&& options, task<>&& body, process* prepared);
// A control block for a body that needs its process as an argument; handed to start_process or abandoned.
result<process*> prepare_process(core& where);
void abandon_process(process* prepared) noexcept;
[[nodiscard]] core& core_of(node& n) noexcept;

template <class F, class... Args>
task<> keep_callable(process& self, F callable, Args... args) {
  auto running = callable(self, std::move(args)...);
  co_await std::move(running);
}

template <class F, class... Args>
result<spawned> spawn_in(core& where, process* parent, spawn_options&& options, F&& body, Args&&... args) {
  auto prepared = prepare_process(where);
  if (!prepared) return prepared.error();
  process& self = **prepared;
  task<> root;
  try {
    using callable = std::remove_cvref_t<F>;
    if constexpr (std::is_pointer_v<std::decay_t<F>> || std::is_empty_v<callable>) {
      root = body(self, std::forward<Args>(args)...);
    } else {
      root = keep_callable<callable, std::decay_t<Args>...>(self, std::forward<F>(body), std::forward<Args>(args)...);
    }
  } catch (...) {
    abandon_process(&self);
    throw;
  }
  return start_process(where, parent, std::move(options), std::move(root), &self);
}

}  // namespace detail

template <class F>
concept process_body = !std::same_as<std::remove_cvref_t<F>, spawn_options>;

// From a process: a failure (system_limit, name_taken) ends the spawner, as in OTP. `try_spawn` says it instead.
template <process_body F, class... Args>
pid spawn(process& self, F&& body, Args&&... args) {
  return detail::spawn_in(self.core(), &self, {}, std::forward<F>(body), std::forward<Args>(args)...).or_exit().process;
}
template <process_body F, class... Args>
pid spawn_link(process& self, F&& body, Args&&... args) {
  spawn_options options;
  options.link = true;
  return detail::spawn_in(self.core(), &self, std::move(options), std::forward<F>(body), std::forward<Args>(args)...)
      .or_exit()
      .process;
}
template <process_body F, class... Args>
spawned spawn_monitor(process& self, F&& body, Args&&... args) {
  spawn_options options;
  options.monitor = true;
  return detail::spawn_in(self.core(), &self, std::move(options), std::forward<F>(body), std::forward<Args>(args)...)
      .or_exit();
}
template <process_body F, class... Args>
result<spawned> try_spawn(process& self, spawn_options options, F&& body, Args&&... args) {
  return detail::spawn_in(self.core(), &self, std::move(options), std::forward<F>(body), std::forward<Args>(args)...);
}

// From outside, on any thread.
template <process_body F, class... Args>
result<pid> spawn(node& where, spawn_options options, F&& body, Args&&... args) {
  auto made = detail::spawn_in(detail::core_of(where), nullptr, std::move(options), std::forward<F>(body),
                               std::forward<Args>(args)...);
  if (!made) return made.error();
  return made->process;
}
template <process_body F, class... Args>
result<pid> spawn(node& where, F&& body, Args&&... args) {
  return spawn(where, spawn_options{}, std::forward<F>(body), std::forward<Args>(args)...);
}

}  // namespace troupe
