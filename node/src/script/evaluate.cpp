#include "script/evaluate.hpp"

#include "script/convert.hpp"
#include "script/inspect.hpp"

#include <algorithm>

namespace troupe::internal {
namespace {

constexpr int shown_results = 100;

// A short string ends with its line: what is missing then is no further line.
bool stops_early(const std::string& message) {
  return message.ends_with("<eof>") && message.find("unfinished string") == std::string::npos;
}

// Leaves the function, or the message, on the stack.
int load(lua_State* L, const std::string& source) {
  return luaL_loadbufferx(L, source.data(), source.size(), "=shell", "t");
}

// Moves the last values of `thread` to L.
int take_results(lua_State* L, lua_State* thread, int results) {
  luaL_checkstack(L, results + 4, "too many results");
  lua_xmove(thread, L, results);
  return lua_gettop(L) - results + 1;
}

}  // namespace

prepared prepare(lua_machine& m, const std::string& source, const list& arguments) {
  prepared out;
  auto done = protect(m.state(), [&](lua_State* L) {
    lua_State* thread = m.fresh_thread(L);
    if (load(L, "return " + source) != LUA_OK) {
      const std::string as_expression = error_text(L, -1);
      lua_settop(L, 0);
      if (load(L, source) != LUA_OK) {
        const std::string why = error_text(L, -1);
        out.incomplete = stops_early(as_expression) || stops_early(why);
        out.failure = error(errc::bad_argument, why);
        return;
      }
    }
    luaL_checkstack(L, static_cast<int>(std::min<std::size_t>(arguments.size(), 100'000)) + 4, "too many arguments");
    if (!lua_checkstack(thread, lua_gettop(L) + static_cast<int>(arguments.size()) + 4))
      luaL_error(L, "too many arguments");
    for (const value& one : arguments) push_value(L, one);
    lua_xmove(L, thread, lua_gettop(L));
    out.thread = thread;
  });
  if (!done) out.failure = done.error();
  return out;
}

result<std::string> results_text(lua_machine& m, lua_State* thread, int results) {
  std::string text;
  auto done = protect(m.state(), [&](lua_State* L) {
    const int count = std::min(results, shown_results);
    lua_pop(thread, results - count);
    const int first = take_results(L, thread, count);
    for (int i = 0; i < count; ++i) text += (i > 0 ? ", " : "") + inspect(L, first + i);
    if (count < results) text += ", …";
  });
  if (!done) return done.error();
  return text;
}

result<value> first_result(lua_machine& m, lua_State* thread, int results) {
  if (results == 0) return value();
  value out;
  auto done = protect(m.state(), [&](lua_State* L) {
    lua_pop(thread, results - 1);
    out = to_value(L, take_results(L, thread, 1));
  });
  if (!done && done.error() == errc::exception) return error(errc::bad_message, done.error().text());
  if (!done) return done.error();
  return result<value>(std::move(out));
}

result<value> all_results(lua_machine& m, lua_State* thread, int results) {
  list out;
  auto done = protect(m.state(), [&](lua_State* L) {
    const int first = take_results(L, thread, results);
    for (int i = 0; i < results; ++i) out.push_back(to_value(L, first + i));
  });
  if (!done && done.error() == errc::exception) return error(errc::bad_message, done.error().text());
  if (!done) return done.error();
  return value(std::move(out));
}

}  // namespace troupe::internal

namespace troupe::script {

task<result<value>> evaluate(process& self, std::string source, list arguments, limits budget) {
  auto made = internal::lua_machine::make(self, budget);
  if (!made) co_return made.error();
  internal::lua_machine& m = **made;
  const internal::prepared ready = internal::prepare(m, source, arguments);
  if (!ready.thread) co_return ready.failure;
  auto running = m.run(self, ready.thread, static_cast<int>(arguments.size()));
  const internal::run_outcome outcome = co_await std::move(running);
  error failure = outcome.failure;
  if (failure.code() == errc::none) {
    auto first = internal::first_result(m, ready.thread, outcome.results);
    if (first) co_return first;
    failure = first.error();
  }
  failure.set_maybe_executed(true);
  co_return failure;
}

}  // namespace troupe::script
