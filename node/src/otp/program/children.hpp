#pragma once
// The children of this operating system process that are programs of ours, kept when it is process 1. A table of the
// process, not of a node, as children are: whoever reaps what was left to process 1 must leave these alone, or their
// status is lost.
#include <sys/types.h>

#include <functional>

namespace troupe::internal {

// Starts one and enters it before anybody can ask. `start` answers its pid, or -1.
pid_t start_child_of_ours(const std::function<pid_t()>& start);
void forget_child_of_ours(pid_t child);  // when it has been waited for
[[nodiscard]] bool is_child_of_ours(pid_t child);

}  // namespace troupe::internal
