// monitor, link, exit and trap_exit.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

namespace troupe::internal {
namespace {

process& self_of(lua_State* L) { return lua_machine::of(L).self(); }

int yes(lua_State* L) {
  lua_pushboolean(L, 1);
  return 1;
}

int monitor(lua_State* L) {
  push_ref(L, self_of(L).monitor(check_address(L, 1)));
  return 1;
}

// No DOWN of it afterwards, not even one that a receive has looked at and left.
int demonitor(lua_State* L) {
  const ref which = check_ref(L, 1);
  lua_machine& m = lua_machine::of(L);
  m.self().demonitor(which);
  m.drop_kept([which](message& kept) {
    const down* ended = kept.is_call() ? nullptr : kept.get<down>();
    return ended && ended->monitor == which;
  });
  return yes(L);
}

int link(lua_State* L) {
  self_of(L).link(check_pid(L, 1));
  return yes(L);
}

int unlink(lua_State* L) {
  self_of(L).unlink(check_pid(L, 1));
  return yes(L);
}

// exit([reason]): this process. exit(pid, reason): a signal to that one; "kill" cannot be trapped. One to itself acts
// before this returns: it ends, or, when it traps exits, the message is there.
int exit_process(lua_State* L) {
  if (lua_gettop(L) < 2) {
    exit_reason reason = lua_isnoneornil(L, 1) ? exit_reason::normal() : exit_reason(to_value(L, 1));
    lua_machine::of(L).await_exit(L, std::move(reason));
  }
  process& me = self_of(L);
  const pid target = check_pid(L, 1);
  exit_reason reason(to_value(L, 2));
  if (target == me.id()) {
    if (reason == exit_reason::kill()) lua_machine::of(L).await_exit(L, exit_reason::killed());
    if (!me.traps_exits()) lua_machine::of(L).await_exit(L, std::move(reason));
  }
  me.exit(target, std::move(reason));
  return yes(L);
}

// trap_exit(true): exit signals come as messages {"EXIT", pid, reason}. Returns what it was.
int trap_exit(lua_State* L) {
  check_type(L, 1, LUA_TBOOLEAN);
  process& me = self_of(L);
  const bool before = me.traps_exits();
  me.trap_exits(lua_toboolean(L, 1) != 0);
  lua_pushboolean(L, before ? 1 : 0);
  return 1;
}

}  // namespace

void open_links(lua_State* L) {
  set_globals(L, {{"monitor", &guarded<monitor>},
                  {"demonitor", &guarded<demonitor>},
                  {"link", &guarded<link>},
                  {"unlink", &guarded<unlink>},
                  {"exit", &guarded<exit_process>},
                  {"trap_exit", &guarded<trap_exit>}});
}

}  // namespace troupe::internal
