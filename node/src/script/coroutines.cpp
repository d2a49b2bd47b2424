// coroutine.*, with one difference to Lua's: a yield of the machine's (a wait, the end of a slice) inside a coroutine
// is passed on to whoever resumed it, so that a coroutine can wait like any other code.
#include "script/library.hpp"
#include "script/machine.hpp"

namespace troupe::internal {
namespace {

int continue_resume(lua_State* L, lua_KContext wrapped);

// While one lives nothing waits: where Lua cannot yield, or believes wrongly that it can.
struct no_wait {
  lua_machine& machine;
  bool on;
  no_wait(lua_machine& m, bool blocked) : machine(m), on(blocked) { machine.no_wait_ += on; }
  ~no_wait() { machine.no_wait_ -= on; }
};

// lua_resetthread, which runs the variables' __close as if the thread could yield: it is in no resume.
int reset(lua_State* L, lua_State* co) {
  lua_machine& m = lua_machine::of(L);
  const no_wait blocked(m, true);
  lua_State* outer = std::exchange(m.running_, co);
  const int status = lua_resetthread(co);
  m.running_ = outer;
  return status;
}

// Moves what the coroutine gave, or its error, to L.
int give_back(lua_State* L, lua_State* co, int status, int results, bool wrapped) {
  if (status == LUA_OK || status == LUA_YIELD) {
    if (!lua_checkstack(L, results + 1)) {
      lua_pop(co, results);
      raise(L, "too many results to resume");
    }
    if (!wrapped) lua_pushboolean(L, 1);
    lua_xmove(co, L, results);
    return wrapped ? results : results + 1;
  }
  if (!wrapped) {
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
  }
  reset(L, co);  // closes its pending variables; leaves the error, or a newer one, on top
  lua_xmove(co, L, 1);
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

// The coroutine stands at index 1 of L, or is the first upvalue of a wrap.
int resume(lua_State* L, lua_State* co, int arguments, bool wrapped) {
  lua_machine& m = lua_machine::of(L);
  int results = 0;
  int status = LUA_OK;
  {
    const no_wait blocked(m, !lua_isyieldable(L));
    lua_State* outer = std::exchange(m.running_, co);
    status = lua_resume(co, L, arguments, &results);
    m.running_ = outer;
  }
  if (status == LUA_YIELD && m.yielding()) return lua_yieldk(L, 0, wrapped ? 1 : 0, &guarded_k<continue_resume>);
  return give_back(L, co, status, results, wrapped);
}

int continue_resume(lua_State* L, lua_KContext wrapped) {
  lua_State* co = lua_tothread(L, wrapped ? lua_upvalueindex(1) : 1);
  lua_settop(L, wrapped ? 0 : 1);
  return resume(L, co, 0, wrapped != 0);
}

lua_State* check_thread(lua_State* L) {
  lua_State* co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

// nullptr when it can be resumed with `arguments`, else why not.
const char* refusal(lua_State* L, lua_State* co, int arguments) {
  if (!lua_checkstack(co, arguments)) return "too many arguments to resume";
  if (co == L) return "cannot resume non-suspended coroutine";
  const int status = lua_status(co);
  if (status == LUA_YIELD) return nullptr;
  if (status != LUA_OK) return "cannot resume dead coroutine";
  lua_Debug record;
  if (lua_getstack(co, 0, &record)) return "cannot resume non-suspended coroutine";
  return lua_gettop(co) == 0 ? "cannot resume dead coroutine" : nullptr;
}

int resume_coroutine(lua_State* L) {
  lua_State* co = check_thread(L);
  const int arguments = lua_gettop(L) - 1;
  if (const char* why = refusal(L, co, arguments)) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, why);
    return 2;
  }
  lua_xmove(L, co, arguments);
  return resume(L, co, arguments, false);
}

int resume_wrapped(lua_State* L) {
  lua_State* co = lua_tothread(L, lua_upvalueindex(1));
  const int arguments = lua_gettop(L);
  if (const char* why = refusal(L, co, arguments)) raise(L, why);
  lua_xmove(L, co, arguments);
  return resume(L, co, arguments, true);
}

int create(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State* co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

int wrap(lua_State* L) {
  create(L);
  lua_pushcclosure(L, &guarded<resume_wrapped>, 1);
  return 1;
}

// close(coroutine): true, or false and the error that it ended with.
int close(lua_State* L) {
  lua_State* co = check_thread(L);
  lua_Debug record;
  const bool suspended = lua_status(co) == LUA_YIELD || !lua_getstack(co, 0, &record);
  if (co == L || !suspended) raise(L, std::string("cannot close a ") + (co == L ? "running" : "normal") + " coroutine");
  if (reset(L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

int yield(lua_State* L) {
  if (lua_machine::of(L).is_outermost(L)) raise(L, "attempt to yield from outside a coroutine");
  return lua_yield(L, lua_gettop(L));
}

}  // namespace

void open_coroutines(lua_State* L) {
  luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 1);  // isyieldable, running and status are Lua's own
  set_functions(L, {{"create", &guarded<create>},
                    {"resume", &guarded<resume_coroutine>},
                    {"wrap", &guarded<wrap>},
                    {"close", &guarded<close>},
                    {"yield", &guarded<yield>}});
  lua_pop(L, 1);
}

}  // namespace troupe::internal
