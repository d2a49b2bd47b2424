#pragma once
// What Lua code of a node finds in its globals. Each file adds its part; user documentation is node/SHELL.md.
#include <string>
#include <string_view>
#include <vector>

#include <troupe/process.hpp>

#include "script/arguments.hpp"

#include <lua.hpp>

namespace troupe::internal {

void open_library(lua_State* L);  // all of it, and remembers it (see portable.hpp)

void open_base(lua_State* L);        // base_library.cpp: Lua's own, without what reaches the system or runs unbounded
void open_patterns(lua_State* L);    // patterns.cpp: string.find and its kin
void open_coroutines(lua_State* L);  // coroutines.cpp
void open_output(lua_State* L);      // output.cpp: print
void open_processes(lua_State* L);   // process_functions.cpp
void open_nodes(lua_State* L);       // node_functions.cpp
void open_links(lua_State* L);       // link_functions.cpp
void open_spawn(lua_State* L);       // spawn_functions.cpp
void open_receive(lua_State* L);     // receive.cpp
void open_timers(lua_State* L);      // timer_functions.cpp
void open_servers(lua_State* L);     // server_functions.cpp: call, server, supervisor, sys
void open_catalogue(lua_State* L);   // catalogue_functions.cpp: app, the offered functions as globals
void open_rpc(lua_State* L);         // rpc_functions.cpp
void open_global(lua_State* L);      // global_functions.cpp
void open_tasks(lua_State* L);       // task_functions.cpp
void open_groups(lua_State* L);      // group_functions.cpp: pg
void open_registry(lua_State* L);    // registry_functions.cpp
void open_programs(lua_State* L);    // program_functions.cpp: port, system
void open_dbg(lua_State* L);         // dbg.cpp
void open_help(lua_State* L);        // help.cpp: help

// Functions as fields of the table on top of the stack.
void set_functions(lua_State* L, std::initializer_list<luaL_Reg> functions);
// The same as a new global table, or as globals.
void set_table(lua_State* L, const char* name, std::initializer_list<luaL_Reg> functions);
void set_globals(lua_State* L, std::initializer_list<luaL_Reg> functions);

// pid, "name", {"name", "node"}, {name = , node = } or {global = name}.
[[nodiscard]] address check_address(lua_State* L, int index);
// How long a call may take: milliseconds at `index`, else `otherwise`; never longer than the evaluation may.
[[nodiscard]] duration check_duration(lua_State* L, int index, duration otherwise);

// Writes to a group leader, or any process that does as one. False: it must be waited for until the device has written
// what it was given before, by `return await_out(…)`, which goes on with `then`. Past its time what is printed is
// dropped and counted; for a device that is gone it goes to the log.
[[nodiscard]] bool put_out(lua_State* L, pid device, std::string_view text);
int await_out(lua_State* L, pid device, std::string text, lua_KFunction then);
[[nodiscard]] pid output_device(const process& self);  // the group leader, or the node's

// An error of ours in Lua: a table {code = "timeout", text = …, maybe_executed = …} whose tostring is the message.
// `raise` (machine.hpp) adds the place of the caller, {place = "shell:1"}; `raise_error` is for what went wrong
// elsewhere.
void push_error(lua_State* L, const error& why);
[[noreturn]] void raise_error(lua_State* L, const error& why);

// "exercise.calculator" as an object whose fields are what the catalogue has under it; its name, or nullptr for others.
void push_offered(lua_State* L, std::string_view name);
[[nodiscard]] const std::string* test_offered(lua_State* L, int index);
// Runs an entry of this node's catalogue in this process. Exceptions of its author become errors.
[[nodiscard]] task<result<value>> call_offered(process& self, std::string name, value arguments);

// Candidates for the end of a line; `word` is what they replace.
[[nodiscard]] std::vector<std::string> complete(lua_State* L, const std::string& line, std::string& word);

}  // namespace troupe::internal
