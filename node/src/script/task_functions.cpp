// task.*: work in a process of its own, near or under a supervisor of any node, awaited once by who began it.
#include "script/callee.hpp"
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/shipped.hpp"
#include "script/task_order.hpp"

#include <algorithm>
#include <new>

#include <troupe/node.hpp>
#include <troupe/task_supervisor.hpp>

namespace troupe::internal {
namespace {

constexpr const char* task_type = "task";

// What a Lua variable holds.
struct held_task {
  async_task<value> work;
  pid owner;
  bool one = false;
};
using handle = std::shared_ptr<held_task>;

process& self_of(lua_State* L) { return lua_machine::of(L).self(); }

handle& check_task(lua_State* L, int index) { return *static_cast<handle*>(check_object(L, index, task_type)); }

int destroy_task(lua_State* L) {
  check_task(L, 1).~handle();
  return 0;
}

void push_task(lua_State* L, handle held) {
  auto* at = static_cast<handle*>(lua_newuserdatauv(L, sizeof(handle), 0));
  ::new (at) handle(std::move(held));
  luaL_setmetatable(L, task_type);
}

// ([supervisor,] function[, arguments]): a supervisor stands before what can be called.
asked_task check_asked(lua_State* L, int index) {
  asked_task out;
  const int next = lua_type(L, index + 1);
  const bool supervised = next == LUA_TSTRING || next == LUA_TFUNCTION || test_offered(L, index + 1);
  if (supervised) out.supervisor = check_address(L, index++);
  out.called = check_callee(L, index);
  out.arguments = check_arguments(L, index + 1);
  return out;
}

handle begin(process& self, const asked_task& what, bool linked) {
  detail::task_order order = order_of(what);
  order.linked = linked;
  return std::make_shared<held_task>(
      held_task{async_task<value>(self, detail::begin_task(self, std::move(order))), self.id(), gives_one(what)});
}

int async(lua_State* L) {
  push_task(L, begin(self_of(L), check_asked(L, 1), true));
  return 1;
}
int async_nolink(lua_State* L) {
  push_task(L, begin(self_of(L), check_asked(L, 1), false));
  return 1;
}

// -- waiting

enum class wait_kind { yield, shutdown, both, ignore };
struct wait_plan {
  wait_kind kind;
  duration limit, stop_within;
};

task<result<value>> wait_for(process& self, handle held, wait_plan plan) {
  task<std::optional<result<value>>> waiting;
  switch (plan.kind) {
    case wait_kind::yield: waiting = held->work.yield(self, plan.limit); break;
    case wait_kind::shutdown: waiting = held->work.shutdown(self, plan.stop_within); break;
    case wait_kind::both: waiting = held->work.yield_or_shutdown(self, plan.limit, plan.stop_within); break;
    case wait_kind::ignore: waiting = held->work.ignore(self); break;
  }
  const auto got = co_await std::move(waiting);
  co_return told_outcome(got, held->one);
}

int wait(lua_State* L, wait_plan plan) {
  handle held = check_task(L, 1);
  return lua_machine::of(L).await(
      L, [held = std::move(held), plan](process& self) { return wait_for(self, held, plan); }, &guarded_k<give_outcome>,
      0);
}

// Milliseconds, or "brutal_kill".
duration check_stop(lua_State* L, int index) {
  if (lua_type(L, index) == LUA_TSTRING && check_text(L, index) == "brutal_kill") return duration::zero();
  return check_duration(L, index, std::chrono::seconds(5));
}

int yield(lua_State* L) { return wait(L, {wait_kind::yield, check_duration(L, 2, default_call_time), {}}); }
int shutdown(lua_State* L) { return wait(L, {wait_kind::shutdown, {}, check_stop(L, 2)}); }
int yield_or_shutdown(lua_State* L) {
  return wait(L, {wait_kind::both, check_duration(L, 2, default_call_time), check_stop(L, 3)});
}
int ignore(lua_State* L) { return wait(L, {wait_kind::ignore, {}, {}}); }

task<result<value>> await_one(process& self, handle held, duration limit) {
  auto waiting = held->work.await(self, limit);
  auto got = co_await std::move(waiting);
  if (!got) co_return got.error();
  if (!held->one) co_return got;
  list only;
  only.push_back(std::move(*got));
  co_return value(std::move(only));
}

int await(lua_State* L) {
  handle held = check_task(L, 1);
  const duration limit = check_duration(L, 2, default_call_time);
  return lua_machine::of(L).await(
      L, [held = std::move(held), limit](process& self) { return await_one(self, held, limit); },
      &guarded_k<give_answer>, 0);
}

std::vector<handle> check_tasks(lua_State* L, int index) {
  check_type(L, index, LUA_TTABLE);
  std::vector<handle> out;
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, index));
  for (lua_Integer i = 1; i <= count; ++i) {
    lua_rawgeti(L, index, i);
    out.push_back(check_task(L, -1));
    lua_pop(L, 1);
  }
  return out;
}

duration left_until(process& self, time_point until) {
  return until == time_point::max() ? wait_forever : std::max(duration::zero(), duration(until - self.now()));
}

task<result<value>> await_all(process& self, std::vector<handle> all, duration limit) {
  const time_point until = detail::wait_deadline(self, limit);
  list out;
  for (const handle& one : all) {
    auto waiting = await_one(self, one, left_until(self, until));
    auto got = co_await std::move(waiting);
    if (!got) co_return got.error();
    out.push_back(got->items()->empty() ? value() : got->items()->front());
  }
  co_return value(std::move(out));
}
task<result<value>> yield_all(process& self, std::vector<handle> all, duration limit) {
  const time_point until = detail::wait_deadline(self, limit);
  list out;
  for (const handle& one : all) {
    auto waiting = wait_for(self, one, wait_plan{wait_kind::yield, left_until(self, until), {}});
    auto got = co_await std::move(waiting);
    if (!got) co_return got.error();
    out.push_back(got->is_nil() ? value(false) : std::move(*got));
  }
  co_return value(std::move(out));
}
int give_list(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise_error(L, answer.error());
  push_value(L, *answer);
  return 1;
}
int await_many(lua_State* L) {
  const duration limit = check_duration(L, 2, default_call_time);
  return lua_machine::of(L).await(
      L, [all = check_tasks(L, 1), limit](process& self) { return await_all(self, all, limit); }, &guarded_k<give_list>,
      0);
}
int yield_many(lua_State* L) {
  const duration limit = check_duration(L, 2, default_call_time);
  return lua_machine::of(L).await(
      L, [all = check_tasks(L, 1), limit](process& self) { return yield_all(self, all, limit); }, &guarded_k<give_list>,
      0);
}

// -- what a supervisor has

task<result<value>> start_in(process& self, asked_task what) {
  if (!what.supervisor) co_return error(errc::bad_argument, "a supervisor expected before the function");
  detail::task_order order = order_of(what);
  auto starting = detail::start_task_child(self, *what.supervisor, std::move(order), default_call_time);
  auto started = co_await std::move(starting);
  if (!started) co_return started.error();
  co_return value(*started);
}
int start_child(lua_State* L) {
  return await_value(L, [what = check_asked(L, 1)](process& self) { return start_in(self, what); });
}

task<result<value>> children_in(process& self, address supervisor) {
  auto asking = task_children(self, std::move(supervisor));
  auto got = co_await std::move(asking);
  if (!got) co_return got.error();
  list out;
  for (const pid one : *got) out.emplace_back(one);
  co_return value(std::move(out));
}
int children(lua_State* L) {
  return await_value(L, [to = check_address(L, 1)](process& self) { return children_in(self, to); });
}

task<result<value>> end_in(process& self, address supervisor, pid child) {
  auto done = co_await troupe::terminate_child(self, std::move(supervisor), child);
  if (!done) co_return done.error();
  co_return value("ok");
}
int terminate_child(lua_State* L) {
  const pid child = check_pid(L, 2);
  return await_value(L, [to = check_address(L, 1), child](process& self) { return end_in(self, to, child); });
}

}  // namespace

bool gives_one(const asked_task& what) { return what.supervisor && what.called.what.text() && !what.called.in_library; }

// Under a supervisor by the catalogue's name, or as what only Lua knows; else here, in a process of this node.
detail::task_order order_of(const asked_task& what) {
  if (gives_one(what)) {
    detail::task_order order(*what.called.what.text(), what.arguments);
    order.supervisor = what.supervisor;
    return order;
  }
  if (what.supervisor) {
    list both;
    both.push_back(what.called.what);
    both.push_back(what.arguments);
    detail::task_order order(by_name, value(std::move(both)));
    order.supervisor = what.supervisor;
    return order;
  }
  detail::pending_work work = [called = what.called.what, arguments = what.arguments](process& worker) {
    return as_message(call_by_name(worker, called, arguments));
  };
  return detail::task_order(std::move(work));
}

result<value> told_outcome(const std::optional<result<value>>& got, bool one) {
  if (!got) return value();
  if (!*got) {
    if (got->error() == errc::cancelled || got->error() == errc::not_allowed) return got->error();
    const bool ended = got->error() == errc::exited;
    return list_of({"exit", ended ? got->error().text() : got->error().message()});
  }
  list out;
  out.emplace_back("ok");
  if (!one && (*got)->items()) out.insert(out.end(), (*got)->items()->begin(), (*got)->items()->end());
  else out.push_back(**got);
  return value(std::move(out));
}

void open_tasks(lua_State* L) {
  luaL_newmetatable(L, task_type);
  set_functions(L, {{"__gc", &guarded<destroy_task>}});
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  set_table(L, "task",
            {{"async", &guarded<async>},
             {"async_nolink", &guarded<async_nolink>},
             {"await", &guarded<await>},
             {"await_many", &guarded<await_many>},
             {"yield", &guarded<yield>},
             {"yield_many", &guarded<yield_many>},
             {"shutdown", &guarded<shutdown>},
             {"yield_or_shutdown", &guarded<yield_or_shutdown>},
             {"ignore", &guarded<ignore>},
             {"start_child", &guarded<start_child>},
             {"children", &guarded<children>},
             {"terminate_child", &guarded<terminate_child>}});
  open_streams(L);
}

}  // namespace troupe::internal
