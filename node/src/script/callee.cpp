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
  check_type(L, index, LUA_TTABLE);
  value arguments = to_value(L, index);
  if (!arguments.items()) raise_error(L, error(errc::bad_argument, "the arguments are a list"));
  return arguments;
}

std::string check_node(lua_State* L, int index) {
  auto name = complete_node_name(check_text(L, index));
  if (!name) raise_error(L, name.error());
  return std::move(*name);
}

int give_results(lua_State* L, const value& answer) {
  const list* all = answer.items();
  if (!all) return 0;
  luaL_checkstack(L, static_cast<int>(all->size()) + 2, "too many results");
  for (const value& one : *all) push_value(L, one);
  return static_cast<int>(all->size());
}

int give_answer(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise_error(L, answer.error());
  return give_results(L, *answer);
}

int give_outcome(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise_error(L, answer.error());
  if (answer->is_nil()) {
    lua_pushnil(L);
    return 1;
  }
  return give_results(L, *answer);
}

int give_replies(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise_error(L, answer.error());
  const list& all = *answer->items();
  luaL_checkstack(L, 6, nullptr);
  lua_createtable(L, static_cast<int>(all.size()), 0);
  for (std::size_t i = 0; i < all.size(); ++i) {
    lua_createtable(L, 0, 2);
    for (const auto& [key, item] : *all[i].entries()) {
      if (*key.text() == "error") push_error(L, from_value<error>(item).value_or(error(errc::bad_message)));
      else push_value(L, item);
      lua_setfield(L, -2, key.text()->c_str());
    }
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

task<result<message>> as_message(task<result<value>> calling) {
  auto got = co_await std::move(calling);
  if (!got) co_return got.error();
  co_return message(std::move(*got));
}

}  // namespace troupe::internal
