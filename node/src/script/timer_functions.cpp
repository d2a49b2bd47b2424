// timer.*: messages later and again and again. A timer ends with the process that made it.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

namespace troupe::internal {
namespace {

// (milliseconds, message) to this process, (milliseconds, to, message) to another.
int start(lua_State* L, bool repeats) {
  process& me = lua_machine::of(L).self();
  const std::int64_t milliseconds = check_milliseconds(L, 1);
  check_argument(L, milliseconds >= (repeats ? 1 : 0) && milliseconds < INT64_MAX / 1'000'000, 1, "out of range");
  check_any(L, 2);
  const bool to_other = lua_gettop(L) > 2;
  const address to = to_other ? check_address(L, 2) : address(me.id());
  value content = to_message(L, to_other ? 3 : 2);
  const duration time = std::chrono::milliseconds(milliseconds);
  const timer made =
      repeats ? me.send_interval(time, to, std::move(content)) : me.send_after(time, to, std::move(content));
  lua_pushinteger(L, static_cast<lua_Integer>(made.id()));
  return 1;
}

int send_after(lua_State* L) { return start(L, false); }
int send_interval(lua_State* L) { return start(L, true); }

int cancel(lua_State* L) {
  const auto id = static_cast<std::uint64_t>(check_integer(L, 1));
  lua_pushboolean(L, lua_machine::of(L).self().cancel(timer(id)) ? 1 : 0);
  return 1;
}

}  // namespace

void open_timers(lua_State* L) {
  set_table(
      L, "timer",
      {{"send_after", &guarded<send_after>}, {"send_interval", &guarded<send_interval>}, {"cancel", &guarded<cancel>}});
  lua_getglobal(L, "timer");
  lua_getglobal(L, "sleep");
  lua_setfield(L, -2, "sleep");
  lua_pop(L, 1);
}

}  // namespace troupe::internal
