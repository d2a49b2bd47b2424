#include "shell.hpp"

namespace troupe::test {
namespace {

TEST(Spawn, CopiesWhatAFunctionCaptures) {
  shell s;
  EXPECT_EQ(s.eval("caller = self() number = 4 spawn(function() send(caller, {'response', 10 * number}) end) return "
                   "receive{'response'}"),
            R"({"response", 40})");
  // Captured variables are copies: the spawner's stay as they are.
  EXPECT_EQ(s.eval("local n = 1 local me = self() spawn(function() n = n + 1 send(me, n) end) return receive(), n"),
            "2, 1");
  EXPECT_EQ(s.eval("x = 1 spawn(function() x = x + 1 send(caller, x) end) return receive(), x"), "2, 1");
  // Nested functions, a function that names itself, globals that name globals.
  EXPECT_EQ(s.eval("local function fact(n) return n < 2 and 1 or n * fact(n - 1) end "
                   "spawn(function(n) send(caller, fact(n)) end, 5) return receive()"),
            "120");
  s.eval("function double(x) return twice(x) end function twice(x) return 2 * x end");
  EXPECT_EQ(s.eval("spawn(function() send(caller, double(21)) end) return receive()"), "42");
  // Two closures that share a variable still share it.
  EXPECT_EQ(s.eval("local n = 0 local function up() n = n + 1 end local function get() return n end "
                   "spawn(function() up() up() send(caller, get()) end) return receive(), n"),
            "2, 0");
  // Tables with cycles and metatables, functions of the library, pids.
  EXPECT_EQ(s.eval("local t = setmetatable({name = 't'}, {__index = function(_, k) return k .. '!' end}) t.me = t "
                   "local f = string.upper spawn(function() send(caller, {t.me.me.name, t.other, f('a'), caller == "
                   "t.x}) end) return receive()"),
            R"({"t", "other!", "A", false})");
  EXPECT_EQ(
      s.eval("local b, m = bytes('\\xff'), map{} spawn(function() send(caller, {b, m, null}) end) return receive()"),
      R"({bytes("\xff"), map{}, null})");
  EXPECT_EQ(s.eval("Class = {} Class.__index = Class function Class:hi() return 'hi ' .. self.n end "
                   "spawn(function(o) send(caller, o:hi()) end, setmetatable({n = 5}, Class)) return receive()"),
            "\"hi 5\"");
}

TEST(Spawn, RefusesWhatCannotBeCopied) {
  shell s;
  EXPECT_TRUE(has(s.eval("local co = coroutine.create(print) spawn(function() return co end)"),
                  "a coroutine cannot be copied"));
  EXPECT_TRUE(has(s.eval("local f = coroutine.wrap(print) spawn(function() return f() end)"),
                  "without a name cannot be copied"));
  EXPECT_TRUE(has(s.eval("spawn(coroutine.wrap(print))"), "without a name"));
  EXPECT_TRUE(starts(s.eval("spawn('other@localhost', function() end)"), "pid(\"<shell@localhost"));
  EXPECT_TRUE(has(s.eval("spawn(5)"), "function expected"));
  // A global that only might be meant is left out instead.
  EXPECT_EQ(s.eval("wrapped = coroutine.wrap(print) me = self() spawn(function() send(me, tostring(wrapped)) end) "
                   "return receive()"),
            "\"nil\"");
}

TEST(Spawn, ProcessesAreOnTheirOwn) {
  shell s;
  EXPECT_EQ(s.eval("spawn(node(), function(a, b) print(a, b, node()) end, 1, nil) return 1"), "1");
  EXPECT_TRUE(s.printed("1\tnil\tshell@localhost\n"));
  EXPECT_EQ(
      s.eval("p, r = spawn_monitor(function() while true do end end) exit(p, 'kill') return receive{'DOWN', r}[5]"),
      "\"killed\"");
  EXPECT_EQ(
      s.eval("p, r = spawn_monitor(function() local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end end) "
             "return receive{'DOWN', r}[5][2].text"),
      "\"the memory limit of 64 MiB is reached\"");
  EXPECT_EQ(s.eval("p, r = spawn_monitor(function() local function f() return 1 + f() end f() end) return "
                   "receive{'DOWN', r}[5][1]"),
            "\"exception\"");
  EXPECT_EQ(s.eval("me = self() for i = 1, 50 do spawn(function() sleep(i % 3) send(me, {'done', i}) end) end "
                   "local sum = 0 for i = 1, 50 do sum = sum + receive{'done'}[2] end return sum"),
            "1275");
}

}  // namespace
}  // namespace troupe::test
