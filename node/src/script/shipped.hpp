#pragma once
// Functions of Lua that were copied here, from a state of this node or of another one, and what runs them.
#include <troupe/script.hpp>

namespace troupe::internal {

// The body of a process that was spawned for a function. The image holds a table {function, arguments…, n = how many}.
task<> run_copy(process& self, value image, script::limits budget);
// The same for one that travelled (`ship`).
task<> run_shipped(process& self, value shipped);
// `troupe.lua_call` of the catalogue: what another node's rpc.call asks for when the catalogue has no such function.
// `what` is the name of a function of the catalogue or of Lua's library, or a function that travelled. All that it
// returns, as a list. errc: undef, bad_argument, unsupported, exception (an error in Lua), bad_message (a result that
// is no value).
task<result<value>> call_by_name(process& self, value what, value arguments);

}  // namespace troupe::internal
