// pg.*: groups of processes of the whole cluster, by OTP's names.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include <algorithm>

#include <troupe/group.hpp>

namespace troupe::internal {
namespace {

process& self_of(lua_State* L) { return lua_machine::of(L).self(); }

value check_group(lua_State* L, int index) {
  check_any(L, index);
  check_argument(L, !lua_isnil(L, index), index, "a group expected, not nil");
  return to_value(L, index);
}
std::string check_scope(lua_State* L, int index) {
  return lua_isnoneornil(L, index) ? std::string(group::default_scope) : check_text(L, index);
}
// A pid, or a list of them.
std::vector<pid> check_pids(lua_State* L, int index) {
  if (!lua_istable(L, index)) return {check_pid(L, index)};
  std::vector<pid> out;
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, index));
  for (lua_Integer i = 1; i <= count; ++i) {
    lua_rawgeti(L, index, i);
    out.push_back(check_pid(L, -1));
    lua_pop(L, 1);
  }
  return out;
}

int ok(lua_State* L) {
  lua_pushstring(L, "ok");
  return 1;
}
value pids(const std::vector<pid>& members) {
  list out;
  for (const pid one : members) out.emplace_back(one);
  return value(std::move(out));
}
int give(lua_State* L, value what) {
  push_value(L, what);
  return 1;
}

int start(lua_State* L) {
  auto done = group::start_scope(self_of(L).node(), check_scope(L, 1));
  if (!done) raise(L, done.error());
  return ok(L);
}
int join(lua_State* L) {
  const value group = check_group(L, 1);
  auto done = group::join(self_of(L), group, check_pids(L, 2), check_scope(L, 3));
  if (!done) raise(L, done.error());
  return ok(L);
}
int leave(lua_State* L) {
  const value group = check_group(L, 1);
  const std::string scope = check_scope(L, 3);
  auto done = group::leave(self_of(L), group, check_pids(L, 2), scope);
  if (done) return ok(L);
  const auto known = group::scopes(self_of(L).node());
  if (done.error() != errc::not_found || std::find(known.begin(), known.end(), scope) == known.end())
    raise(L, done.error());
  lua_pushstring(L, "not_joined");
  return 1;
}
int create(lua_State* L) {
  const value group = check_group(L, 1);
  auto done = group::create(self_of(L), group, check_scope(L, 2));
  if (!done) raise(L, done.error());
  return ok(L);
}
int remove(lua_State* L) {
  const value group = check_group(L, 1);
  auto done = group::remove(self_of(L), group, check_scope(L, 2));
  if (!done && done.error() != errc::not_found) raise(L, done.error());
  return ok(L);
}

int get_members(lua_State* L) {
  const value group = check_group(L, 1);
  return give(L, pids(group::members(self_of(L), group, check_scope(L, 2))));
}
int get_local_members(lua_State* L) {
  const value group = check_group(L, 1);
  return give(L, pids(group::local_members(self_of(L), group, check_scope(L, 2))));
}
int which_groups(lua_State* L) { return give(L, value(list(group::which_groups(self_of(L), check_scope(L, 1))))); }
int which_local_groups(lua_State* L) {
  return give(L, value(list(group::which_local_groups(self_of(L), check_scope(L, 1)))));
}

// A pid; or nil and why, as in pg2.
int get_closest_pid(lua_State* L) {
  const value group = check_group(L, 1);
  const std::string scope = check_scope(L, 2);
  if (const auto one = group::closest(self_of(L), group, scope)) {
    push_pid(L, *one);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, group::exists(self_of(L).node(), group, scope) ? "no_process" : "no_such_group");
  return 2;
}

int monitor(lua_State* L) {
  const value group = check_group(L, 1);
  auto watch = group::monitor(self_of(L), group, check_scope(L, 2));
  if (!watch) raise(L, watch.error());
  push_ref(L, watch->monitor);
  push_value(L, pids(watch->members));
  return 2;
}
int monitor_scope(lua_State* L) {
  auto watch = group::monitor_scope(self_of(L), check_scope(L, 1));
  if (!watch) raise(L, watch.error());
  push_ref(L, watch->monitor);
  list all;
  for (const auto& [group, members] : watch->groups)
    all.push_back(map_of({{"group", group}, {"members", pids(members)}}));
  push_value(L, value(std::move(all)));
  return 2;
}

task<result<value>> demonitor_in(process& self, ref monitor) {
  auto ending = group::demonitor(self, monitor);
  const bool there = co_await std::move(ending);
  co_return value(there);
}
int demonitor(lua_State* L) {
  const ref which = check_ref(L, 1);
  // What a receive has looked at and left is gone too.
  lua_machine::of(L).drop_kept([&which](const message& kept) {
    const auto told = group::change_in(kept);
    return told && told->monitor == which;
  });
  return await_value(L, [which](process& self) { return demonitor_in(self, which); });
}

// How many nodes it went to, with this one.
int broadcast(lua_State* L) {
  const value group = check_group(L, 1);
  check_any(L, 2);
  const auto count = group::broadcast_value(self_of(L), group, to_message(L, 2), check_scope(L, 3));
  lua_pushinteger(L, static_cast<lua_Integer>(count));
  return lua_machine::of(L).sent(L, 1);
}

}  // namespace

void open_groups(lua_State* L) {
  set_table(L, "pg",
            {{"start", &guarded<start>},
             {"join", &guarded<join>},
             {"leave", &guarded<leave>},
             {"create", &guarded<create>},
             {"delete", &guarded<remove>},
             {"get_members", &guarded<get_members>},
             {"get_local_members", &guarded<get_local_members>},
             {"which_groups", &guarded<which_groups>},
             {"which_local_groups", &guarded<which_local_groups>},
             {"get_closest_pid", &guarded<get_closest_pid>},
             {"monitor", &guarded<monitor>},
             {"monitor_scope", &guarded<monitor_scope>},
             {"demonitor", &guarded<demonitor>},
             {"broadcast", &guarded<broadcast>}});
}

}  // namespace troupe::internal
