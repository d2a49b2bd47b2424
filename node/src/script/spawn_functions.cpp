// spawn, spawn_link, spawn_monitor, spawn_checked: of Lua functions, which get a state of their own, and of the
// catalogue's entries.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/portable.hpp"
#include "script/ship.hpp"
#include "script/shipped.hpp"

#include <troupe/node.hpp>
#include <troupe/rpc.hpp>
#include <troupe/spawn.hpp>

namespace troupe::internal {

namespace {

enum class way : lua_KContext { plain, link, monitor, checked };

task<> run_entry(process& self, std::string name, value arguments) {
  auto running = call_offered(self, std::move(name), std::move(arguments));
  auto done = co_await std::move(running);
  if (!done) self.exit(exit_reason(done.error()));
}

int push_spawned(lua_State* L, const result<spawned>& made, way how) {
  if (!made && how == way::checked) {
    lua_pushnil(L);
    push_error(L, made.error());
    return 2;
  }
  if (!made) raise_error(L, made.error());
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

// Index of the function or name, behind the node: a text with an '@', or one before a function.
int after_node(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING) return 1;
  const bool is_node = std::string_view(lua_tostring(L, 1)).find('@') != std::string_view::npos;
  return is_node || lua_isfunction(L, 2) ? 2 : 1;
}

value arguments_from(lua_State* L, int first) {
  list items;
  for (int i = first; i <= lua_gettop(L); ++i) items.push_back(to_value(L, i));
  return value(std::move(items));
}

task<result<value>> spawn_there(process& self, std::string node, std::string entry, value arguments, way how,
                                duration limit) {
  spawn_awaiter asked = spawn_values_on(self, std::move(node), std::move(entry), std::move(arguments)).within(limit);
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

// As in OTP a spawn on a node that cannot be reached gives a pid all the same: of a process of this node, which ends at
// once with that reason, so that links and monitors tell it.
task<> not_reached(process& self, std::string node, std::string why) {
  self.log().warning("cannot spawn there", {{"node", node}, {"reason", why}});
  self.exit(exit_reason::noconnection());
  co_return;
}

// Stack: what spawn was given, the node first.
int continue_spawn_there(lua_State* L, lua_KContext context) {
  const auto how = static_cast<way>(context);
  lua_machine& m = lua_machine::of(L);
  auto answer = m.take_answer();
  if (!answer && how == way::checked) {
    lua_pushnil(L);
    push_error(L, answer.error());
    return 2;
  }
  if (!answer && answer.error() == errc::noconnection) {
    return push_spawned(L, try_spawn(m.self(), options_for(how), &not_reached, check_text(L, 1), answer.error().text()),
                        how);
  }
  if (!answer) raise_error(L, answer.error());
  if (const list* both = answer->items()) {
    push_value(L, (*both)[0]);
    push_value(L, (*both)[1]);
    return 2;
  }
  push_value(L, *answer);
  return 1;
}

int await_spawn(lua_State* L, std::string node, std::string entry, value arguments, way how) {
  lua_machine& m = lua_machine::of(L);
  const duration limit = m.clamp(default_call_time);
  return m.await(
      L,
      [node = std::move(node), entry = std::move(entry), arguments = std::move(arguments), how, limit](process& self) {
        return spawn_there(self, node, entry, arguments, how, limit);
      },
      &guarded_k<continue_spawn_there>, static_cast<lua_KContext>(how));
}

int spawn_entry(lua_State* L, int what, const std::string& node, way how) {
  process& me = lua_machine::of(L).self();
  std::string entry = check_text(L, what);
  value arguments = arguments_from(L, what + 1);
  if (node != me.node().name()) return await_spawn(L, node, std::move(entry), std::move(arguments), how);
  if (!me.node().offers().find(entry)) {
    return push_spawned(L, error(errc::undef, "nothing named \"" + entry + "\" is offered by this node"), how);
  }
  return push_spawned(L, try_spawn(me, options_for(how), &run_entry, std::move(entry), std::move(arguments)), how);
}

int spawn_function(lua_State* L, int what, const std::string& node, way how) {
  lua_machine& m = lua_machine::of(L);
  check_type(L, what, LUA_TFUNCTION);
  const int top = lua_gettop(L);
  const int count = top - what + 1;
  lua_createtable(L, count, 1);
  for (int i = 1; i <= count; ++i) {
    lua_pushvalue(L, what + i - 1);
    lua_rawseti(L, top + 1, i);
  }
  lua_pushinteger(L, count);
  lua_setfield(L, top + 1, "n");
  value image = copy_out(L, top + 1);
  lua_settop(L, top);
  if (node != m.self().node().name()) {
    list arguments;
    arguments.push_back(ship(image));
    return await_spawn(L, node, "troupe.lua", value(std::move(arguments)), how);
  }
  return push_spawned(L,
                      try_spawn(m.self(), options_for(how), &run_copy, std::move(image),
                                script::limits{m.budget().memory, wait_forever}),
                      how);
}

// spawn([node,] what, arguments…)
int spawn_as(lua_State* L, way how) {
  const int what = after_node(L);
  std::string node = lua_machine::of(L).self().node().name();
  if (what == 2) {
    auto given = complete_node_name(check_text(L, 1));
    if (!given) return push_spawned(L, given.error(), how);
    node = std::move(*given);
  }
  return lua_type(L, what) == LUA_TSTRING ? spawn_entry(L, what, node, how) : spawn_function(L, what, node, how);
}

int spawn(lua_State* L) { return spawn_as(L, way::plain); }
int spawn_link(lua_State* L) { return spawn_as(L, way::link); }
int spawn_monitor(lua_State* L) { return spawn_as(L, way::monitor); }
int spawn_checked(lua_State* L) { return spawn_as(L, way::checked); }

}  // namespace

void open_spawn(lua_State* L) {
  set_globals(L, {{"spawn", &guarded<spawn>},
                  {"spawn_link", &guarded<spawn_link>},
                  {"spawn_monitor", &guarded<spawn_monitor>},
                  {"spawn_checked", &guarded<spawn_checked>}});
}

}  // namespace troupe::internal
