// rpc.*: functions of other nodes, of the catalogue there or of Lua's library. Each call runs in a process of its own,
// also on this node.
#include "script/callee.hpp"
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include <troupe/node.hpp>
#include <troupe/rpc.hpp>

#include <new>

namespace troupe::internal {
namespace {

constexpr const char* error_type = "rpc.error";
constexpr const char* pending_type = "rpc.pending";

// -- errors

int error_to_text(lua_State* L) {
  check_type(L, 1, LUA_TTABLE);
  std::string text;
  for (const char* key : {"place", "code", "text"}) {
    lua_getfield(L, 1, key);
    if (lua_type(L, -1) == LUA_TSTRING) text += (text.empty() ? "" : ": ") + check_text(L, -1);
    lua_pop(L, 1);
  }
  lua_getfield(L, 1, "maybe_executed");
  if (lua_toboolean(L, -1)) text += " (it may have run)";
  push_text(L, text);
  return 1;
}

int error_concat(lua_State* L) {
  std::string text;
  for (int i = 1; i <= 2; ++i) {
    text += luaL_tolstring(L, i, nullptr);
    lua_pop(L, 1);
  }
  push_text(L, text);
  return 1;
}

}  // namespace

void push_error(lua_State* L, const error& why) {
  luaL_checkstack(L, 4, nullptr);
  lua_createtable(L, 0, 3);
  push_text(L, why.name());
  lua_setfield(L, -2, "code");
  push_text(L, why.text());
  lua_setfield(L, -2, "text");
  lua_pushboolean(L, why.maybe_executed() ? 1 : 0);
  lua_setfield(L, -2, "maybe_executed");
  // The type is known to programs as rpc.error: what one has put there must not become a finalizer.
  luaL_getmetatable(L, error_type);
  lua_pushstring(L, "__gc");
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_setmetatable(L, -2);
}

void raise_error(lua_State* L, const error& why) {
  push_error(L, why);
  lua_error(L);
  std::abort();  // lua_error does not return
}

void raise(lua_State* L, const error& why) {
  push_error(L, why);
  luaL_where(L, 1);
  std::string place = lua_tostring(L, -1);
  lua_pop(L, 1);
  if (place.ends_with(": ")) {
    place.resize(place.size() - 2);
    push_text(L, place);
    lua_setfield(L, -2, "place");
  }
  lua_error(L);
  std::abort();  // lua_error does not return
}

namespace {

// -- one call

// All results, as a list.
task<result<value>> call_there(process& self, std::string node, callee called, value arguments, duration limit) {
  const time_point until = deadline_after(self.now(), limit);
  error unknown;
  if (const std::string* name = called.what.text()) {
    auto got = co_await rpc::call_values(self, node, *name, arguments).within(limit);
    if (got) {
      list only;
      only.push_back(std::move(*got));
      co_return value(std::move(only));
    }
    if (!called.in_library || got.error() != errc::undef) co_return got.error();
    unknown = got.error();
  }
  list asked;
  asked.push_back(std::move(called.what));
  asked.push_back(std::move(arguments));
  const duration left = limit == wait_forever ? limit : std::max(duration::zero(), duration(until - self.now()));
  auto got = co_await rpc::call_values(self, node, by_name, value(std::move(asked))).within(left);
  if (!got && got.error() == errc::undef && unknown.code() != errc::none) co_return unknown;
  co_return got;
}

// rpc.call(node, function[, arguments[, milliseconds]])
int rpc_call(lua_State* L) {
  std::string node = check_node(L, 1);
  callee called = check_callee(L, 2);
  value arguments = check_arguments(L, 3);
  const duration limit = check_duration(L, 4, default_call_time);
  return lua_machine::of(L).await(
      L,
      [node = std::move(node), called = std::move(called), arguments = std::move(arguments), limit](process& self) {
        return call_there(self, node, called, arguments, limit);
      },
      &guarded_k<give_answer>, 0);
}

// rpc.cast(node, function[, arguments])
int rpc_cast(lua_State* L) {
  std::string node = check_node(L, 1);
  callee called = check_callee(L, 2);
  value arguments = check_arguments(L, 3);
  std::string function = by_name;
  if (called.what.text() && !called.in_library) {
    function = *called.what.text();
  } else {
    list asked;
    asked.push_back(std::move(called.what));
    asked.push_back(std::move(arguments));
    arguments = value(std::move(asked));
  }
  detail::remote_request what(detail::remote_request::kind::rpc, std::move(node), std::move(function),
                              std::move(arguments));
  detail::cast_request(lua_machine::of(L).self(), what);
  lua_pushboolean(L, 1);
  return lua_machine::of(L).sent(L, 1);
}

// -- calls that are begun now and answered later

std::shared_ptr<detail::pending_call> begin_call(process& self, std::string node, const callee& called,
                                                 const value& arguments) {
  std::string name = called.text + " on " + node;
  detail::pending_work work = [node = std::move(node), called, arguments](process& worker) {
    return as_message(call_there(worker, node, called, arguments, wait_forever));
  };
  return detail::begin_pending(self, std::move(name), std::move(work));
}

constexpr std::source_location nowhere;  // Lua's lines are not C++'s

// {node =, value =} or {node =, error =} for each, in their order.
task<result<value>> call_all(process& self, std::vector<std::string> nodes, callee called, value arguments,
                             duration limit) {
  std::vector<rpc::pending<value>> calls;
  calls.reserve(nodes.size());
  for (const std::string& node : nodes) calls.emplace_back(self, begin_call(self, node, called, arguments), nowhere);
  auto gathering = rpc::gather<value>(self, std::move(calls), limit, nowhere);
  auto got = co_await std::move(gathering);
  list out;
  for (std::size_t i = 0; i < got.size(); ++i) {
    map one;
    one.emplace_back("node", nodes[i]);
    if (!got[i]) one.emplace_back("error", troupe::to_value(got[i].error()));
    else if (!got[i]->items()->empty()) one.emplace_back("value", got[i]->items()->front());
    out.emplace_back(std::move(one));
  }
  co_return value(std::move(out));
}

// rpc.multicall(nodes, function[, arguments[, milliseconds]])
int rpc_multicall(lua_State* L) {
  check_type(L, 1, LUA_TTABLE);
  std::vector<std::string> nodes;
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, 1));
  for (lua_Integer i = 1; i <= count; ++i) {
    lua_rawgeti(L, 1, i);
    nodes.push_back(check_node(L, -1));
    lua_pop(L, 1);
  }
  callee called = check_callee(L, 2);
  value arguments = check_arguments(L, 3);
  const duration limit = check_duration(L, 4, default_call_time);
  return lua_machine::of(L).await(
      L,
      [nodes = std::move(nodes), called = std::move(called), arguments = std::move(arguments), limit](process& self) {
        return call_all(self, nodes, called, arguments, limit);
      },
      &guarded_k<give_replies>, 0);
}

using pending_handle = std::shared_ptr<detail::pending_call>;

pending_handle& check_pending(lua_State* L) { return *static_cast<pending_handle*>(check_object(L, 1, pending_type)); }

// rpc.async(node, function[, arguments])
int rpc_async(lua_State* L) {
  std::string node = check_node(L, 1);
  const callee called = check_callee(L, 2);
  const value arguments = check_arguments(L, 3);
  auto* handle = static_cast<pending_handle*>(lua_newuserdatauv(L, sizeof(pending_handle), 0));
  ::new (handle) pending_handle();
  luaL_setmetatable(L, pending_type);
  *handle = begin_call(lua_machine::of(L).self(), std::move(node), called, arguments);
  return 1;
}

int destroy_pending(lua_State* L) {
  pending_handle& held = check_pending(L);
  if (held) detail::give_up(*held);
  held.~pending_handle();
  return 0;
}

enum class when_late : lua_KContext { raise, say };

// {answered, results}: nobody else takes the outcome.
task<result<value>> await_pending(process& self, pending_handle held, duration limit, when_late late) {
  auto got = co_await rpc::pending_awaiter<value>(self, *held, limit, std::source_location::current());
  const bool answered = got || got.error() != errc::timeout || detail::is_answered(*held);
  if (answered && !got) co_return got.error();
  if (!answered && late == when_late::raise) co_return got.error();
  list out;
  out.emplace_back(answered);
  out.push_back(answered ? std::move(*got) : value(list()));
  co_return value(std::move(out));
}

int continue_yield(lua_State* L, lua_KContext late) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise_error(L, answer.error());
  const list& parts = *answer->items();
  int extra = 0;
  if (static_cast<when_late>(late) == when_late::say) {
    push_value(L, parts[0]);
    extra = 1;
  }
  return extra + give_results(L, parts[1]);
}

int await_answer(lua_State* L, duration limit, when_late late) {
  pending_handle held = check_pending(L);
  return lua_machine::of(L).await(
      L, [held = std::move(held), limit, late](process& self) { return await_pending(self, held, limit, late); },
      &guarded_k<continue_yield>, static_cast<lua_KContext>(late));
}

// rpc.yield(handle[, milliseconds])
int rpc_yield(lua_State* L) { return await_answer(L, check_duration(L, 2, default_call_time), when_late::raise); }
// rpc.nb_yield(handle[, milliseconds]): true and the results, or false when they are not there yet.
int rpc_nb_yield(lua_State* L) { return await_answer(L, check_duration(L, 2, duration::zero()), when_late::say); }

}  // namespace

void open_rpc(lua_State* L) {
  luaL_newmetatable(L, pending_type);
  set_functions(L, {{"__gc", &guarded<destroy_pending>}});
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);

  set_table(L, "rpc",
            {{"call", &guarded<rpc_call>},
             {"cast", &guarded<rpc_cast>},
             {"multicall", &guarded<rpc_multicall>},
             {"async", &guarded<rpc_async>},
             {"yield", &guarded<rpc_yield>},
             {"nb_yield", &guarded<rpc_nb_yield>}});
  // Known to the library by a name, so that an error can be copied to another process.
  lua_getglobal(L, "rpc");
  luaL_newmetatable(L, error_type);
  set_functions(L, {{"__tostring", &guarded<error_to_text>}, {"__concat", &guarded<error_concat>}});
  lua_setfield(L, -2, "error");
  lua_pop(L, 1);
}

}  // namespace troupe::internal
