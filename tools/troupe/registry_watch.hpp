#pragma once
// `troupe registry NODE [KIND] --watch`.
#include <string>

#include "troupe/command.hpp"

namespace troupe::tool {

// `kind`: local, global, groups, locks or all.
[[nodiscard]] int watch_registry(const parsed_options& given, const std::string& kind);

}  // namespace troupe::tool
