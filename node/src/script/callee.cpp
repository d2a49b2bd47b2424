#include "script/callee.hpp"

#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/portable.hpp"
#include "script/ship.hpp"

#include <troupe/node.hpp>

namespace troupe::internal {

callee check_callee(lua_State* L, int index) {
  if (const std::string* name = test_offered(L, index)) return {value(*name), false, *name};
  if (lua_isfunction(L, index)) {
    if (const char* name = library_name(L, index)) return {value(name), true, name};
    luaL_checkstack(L, 3, nullptr);
    index = lua_absindex(L, index);
    lua_createtable(L, 1, 1);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, 1);
    lua_setfield(L, -2, "n");
    callee out{ship(copy_out(L, -1)), false, "function"};
    lua_pop(L, 1);
    return out;
  }
  std::string name = check_text(L, index);
  const bool known = push_library(L, name);
  const bool in_library = known && lua_isfunction(L, -1);
  if (known) lua_pop(L, 1);
  return {value(name), in_library, name};
}

value check_arguments(lua_State* L, int index) {
  if (lua_isnoneornil(L, index)) return value(list());
  luaL_checktype(L, index, LUA_TTABLE);
  value arguments = to_value(L, index);
  if (!arguments.items()) raise(L, error(errc::bad_argument, "the arguments are a list"));
  return arguments;
}

std::string check_node(lua_State* L, int index) {
  auto name = complete_node_name(check_text(L, index));
  if (!name) raise(L, name.error());
  return std::move(*name);
}

int give_results(lua_State* L, const value& answer) {
  const list* all = answer.items();
  if (!all) return 0;
  luaL_checkstack(L, static_cast<int>(all->size()) + 2, "too many results");
  for (const value& one : *all) push_value(L, one);
  return static_cast<int>(all->size());
}

task<result<message>> as_message(task<result<value>> calling) {
  auto got = co_await std::move(calling);
  if (!got) co_return got.error();
  co_return message(std::move(*got));
}

}  // namespace troupe::internal
