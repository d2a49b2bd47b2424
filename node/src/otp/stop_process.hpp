#pragma once
// How a supervisor stops one of its children.
#include <optional>

#include <troupe/process.hpp>

namespace troupe::internal {

struct stopped {
  exit_reason reason;
  bool seen = false;  // false: its worker does not let it go; it ends when it can
};

// `shutdown`, `limit` to end, then kill; 0: kill at once. `child` is linked to `self`, which traps exits; its exit
// message is taken.
task<stopped> stop_process(process& self, pid child, duration limit);
// As OTP reads a supervisor's stopping of a child: nothing to report.
[[nodiscard]] bool stopped_as_asked(const exit_reason& reason, bool at_once, bool permanent) noexcept;

}  // namespace troupe::internal
