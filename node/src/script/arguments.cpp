#include "script/arguments.hpp"

#include "script/machine.hpp"

namespace troupe::internal {

void bad_argument(lua_State* L, int index, const std::string& what) {
  lua_Debug called{};
  const char* function = nullptr;
  if (lua_getstack(L, 0, &called)) {
    lua_getinfo(L, "n", &called);
    function = called.name;
    if (std::string_view(called.namewhat) == "method" && --index == 0) {
      raise(L, error(errc::bad_argument, std::string("calling '") + function + "' on a bad self (" + what + ")"));
    }
  }
  raise(L, error(errc::bad_argument, "bad argument #" + std::to_string(index) + " to '" + (function ? function : "?") +
                                         "' (" + what + ")"));
}

void bad_type(lua_State* L, int index, const char* expected) {
  std::string given = lua_type(L, index) == LUA_TNONE            ? "no value"
                      : lua_type(L, index) == LUA_TLIGHTUSERDATA ? "light userdata"
                                                                 : luaL_typename(L, index);
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) given = lua_tostring(L, -1);
  bad_argument(L, index, std::string(expected) + " expected, got " + given);
}

void check_any(lua_State* L, int index) {
  if (lua_isnone(L, index)) bad_argument(L, index, "value expected");
}

void check_type(lua_State* L, int index, int type) {
  if (lua_type(L, index) != type) bad_type(L, index, lua_typename(L, type));
}

lua_Integer check_integer(lua_State* L, int index) {
  int fits = 0;
  const lua_Integer out = lua_tointegerx(L, index, &fits);
  if (!fits && lua_isnumber(L, index)) bad_argument(L, index, "number has no integer representation");
  if (!fits) bad_type(L, index, "number");
  return out;
}

lua_Number check_number(lua_State* L, int index) {
  int fits = 0;
  const lua_Number out = lua_tonumberx(L, index, &fits);
  if (!fits) bad_type(L, index, "number");
  return out;
}

std::string check_text(lua_State* L, int index) {
  std::size_t size = 0;
  const char* text = lua_tolstring(L, index, &size);
  if (!text) bad_type(L, index, "string");
  return {text, size};
}

void* check_object(lua_State* L, int index, const char* type) {
  void* found = luaL_testudata(L, index, type);
  if (!found) bad_type(L, index, type);
  return found;
}

}  // namespace troupe::internal
