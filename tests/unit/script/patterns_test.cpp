// The matcher of patterns against Lua's own, which is let run here, in a state of the test's.
#include "script/machine.hpp"
#include "shell.hpp"

#include <array>
#include <cstdlib>
#include <random>

namespace troupe::test {
namespace {

using internal::lua_machine;
using random_engine = std::mt19937_64;

std::string shown(lua_State* L, int index) {
  std::size_t size = 0;
  const char* text = luaL_tolstring(L, index, &size);
  std::string out = std::string(luaL_typename(L, index)) + " " + std::string(text, size);
  lua_pop(L, 1);
  return out;
}

struct question {
  std::string function;  // of the table string; gmatch is asked for all that it gives
  std::string subject, pattern;
  std::string replacement;
  int replaces = LUA_TSTRING;  // gsub: string, table or function
  bool counted = false;        // with a third argument (gsub: fourth)
  lua_Integer number = 0;
};

void push_replacement(lua_State* L, const question& asked) {
  if (asked.replaces == LUA_TSTRING) {
    lua_pushlstring(L, asked.replacement.data(), asked.replacement.size());
  } else if (asked.replaces == LUA_TTABLE) {
    lua_newtable(L);
    lua_pushstring(L, "X");
    lua_setfield(L, -2, "a");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "b");
    lua_newtable(L);
    lua_setfield(L, -2, "c");
  } else {
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "upper");
    lua_remove(L, -2);
  }
}

// All that it returns, or its error.
std::string answer(lua_State* L, const question& asked) {
  lua_settop(L, 0);
  lua_getglobal(L, "string");
  lua_getfield(L, 1, asked.function.c_str());
  lua_remove(L, 1);
  lua_pushlstring(L, asked.subject.data(), asked.subject.size());
  lua_pushlstring(L, asked.pattern.data(), asked.pattern.size());
  if (asked.function == "gsub") push_replacement(L, asked);
  if (asked.counted) lua_pushinteger(L, asked.number);
  std::string out;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  if (status == LUA_OK && asked.function == "gmatch") {
    for (int i = 0; i < 40; ++i) {
      lua_settop(L, 1);
      lua_pushvalue(L, 1);
      status = lua_pcall(L, 0, LUA_MULTRET, 0);
      if (status != LUA_OK || lua_gettop(L) == 1) break;
      for (int k = 2; k <= lua_gettop(L); ++k) out += shown(L, k) + "|";
      out += "\n";
    }
    if (status == LUA_OK) return out;
  }
  out += status == LUA_OK ? "" : "error ";
  for (int k = status == LUA_OK ? 1 : lua_gettop(L); k <= lua_gettop(L); ++k) out += shown(L, k) + "|";
  return out;
}

std::string pick(random_engine& random, std::initializer_list<std::string_view> of) {
  return std::string(std::data(of)[random() % of.size()]);
}

std::string random_pattern(random_engine& random) {
  std::string out = random() % 8 == 0 ? "^" : "";
  const std::size_t items = random() % 7;
  for (std::size_t i = 0; i < items; ++i) {
    out += pick(random, {"a",
                         "b",
                         "c",
                         ".",
                         "%a",
                         "%d",
                         "%s",
                         "%W",
                         "%.",
                         "[ab]",
                         "[^a]",
                         "[a-c]",
                         "[%d_]",
                         "[]]",
                         "[^]a]",
                         "[a-]",
                         "(",
                         ")",
                         "()",
                         "(a)",
                         "(.)",
                         "%1",
                         "%2",
                         "%b()",
                         "%bab",
                         "%f[%a]",
                         "%f[^a]",
                         "$",
                         "%%",
                         "-",
                         "*",
                         "]",
                         "%z",
                         "%x",
                         "%l",
                         "%U",
                         "%p",
                         "%g",
                         "%c",
                         "[%]]",
                         "[%a-z]",
                         "[a-%%]",
                         "(a*(.)%w(%s*))"});
    out += pick(random, {"", "", "", "*", "+", "-", "?"});
  }
  if (random() % 8 == 0) out += "$";
  if (random() % 6 == 0)
    out += pick(random, {"%", "[", "[a", "[^", "%b", "%ba", "%f", "(", ")", "[%", "[a-", "%0", "%9"});
  if (random() % 10 == 0) out.insert(random() % (out.size() + 1), 1, static_cast<char>(random()));
  return out;
}

std::string random_subject(random_engine& random) {
  std::string out;
  const std::size_t size = random() % 13;
  for (std::size_t i = 0; i < size; ++i)
    out += pick(random, {"a", "a", "b", "c", "(", ")", " ", "1", "_", "%", "A", "-"});
  if (random() % 10 == 0) out += static_cast<char>(random());
  if (random() % 10 == 0) out += '\0';
  return out;
}

question random_question(random_engine& random) {
  question out;
  out.function = pick(random, {"find", "match", "gmatch", "gsub"});
  out.subject = random_subject(random);
  out.pattern = random_pattern(random);
  out.replacement = pick(random, {"", "x", "%0", "<%1>", "%2", "%%", "a%", "%1%0", "%x", "%9"});
  out.replaces = std::array{LUA_TSTRING, LUA_TSTRING, LUA_TTABLE, LUA_TFUNCTION}[random() % 4];
  out.counted = random() % 4 == 0;
  out.number = static_cast<lua_Integer>(random() % 30) - 15;
  return out;
}

TEST(Patterns, AreLuasOwn) {
  shell s;
  lua_State* stock = luaL_newstate();
  luaL_openlibs(stock);
  const char* given = std::getenv("TROUPE_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  SCOPED_TRACE("TROUPE_SEED=" + std::to_string(seed));
  random_engine random(seed);
  auto done = s.terminal->run(default_deadline, [&](process& self) -> task<int> {
    auto machine = lua_machine::make(self, script::limits());
    lua_State* ours = (*machine)->state();
    for (int i = 0; i < 100'000; ++i) {
      const question asked = random_question(random);
      const std::string expected = answer(stock, asked);
      EXPECT_EQ(answer(ours, asked), expected)
          << asked.function << " of \"" << asked.subject << "\", pattern \"" << asked.pattern << "\"";
      if (testing::Test::HasFailure()) break;
    }
    co_return 0;
  });
  EXPECT_TRUE(done);
  lua_close(stock);
}

}  // namespace
}  // namespace troupe::test
