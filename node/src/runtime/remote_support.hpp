#pragma once
// What `dist` needs of the inside of a process.
#include <string>

#include <troupe/process.hpp>

namespace troupe::detail {

// A monitor whose target is not known yet, because another node was asked to spawn it: its DOWN may come before the
// pid.
void expect_monitor(process& self, ref watch);
// Now the target is known; an empty pid forgets the monitor.
void settle_monitor(process& self, ref watch, pid target);

[[nodiscard]] std::string exception_type_name();  // inside a handler: of what was caught, readable

}  // namespace troupe::detail
