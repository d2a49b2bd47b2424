// print: lines to the group leader, under credit.
//
// What is printed is a message, so it is fast and keeps its order. But a device that is slow, or stopped by Ctrl-S,
// must not be buried: when `window` bytes are on their way a printer first asks the device ("io.sync") whether it has
// written all of them, and waits. A device of another node is asked after a second of silence too, so that one that is
// gone is found out before its text is lost.
#include "script/convert.hpp"
#include "script/inspect.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include "runtime/core.hpp"

#include <troupe/call.hpp>
#include <troupe/io.hpp>

namespace troupe::internal {
namespace {

constexpr std::size_t window = std::size_t{16} << 10;
constexpr duration unasked = std::chrono::seconds(1);  // how long a device elsewhere is believed to be there

void drop(process& self) { self.core().counters().print_dropped.fetch_add(1, std::memory_order_relaxed); }

void put(process& self, output_credit& credit, pid device, std::string text) {
  credit.unconfirmed += text.size();
  self.send(device, io_put(std::move(text)));
}

void put_into_log(process& self, std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  if (self.core().log()) self.log().info(text);
  else drop(self);
}

bool is_gone(const process& self, pid device) { return self.core().is_local(device) && !self.core().exists(device); }

bool must_ask(const process& self, const output_credit& credit, pid device, std::size_t size) {
  if (device == self.id()) return false;
  if (credit.unconfirmed > 0 && credit.unconfirmed + size > window) return true;
  return !self.core().is_local(device) && self.now() - credit.confirmed >= unasked;
}

task<result<value>> ask_and_put(process& self, lua_machine* m, pid device, std::string text, duration limit) {
  auto written = co_await call(self, device, io_sync()).within(limit);
  switch (written ? errc::none : written.error().code()) {
    case errc::timeout:
    case errc::overloaded: drop(self); break;
    case errc::noproc:
    case errc::noconnection:
    case errc::stale:
    case errc::shutting_down: put_into_log(self, text); break;
    default:  // written; or by one that knows no io.sync and has looked at it
      m->output_.unconfirmed = 0;
      m->output_.confirmed = self.now();
      put(self, m->output_, device, std::move(text));
  }
  co_return value();
}

int printed(lua_State*, lua_KContext) { return 0; }

// print(…) to the group leader; print(pid, …) to that one.
int print(lua_State* L) {
  const int count = lua_gettop(L);
  const pid* given = count > 1 ? test_pid(L, 1) : nullptr;
  const pid device = given ? *given : output_device(lua_machine::of(L).self());
  std::string text;
  for (int i = given ? 2 : 1; i <= count; ++i) {
    if (i > (given ? 2 : 1)) text += '\t';
    text += display(L, i);
  }
  text += '\n';
  return put_out(L, device, text) ? 0 : await_out(L, device, std::move(text), &guarded_k<printed>);
}

}  // namespace

pid output_device(const process& self) {
  return self.group_leader() ? self.group_leader() : self.core().default_leader();
}

bool put_out(lua_State* L, pid device, std::string_view text) {
  lua_machine& m = lua_machine::of(L);
  process& me = m.self();
  if (!device) {
    drop(me);
    return true;
  }
  if (m.output_.device != device) m.output_ = output_credit{device, 0, me.now()};
  if (is_gone(me, device)) {
    put_into_log(me, text);
  } else if (!must_ask(me, m.output_, device, text.size())) {
    put(me, m.output_, device, std::string(text));
  } else if (m.can_wait(L)) {
    return false;
  } else if (m.output_.unconfirmed > 4 * window) {
    drop(me);
  } else {
    put(me, m.output_, device, std::string(text));
  }
  return true;
}

int await_out(lua_State* L, pid device, std::string text, lua_KFunction then) {
  lua_machine& m = lua_machine::of(L);
  const duration limit = m.clamp(default_call_time);
  return m.await(
      L,
      [&m, device, text = std::move(text), limit](process& self) { return ask_and_put(self, &m, device, text, limit); },
      then, 0);
}

void open_output(lua_State* L) { set_globals(L, {{"print", &guarded<print>}}); }

}  // namespace troupe::internal
