#pragma once
// The arguments of our functions, and what is raised for a wrong one: the error bad_argument, as a table like every
// error of ours (see push_error). Lua's own functions, also those that are written anew here (base_library.cpp,
// coroutines.cpp, patterns.cpp), raise Lua's own texts.
#include <string>

#include <lua.hpp>

namespace troupe::internal {

// "bad argument #1 to 'send' (pid expected, got nil)"
[[noreturn]] void bad_argument(lua_State* L, int index, const std::string& what);
[[noreturn]] void bad_type(lua_State* L, int index, const char* expected);
inline void check_argument(lua_State* L, bool fits, int index, const char* what) {
  if (!fits) bad_argument(L, index, what);
}
void check_any(lua_State* L, int index);
void check_type(lua_State* L, int index, int type);  // LUA_TTABLE
[[nodiscard]] lua_Integer check_integer(lua_State* L, int index);
[[nodiscard]] lua_Number check_number(lua_State* L, int index);
[[nodiscard]] std::string check_text(lua_State* L, int index);
// The object behind a userdata of that type.
[[nodiscard]] void* check_object(lua_State* L, int index, const char* type);

}  // namespace troupe::internal
