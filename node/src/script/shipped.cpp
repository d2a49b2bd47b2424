#include "script/shipped.hpp"

#include "script/convert.hpp"
#include "script/evaluate.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/portable.hpp"
#include "script/ship.hpp"

#include <troupe/node.hpp>

namespace troupe::internal {
namespace {

struct ready_call {
  lua_State* thread = nullptr;
  int arguments = 0;
};

// What lies on L from 1 on, a function and its arguments, to the machine's thread.
ready_call hand_over(lua_machine& m, lua_State* L) {
  check_type(L, 1, LUA_TFUNCTION);
  const int count = lua_gettop(L);
  ready_call out{m.fresh_thread(L), count - 1};
  check_argument(L, lua_checkstack(out.thread, count + 2), 1, "too many arguments");
  lua_xmove(L, out.thread, count);
  return out;
}

// The table {function, arguments…, n = how many} of an image becomes its items, on an empty stack.
void unpack_image(lua_State* L, const value& image) {
  copy_in(L, image);
  check_type(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "n");
  const lua_Integer count = check_integer(L, -1);
  lua_settop(L, 1);
  check_argument(L, count >= 1 && count <= 1'000'000, 1, "a function and its arguments expected");
  luaL_checkstack(L, static_cast<int>(count) + 2, "too many arguments");
  for (lua_Integer i = 1; i <= count; ++i) lua_rawgeti(L, 1, i);
  lua_remove(L, 1);
}

}  // namespace

task<> run_copy(process& self, value image, script::limits budget) {
  auto made = lua_machine::make(self, budget);
  if (!made) self.exit(exit_reason(made.error()));
  lua_machine& m = **made;
  ready_call ready;
  auto loaded = protect(m.state(), [&](lua_State* L) {
    unpack_image(L, image);
    ready = hand_over(m, L);
  });
  if (!loaded) self.exit(exit_reason(loaded.error()));
  image = value();
  auto running = m.run(self, ready.thread, ready.arguments);
  const run_outcome outcome = co_await std::move(running);
  if (outcome.failure.code() != errc::none) self.exit(exit_reason::exception("lua", outcome.failure.text()));
}

task<> run_shipped(process& self, value shipped) {
  auto image = unship(shipped);
  if (!image) self.exit(exit_reason(image.error()));
  shipped = value();
  auto running = run_copy(self, std::move(*image), script::limits());
  co_await std::move(running);
}

namespace {

// A function of the library, or one that travelled, with these arguments.
result<ready_call> prepare_call(lua_machine& m, const value& what, const list& arguments) {
  value image;
  if (!what.text()) {
    auto got = unship(what);
    if (!got) return got.error();
    image = std::move(*got);
  }
  ready_call out;
  bool known = true;
  auto done = protect(m.state(), [&](lua_State* L) {
    if (!what.text()) {
      unpack_image(L, image);
      lua_settop(L, 1);
    } else {
      known = push_library(L, *what.text()) && lua_isfunction(L, -1);
    }
    if (!known) return;
    luaL_checkstack(L, static_cast<int>(arguments.size()) + 2, "too many arguments");
    for (const value& one : arguments) push_value(L, one);
    out = hand_over(m, L);
  });
  if (!done) return done.error();
  if (!known) {
    return error(errc::undef, "\"" + *what.text() + "\" is neither offered by " + m.self().node().name() +
                                  " nor a function of Lua's library");
  }
  return out;
}

}  // namespace

task<result<value>> call_by_name(process& self, value what, value arguments) {
  const list* given = arguments.items();
  if (!given) co_return error(errc::bad_argument, "the arguments are a list");
  if (what.text()) {
    const catalogue_entry* offered = self.node().offers().find(*what.text());
    if (offered && offered->what == catalogue_entry::kind::function) {
      auto running = call_offered(self, *what.text(), std::move(arguments));
      auto got = co_await std::move(running);
      if (!got) co_return got.error();
      list only;
      only.push_back(std::move(*got));
      co_return value(std::move(only));
    }
  }
  auto made = lua_machine::make(self, script::limits());
  if (!made) co_return made.error();
  lua_machine& m = **made;
  auto ready = prepare_call(m, what, *given);
  if (!ready) co_return ready.error();
  auto running = m.run(self, ready->thread, ready->arguments);
  const run_outcome outcome = co_await std::move(running);
  // It has run, whatever became of it and of what it returned.
  error failure = outcome.failure;
  if (failure.code() == errc::none) {
    auto results = all_results(m, ready->thread, outcome.results);
    if (results) co_return results;
    failure = results.error();
  }
  failure.set_maybe_executed(true);
  co_return failure;
}

}  // namespace troupe::internal
