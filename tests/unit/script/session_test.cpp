#include "shell.hpp"

#include <algorithm>

namespace troupe::test {
namespace {

using script::lua_result;

TEST(Session, ResultsCanBeTypedBack) {
  shell s;
  EXPECT_EQ(s.eval("1 + 1"), "2");
  EXPECT_EQ(s.eval("1, 2.5, nil, 'a\"b\\n'"), R"(1, 2.5, nil, "a\"b\n")");
  EXPECT_EQ(s.eval("x = 5"), "");
  EXPECT_EQ(s.eval("x"), "5");
  EXPECT_EQ(s.eval("{1, {}, name = 'n', [7] = true, ['a b'] = 0/0 ~= 0/0, ['end'] = map{}}"),
            R"({1, {}, [7] = true, ["a b"] = true, ["end"] = map{}, name = "n"})");
  EXPECT_EQ(s.eval("t = {}; t.t = t; return t"), "{t = …}");
  const std::string me = s.eval("self()");
  EXPECT_TRUE(starts(me, "pid(\"<shell@localhost#1f.")) << me;
  EXPECT_EQ(s.eval(me + " == self()"), "true");
  const std::string made = s.eval("r = make_ref() return r");
  EXPECT_EQ(s.eval(made + " == r"), "true") << made;
  EXPECT_EQ(s.eval("bytes('\\0a')"), "bytes(\"\\x00\\x61\")");
  EXPECT_EQ(s.eval("null"), "null");
  EXPECT_EQ(s.eval("math.huge"), "math.huge");
  EXPECT_TRUE(starts(s.eval("print"), "function: "));
}

TEST(Session, ErrorsNameThePlaceAndLeaveTheSessionAsItWas) {
  shell s;
  s.eval("x = 1");
  EXPECT_TRUE(has(s.eval("nothing.here"), "attempt to index a nil value (global 'nothing')"));
  EXPECT_TRUE(has(s.eval("error({1, 2})"), "{1, 2}"));
  EXPECT_TRUE(has(s.eval("setmetatable({}, {__gc = print})"), "__gc"));
  EXPECT_TRUE(has(s.eval("coroutine.yield(1)"), "outside a coroutine"));
  EXPECT_TRUE(has(s.eval("load('\\27Lua')"), "binary"));
  EXPECT_EQ(s.eval("{io == nil, os.execute == nil, os.exit == nil, require == nil, dofile == nil, debug == nil, "
                   "string.dump == nil}"),
            "{true, true, true, true, true, true, true}");
  EXPECT_EQ(s.eval("x"), "1");
}

TEST(Session, IncompleteInputAsksForMore) {
  shell s;
  for (const char* source : {"function f()", "x = ", "for i = 1, 3 do", "f(1,", "'a' ..", "[[long"}) {
    const lua_result got = s.run(source);
    EXPECT_TRUE(got.incomplete) << source << ": " << got.error;
    EXPECT_FALSE(got.ok);
  }
  for (const char* source : {"x = )", "end", "1 = 2", "'open"}) {
    const lua_result got = s.run(source);
    EXPECT_FALSE(got.incomplete) << source;
    EXPECT_FALSE(got.ok);
    EXPECT_TRUE(starts(got.error, "shell:1:")) << got.error;
  }
  EXPECT_EQ(s.eval("function f()\n  return 7\nend"), "");
  EXPECT_EQ(s.eval("f()"), "7");
}

TEST(Session, LinesRunInOrderAndOneAtATime) {
  shell s;
  s.start("sleep(20) x = 1");
  s.start("x = x + 1");
  s.start("x");
  EXPECT_TRUE(s.finish().ok);
  EXPECT_TRUE(s.finish().ok);
  EXPECT_EQ(s.finish().text, "2");
}

TEST(Session, CtrlCEndsALoopAWaitAndACall) {
  catalogue offers;
  offers.process("silent", [](process& self) -> task<> { co_await self.receive<script::lua_eval>(wait_forever); });
  offers.function("wait", [](process& self) -> task<value> {
    co_await self.sleep(std::chrono::hours(1));
    co_return value("done");
  });
  shell s(std::move(offers));
  s.eval("server = spawn('silent') call = {}");
  EXPECT_EQ(s.eval("x = 1"), "");
  for (const char* source :
       {"print('on') while true do end", "print('on') while true do pcall(function() while true do end end) end",
        "print('on') receive()", "print('on') receive(function() return false end)", "print('on') sleep(math.huge)",
        "print('on') wait()", "print('on') table.sort({1, 2, 3}, function() while true do end end)",
        "print('on') coroutine.wrap(function() while true do end end)()"}) {
    s.take_output();
    s.start(source);
    ASSERT_TRUE(s.printed("on")) << source;
    const auto begin = std::chrono::steady_clock::now();
    s.interrupt();
    const lua_result got = s.finish();
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_FALSE(got.ok) << source;
    EXPECT_TRUE(has(got.error, "interrupted")) << source << ": " << got.error;
    EXPECT_LT(took, std::chrono::seconds(5)) << source;  // 100 ms on a machine that has nothing else to do
  }
  EXPECT_EQ(s.eval("x"), "1");
}

// What runs with hooks off, or in C, in Lua's own library.
TEST(Session, CtrlCEndsWhatNoHookOfLuasWouldSee) {
  for (const char* source :
       {// what runs with hooks off, or in C, in Lua's own library
        "print('on') xpcall(error, function() while true do end end)",
        "print('on') xpcall(error, function() while true do pcall(function() while true do end end) end end)",
        "print('on') table.sort({1, 2}, function() xpcall(error, function() while true do end end) end)",
        "print('on') while true do pcall(string.find, ('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28) .. 'b') end",
        "print('on') while true do pcall(string.find, ('a'):rep(30000), ('.-'):rep(20) .. 'b') end",
        "print('on'); ('x'):rep(1000):gsub('x', function() while true do end end)",
        "print('on') for _ = 1, 2 do local x <close> = setmetatable({}, {__close = function() while true do end end}) "
        "end",
        "print('on') local c = coroutine.create(function() local x <close> = setmetatable({}, {__close = function() "
        "while true do end end}) coroutine.yield() end) coroutine.resume(c) while true do coroutine.close(c) end",
        "print('on') rpc.error.__gc = function() while true do end end while true do pcall(rpc.call, "
        "'shell@localhost', "
        "'nothing') collectgarbage() end",
        "print('on') local a = ('x'):rep(2e7) while true do local b = a .. 'y' end",
        "print('on') local t = {} for i = 1, 1e5 do t[i] = i end while true do table.insert(t, 1, 0) table.remove(t, "
        "1) end",
        "print('on') local a, t = ('x'):rep(1e6), {} for i = 1, 1e4 do t[i] = a end while true do table.sort(t) end",
        "print('on') local t = {} for i = 1, 1e5 do t[i] = i end while true do table.sort(t, math.ult) end",
        "print('on') while true do collectgarbage() end",
        "print('on') coroutine.wrap(function() pcall(receive) end)()"}) {
    shell s;
    s.start(source);
    ASSERT_TRUE(s.printed("on")) << source;
    const auto begin = std::chrono::steady_clock::now();
    s.interrupt();
    const lua_result got = s.finish();
    const auto took = std::chrono::steady_clock::now() - begin;
    // Where nothing can yield, on one worker, its own limit may come first.
    EXPECT_TRUE(has(got.error, "interrupted") || has(got.error, "cannot be interrupted"))
        << source << ": " << got.error;
    EXPECT_LT(took, std::chrono::seconds(20)) << source;
  }
}

TEST(Session, WhatCannotBeInterruptedHasAnEndOfItsOwn) {
  shell s;
  EXPECT_TRUE(has(s.eval("('a'):rep(28):find(('a?'):rep(28) .. ('a'):rep(28) .. 'b')"), "backtracks"));
  EXPECT_TRUE(has(s.eval("('a'):rep(3000):gsub('.-.-.-.-b', '')"), "backtracks"));
  EXPECT_TRUE(has(s.eval("for _ in ('a'):rep(3000):gmatch('.-.-.-.-b') do end"), "backtracks"));
  EXPECT_EQ(s.eval("#('ab '):rep(1e6):gsub('%w+', 'x')"), "2000000");  // linear, and long
  EXPECT_TRUE(has(s.eval("table.sort({1, 2}, function() xpcall(error, function() while true do end end) end)"),
                  "cannot be interrupted"));
}

TEST(Session, AMessageHandlerRunsAsACall) {
  shell s;
  EXPECT_EQ(s.eval("xpcall(function(a, b) return a + b, 3 end, print, 1, 2)"), "true, 3, 3");
  EXPECT_EQ(s.eval("xpcall(error, function(e) return e .. '!', 2 end, 'x')"), "false, \"x!\"");
  EXPECT_EQ(s.eval("xpcall(error, function(e) error(e .. '?', 0) end, 'x')"), "false, \"x?\"");
  EXPECT_EQ(s.eval("xpcall(error, function(e) sleep(1) return e end, 'x')"), "false, \"x\"");
  EXPECT_EQ(s.eval("xpcall(sleep, print, 1)"), "true, \"ok\"");
  EXPECT_EQ(s.eval("select('#', xpcall(print, print))"), "1");
  EXPECT_TRUE(has(s.eval("xpcall(print)"), "function expected"));
  EXPECT_EQ(s.eval("local t = {3, 1, 2} table.sort(t) return t"), "{1, 2, 3}");
  EXPECT_EQ(s.eval("local t = {'b', 'a'} table.sort(t) return t"), "{\"a\", \"b\"}");
  EXPECT_EQ(s.eval("local t = {3, 1, 2} table.sort(t, math.ult) return t"), "{1, 2, 3}");
  EXPECT_TRUE(has(s.eval("table.sort({1, 'a'})"), "attempt to compare"));
  EXPECT_EQ(s.eval("local c = coroutine.create(function() coroutine.yield() end) coroutine.resume(c) return "
                   "coroutine.close(c), coroutine.status(c)"),
            "true, \"dead\"");
  EXPECT_TRUE(
      has(s.eval("coroutine.wrap(function() coroutine.close(coroutine.running()) end)()"), "running coroutine"));
}

TEST(Session, ALateCtrlCDoesNotHitTheNextLine) {
  shell s;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(s.eval("1"), "1");
    s.interrupt();
  }
  EXPECT_EQ(s.eval("sleep(1)"), "\"ok\"");
}

TEST(Session, EndlessRecursionAndFullMemoryEndAlone) {
  shell s;
  s.eval("x = 1");
  // A small frame meets the memory limit before Lua's own on the depth, a larger one does not.
  EXPECT_TRUE(has(s.eval("function f() return 1 + f() end f()"), "64 MiB"));
  EXPECT_TRUE(
      has(s.eval("function g(a, b, c, d, e, f, h) return 1 + g(a, b, c, d, e, f, h) end g()"), "stack overflow"));
  EXPECT_TRUE(
      has(s.eval("local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return t.x"),
          "overflow"));
  EXPECT_TRUE(has(s.eval("string.gsub('x', 'x', function() return g() end)"), "overflow"));
  EXPECT_TRUE(has(s.eval("local t = {} while true do t = {t, ('x'):rep(1000) .. #t} end"), "64 MiB"));
  EXPECT_TRUE(has(s.eval("('x'):rep(1e9)"), "64 MiB"));
  EXPECT_TRUE(has(s.eval("table.move({}, 1, math.maxinteger - 1, 2)"), "too many"));
  EXPECT_EQ(s.eval("('').rep('', 1e15)"), "\"\"");
  EXPECT_EQ(s.eval("x"), "1");
}

TEST(Session, ALoopLeavesOthersTheirTurn) {
  shell s;  // one worker
  s.start("while true do end");
  auto other = s.node->make_handle().or_exit();
  for (int i = 0; i < 20; ++i) {
    auto got = other->run(default_deadline, [](process& self) -> task<int> {
      co_await self.yield();
      co_return 5;
    });
    ASSERT_TRUE(got);
  }
  s.interrupt();
  EXPECT_EQ(s.finish().error, "interrupted");
}

TEST(Session, EndsWithItsTerminalAndLeavesWhatItSpawned) {
  shell s;
  auto second = s.node->make_handle().or_exit();
  const pid session = s.open(second->id());
  second->send(session, script::lua_eval(1, "register('left', spawn(function() receive() end)); while true do end"));
  ASSERT_TRUE(wait_until([&] { return s.node->whereis("left").has_value(); }));
  second.reset();
  EXPECT_TRUE(wait_until([&] { return !s.node->exists(session); }));
  EXPECT_TRUE(s.node->whereis("left").has_value());
  EXPECT_EQ(s.eval("exit(whereis('left'), 'kill')"), "true");
}

TEST(Session, OutlivesItsEvaluatingProcess) {
  shell s;
  s.eval("x = 1");
  const std::string before = s.eval("self()");
  EXPECT_TRUE(has(s.eval("exit('oops')"), "oops"));
  EXPECT_EQ(s.eval("exit(self(), 'kill') later = true"), "error: the evaluating process ended: \"killed\"");
  EXPECT_EQ(s.eval("exit(self(), 'oops') later = true"), "error: the evaluating process ended: \"oops\"");
  EXPECT_EQ(s.eval("exit(self(), 'normal') later = true"), "error: the evaluating process ended: \"normal\"");
  EXPECT_EQ(s.eval("table.sort({1, 2}, function() pcall(exit, self(), 'oops') later = true end)"),
            "error: the evaluating process ended: \"oops\"");
  EXPECT_EQ(s.eval("('x'):gsub('x', function() exit('early') end) later = true"),
            "error: the evaluating process ended: \"early\"");
  EXPECT_EQ(s.eval("pcall(exit, self(), {'shutdown', 1}) later = true"),
            "error: the evaluating process ended: {\"shutdown\", 1}");
  EXPECT_EQ(s.eval("later"), "nil");
  EXPECT_EQ(s.eval("trap_exit(true) exit(self(), 'seen') return receive{'EXIT', self()}[3]"), "\"seen\"");
  EXPECT_TRUE(has(s.eval("trap_exit(true) exit(self(), 'kill') later = true"), "killed"));
  EXPECT_EQ(s.eval("later"), "nil");
  EXPECT_TRUE(has(s.eval("spawn_link(function() exit('linked') end) receive()"), "linked"));
  EXPECT_EQ(s.eval("x"), "1");
  EXPECT_NE(s.eval("self()"), before);
}

TEST(Session, Completion) {
  catalogue offers;
  offers.function("exercise.calculator.push", [](int number) { return number; });
  offers.function("exercise.calculator.pop", [](int number) { return number; });
  shell s(std::move(offers));
  auto holds = [&](const std::string& line, const std::string& item) {
    const auto items = s.complete(line);
    return std::ranges::find(items, item) != items.end();
  };
  s.eval("apple = {core = {seed = 1}} register('a.server', self())");
  EXPECT_TRUE(holds("app", "apple"));
  EXPECT_TRUE(holds("x = apple.co", "apple.core"));
  EXPECT_TRUE(holds("print(apple.core.", "apple.core.seed"));
  EXPECT_TRUE(holds("string.fo", "string.format"));
  EXPECT_TRUE(holds("exer", "exercise"));
  EXPECT_EQ(s.complete("exercise.calculator.p"),
            (std::vector<std::string>{"exercise.calculator.pop", "exercise.calculator.push"}));
  EXPECT_TRUE(holds("dbg.p(\"a.", "a.server"));
  EXPECT_TRUE(holds("rpc.call('she", "shell@localhost"));
  EXPECT_TRUE(s.complete("nothing.at.all").empty());
  EXPECT_TRUE(s.complete("12").empty());
  EXPECT_FALSE(s.complete("").empty());
}

}  // namespace
}  // namespace troupe::test
