#pragma once
// Where a test finds what was built. Each is an environment variable of the same name if set, else what CMake said.

#include <string>

namespace troupe::test {

std::string tool_path();      // TROUPE_TOOL: the `troupe` executable; empty when this build has none
std::string exercise_path();  // TROUPE_EXERCISE: the executable of examples/exercise; empty when this build has none
std::string build_dir();      // TROUPE_BUILD_DIR
std::string source_dir();     // TROUPE_SOURCE_DIR

}  // namespace troupe::test
