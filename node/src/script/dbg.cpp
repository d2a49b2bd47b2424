// dbg.*: OTP's tracer. The work is done by a process of its own (tracer.hpp), one for each session.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/portable.hpp"
#include "script/tracer.hpp"

#include "runtime/core.hpp"

#include <troupe/call.hpp>
#include <troupe/spawn.hpp>

namespace troupe::internal {
namespace {

constexpr char tracer_key = 0;  // in the registry: the pid of the tracer

process& self_of(lua_State* L) { return lua_machine::of(L).self(); }

// Empty when there is none, or when it has ended.
pid running_tracer(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tracer_key);
  const pid* known = test_pid(L, -1);
  const pid out = known && self_of(L).core().exists(*known) ? *known : pid();
  lua_pop(L, 1);
  return out;
}

pid expect_tracer(lua_State* L) {
  const pid found = running_tracer(L);
  if (!found) raise(L, error(errc::noproc, "no tracer runs: dbg.tracer() starts one"));
  return found;
}

void read_options(lua_State* L, int index, tracer_options& options) {
  if (!lua_istable(L, index)) return;
  lua_getfield(L, index, "limit");
  if (!lua_isnil(L, -1)) options.limit = static_cast<std::uint64_t>(std::max<lua_Integer>(1, check_integer(L, -1)));
  lua_getfield(L, index, "seconds");
  if (!lua_isnil(L, -1)) {
    const lua_Number seconds = check_number(L, -1);
    check_argument(L, seconds > 0 && seconds <= 86'400, index, "seconds: more than 0, at most a day");
    options.time = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  }
  lua_pop(L, 2);
}

// dbg.tracer([function | "process", {function, state}][, {limit = , seconds = }])
int tracer(lua_State* L) {
  lua_settop(L, 3);
  if (running_tracer(L)) {
    lua_pushnil(L);
    lua_pushstring(L, "already_started");
    return 2;
  }
  tracer_options options;
  int rest = 1;
  if (lua_isfunction(L, 1)) {
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 1);
    options.handler = copy_out(L, -1);
    rest = 2;
  } else if (lua_type(L, 1) == LUA_TSTRING) {
    check_argument(L, std::string_view(lua_tostring(L, 1)) == "process", 1, "\"process\" expected");
    check_type(L, 2, LUA_TTABLE);
    lua_rawgeti(L, 2, 1);
    check_argument(L, lua_isfunction(L, -1), 2, "{function, state} expected");
    options.handler = copy_out(L, 2);
    options.folds = true;
    rest = 3;
  } else if (!lua_isnil(L, 1)) {
    check_type(L, 1, LUA_TTABLE);
  }
  read_options(L, rest, options);
  process& me = self_of(L);
  auto made = try_spawn(me, spawn_options(), &run_tracer, me.id(), std::move(options));
  if (!made) raise(L, made.error());
  push_pid(L, made->process);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &tracer_key);
  return 1;
}

template <class Request>
task<result<value>> ask_tracer(process& self, pid tracer, Request request) {
  auto answered = co_await call<value>(self, tracer, std::move(request));
  co_return answered;
}

// dbg.p(process[, flags]): "r" receive, "s" send, "m" both, "c" or "call" calls, "p" or "procs" lives; "m" when not
// said.
int trace_processes(lua_State* L) {
  lua_settop(L, 2);
  dbg_p asked;
  asked.item = test_pid(L, 1) ? value(*test_pid(L, 1)) : value(check_text(L, 1));
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 1);
    lua_replace(L, 2);
  }
  if (lua_isnil(L, 2)) asked.flags = "rs";
  else check_type(L, 2, LUA_TTABLE);
  for (lua_Integer i = 1; lua_istable(L, 2) && i <= static_cast<lua_Integer>(lua_rawlen(L, 2)); ++i) {
    lua_rawgeti(L, 2, i);
    const std::string flag = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    lua_pop(L, 1);
    if (flag == "r" || flag == "receive") asked.flags += 'r';
    else if (flag == "s" || flag == "send") asked.flags += 's';
    else if (flag == "m" || flag == "messages") asked.flags += "rs";
    else if (flag == "c" || flag == "call") asked.flags += 'c';
    else if (flag == "p" || flag == "procs") asked.flags += 'p';
    else raise(L, error(errc::bad_argument, "flags are r, s, m, c (call) and p (procs)"));
  }
  const pid tracer = expect_tracer(L);
  return await_value(L, [tracer, asked](process& self) { return ask_tracer(self, tracer, asked); });
}

// dbg.tp(module[, function][, {returns = true}]); a function, a module or a glob of functions.
int trace_functions(lua_State* L) {
  lua_settop(L, 3);
  dbg_tp asked;
  asked.functions = test_offered(L, 1) ? *test_offered(L, 1) : check_text(L, 1);
  const bool named = lua_type(L, 2) == LUA_TSTRING;
  const troupe::catalogue& offers = self_of(L).node().offers();
  if (named) asked.functions += "." + check_text(L, 2);
  else if (!offers.find(asked.functions) && asked.functions.find('*') == std::string::npos) asked.functions += ".*";
  const int rest = named ? 3 : 2;
  if (lua_istable(L, rest)) {
    lua_getfield(L, rest, "returns");
    asked.returns = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
  }
  const pid tracer = expect_tracer(L);
  return await_value(L, [tracer, asked](process& self) { return ask_tracer(self, tracer, asked); });
}

// A handler that hangs does not keep the trace: its process is killed then, and the sessions end with it.
task<result<value>> stop_tracer(process& self, pid tracer) {
  const ref watch = self.monitor(tracer);
  const dbg_stop stop;
  auto stopped = co_await call<value>(self, tracer, stop).within(std::chrono::seconds(1));
  if (!stopped) self.exit(tracer, exit_reason::kill());
  auto is_end = [&watch](const message& m) {
    const value shown = m.to_value();
    const list* items = shown.items();
    return items && items->size() == 5 && (*items)[1].reference() && *(*items)[1].reference() == watch;
  };
  auto ended = co_await self.receive_if(is_end, default_call_time);
  if (!ended) co_return ended.error();
  co_return value("ok");
}

int stop(lua_State* L) {
  const pid tracer = running_tracer(L);
  if (!tracer) {
    lua_pushstring(L, "ok");
    return 1;
  }
  return await_value(L, [tracer](process& self) { return stop_tracer(self, tracer); });
}

}  // namespace

void open_dbg(lua_State* L) {
  set_table(L, "dbg",
            {{"tracer", &guarded<tracer>},
             {"p", &guarded<trace_processes>},
             {"tp", &guarded<trace_functions>},
             {"stop", &guarded<stop>},
             {"stop_clear", &guarded<stop>}});
}

}  // namespace troupe::internal
