#pragma once
// What task.* is asked to run, and how an outcome is told to Lua.
#include <optional>

#include <troupe/task_supervisor.hpp>

#include "script/callee.hpp"

namespace troupe::internal {

struct asked_task {
  std::optional<address> supervisor;
  callee called;
  value arguments;
};
// Under a supervisor, by a name that its catalogue has: the task's outcome is one value, else the list of all results.
[[nodiscard]] bool gives_one(const asked_task& what);
[[nodiscard]] detail::task_order order_of(const asked_task& what);
// {"ok", results…}, {"exit", reason}, or nil when there is none yet; a failure that is not the task's own end is an
// error.
[[nodiscard]] result<value> told_outcome(const std::optional<result<value>>& got, bool one);

void open_streams(lua_State* L);  // stream_functions.cpp: adds to the table `task`

}  // namespace troupe::internal
