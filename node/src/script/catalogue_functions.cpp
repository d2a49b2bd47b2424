// app.functions, and what the catalogue offers as globals: exercise.calculator.push(5).
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include "dist/serving.hpp"

#include <troupe/node.hpp>

#include <new>

namespace troupe::internal {

namespace {

constexpr const char* offered_type = "catalogue";

const troupe::catalogue& offers_of(lua_State* L) { return lua_machine::of(L).self().node().offers(); }

bool is_offered(lua_State* L, const std::string& name) {
  return offers_of(L).find(name) || !offers_of(L).entries(name + ".").empty();
}

std::string signature(const catalogue_entry& entry) {
  std::string text = entry.name + "(";
  for (std::size_t i = 0; i < entry.arguments.size(); ++i) text += (i > 0 ? ", " : "") + entry.arguments[i];
  return text + ") -> " + entry.returns;
}

}  // namespace

// The fourth place that catches: what the author of a function throws must not take the shell's variables with it.
task<result<value>> call_offered(process& self, std::string name, value arguments) {
  const catalogue_entry* entry = self.node().offers().find(name);
  if (!entry) co_return error(errc::undef, "no function \"" + name + "\" on " + self.node().name());
  const bool traced = detail::calls_traced(self);
  if (traced) detail::trace_call(self, name, arguments.items() ? *arguments.items() : list());
  const std::size_t given = argument_count(arguments);
  error failure;
  try {
    auto running = entry->run(self, std::move(arguments));
    auto done = co_await std::move(running);
    if (traced) detail::trace_return(self, name, done ? *done : map_of({{"error", troupe::to_value(done.error())}}));
    if (!done) co_return about_arguments(*entry, given, std::move(done.error()));
    co_return done;
  } catch (const detail::exit_by_error& e) {
    failure = e.cause;
  } catch (const std::exception& e) {
    failure = error(errc::exception, e.what());
  }
  co_return failure;
}

void push_offered(lua_State* L, std::string_view name) {
  auto* at = static_cast<std::string*>(lua_newuserdatauv(L, sizeof(std::string), 0));
  ::new (at) std::string();
  luaL_setmetatable(L, offered_type);
  at->assign(name);
}

const std::string* test_offered(lua_State* L, int index) {
  return static_cast<std::string*>(luaL_testudata(L, index, offered_type));
}

namespace {

const std::string& check_offered(lua_State* L) { return *static_cast<std::string*>(check_object(L, 1, offered_type)); }

int offered_field(lua_State* L) {
  const std::string name = check_offered(L) + "." + check_text(L, 2);
  if (is_offered(L, name)) push_offered(L, name);
  else lua_pushnil(L);
  return 1;
}

int global_field(lua_State* L) {
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  const std::string name = check_text(L, 2);
  if (name.empty() || !is_offered(L, name)) return 0;
  push_offered(L, name);
  return 1;
}

int offered_call(lua_State* L) {
  const std::string name = check_offered(L);
  if (!offers_of(L).find(name)) raise(L, error(errc::undef, "\"" + name + "\" is a module, not a function"));
  list arguments;
  for (int i = 2; i <= lua_gettop(L); ++i) arguments.push_back(to_value(L, i));
  return await_value(
      L, [name, given = value(std::move(arguments))](process& self) { return call_offered(self, name, given); });
}

int offered_text(lua_State* L) {
  const std::string& name = check_offered(L);
  const catalogue_entry* entry = offers_of(L).find(name);
  push_text(L, entry ? signature(*entry) : name + ".*");
  return 1;
}

int offered_equal(lua_State* L) {
  const std::string* a = test_offered(L, 1);
  const std::string* b = test_offered(L, 2);
  lua_pushboolean(L, a && b && *a == *b ? 1 : 0);
  return 1;
}

int offered_destroy(lua_State* L) {
  static_cast<std::string*>(check_object(L, 1, offered_type))->~basic_string();
  return 0;
}

// -- app

int functions(lua_State* L) {
  const std::string prefix = lua_isnoneornil(L, 1) ? "" : check_text(L, 1);
  list all;
  for (const catalogue_entry* entry : offers_of(L).entries(prefix)) all.emplace_back(signature(*entry));
  push_value(L, value(std::move(all)));
  return 1;
}

}  // namespace

void open_catalogue(lua_State* L) {
  luaL_newmetatable(L, offered_type);
  set_functions(L, {{"__index", &guarded<offered_field>},
                    {"__call", &guarded<offered_call>},
                    {"__tostring", &guarded<offered_text>},
                    {"__eq", &guarded<offered_equal>},
                    {"__gc", &guarded<offered_destroy>}});
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);

  lua_pushglobaltable(L);
  lua_newtable(L);
  set_functions(L, {{"__index", &guarded<global_field>}});
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);

  set_table(L, "app", {{"functions", &guarded<functions>}});
  set_globals(L, {{"functions", &guarded<functions>}});
}

}  // namespace troupe::internal
