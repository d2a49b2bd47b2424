// spawn, spawn_link, spawn_monitor: of Lua functions, which get a state of their own, and of the catalogue's entries.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/portable.hpp"

#include <troupe/node.hpp>
#include <troupe/rpc.hpp>
#include <troupe/spawn.hpp>

namespace troupe::internal {
namespace {

enum class way { plain, link, monitor };

// The body of a spawned Lua function. `image` is a table {function, arguments…, n = how many values}.
task<> run_copy(process& self, value image, script::limits budget) {
  auto made = lua_machine::make(self, budget);
  if (!made) self.exit(exit_reason(made.error()));
  lua_machine& m = **made;
  lua_State* thread = nullptr;
  int arguments = 0;
  auto ready = protect(m.state(), [&](lua_State* L) {
    thread = m.fresh_thread(L);
    copy_in(L, image);
    lua_getfield(L, -1, "n");
    const auto count = static_cast<int>(lua_tointeger(L, -1));
    lua_pop(L, 1);
    luaL_checkstack(L, count + 2, nullptr);
    luaL_argcheck(L, lua_checkstack(thread, count + 2), 1, "too many arguments");
    for (int i = 1; i <= count; ++i) lua_rawgeti(L, 1, i);
    lua_xmove(L, thread, count);
    arguments = count - 1;
  });
  if (!ready) self.exit(exit_reason(ready.error()));
  image = value();
  auto running = m.run(self, thread, arguments);
  const run_outcome outcome = co_await std::move(running);
  if (outcome.failure.code() != errc::none) self.exit(exit_reason::exception("lua", outcome.failure.text()));
}

task<> run_entry(process& self, std::string name, value arguments) {
  auto running = call_offered(self, std::move(name), std::move(arguments));
  auto done = co_await std::move(running);
  if (!done) self.exit(exit_reason(done.error()));
}

int push_spawned(lua_State* L, const result<spawned>& made, way how) {
  if (!made) raise(L, made.error());
  push_pid(L, made->process);
  if (how != way::monitor) return 1;
  push_ref(L, made->monitor);
  return 2;
}

spawn_options options_for(way how) {
  spawn_options options;
  options.link = how == way::link;
  options.monitor = how == way::monitor;
  return options;
}

// Index of the function or name, behind a node that is this one.
int after_node(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING || std::string_view(lua_tostring(L, 1)).find('@') == std::string_view::npos)
    return 1;
  return 2;
}

value arguments_from(lua_State* L, int first) {
  list items;
  for (int i = first; i <= lua_gettop(L); ++i) items.push_back(to_value(L, i));
  return value(std::move(items));
}

task<result<value>> spawn_there(process& self, std::string node, std::string entry, value arguments, way how) {
  spawn_awaiter asked = spawn_values_on(self, std::move(node), std::move(entry), std::move(arguments));
  if (how == way::monitor) {
    auto made = co_await std::move(asked).monitored();
    if (!made) co_return made.error();
    list both;
    both.emplace_back(made->process);
    both.emplace_back(made->monitor);
    co_return value(std::move(both));
  }
  if (how == way::link) {
    auto made = co_await std::move(asked).linked();
    if (!made) co_return made.error();
    co_return value(*made);
  }
  auto made = co_await std::move(asked);
  if (!made) co_return made.error();
  co_return value(*made);
}

int continue_spawn_there(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise(L, answer.error());
  if (const list* both = answer->items()) {
    push_value(L, (*both)[0]);
    push_value(L, (*both)[1]);
    return 2;
  }
  push_value(L, *answer);
  return 1;
}

int spawn_as(lua_State* L, way how) {
  lua_machine& m = lua_machine::of(L);
  process& me = m.self();
  const int what = after_node(L);
  const std::string node = what == 2 ? lua_tostring(L, 1) : me.node().name();
  const bool here = node == me.node().name();
  if (lua_type(L, what) == LUA_TSTRING) {
    std::string entry = check_text(L, what);
    value arguments = arguments_from(L, what + 1);
    if (here) {
      if (!me.node().offers().find(entry))
        raise(L, error(errc::undef, "nothing named \"" + entry + "\" is offered by this node"));
      return push_spawned(L, try_spawn(me, options_for(how), &run_entry, std::move(entry), std::move(arguments)), how);
    }
    return m.await(
        L, [node, entry, arguments, how](process& self) { return spawn_there(self, node, entry, arguments, how); },
        &guarded_k<continue_spawn_there>, 0);
  }
  luaL_checktype(L, what, LUA_TFUNCTION);
  if (!here)
    raise(L, error(errc::unsupported,
                   "a function cannot be sent to another node yet: spawn an entry of its catalogue, or use rpc.call"));
  const int count = lua_gettop(L) - what + 1;
  lua_createtable(L, count, 1);
  lua_insert(L, what);
  for (int i = count; i >= 1; --i) lua_rawseti(L, what, i);
  lua_pushinteger(L, count);
  lua_setfield(L, what, "n");
  value image = copy_out(L, what);
  return push_spawned(
      L, try_spawn(me, options_for(how), &run_copy, std::move(image), script::limits{m.budget().memory, wait_forever}),
      how);
}

int spawn(lua_State* L) { return spawn_as(L, way::plain); }
int spawn_link(lua_State* L) { return spawn_as(L, way::link); }
int spawn_monitor(lua_State* L) { return spawn_as(L, way::monitor); }

}  // namespace

void open_spawn(lua_State* L) {
  set_globals(
      L,
      {{"spawn", &guarded<spawn>}, {"spawn_link", &guarded<spawn_link>}, {"spawn_monitor", &guarded<spawn_monitor>}});
}

}  // namespace troupe::internal
