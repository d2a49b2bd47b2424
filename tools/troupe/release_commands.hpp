#pragma once
#include <vector>

#include "troupe/command.hpp"

namespace troupe::tool {

// `troupe release …`: building one, and what bin/NAME of a release asks about its own node.
[[nodiscard]] std::vector<command> release_commands();

// One each, in the file of its name.
[[nodiscard]] command release_build_command();
[[nodiscard]] command release_status_command();
[[nodiscard]] command release_pid_command();
[[nodiscard]] command release_shell_command();

}  // namespace troupe::tool
