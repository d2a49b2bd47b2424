// global.*: names and locks of the whole cluster, by OTP's names.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include <troupe/global.hpp>
#include <troupe/lock.hpp>
#include <troupe/node.hpp>

namespace troupe::internal {
namespace {

process& self_of(lua_State* L) { return lua_machine::of(L).self(); }

value check_name(lua_State* L, int index) {
  check_any(L, index);
  check_argument(L, !lua_isnil(L, index), index, "a name expected, not nil");
  return to_value(L, index);
}

// {resource, requester}; anything else is a resource that this process asks for.
lock::id check_lock(lua_State* L, int index) {
  value given = check_name(L, index);
  if (const list* parts = given.items(); parts && parts->size() == 2) return {(*parts)[0], (*parts)[1]};
  return {std::move(given), value(self_of(L).id())};
}

// -- names

task<result<value>> register_in(process& self, value name, pid who, global::register_options how, bool move) {
  auto asking = move ? global::re_register_name(self, std::move(name), who, std::move(how))
                     : global::register_name(self, std::move(name), who, std::move(how));
  auto got = co_await std::move(asking);
  if (!got && got.error() != errc::name_taken) co_return got.error();
  co_return list_of({value(static_cast<bool>(got)), got.holder()});
}

// "yes", or "no" and who has it.
int continue_register(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise(L, answer.error());
  const list& parts = *answer->items();
  if (*parts[0].boolean()) {
    lua_pushstring(L, "yes");
    return 1;
  }
  lua_pushstring(L, "no");
  push_value(L, parts[1]);
  return 2;
}

// (name, pid[, resolver[, ms]])
int begin_register(lua_State* L, bool move) {
  value name = check_name(L, 1);
  const pid who = check_pid(L, 2);
  global::register_options how;
  if (!lua_isnoneornil(L, 3)) how.resolver(check_text(L, 3));
  how.within(check_duration(L, 4, default_call_time));
  return lua_machine::of(L).await(
      L,
      [name = std::move(name), who, how = std::move(how), move](process& self) {
        return register_in(self, name, who, how, move);
      },
      &guarded_k<continue_register>, 0);
}
int register_name(lua_State* L) { return begin_register(L, false); }
int re_register_name(lua_State* L) { return begin_register(L, true); }

task<result<value>> unregister_in(process& self, value name) {
  auto asking = global::unregister_name(self, std::move(name));
  auto gone = co_await std::move(asking);
  if (!gone) co_return gone.error();
  co_return value(*gone);
}
int unregister_name(lua_State* L) {
  return await_value(L, [name = check_name(L, 1)](process& self) { return unregister_in(self, name); });
}

task<result<value>> find_in(process& self, value name, duration limit) {
  auto asking = global::whereis_name(self, std::move(name), limit);
  auto found = co_await std::move(asking);
  if (found) co_return value(*found);
  if (found.error() == errc::noproc) co_return value();
  co_return found.error();
}
int whereis_name(lua_State* L) {
  const duration limit = check_duration(L, 2, default_call_time);
  return await_value(L, [name = check_name(L, 1), limit](process& self) { return find_in(self, name, limit); });
}

int registered_names(lua_State* L) {
  list out;
  for (auto& [name, holder] : global::registered_names(self_of(L))) out.push_back(std::move(name));
  push_value(L, value(std::move(out)));
  return 1;
}

int members(lua_State* L) {
  list out;
  for (std::string& name : global::members(self_of(L).node())) out.emplace_back(std::move(name));
  push_value(L, value(std::move(out)));
  return 1;
}

// The pid that it was sent to.
int send(lua_State* L) {
  const global::name to(check_name(L, 1));
  check_any(L, 2);
  auto found = global::whereis_here(self_of(L).node(), to);
  if (!found) raise(L, found.error());
  self_of(L).send(*found, to_message(L, 2));
  push_pid(L, *found);
  return lua_machine::of(L).sent(L, 1);
}

task<result<value>> sync_in(process& self, duration limit) {
  auto asking = global::sync(self, limit);
  auto done = co_await std::move(asking);
  if (!done) co_return done.error();
  co_return value("ok");
}
int sync(lua_State* L) {
  const duration limit = check_duration(L, 1, default_call_time);
  return await_value(L, [limit](process& self) { return sync_in(self, limit); });
}

// -- locks

task<result<value>> set_in(process& self, lock::id what, duration limit) {
  auto asking = lock::set_lock(self, std::move(what), limit);
  auto fence = co_await std::move(asking);
  if (fence) co_return value(*fence);
  if (fence.error() == errc::timeout) co_return value();
  co_return fence.error();
}

// true and the fencing number, or false when it was not given in time.
int continue_set(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise(L, answer.error());
  lua_pushboolean(L, answer->is_nil() ? 0 : 1);
  if (answer->is_nil()) return 1;
  push_value(L, *answer);
  return 2;
}
int set_lock(lua_State* L) {
  const duration limit = check_duration(L, 2, wait_forever);
  return lua_machine::of(L).await(
      L, [what = check_lock(L, 1), limit](process& self) { return set_in(self, what, limit); },
      &guarded_k<continue_set>, 0);
}

task<result<value>> delete_in(process& self, lock::id what) {
  auto asking = lock::del_lock(self, std::move(what));
  auto had = co_await std::move(asking);
  if (!had) co_return had.error();
  co_return value(*had);
}
int del_lock(lua_State* L) {
  return await_value(L, [what = check_lock(L, 1)](process& self) { return delete_in(self, what); });
}

// trans(id, function[, ms]): what the function returns, or "aborted". Stack: id, function, ms, results or an error.
int end_trans(lua_State* L, int status, lua_KContext) {
  lock::guard given_back(self_of(L), check_lock(L, 1), 0);
  given_back.release();
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  return lua_gettop(L) - 3;
}
int begin_trans(lua_State* L, int, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise(L, answer.error());
  if (answer->is_nil()) {
    lua_pushstring(L, "aborted");
    return 1;
  }
  lua_settop(L, 3);
  lua_pushvalue(L, 2);
  return end_trans(L, lua_pcallk(L, 0, LUA_MULTRET, 0, 0, &end_trans), 0);
}
int trans(lua_State* L) {
  check_type(L, 2, LUA_TFUNCTION);
  const duration limit = check_duration(L, 3, wait_forever);
  return lua_machine::of(L).await(
      L, [what = check_lock(L, 1), limit](process& self) { return set_in(self, what, limit); }, &begin_trans, 0);
}

using survey_function = task<value> (*)(process&, duration);
task<result<value>> survey_in(process& self, survey_function look, duration limit) {
  auto asking = look(self, limit);
  value out = co_await std::move(asking);
  co_return out;
}
template <survey_function Look>
int survey(lua_State* L) {
  const duration limit = check_duration(L, 1, default_call_time);
  return await_value(L, [limit](process& self) { return survey_in(self, Look, limit); });
}

}  // namespace

void open_global(lua_State* L) {
  set_table(L, "global",
            {{"register_name", &guarded<register_name>},
             {"re_register_name", &guarded<re_register_name>},
             {"unregister_name", &guarded<unregister_name>},
             {"whereis_name", &guarded<whereis_name>},
             {"registered_names", &guarded<registered_names>},
             {"members", &guarded<members>},
             {"send", &guarded<send>},
             {"sync", &guarded<sync>},
             {"set_lock", &guarded<set_lock>},
             {"del_lock", &guarded<del_lock>},
             {"trans", &guarded<trans>},
             {"locks", &guarded<survey<&lock::survey>>},
             {"waits", &guarded<survey<&lock::waits>>}});
}

}  // namespace troupe::internal
