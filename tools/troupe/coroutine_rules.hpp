#pragma once
// The text of coroutine_rules.py, which `troupe tidy` has python3 run.
#include <string_view>

namespace troupe::tool {

extern const std::string_view coroutine_rules;

}  // namespace troupe::tool
