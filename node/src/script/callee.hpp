#pragma once
// What rpc.* and task.* are given to call, and how its results come back.
#include <string>

#include <troupe/process.hpp>

#include <lua.hpp>

namespace troupe::internal {

// The function of the catalogue that runs what only Lua knows: (function, arguments) -> the list of its results.
inline constexpr const char* by_name = "troupe.lua_call";

// A name, or a function that travels.
struct callee {
  value what;
  bool in_library = false;  // a name that Lua's library knows: it will do where the catalogue has none
  std::string text;
};
[[nodiscard]] callee check_callee(lua_State* L, int index);
[[nodiscard]] value check_arguments(lua_State* L, int index);  // a list; nothing is none
[[nodiscard]] std::string check_node(lua_State* L, int index);
// Pushes each of a list; how many there are.
int give_results(lua_State* L, const value& answer);
// Continues a wait for a list of results: pushes them, raises an error.
int give_answer(lua_State* L, lua_KContext);
// The same where nil stands for nothing yet, or nothing more.
int give_outcome(lua_State* L, lua_KContext);
// Continues a call to many nodes, whose answer is a list of {node, value | error}: pushes it as a table, errors as
// errors.
int give_replies(lua_State* L, lua_KContext);
[[nodiscard]] task<result<message>> as_message(task<result<value>> calling);

}  // namespace troupe::internal
