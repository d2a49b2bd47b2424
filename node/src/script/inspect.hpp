#pragma once
// Values of Lua as text that can be typed back.
#include <string>

#include <lua.hpp>

namespace troupe::internal {

// {"hi", pid("<…>"), name = "x"}; tables by content, keys in order, cut with "…" when deeper than `depth` or longer
// than `width` bytes. What cannot be typed (functions, coroutines) prints as Lua prints it. May raise for memory only.
[[nodiscard]] std::string inspect(lua_State* L, int index, int depth = 16, std::size_t width = std::size_t{64} << 10);
// As `print` writes it: text as it is, tables by content, the rest by tostring.
[[nodiscard]] std::string display(lua_State* L, int index);
// The message of an error value.
[[nodiscard]] std::string error_text(lua_State* L, int index);

}  // namespace troupe::internal
