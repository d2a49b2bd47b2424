#include "script/request.hpp"

#include <new>

#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

namespace troupe::internal {
namespace {

constexpr const char* request_type = "from";

message& check_request(lua_State* L) { return *static_cast<message*>(check_object(L, 1, request_type)); }

int destroy_request(lua_State* L) {
  check_request(L).~message();
  return 0;
}

int request_text(lua_State* L) {
  const message& call = check_request(L);
  push_text(L, call ? "from " + call.from().text() : std::string("from (answered)"));
  return 1;
}

// server.reply(from, value): true; false when it has been answered before.
int reply(lua_State* L) {
  message& call = check_request(L);
  const value answer = lua_isnoneornil(L, 2) ? value() : to_value(L, 2);
  const bool waiting = call.is_call();
  if (waiting) lua_machine::of(L).self().reply(call, answer);
  call = message();
  lua_pushboolean(L, waiting ? 1 : 0);
  return 1;
}

}  // namespace

void push_request(lua_State* L, message call) {
  auto* at = static_cast<message*>(lua_newuserdatauv(L, sizeof(message), 0));
  ::new (at) message(std::move(call));
  luaL_setmetatable(L, request_type);
}

void open_requests(lua_State* L) {
  luaL_newmetatable(L, request_type);
  set_functions(L, {{"__gc", &guarded<destroy_request>}, {"__tostring", &guarded<request_text>}});
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  lua_getglobal(L, "server");
  set_functions(L, {{"reply", &guarded<reply>}});
  lua_pop(L, 1);
}

}  // namespace troupe::internal
