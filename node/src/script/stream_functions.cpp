// task.async_stream: a task for each of many items, a bounded number of them at a time, as a `for` loop takes them.
//
// A variable of the session can outlive the process that made the stream, and Lua collects it when it likes: nothing
// here may touch that process, only its node.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/task_order.hpp"

#include "otp/task_messages.hpp"
#include "runtime/core.hpp"

#include <new>

#include <troupe/node.hpp>
#include <troupe/task_stream.hpp>

namespace troupe::internal {
namespace {

constexpr const char* stream_type = "task.stream";

using stream_of_values = detail::stream_state<value>;

struct held_stream {
  held_stream(process& self, std::size_t items, stream_of_values::begin_item begin, const task_stream_options& how,
              bool one_given)
      : state(std::make_shared<stream_of_values>(self, items, std::move(begin), how)),
        node(&self.node()),
        owner(self.id()),
        one(one_given) {}
  held_stream(const held_stream&) = delete;
  // Ends what runs, as a C++ stream does, but without its owner.
  ~held_stream() {
    for (auto& running : state->under_way()) {
      detail::envelope* order = detail::make_envelope<task_end>(detail::signal::message);
      order->from = owner;  // a keeper takes it from nobody else
      node->core().deliver(detail::worker_of(*running.call), order);
      detail::abandon(*running.call);
    }
    state->under_way().clear();
  }

  std::shared_ptr<stream_of_values> state;
  troupe::node* node;
  pid owner;
  bool one;
};
using handle = std::shared_ptr<held_stream>;

handle& check_stream(lua_State* L, int index) { return *static_cast<handle*>(check_object(L, index, stream_type)); }

int destroy_stream(lua_State* L) {
  check_stream(L, 1).~handle();
  return 0;
}

// {max_concurrency =, ordered =, timeout =, on_timeout =}, as in Elixir.
task_stream_options check_options(lua_State* L, int index) {
  task_stream_options out;
  if (lua_isnoneornil(L, index)) return out;
  check_type(L, index, LUA_TTABLE);
  const value given = to_value(L, index);
  const map* entries = given.entries();
  if (!entries && given.items() && given.items()->empty()) return out;
  auto refuse = [L](const std::string& what) { raise_error(L, error(errc::bad_argument, what)); };
  if (!entries) refuse("options: max_concurrency, ordered, timeout, on_timeout expected");
  for (const auto& [key, item] : *entries) {
    if (key == value("max_concurrency")) {
      if (!item.integer() || *item.integer() < 1) refuse("max_concurrency: a whole number from 1 expected");
      out.max_concurrency = static_cast<std::size_t>(*item.integer());
    } else if (key == value("ordered")) {
      if (!item.boolean()) refuse("ordered: true or false expected");
      out.ordered = *item.boolean();
    } else if (key == value("timeout")) {
      lua_getfield(L, index, "timeout");
      out.limit = check_duration(L, lua_gettop(L), default_call_time);
      lua_pop(L, 1);
    } else if (key == value("on_timeout")) {
      using late = task_stream_options::on_timeout;
      if (item == value("exit")) out.late = late::end_stream;
      else if (item == value("kill_task")) out.late = late::kill_task;
      else refuse("on_timeout: \"exit\" or \"kill_task\" expected");
    } else {
      refuse("options: max_concurrency, ordered, timeout or on_timeout expected, " + key.print(2, 80) + " given");
    }
  }
  return out;
}

task<result<value>> next_outcome(process& self, handle held) {
  if (self.id() != held->owner)
    co_return error(errc::not_allowed,
                    "this stream belongs to " + held->owner.text() + ": " + self.id().text() + " may not wait for it");
  held->state->fill();
  auto& running = held->state->under_way();
  if (running.empty()) co_return value();
  const error late = detail::late_task(*running.front().call, held->state->options().limit);
  auto waiting = detail::next_of<value>(self, held->state);
  auto got = co_await std::move(waiting);
  using on_timeout = task_stream_options::on_timeout;
  const bool over = held->state->options().late == on_timeout::end_stream && running.empty() && got && !*got &&
                    got->error() == errc::timeout && got->error().text() == late.text();
  if (over) co_return got->error();
  co_return told_outcome(got, held->one);
}

int next(lua_State* L) {
  handle held = check_stream(L, lua_upvalueindex(1));
  return lua_machine::of(L).await(
      L, [held = std::move(held)](process& self) { return next_outcome(self, held); }, &guarded_k<give_outcome>, 0);
}

// ([supervisor,] items, function[, options]): a supervisor stands before the items.
int begin(lua_State* L, bool linked) {
  asked_task what;
  int at = 1;
  if (lua_istable(L, 2)) what.supervisor = check_address(L, at++);
  check_type(L, at, LUA_TTABLE);
  const value items = to_value(L, at);
  if (!items.items()) raise_error(L, error(errc::bad_argument, "a list of items expected"));
  what.called = check_callee(L, at + 1);
  task_stream_options how = check_options(L, at + 2);
  how.linked = linked;
  const std::size_t count = items.items()->size();
  const bool one = gives_one(what);
  auto begin_item = [what = std::move(what), items](process& owner, std::size_t number, bool with_link) {
    asked_task each = what;
    list only;
    only.push_back((*items.items())[number]);
    each.arguments = value(std::move(only));
    detail::task_order order = order_of(each);
    order.linked = with_link;
    return detail::begin_task(owner, std::move(order));
  };
  auto made = std::make_shared<held_stream>(lua_machine::of(L).self(), count, std::move(begin_item), how, one);
  auto* stored = static_cast<handle*>(lua_newuserdatauv(L, sizeof(handle), 0));
  ::new (stored) handle(std::move(made));
  luaL_setmetatable(L, stream_type);
  lua_pushcclosure(L, &guarded<next>, 1);
  return 1;
}

int async_stream(lua_State* L) { return begin(L, true); }
int async_stream_nolink(lua_State* L) { return begin(L, false); }

}  // namespace

void open_streams(lua_State* L) {
  luaL_newmetatable(L, stream_type);
  set_functions(L, {{"__gc", &guarded<destroy_stream>}});
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
  lua_getglobal(L, "task");
  set_functions(L, {{"async_stream", &guarded<async_stream>}, {"async_stream_nolink", &guarded<async_stream_nolink>}});
  lua_pop(L, 1);
}

}  // namespace troupe::internal
