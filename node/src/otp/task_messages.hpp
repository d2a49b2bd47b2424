#pragma once
// What the keeper of a task (task_keeper.cpp), its supervisor and the task itself tell each other, also across nodes.
#include <memory>
#include <string>

#include <troupe/catalogue.hpp>
#include <troupe/rpc.hpp>

namespace troupe::internal {

// Work of this node. Shared, because a message may be looked at twice.
struct near_work {
  near_work(detail::pending_work given, std::shared_ptr<detail::pending_call> for_call)
      : work(std::move(given)), call(std::move(for_call)) {}
  detail::pending_work work;
  std::shared_ptr<detail::pending_call> call;  // null: nobody awaits it
};

// Keeper -> supervisor. Answered by `task_started` or `task_refused` with the same id.
struct task_run {
  pid keeper;
  std::uint64_t id = 0;
  std::string function;  // of the catalogue; empty: `near`
  value arguments;
  using troupe_inside_node = void;
  std::shared_ptr<near_work> near;  // does not travel
  TROUPE_MESSAGE(task_run, "task.run", keeper, id, function, arguments)
};
struct task_started {
  std::uint64_t id = 0;
  pid process;
  TROUPE_MESSAGE(task_started, "task.started", id, process)
};
struct task_refused {
  std::uint64_t id = 0;
  error why;
  TROUPE_MESSAGE(task_refused, "task.refused", id, why)
};
// Task -> keeper, with its last breath. Work of this node settles its outcome itself.
struct task_done {
  std::uint64_t id = 0;
  bool ok = false;
  value outcome;
  error why;
  TROUPE_MESSAGE(task_done, "task.done", id, ok, outcome, why)
};
// Owner -> keeper.
struct task_end {
  std::int64_t within_us = 0;  // < 0: for ever
  TROUPE_MESSAGE(task_end, "task.end", within_us)
};
// A task that nobody awaits: -> its pid.
struct ask_start_task {
  std::string function;
  value arguments;
  using troupe_inside_node = void;
  std::shared_ptr<near_work> near;  // does not travel
  TROUPE_MESSAGE(ask_start_task, "task.start_child", function, arguments)
};

// The body of a task that a supervisor starts.
task<> run_far_task(process& self, pid keeper, std::uint64_t id, const catalogue_entry* entry, value arguments);
task<> run_near_task(process& self, pid keeper, std::shared_ptr<near_work> near);

}  // namespace troupe::internal
