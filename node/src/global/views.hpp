#pragma once
// How nodes that see others than this one are shown, in the log and in what tools ask.
#include <string>
#include <vector>

#include <troupe/value.hpp>

namespace troupe::internal {

[[nodiscard]] value names_of(const std::vector<std::string>& all);

}  // namespace troupe::internal
