#pragma once
// A copied function (portable.hpp) as it travels to another node: bytecode holds for one release of Lua alone.
#include <troupe/value.hpp>

namespace troupe::internal {

// {lua = the release of Lua, code = the image as bytes}
[[nodiscard]] value ship(const value& image);
// errc::bad_argument when it is none, unsupported when it is of another release of Lua.
[[nodiscard]] result<void> check_shipped(const value& shipped);
[[nodiscard]] result<value> unship(const value& shipped);

}  // namespace troupe::internal
