// receive, flush, sleep.
//
// A receive that looks for something takes messages out of the mailbox one by one, in order, and keeps those that do
// not fit in the machine's own queue, where every later receive looks first. So a function that decides is ordinary Lua
// code: it is preempted, it may fail, and the message that it looked at is still there.
#include "script/convert.hpp"
#include "script/inspect.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/request.hpp"

#include <troupe/io.hpp>

namespace troupe::internal {
namespace {

// Stack of a receive under way: what to look for, then the state below as a userdata.
constexpr int matcher_index = 1;
constexpr int state_index = 2;

struct receive_state {
  time_point deadline;
  std::uint64_t looked_at = 0;  // number of the last kept message that was looked at
};

// Is everything in the pattern at `want` also in the value at `have`?
bool matches(lua_State* L, int want, int have, int depth = 0) {
  if (is_any(L, want)) return true;
  if (!lua_istable(L, want)) return lua_compare(L, want, have, LUA_OPEQ) != 0;
  if (!lua_istable(L, have) || depth > 60) return false;
  luaL_checkstack(L, 4, "a pattern is nested too deep");
  want = lua_absindex(L, want);
  have = lua_absindex(L, have);
  lua_pushnil(L);
  while (lua_next(L, want)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, have);
    const bool fits = matches(L, -2, -1, depth + 1);
    lua_pop(L, 2);
    if (!fits) {
      lua_pop(L, 1);
      return false;
    }
  }
  return true;
}

task<result<value>> next_message(process& self, lua_machine* m, time_point deadline) {
  for (;;) {
    const duration left =
        deadline == time_point::max() ? wait_forever : std::max(duration::zero(), duration(deadline - self.now()));
    auto got = co_await self.receive(left);
    if (!got) co_return got.error();
    // Who prints to this process asks whether its lines have been read; those before this have.
    if (got->is_call() && got->tag() == io_sync::troupe_tag()) {
      self.reply(*got, value());
      continue;
    }
    m->keep(std::move(*got));
    co_return value();
  }
}

int continue_receive(lua_State* L, lua_KContext came_from);
enum : lua_KContext { from_function, from_wait };

// What came from another node is decoded at the first look: what cannot be is an error, as for C++, never nil.
result<value> content_of(const message& one) {
  const detail::envelope* e = one.peek();
  if (e->type != &detail::wire_type) return one.to_value();
  wire_source source(static_cast<const detail::wire_payload*>(e->payload())->content, detail::wire_content_limits);
  value out;
  if (!source.read_value(out)) return error(errc::bad_argument, "a message's content: " + source.failure().text());
  return result<value>(std::move(out));
}

int take(lua_State* L, std::uint64_t number) {
  message one = lua_machine::of(L).take(number);
  if (!one) return 0;  // a receive inside of the function took it
  const auto content = content_of(one);
  if (!content) raise(L, content.error());
  push_value(L, *content);
  if (!one.is_call()) return 1;
  push_request(L, std::move(one));
  return 2;
}

// Looks at what is kept, then waits for more.
int search(lua_State* L) {
  lua_machine& m = lua_machine::of(L);
  auto& state = *static_cast<receive_state*>(lua_touserdata(L, state_index));
  const auto& kept = m.kept();
  for (auto at = kept.upper_bound(state.looked_at); at != kept.end(); at = kept.upper_bound(state.looked_at)) {
    state.looked_at = at->first;
    if (lua_isnil(L, matcher_index)) return take(L, at->first);
    const auto content = content_of(at->second);
    if (!content) continue;  // it fits nothing
    if (lua_isfunction(L, matcher_index)) {
      lua_pushvalue(L, matcher_index);
      push_value(L, *content);
      lua_callk(L, 1, 1, from_function, &guarded_k<continue_receive>);
      const bool fits = lua_toboolean(L, -1) != 0;
      lua_settop(L, state_index);
      if (fits && kept.contains(state.looked_at)) return take(L, state.looked_at);
      continue;
    }
    push_value(L, *content);
    const bool fits = matches(L, matcher_index, -1);
    lua_settop(L, state_index);
    if (fits) return take(L, state.looked_at);
  }
  const time_point deadline = state.deadline;
  return m.await(
      L, [&m, deadline](process& self) { return next_message(self, &m, deadline); }, &guarded_k<continue_receive>,
      from_wait);
}

int continue_receive(lua_State* L, lua_KContext came_from) {
  lua_machine& m = lua_machine::of(L);
  auto& state = *static_cast<receive_state*>(lua_touserdata(L, state_index));
  if (came_from == from_wait) {
    auto waited = m.take_answer();
    if (!waited && waited.error() != errc::timeout) raise(L, waited.error());
    if (!waited) {
      lua_pushnil(L);
      lua_pushstring(L, "timeout");
      return 2;
    }
  } else {
    const bool fits = lua_toboolean(L, -1) != 0;
    lua_settop(L, state_index);
    if (fits && m.kept().contains(state.looked_at)) return take(L, state.looked_at);
  }
  return search(L);
}

// receive([what[, milliseconds]]) or receive(milliseconds)
int receive(lua_State* L) {
  lua_settop(L, 2);
  if (lua_type(L, 1) == LUA_TNUMBER && lua_isnil(L, 2)) {
    lua_insert(L, 1);  // nothing to look for, and the time
  }
  if (!lua_isnil(L, 1) && !lua_isfunction(L, 1) && !lua_istable(L, 1) && lua_type(L, 1) != LUA_TSTRING &&
      !test_pid(L, 1) && !test_ref(L, 1)) {
    bad_type(L, 1, "function or pattern");
  }
  process& me = lua_machine::of(L).self();
  const duration limit = check_duration(L, 2, wait_forever);
  lua_settop(L, 1);
  auto* state = static_cast<receive_state*>(lua_newuserdatauv(L, sizeof(receive_state), 0));
  *state = receive_state{deadline_after(me.now(), limit), 0};
  return search(L);
}

// -- flush: prints what waits, oldest first

int flush_more(lua_State* L);
int flushed_one(lua_State* L, lua_KContext) { return flush_more(L); }

int flush_waited(lua_State* L, lua_KContext) {
  auto waited = lua_machine::of(L).take_answer();
  if (waited) return flush_more(L);
  if (waited.error() != errc::timeout) raise(L, waited.error());
  lua_pushstring(L, "ok");
  return 1;
}

int flush_more(lua_State* L) {
  lua_machine& m = lua_machine::of(L);
  const pid device = output_device(m.self());
  while (!m.kept().empty()) {
    lua_settop(L, 0);
    const auto content = content_of(m.take(m.kept().begin()->first));
    if (content) push_value(L, *content);
    std::string line = (content ? inspect(L, -1) : content.error().message()) + "\n";
    if (!put_out(L, device, line)) return await_out(L, device, std::move(line), &guarded_k<flushed_one>);
  }
  const time_point now = m.self().now();
  return m.await(L, [&m, now](process& self) { return next_message(self, &m, now); }, &guarded_k<flush_waited>, 0);
}

int flush(lua_State* L) { return flush_more(L); }

task<result<value>> sleep_for(process& self, duration time) {
  co_await self.sleep(time);
  co_return value("ok");
}

int sleep(lua_State* L) {
  check_any(L, 1);
  check_argument(L, !lua_isnil(L, 1), 1, "a time in milliseconds expected");
  const duration time = check_duration(L, 1, wait_forever);
  return await_value(L, [time](process& self) { return sleep_for(self, time); });
}

}  // namespace

void open_receive(lua_State* L) {
  set_globals(L, {{"receive", &guarded<receive>}, {"flush", &guarded<flush>}, {"sleep", &guarded<sleep>}});
}

}  // namespace troupe::internal
