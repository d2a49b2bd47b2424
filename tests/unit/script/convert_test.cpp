#include "shell.hpp"

#include <climits>
#include <cmath>

namespace troupe::test {
namespace {

struct Conversions : testing::Test {
  std::unique_ptr<troupe::node> node = detail::make_bare_node({});
  ~Conversions() override { EXPECT_TRUE(node->stop(default_deadline)); }

  result<value> eval(std::string source, list arguments = {}) {
    return evaluate(*node, std::move(source), std::move(arguments));
  }
  void same(const value& given) {
    auto back = eval("return ...", list{given});
    ASSERT_TRUE(back) << given.print() << ": " << back.error().message();
    EXPECT_EQ(*back, given) << given.print() << " came back as " << back->print();
  }
  std::string fails(std::string source) {
    auto got = eval(std::move(source));
    return got ? "no error: " + got->print() : got.error().text();
  }
};

bytes raw(std::initializer_list<int> all) {
  bytes out;
  for (int one : all) out.push_back(static_cast<std::byte>(one));
  return out;
}

TEST_F(Conversions, EveryTypeComesBackAsItWas) {
  same(value());
  same(true);
  same(false);
  same(0);
  same(INT64_MIN);
  same(INT64_MAX);
  same(1.0);
  same(-0.5);
  same(std::numeric_limits<double>::infinity());
  same("");
  same("grüße \x01");
  same(std::string("a\0b", 3));
  same(raw({}));
  same(raw({0, 255, 1}));
  same(list{});
  same(list{1, "two", 3.5, list{false}});
  same(list{1, nullptr, 3});
  same(list{nullptr});
  same(map_of({{"name", "x"}, {"size", 3}}));
  same(value(map()));
  same(value(map{{1, "a"}, {2, "b"}}));
  same(value(map{{7, "a"}}));
  same(list{"push", value(map())});
  same(value(extension{42, raw({1, 2})}));
  const node_life* life = *intern_life("other@host", 7);
  same(pid(life, 12));
  same(ref(life, 13));
}

TEST_F(Conversions, WhatLuaHasNoTypeFor) {
  EXPECT_EQ(*eval("return ...", list{std::uint64_t{1} << 63}), value(9223372036854775808.0));
  EXPECT_EQ(*eval("return math.type((...))", list{1.0}), value("float"));
  EXPECT_EQ(*eval("return '\\xff\\xfe'"), value(raw({255, 254})));
  EXPECT_EQ(*eval("return {[1] = 'a', [3] = 'c'}"), value(map{{1, "a"}, {3, "c"}}));
  EXPECT_EQ(*eval("return {'x', name = 1}"), value(map{{1, "x"}, {"name", 1}}));
  EXPECT_EQ(*eval("return {1, null, 3}"), value(list{1, nullptr, 3}));
  EXPECT_EQ(*eval("return {}"), value(list()));
  EXPECT_EQ(*eval("return map{}"), value(map()));
}

TEST_F(Conversions, PidsAndRefsAreEqualAndCanBeKeys) {
  const node_life* life = *intern_life("other@host", 7);
  EXPECT_EQ(
      *eval("local a, b = ...; local t = {[a] = 'found'}; return {a == b, t[b], tostring(a), a == pid(tostring(a))}",
            list{pid(life, 12), pid(life, 12)}),
      value(list{true, "found", "<other@host#7.12>", true}));
  EXPECT_EQ(*eval("local a, b = ...; return a == b", list{ref(life, 1), ref(life, 2)}), value(false));
  EXPECT_TRUE(has(fails("return pid('nonsense')"), "bad_argument"));
  EXPECT_TRUE(has(fails("return ref('<a@b#1.1>')"), "bad_argument"));
}

TEST_F(Conversions, Bytes) {
  EXPECT_EQ(*eval("local b = ...; return {#b, b:string() == '\\0\\xff', b == bytes('\\0\\xff'), tostring(b)}",
                  list{raw({0, 255})}),
            value(list{2, true, true, "bytes(\"\\x00\\xff\")"}));
}

TEST_F(Conversions, HostileTablesAreRefusedWithTheirPlace) {
  EXPECT_TRUE(has(fails("local t = {}; t.again = t; return t"), "again: the table contains itself"));
  EXPECT_TRUE(has(fails("local t = {}; for i = 1, 100 do t = {t} end; return t"), "nested deeper than"));
  EXPECT_TRUE(has(fails("local t = {}; for i = 1, 50 do t = {t, t} end; return t"), "items in one value"));
  EXPECT_TRUE(has(fails("local s = ('x'):rep(2^20); local t = {}; for i = 1, 64 do t[i] = s end; return t"),
                  "MiB in one value"));
  EXPECT_TRUE(has(fails("return {1, {name = print}}"), "[2].name: a function cannot be part of a message"));
  EXPECT_TRUE(has(fails("return coroutine.create(print)"), "a thread cannot be part of a message"));
  EXPECT_TRUE(has(fails("return any"), "patterns"));
  value deep = 1;
  for (int i = 0; i < 60; ++i) deep = list{deep};
  EXPECT_TRUE(eval("return type((...))", list{deep}));
}

TEST_F(Conversions, ErrorsOfTheSourceAndOfTheRun) {
  EXPECT_EQ(eval("return +").error().code(), errc::bad_argument);
  EXPECT_EQ(eval("error('no')").error().code(), errc::exception);
  EXPECT_TRUE(has(fails("error('no')"), "shell:1: no"));
  EXPECT_TRUE(has(fails("error({code = 5})"), "{code = 5}"));
  EXPECT_TRUE(has(fails("error()"), "nil"));
  EXPECT_EQ(*eval("3 + 4"), value(7));
  EXPECT_EQ(*eval("local a = 1"), value());
}

TEST_F(Conversions, MemoryAndTimeAreLimited) {
  script::limits small;
  small.memory = std::size_t{4} << 20;
  auto full = evaluate(*node, "local t = {} for i = 1, math.huge do t[i] = {} end", {}, small);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), errc::too_large);
  EXPECT_TRUE(has(full.error().text(), "4 MiB"));
  EXPECT_EQ(evaluate(*node, "return ('x'):rep(1e9)", {}, small).error().code(), errc::too_large);
  small.memory = 1000;
  EXPECT_EQ(evaluate(*node, "return 1", {}, small).error().code(), errc::too_large);

  script::limits brief;
  brief.time = std::chrono::milliseconds(50);
  for (const char* source : {"while true do end", "receive()", "sleep(math.huge)",
                             "while true do pcall(function() while true do end end) end"}) {
    auto late = evaluate(*node, source, {}, brief);
    ASSERT_FALSE(late) << source;
    EXPECT_EQ(late.error().code(), errc::timeout) << source;
  }
}

}  // namespace
}  // namespace troupe::test
