// Lua's own library without what reaches outside of the node (io, os.execute, require, bytecode) or could hold a
// worker: finalizers run with hooks off, and some functions of C loop over any range that they are given. Those that go
// through much are charged for it.
#include "script/convert.hpp"
#include "script/inspect.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/portable.hpp"

#include <array>

namespace troupe::internal {
namespace {

// What one call of a C function may go through without a look at the clock.
constexpr lua_Integer range_limit = 10'000'000;

int set_metatable(lua_State* L) {
  const int kind = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, kind == LUA_TNIL || kind == LUA_TTABLE, 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) raise(L, "cannot change a protected metatable");
  if (kind == LUA_TTABLE) {
    lua_pushstring(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL) raise(L, "__gc is not available: nothing could interrupt it");
  }
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

// load(text or function[, name[, mode[, env]]]): source only. Bytecode can break the interpreter.
int load_source(lua_State* L) {
  std::string source;
  if (lua_isfunction(L, 1)) {
    for (;;) {
      luaL_checkstack(L, 2, nullptr);
      lua_pushvalue(L, 1);
      lua_call(L, 0, 1);
      std::size_t size = 0;
      const char* piece = lua_isnil(L, -1) ? "" : luaL_checklstring(L, -1, &size);
      if (size == 0) break;
      source.append(piece, size);
      lua_pop(L, 1);
      if (source.size() > (std::size_t{16} << 20)) raise(L, "the source is too large");
    }
  } else {
    source = check_text(L, 1);
  }
  const std::string name = lua_isnoneornil(L, 2) ? "=(load)" : check_text(L, 2);
  if (luaL_loadbufferx(L, source.data(), source.size(), name.c_str(), "t") != LUA_OK) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (!lua_isnone(L, 4)) {
    lua_pushvalue(L, 4);
    if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
  }
  return 1;
}

// xpcall(function, handler, …). Lua's own runs the handler where the error is raised: with hooks off when a hook raises
// it, so that a loop in there could not be ended, and the handler again for each error in it. This one runs it behind
// the error, as a call like any other; an error in it is what xpcall returns. Stack: function, handler, true, …
int handled(lua_State* L, int, lua_KContext) {
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}
int xpcall_done(lua_State* L, int status, lua_KContext) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 2;
  if (status != LUA_ERRMEM) {
    lua_pushvalue(L, 2);
    lua_insert(L, -2);
    lua_pcallk(L, 1, 1, 0, 0, &handled);
  }
  return handled(L, status, 0);
}
int protected_call(lua_State* L) {
  const int given = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);
  return xpcall_done(L, lua_pcallk(L, given - 2, LUA_MULTRET, 0, 0, &xpcall_done), 0);
}

int collect_garbage(lua_State* L) {
  constexpr std::array<const char*, 3> options{"collect", "count", nullptr};
  if (luaL_checkoption(L, 1, "collect", options.data()) == 0) {
    lua_pushinteger(L, lua_gc(L, LUA_GCCOLLECT));
    lua_machine::of(L).charge(L, lua_machine::slice);
  } else {
    lua_pushnumber(L, static_cast<lua_Number>(lua_gc(L, LUA_GCCOUNT)) + lua_gc(L, LUA_GCCOUNTB) / 1024.0);
  }
  return 1;
}

int inspect_value(lua_State* L) {
  check_any(L, 1);
  push_text(L, inspect(L, 1, lua_isnoneornil(L, 2) ? 16 : static_cast<int>(check_integer(L, 2))));
  return 1;
}

// -- guards: the library's function is the first upvalue

int call_original(lua_State* L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}
int guarded_rep(lua_State* L) {
  std::size_t size = 0;
  std::size_t separator = 0;
  luaL_checklstring(L, 1, &size);
  luaL_optlstring(L, 3, "", &separator);
  if (size + separator == 0) {
    luaL_checkinteger(L, 2);
    lua_pushstring(L, "");
    return 1;
  }
  return call_original(L);
}
int guarded_move(lua_State* L) {
  const lua_Integer from = luaL_checkinteger(L, 2);
  const lua_Integer to = luaL_checkinteger(L, 3);
  if (to >= from &&
      static_cast<lua_Unsigned>(to) - static_cast<lua_Unsigned>(from) > static_cast<lua_Unsigned>(range_limit)) {
    raise(L, "too many elements to move");
  }
  if (to > from) lua_machine::of(L).charge(L, static_cast<std::size_t>(to - from));
  return call_original(L);
}
int checked_length(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const lua_Integer length = luaL_len(L, 1);
  if (length > range_limit) raise(L, "the table is too long");
  return static_cast<int>(std::max<lua_Integer>(length, 0));
}
int guarded_length(lua_State* L) {
  lua_machine::of(L).charge(L, static_cast<std::size_t>(checked_length(L)));
  return call_original(L);
}
// With a position it moves all that lies behind; without one it touches the end alone.
template <int Alone>
int guarded_shift(lua_State* L) {
  return lua_gettop(L) > Alone ? guarded_length(L) : (static_cast<void>(checked_length(L)), call_original(L));
}

// Compares for table.sort where no instruction of Lua's does, and so no hook comes: the second upvalue is the program's
// function of C++, or nil.
int counted_less(lua_State* L) {
  std::size_t size = 0;
  if (lua_type(L, 1) == LUA_TSTRING) lua_tolstring(L, 1, &size);
  lua_machine& m = lua_machine::of(L);
  auto& count = *static_cast<std::int64_t*>(lua_touserdata(L, lua_upvalueindex(2)));
  count += 1 + static_cast<std::int64_t>(size / lua_machine::charged_bytes);
  if (count >= lua_machine::slice) m.check_long_call(L, static_cast<std::size_t>(std::exchange(count, 0)));
  if (lua_isnil(L, lua_upvalueindex(1))) {
    lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}
// Short, of numbers: over before anybody waits.
bool sorts_quickly(lua_State* L, int length) {
  constexpr int few = 1'000;
  if (length > few) return false;
  for (int i = 1; i <= length; ++i) {
    const bool number = lua_rawgeti(L, 1, i) == LUA_TNUMBER;
    lua_pop(L, 1);
    if (!number) return false;
  }
  return true;
}
int guarded_sort(lua_State* L) {
  const int length = checked_length(L);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  const bool of_lua = lua_isfunction(L, 2) && !lua_iscfunction(L, 2);
  if (!of_lua && !(lua_isnil(L, 2) && sorts_quickly(L, length))) {
    *static_cast<std::int64_t*>(lua_newuserdatauv(L, sizeof(std::int64_t), 0)) = 0;
    lua_pushcclosure(L, &guarded<counted_less>, 2);
  }
  return call_original(L);
}
int guarded_text(lua_State* L) {
  std::size_t size = 0;
  luaL_checklstring(L, 1, &size);
  lua_machine::of(L).charge(L, size / 4);
  return call_original(L);
}
template <lua_CFunction F>
void replace(lua_State* L, const char* table, const char* name) {
  lua_getglobal(L, table);
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, &guarded<F>, 1);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void keep_only(lua_State* L, const char* table, std::initializer_list<const char*> names) {
  lua_newtable(L);
  lua_getglobal(L, table);
  for (const char* name : names) {
    lua_getfield(L, -1, name);
    lua_setfield(L, -3, name);
  }
  lua_pop(L, 1);
  lua_setglobal(L, table);
}

}  // namespace

void set_functions(lua_State* L, std::initializer_list<luaL_Reg> functions) {
  for (const luaL_Reg& one : functions) {
    lua_pushcfunction(L, one.func);
    lua_setfield(L, -2, one.name);
  }
}
void set_table(lua_State* L, const char* name, std::initializer_list<luaL_Reg> functions) {
  lua_newtable(L);
  set_functions(L, functions);
  lua_setglobal(L, name);
}
void set_globals(lua_State* L, std::initializer_list<luaL_Reg> functions) {
  lua_pushglobaltable(L);
  set_functions(L, functions);
  lua_pop(L, 1);
}

void open_base(lua_State* L) {
  constexpr std::array<luaL_Reg, 6> libraries{{{LUA_GNAME, luaopen_base},
                                               {LUA_STRLIBNAME, luaopen_string},
                                               {LUA_TABLIBNAME, luaopen_table},
                                               {LUA_MATHLIBNAME, luaopen_math},
                                               {LUA_UTF8LIBNAME, luaopen_utf8},
                                               {LUA_OSLIBNAME, luaopen_os}}};
  for (const luaL_Reg& library : libraries) {
    luaL_requiref(L, library.name, library.func, 1);
    lua_pop(L, 1);
  }
  for (const char* name : {"dofile", "loadfile", "warn"}) {
    lua_pushnil(L);
    lua_setglobal(L, name);
  }
  keep_only(L, "os", {"time", "date", "clock", "difftime"});
  lua_getglobal(L, "string");
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
  lua_pop(L, 1);
  replace<guarded_rep>(L, "string", "rep");
  replace<guarded_move>(L, "table", "move");
  replace<guarded_shift<2>>(L, "table", "insert");
  replace<guarded_shift<1>>(L, "table", "remove");
  replace<guarded_length>(L, "table", "concat");
  replace<guarded_length>(L, "table", "unpack");
  replace<guarded_sort>(L, "table", "sort");
  for (const char* name : {"len", "codepoint", "offset"}) replace<guarded_text>(L, "utf8", name);
  set_globals(L, {{"setmetatable", &guarded<set_metatable>},
                  {"xpcall", &guarded<protected_call>},
                  {"load", &guarded<load_source>},
                  {"collectgarbage", &guarded<collect_garbage>},
                  {"inspect", &guarded<inspect_value>}});
}

void open_library(lua_State* L) {
  open_base(L);
  open_patterns(L);
  open_coroutines(L);
  open_values(L);
  open_output(L);
  open_processes(L);
  open_nodes(L);
  open_links(L);
  open_spawn(L);
  open_receive(L);
  open_timers(L);
  open_servers(L);
  open_catalogue(L);
  open_rpc(L);
  open_global(L);
  open_tasks(L);
  open_groups(L);
  open_registry(L);
  open_programs(L);
  open_dbg(L);
  open_help(L);
  remember_library(L);
}

}  // namespace troupe::internal
