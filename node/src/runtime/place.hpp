#pragma once
// The place in a user's code that an error names.
#include <source_location>
#include <string>

namespace troupe::detail {

// " at file.cpp:12", where the user's code waits. Empty for a wait of Troupe's own code: its lines tell a user nothing.
[[nodiscard]] std::string at_place(const std::source_location& where);

}  // namespace troupe::detail
