// Calls: server.*, supervisor.*, sys.*. A failed call raises an error that names the errc and the server.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include <troupe/call.hpp>

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
  luaL_checkany(L, 2);
  return ask(L, 1, to_message(L, 2), 3);
}

int server_cast(lua_State* L) {
  const address to = check_address(L, 1);
  luaL_checkany(L, 2);
  lua_machine::of(L).self().send(to, to_message(L, 2));
  lua_pushstring(L, "ok");
  return 1;
}

int get_state(lua_State* L) { return ask(L, 1, request_of("sys.get_state"), 2); }
int get_status(lua_State* L) { return ask(L, 1, request_of("sys.get_status"), 2); }
int which_children(lua_State* L) { return ask(L, 1, request_of("supervisor.which_children"), 2); }
int count_children(lua_State* L) { return ask(L, 1, request_of("supervisor.count_children"), 2); }

int ask_child(lua_State* L, const char* tag) {
  map fields;
  fields.emplace_back("id", check_text(L, 2));
  return ask(L, 1, request_of(tag, std::move(fields)), 3);
}
int restart_child(lua_State* L) { return ask_child(L, "supervisor.restart_child"); }
int terminate_child(lua_State* L) { return ask_child(L, "supervisor.terminate_child"); }

}  // namespace

void open_servers(lua_State* L) {
  set_table(L, "server", {{"call", &guarded<server_call>}, {"cast", &guarded<server_cast>}});
  set_table(L, "sys", {{"get_state", &guarded<get_state>}, {"get_status", &guarded<get_status>}});
  set_table(L, "supervisor",
            {{"which_children", &guarded<which_children>},
             {"count_children", &guarded<count_children>},
             {"restart_child", &guarded<restart_child>},
             {"terminate_child", &guarded<terminate_child>}});
}

}  // namespace troupe::internal
