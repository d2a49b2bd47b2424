#pragma once
// A call that a Lua process has received: what its second result, `from`, stands for.
#include <troupe/message.hpp>

#include <lua.hpp>

namespace troupe::internal {

void open_requests(lua_State* L);  // makes the type, and adds server.reply
// Keeps the call until it is answered or Lua drops it, which answers it with an error.
void push_request(lua_State* L, message call);

}  // namespace troupe::internal
