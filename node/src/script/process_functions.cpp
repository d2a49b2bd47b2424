// self, node, send, names and what can be asked of processes.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include "runtime/core.hpp"

#include <troupe/node.hpp>

#include <algorithm>
#include <array>

namespace troupe::internal {

address check_address(lua_State* L, int index) {
  if (const pid* p = test_pid(L, index)) return *p;
  const process& self = lua_machine::of(L).self();
  if (lua_type(L, index) == LUA_TSTRING) {
    std::string text = check_text(L, index);
    if (text.starts_with('<')) {
      auto parsed = pid::parse(text);
      if (!parsed) raise(L, parsed.error());
      return *parsed;
    }
    check_argument(L, !text.empty(), index, "an empty name");
    return address(std::move(text));
  }
  if (lua_istable(L, index)) {
    index = lua_absindex(L, index);
    lua_getfield(L, index, "global");
    if (!lua_isnil(L, -1)) {
      const global::name shared(to_value(L, -1));
      lua_pop(L, 1);
      return address(shared);
    }
    lua_pop(L, 1);
    std::array<std::string, 2> parts;
    constexpr std::array<const char*, 2> keys{"name", "node"};
    for (std::size_t i = 0; i < parts.size(); ++i) {
      lua_getfield(L, index, keys[i]);
      if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_rawgeti(L, index, static_cast<lua_Integer>(i + 1));
      }
      if (lua_type(L, -1) == LUA_TSTRING) parts[i] = lua_tostring(L, -1);
      lua_pop(L, 1);
    }
    auto node = complete_node_name(parts[1]);
    check_argument(L, !parts[0].empty() && node, index,
                   "a name and a node expected: {\"name\", \"node@host\"}, or {global = name}");
    if (*node == self.node().name()) return address(parts[0]);
    return address(parts[0], *node);
  }
  bad_type(L, index, "pid, name or {name, node}");
  return pid();
}

duration check_duration(lua_State* L, int index, duration otherwise) {
  duration wanted = otherwise;
  if (!lua_isnoneornil(L, index)) {
    const std::int64_t given = check_milliseconds(L, index);
    wanted = given == INT64_MAX ? wait_forever : std::chrono::milliseconds(given);
  }
  return lua_machine::of(L).clamp(wanted);
}

namespace {

process& self_of(lua_State* L) { return lua_machine::of(L).self(); }

int self(lua_State* L) {
  push_pid(L, self_of(L).id());
  return 1;
}

// A name of this node that nobody has is the caller's mistake, as in OTP; what is gone elsewhere is not.
void expect_known(lua_State* L, const address& to) {
  if (to.by_name() && to.node().empty() && !self_of(L).node().whereis(to.name())) {
    raise(L, error(errc::noproc, "nothing is registered as \"" + to.name() + "\""));
  }
}

int send(lua_State* L) {
  const address to = check_address(L, 1);
  check_any(L, 2);
  value content = to_message(L, 2);
  expect_known(L, to);
  self_of(L).send(to, std::move(content));
  lua_settop(L, 2);
  return lua_machine::of(L).sent(L, 1);
}

int register_process(lua_State* L) {
  const bool name_first = lua_type(L, 1) == LUA_TSTRING;  // OTP's and Elixir's order
  const std::string name = check_text(L, name_first ? 1 : 2);
  const pid who = check_pid(L, name_first ? 2 : 1);
  process& me = self_of(L);
  auto done = who == me.id() ? me.register_name(name) : me.core().register_name(who, name);
  if (!done) raise(L, done.error());
  lua_pushboolean(L, 1);
  return 1;
}

int unregister_process(lua_State* L) {
  const std::string name = check_text(L, 1);
  if (!self_of(L).core().unregister_name(name)) {
    raise(L, error(errc::noproc, "nothing is registered as \"" + name + "\""));
  }
  lua_pushboolean(L, 1);
  return 1;
}

int whereis(lua_State* L) {
  auto found = self_of(L).node().whereis(check_text(L, 1));
  if (found) push_pid(L, *found);
  else lua_pushnil(L);
  return 1;
}

int registered(lua_State* L) {
  list names;
  for (auto& [name, who] : self_of(L).node().registered()) names.emplace_back(std::move(name));
  push_value(L, value(std::move(names)));
  return 1;
}

// A hundred thousand of them are pushed in slices, between which others have their turn. Stack: the pids as they were
// found, the list.
int continue_processes(lua_State* L, lua_KContext) {
  constexpr std::size_t at_once = 1'000;
  lua_machine& m = lua_machine::of(L);
  const auto* found = static_cast<const pid*>(lua_touserdata(L, 1));
  const std::size_t count = lua_rawlen(L, 1) / sizeof(pid);
  std::size_t done = lua_rawlen(L, 2);
  const bool in_slices = m.can_wait(L);
  for (std::size_t pushed = 0; done < count; ++pushed) {
    if (in_slices && pushed == at_once) {
      return m.await(
          L,
          [](process& self) -> task<result<value>> {
            co_await self.yield();
            co_return value();
          },
          &guarded_k<continue_processes>, 0);
    }
    push_pid(L, found[done++]);
    lua_rawseti(L, 2, static_cast<lua_Integer>(done));
  }
  return 1;
}
int processes(lua_State* L) {
  static_assert(std::is_trivially_copyable_v<pid>);
  lua_settop(L, 0);
  const std::vector<pid> all = self_of(L).node().processes();
  auto* found = static_cast<pid*>(lua_newuserdatauv(L, all.size() * sizeof(pid), 0));
  std::ranges::copy(all, found);
  lua_createtable(L, static_cast<int>(all.size()), 0);
  return continue_processes(L, 0);
}

// Asking elsewhere is a call, and written as one.
void expect_here(lua_State* L, pid who, const char* function) {
  if (self_of(L).core().is_local(who)) return;
  const std::string node(who.node());
  raise(L, error(errc::bad_argument,
                 "a process of this node expected: rpc.call(\"" + node + "\", \"" + function + "\", {…}) asks there"));
}

// As OTP's: only a process of this node can be asked, and only by pid.
int is_alive(lua_State* L) {
  const pid who = check_pid(L, 1);
  process& me = self_of(L);
  expect_here(L, who, "is_alive");
  lua_pushboolean(L, me.core().exists(who) ? 1 : 0);
  return 1;
}

// What the node offers as `troupe.process_info`; on a bare node what can be seen from outside. Nil when it has ended.
task<result<value>> ask_details(process& self, pid who, list keys) {
  detail::core& home = self.core();
  if (home.owner->offers().find("troupe.process_info")) {
    list arguments;
    arguments.emplace_back(who);
    if (!keys.empty()) arguments.emplace_back(std::move(keys));
    auto running = call_offered(self, "troupe.process_info", value(std::move(arguments)));
    auto got = co_await std::move(running);
    if (!got && got.error() == errc::noproc) co_return value();
    co_return got;
  }
  const auto seen = home.summary(who);
  if (!seen) co_return value();
  value all = map_of({{"pid", seen->id},
                      {"entry", seen->entry},
                      {"status", detail::to_string(seen->status)},
                      {"queue", seen->queued},
                      {"memory", seen->memory},
                      {"reductions", seen->reductions}});
  if (!keys.empty())
    std::erase_if(*all.entries(), [&](const auto& one) { return std::ranges::find(keys, one.first) == keys.end(); });
  co_return all;
}
// One key: its value alone.
task<result<value>> ask_detail(process& self, pid who, std::string key) {
  list only;
  only.emplace_back(key);
  auto asking = ask_details(self, who, std::move(only));
  auto got = co_await std::move(asking);
  if (!got) co_return got;
  const value* field = got->find(key);
  co_return field ? *field : value();
}

int process_info(lua_State* L) {
  const address who = check_address(L, 1);
  process& me = self_of(L);
  pid target = who.pid();
  if (who.by_name()) {
    auto found = me.node().whereis(who.name());
    if (!found || !who.node().empty()) {
      lua_pushnil(L);
      return 1;
    }
    target = *found;
  }
  expect_here(L, target, "process_info");
  if (lua_type(L, 2) == LUA_TSTRING)
    return await_value(L, [target, key = check_text(L, 2)](process& self) { return ask_detail(self, target, key); });
  const value keys = lua_isnoneornil(L, 2) ? value(list()) : to_value(L, 2);
  check_argument(L, keys.items(), 2, "a key or a list of keys expected");
  return await_value(L, [target, keys](process& self) { return ask_details(self, target, *keys.items()); });
}

int group_leader(lua_State* L) {
  process& me = self_of(L);
  if (lua_gettop(L) == 0) {
    push_pid(L, me.group_leader());
    return 1;
  }
  me.group_leader(check_pid(L, 1));
  lua_pushboolean(L, 1);
  return 1;
}

// mailbox_limit(messages[, bytes]); 0: none
int mailbox_limit(lua_State* L) {
  const lua_Integer messages = check_integer(L, 1);
  const lua_Integer bytes = lua_isnoneornil(L, 2) ? 0 : check_integer(L, 2);
  check_argument(L, messages >= 0, 1, "a number of messages expected, 0 for no limit");
  check_argument(L, bytes >= 0, 2, "a number of bytes expected, 0 for no limit");
  self_of(L).limit_mailbox(static_cast<std::size_t>(messages), static_cast<std::size_t>(bytes));
  lua_pushboolean(L, 1);
  return 1;
}

int make_ref(lua_State* L) {
  push_ref(L, self_of(L).make_ref());
  return 1;
}

}  // namespace

void open_processes(lua_State* L) {
  set_globals(L, {{"self", &guarded<self>},
                  {"send", &guarded<send>},
                  {"register", &guarded<register_process>},
                  {"unregister", &guarded<unregister_process>},
                  {"whereis", &guarded<whereis>},
                  {"registered", &guarded<registered>},
                  {"processes", &guarded<processes>},
                  {"is_alive", &guarded<is_alive>},
                  {"process_alive", &guarded<is_alive>},
                  {"process_info", &guarded<process_info>},
                  {"group_leader", &guarded<group_leader>},
                  {"mailbox_limit", &guarded<mailbox_limit>},
                  {"make_ref", &guarded<make_ref>}});
}

}  // namespace troupe::internal
