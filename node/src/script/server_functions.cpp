// Calls: server.*, supervisor.*, sys.*. A failed call raises an error that names the errc and the server.
#include "script/callee.hpp"
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/request.hpp"

#include <troupe/call.hpp>
#include <troupe/multi_call.hpp>
#include <troupe/server.hpp>

namespace troupe::internal {
namespace {

task<result<value>> call_server(process& self, address to, value request, duration limit) {
  auto answered = co_await call<value>(self, std::move(to), std::move(request)).within(limit);
  co_return answered;
}

int ask(lua_State* L, int server, value request, int limit) {
  const address to = check_address(L, server);
  const duration time = check_duration(L, limit, default_call_time);
  return await_value(
      L, [to, request = std::move(request), time](process& self) { return call_server(self, to, request, time); });
}

value request_of(const char* tag, map fields = {}) { return list_of({tag, value(std::move(fields))}); }

// server.call(server, message[, milliseconds])
int server_call(lua_State* L) {
  check_any(L, 2);
  return ask(L, 1, to_message(L, 2), 3);
}

int server_cast(lua_State* L) {
  const address to = check_address(L, 1);
  check_any(L, 2);
  lua_machine::of(L).self().send(to, to_message(L, 2));
  lua_pushstring(L, "ok");
  return lua_machine::of(L).sent(L, 1);
}

task<result<value>> call_many(process& self, std::vector<std::string> nodes, std::string name, value request,
                              duration limit) {
  auto asking = multi_call<value>(self, std::move(nodes), name, std::move(request), limit);
  auto replies = co_await std::move(asking);
  list out;
  for (auto& [node, reply] : replies) {
    map one;
    one.emplace_back("node", node);
    if (reply) one.emplace_back("reply", std::move(*reply));
    else one.emplace_back("error", troupe::to_value(reply.error()));
    out.emplace_back(std::move(one));
  }
  co_return value(std::move(out));
}

// The nodes at 1, if a list stands there: where the rest begins.
int take_nodes(lua_State* L, std::vector<std::string>& nodes) {
  if (!lua_istable(L, 1)) {
    nodes = detail::here_and_visible(lua_machine::of(L).self());
    return 1;
  }
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, 1));
  for (lua_Integer i = 1; i <= count; ++i) {
    lua_rawgeti(L, 1, i);
    nodes.push_back(check_node(L, -1));
    lua_pop(L, 1);
  }
  return 2;
}

// server.multi_call([nodes,] name, message[, milliseconds])
int server_multi_call(lua_State* L) {
  std::vector<std::string> nodes;
  const int at = take_nodes(L, nodes);
  std::string name = check_text(L, at);
  check_any(L, at + 1);
  const duration limit = check_duration(L, at + 2, default_call_time);
  return lua_machine::of(L).await(
      L,
      [nodes = std::move(nodes), name = std::move(name), request = to_message(L, at + 1), limit](process& self) {
        return call_many(self, nodes, name, request, limit);
      },
      &guarded_k<give_replies>, 0);
}

// server.abcast([nodes,] name, message)
int server_abcast(lua_State* L) {
  std::vector<std::string> nodes;
  const int at = take_nodes(L, nodes);
  const std::string name = check_text(L, at);
  check_any(L, at + 1);
  detail::send_to_each(lua_machine::of(L).self(), nodes, name, to_message(L, at + 1));
  lua_pushstring(L, "abcast");
  return lua_machine::of(L).sent(L, 1);
}

task<result<value>> stop_in(process& self, address to, value reason, duration limit) {
  auto stopping = stop_server(self, std::move(to), exit_reason(std::move(reason)), limit);
  auto done = co_await std::move(stopping);
  if (!done) co_return done.error();
  co_return value("ok");
}
// server.stop(server[, reason[, milliseconds]])
int server_stop(lua_State* L) {
  const address to = check_address(L, 1);
  value reason = lua_isnoneornil(L, 2) ? value("normal") : to_value(L, 2);
  const duration limit = check_duration(L, 3, default_call_time);
  return await_value(
      L, [to, reason = std::move(reason), limit](process& self) { return stop_in(self, to, reason, limit); });
}

// -- sys: who does not answer is not_responding

using system_call = std::function<task<result<value>>(process&, address, duration)>;

task<result<value>> without_value(task<result<void>> running) {
  auto done = co_await std::move(running);
  if (!done) co_return done.error();
  co_return value("ok");
}

int ask_system(lua_State* L, int limit, system_call what) {
  const address to = check_address(L, 1);
  const duration time = check_duration(L, limit, default_call_time);
  return await_value(L, [to, time, what = std::move(what)](process& self) { return what(self, to, time); });
}

int get_state(lua_State* L) { return ask_system(L, 2, &sys::get_state); }
int get_status(lua_State* L) { return ask_system(L, 2, &sys::get_status); }
int suspend(lua_State* L) {
  return ask_system(L, 2, [](process& self, address to, duration limit) {
    return without_value(sys::suspend(self, std::move(to), limit));
  });
}
int resume(lua_State* L) {
  return ask_system(L, 2, [](process& self, address to, duration limit) {
    return without_value(sys::resume(self, std::move(to), limit));
  });
}
int replace_state(lua_State* L) {
  check_any(L, 2);
  return ask_system(L, 3, [state = to_value(L, 2)](process& self, address to, duration limit) {
    return without_value(sys::replace_state(self, std::move(to), state, limit));
  });
}
// sys.log(server, true | number | "get" | false[, milliseconds])
int system_log(lua_State* L) {
  check_any(L, 2);
  if (lua_type(L, 2) == LUA_TSTRING && check_text(L, 2) == "get") return ask_system(L, 3, &sys::log_get);
  std::size_t events = sys::default_log;
  if (lua_isboolean(L, 2)) events = lua_toboolean(L, 2) ? sys::default_log : 0;
  else events = static_cast<std::size_t>(std::max<lua_Integer>(0, check_integer(L, 2)));
  return ask_system(L, 3, [events](process& self, address to, duration limit) {
    return without_value(sys::log(self, std::move(to), events, limit));
  });
}
// sys.statistics(server, true | false | "get"[, milliseconds])
int statistics(lua_State* L) {
  check_any(L, 2);
  if (lua_type(L, 2) == LUA_TSTRING && check_text(L, 2) == "get") return ask_system(L, 3, &sys::statistics_get);
  check_type(L, 2, LUA_TBOOLEAN);
  const bool on = lua_toboolean(L, 2);
  return ask_system(L, 3, [on](process& self, address to, duration limit) {
    return without_value(sys::statistics(self, std::move(to), on, limit));
  });
}

int which_children(lua_State* L) { return ask(L, 1, request_of("supervisor.which_children"), 2); }
int count_children(lua_State* L) { return ask(L, 1, request_of("supervisor.count_children"), 2); }

int ask_child(lua_State* L, const char* tag) {
  map fields;
  fields.emplace_back("id", check_text(L, 2));
  return ask(L, 1, request_of(tag, std::move(fields)), 3);
}
int restart_child(lua_State* L) { return ask_child(L, "supervisor.restart_child"); }
int delete_child(lua_State* L) { return ask_child(L, "supervisor.delete_child"); }
int get_childspec(lua_State* L) { return ask_child(L, "supervisor.get_childspec"); }
// By its id; of a dynamic supervisor by its pid.
int terminate_child(lua_State* L) {
  if (!test_pid(L, 2)) return ask_child(L, "supervisor.terminate_child");
  map fields;
  fields.emplace_back("process", *test_pid(L, 2));
  return ask(L, 1, request_of("supervisor.terminate_process", std::move(fields)), 3);
}
// supervisor.start_child(supervisor, entry[, arguments[, restart[, milliseconds]]])
int start_child(lua_State* L) {
  map fields;
  fields.emplace_back("entry", check_text(L, 2));
  fields.emplace_back("arguments", check_arguments(L, 3));
  fields.emplace_back("restart", lua_isnoneornil(L, 4) ? std::string() : check_text(L, 4));
  return ask(L, 1, request_of("supervisor.start_from", std::move(fields)), 5);
}

}  // namespace

void open_servers(lua_State* L) {
  set_table(L, "server",
            {{"call", &guarded<server_call>},
             {"cast", &guarded<server_cast>},
             {"abcast", &guarded<server_abcast>},
             {"multi_call", &guarded<server_multi_call>},
             {"stop", &guarded<server_stop>}});
  open_requests(L);
  set_table(L, "sys",
            {{"get_state", &guarded<get_state>},
             {"get_status", &guarded<get_status>},
             {"replace_state", &guarded<replace_state>},
             {"suspend", &guarded<suspend>},
             {"resume", &guarded<resume>},
             {"log", &guarded<system_log>},
             {"statistics", &guarded<statistics>}});
  set_table(L, "supervisor",
            {{"which_children", &guarded<which_children>},
             {"count_children", &guarded<count_children>},
             {"restart_child", &guarded<restart_child>},
             {"terminate_child", &guarded<terminate_child>},
             {"delete_child", &guarded<delete_child>},
             {"get_childspec", &guarded<get_childspec>},
             {"start_child", &guarded<start_child>}});
}

}  // namespace troupe::internal
