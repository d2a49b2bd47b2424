#pragma once
// What Lua code of a node finds in its globals. Each file adds its part; user documentation is node/SHELL.md.
#include <string>
#include <string_view>
#include <vector>

#include <troupe/process.hpp>

#include <lua.hpp>

namespace troupe::internal {

void open_library(lua_State* L);  // all of it, and remembers it (see portable.hpp)

void open_base(lua_State* L);        // base_library.cpp: Lua's own, without what reaches the system or runs unbounded
void open_coroutines(lua_State* L);  // coroutines.cpp
void open_processes(lua_State* L);   // process_functions.cpp
void open_links(lua_State* L);       // link_functions.cpp
void open_spawn(lua_State* L);       // spawn_functions.cpp
void open_receive(lua_State* L);     // receive.cpp
void open_timers(lua_State* L);      // timer_functions.cpp
void open_servers(lua_State* L);     // server_functions.cpp: call, server, supervisor, sys
void open_catalogue(lua_State* L);   // catalogue_functions.cpp: rpc, app, the offered functions as globals
void open_dbg(lua_State* L);         // dbg.cpp

// Functions as fields of the table on top of the stack.
void set_functions(lua_State* L, std::initializer_list<luaL_Reg> functions);
// The same as a new global table, or as globals.
void set_table(lua_State* L, const char* name, std::initializer_list<luaL_Reg> functions);
void set_globals(lua_State* L, std::initializer_list<luaL_Reg> functions);

// pid, "name", {"name", "node"} or {name = , node = }.
[[nodiscard]] address check_address(lua_State* L, int index);
// How long a call may take: milliseconds at `index`, else `otherwise`; never longer than the evaluation may.
[[nodiscard]] duration check_duration(lua_State* L, int index, duration otherwise);

// "exercise.calculator" as an object whose fields are what the catalogue has under it; its name, or nullptr for others.
void push_offered(lua_State* L, std::string_view name);
[[nodiscard]] const std::string* test_offered(lua_State* L, int index);
// Runs an entry of this node's catalogue in this process. Exceptions of its author become errors.
[[nodiscard]] task<result<value>> call_offered(process& self, std::string name, value arguments);

// Candidates for the end of a line; `word` is what they replace.
[[nodiscard]] std::vector<std::string> complete(lua_State* L, const std::string& line, std::string& word);

}  // namespace troupe::internal
