#include "shell.hpp"

#include <array>
#include <set>
#include <sstream>

#include <troupe/call.hpp>

namespace troupe::test {
namespace {

struct Push {
  double number = 0;
  TROUPE_MESSAGE(Push, "push", number)
};
struct Read {
  TROUPE_MESSAGE(Read, "read")
};

// Answers Push and Read; anything else ends it.
task<> counter(process& self) {
  self.register_name("counter").or_exit();
  double total = 0;
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* push = got->get<Push>()) {
      total += push->number;
      self.reply(*got, value(total));
    } else if (got->get<Read>()) {
      self.reply(*got, value(total));
    } else if (got->tag() == "sys.get_state") {
      self.reply(*got, map_of({{"total", total}}));
    } else {
      self.exit(exit_reason("function_clause"));
    }
  }
}

catalogue offers() {
  catalogue all;
  all.function("exercise.calculator.push", [](process& self, double number) -> task<result<value>> {
    auto answered = co_await call<value>(self, "counter", Push(number));
    co_return answered;
  });
  all.function("exercise.fail", []() -> result<int> { return error(errc::not_found, "no such key"); });
  all.function("exercise.throw", []() -> int { throw std::runtime_error("thrown"); });
  all.function("exercise.must", [](process& self) -> task<value> {
    auto answered = co_await call<value>(self, "nobody.here", Read()).or_exit();
    co_return answered;
  });
  all.process("exercise.counter", &counter);
  return all;
}

struct Functions : testing::Test {
  shell s{offers()};
  std::string eval(const std::string& source) { return s.eval(source); }
  void start_counter() {
    eval("spawn('exercise.counter')");
    ASSERT_TRUE(wait_until([&] { return s.node->whereis("counter").has_value(); }));
  }
};

TEST_F(Functions, NamesAndPids) {
  EXPECT_EQ(eval("node()"), "\"shell@localhost\"");
  EXPECT_EQ(eval("node(self())"), "\"shell@localhost\"");
  EXPECT_EQ(eval("register('shell', self())"), "true");
  EXPECT_EQ(eval("whereis('shell') == self()"), "true");
  EXPECT_TRUE(has(eval("registered()"), "\"shell\""));
  EXPECT_TRUE(has(eval("register('shell', group_leader())"), "name_taken"));
  EXPECT_TRUE(has(eval("register('other', self())"), "already_named"));
  EXPECT_TRUE(has(eval("register('', self())"), "bad_name"));
  EXPECT_EQ(eval("unregister('shell')"), "true");
  EXPECT_TRUE(has(eval("unregister('shell')"), "noproc"));
  EXPECT_EQ(eval("whereis('shell')"), "nil");
  EXPECT_EQ(eval("is_alive(self()), process_alive(group_leader())"), "true, true");
  EXPECT_EQ(eval("p = spawn(function() end) monitor(p) receive{'DOWN'} return is_alive(p)"), "false");
  EXPECT_TRUE(has(eval("is_alive(pid('<a@b#1.1>'))"), "bad_argument"));
  EXPECT_EQ(eval("local n = 0 for _, p in ipairs(processes()) do if p == self() then n = n + 1 end end return n"), "1");
  EXPECT_EQ(eval("nodes()"), "{}");
  EXPECT_EQ(eval("process_info(self()).pid == self()"), "true");
  EXPECT_EQ(eval("process_info(p)"), "nil");
  EXPECT_EQ(eval("i = process_info(self(), {'queue', 'trap_exits'}) return i.queue, i.trap_exits, i.entry"),
            "0, false, nil");
  EXPECT_EQ(eval("send(self(), 'one') return process_info(self(), 'messages'), flush()"), "{\"one\"}, \"ok\"");
  EXPECT_TRUE(has(eval("process_info(self(), 'height')"), "bad_argument"));
  EXPECT_TRUE(has(eval("process_info(self(), 5)"), "a list of keys expected"));
  EXPECT_EQ(eval("process_info('nobody')"), "nil");
  EXPECT_EQ(eval("group_leader() == " + value(s.terminal->id().text()).print().insert(0, "pid(") + ")"), "true");
}

// The list is of what is there: no more, and no less.
TEST_F(Functions, HelpKnowsEveryFunction) {
  eval("help()");
  const std::string listed = s.take_output();
  std::set<std::string> told;
  for (std::size_t at = 0; at < listed.size(); at = listed.find('\n', at) + 1) {
    if (listed.compare(at, 2, "  ") == 0) told.insert(listed.substr(at + 2, listed.find_first_of("({", at) - at - 2));
  }
  EXPECT_GT(told.size(), 50u);
  for (const std::string& name : told) {
    EXPECT_TRUE(has(eval("type(" + name + ")"), "function")) << name << ": " << eval("type(" + name + ")");
  }
  const std::string ours = eval(
      "local out = {} "
      "local lua = {} for w in ('assert collectgarbage error getmetatable ipairs load next pairs pcall rawequal rawget "
      "rawlen rawset select setmetatable tonumber tostring type warn xpcall help any null'):gmatch('%S+') do lua[w] = "
      "1 "
      "end for k, v in pairs(_G) do "
      "if type(v) == 'function' and not lua[k] then out[#out + 1] = k end "
      "if type(v) == 'table' and v ~= _G and not ({string = 1, table = 1, math = 1, utf8 = 1, os = 1, coroutine = "
      "1})[k] "
      "then for f, g in pairs(v) do if type(g) == 'function' then out[#out + 1] = k .. '.' .. f end end end end "
      "return table.concat(out, ' ')");
  std::istringstream names(ours.substr(1, ours.size() - 2));
  std::size_t count = 0;
  for (std::string name; names >> name; ++count) EXPECT_TRUE(told.contains(name)) << name << " is not told of";
  EXPECT_GT(count, 50u) << ours;
  EXPECT_EQ(eval("help(whereis)"), "");
  EXPECT_TRUE(has(s.take_output(), "  whereis(name)"));
  eval("help(timer)");
  EXPECT_TRUE(has(s.take_output(), "timer.cancel(number)\n"));
  eval("help('dbg')");
  EXPECT_TRUE(has(s.take_output(), "dbg.tracer("));
  eval("help('nonsense')");
  EXPECT_TRUE(has(s.take_output(), "\"nonsense\" is not of this library"));
}

TEST_F(Functions, SendReceiveFlush) {
  EXPECT_EQ(eval("send(self(), {'hi', 1})"), R"({"hi", 1})");
  EXPECT_EQ(eval("receive()"), R"({"hi", 1})");
  EXPECT_EQ(eval("receive(1)"), "nil, \"timeout\"");
  EXPECT_EQ(eval("receive({'hi'}, 1)"), "nil, \"timeout\"");
  EXPECT_EQ(eval("for i = 1, 4 do send(self(), {'n', i}) end return receive{'n', 3}"), R"({"n", 3})");
  EXPECT_EQ(eval("receive(function(m) return m[2] > 1 end)"), R"({"n", 2})");
  EXPECT_EQ(eval("receive{any, 4}"), R"({"n", 4})");
  EXPECT_TRUE(has(eval("receive(function(m) return m.x.y end)"), "attempt to index"));
  EXPECT_EQ(eval("receive()"), R"({"n", 1})");
  EXPECT_EQ(eval("send(self(), 'plain') return receive('plain')"), "\"plain\"");
  EXPECT_EQ(eval("send(self(), 'sup?') send(self(), {1}) return flush()"), "\"ok\"");
  EXPECT_EQ(s.take_output(), "\"sup?\"\n{1}\n");
  EXPECT_EQ(eval("flush()"), "\"ok\"");
  EXPECT_TRUE(has(eval("send('nobody', 1)"), "noproc"));
  EXPECT_EQ(eval("send({'nobody', node()}, 1)"), "error: shell:1: noproc: nothing is registered as \"nobody\"");
  EXPECT_EQ(eval("register('me', self()) send({name = 'me', node = node()}, 'x') return receive()"), "\"x\"");
  EXPECT_EQ(eval("send(p or spawn(function() end), 'x')"), "\"x\"");
  EXPECT_TRUE(has(eval("send(self(), print)"), "function cannot"));
  EXPECT_TRUE(has(eval("send({}, 1)"), "name and a node"));
  EXPECT_TRUE(has(eval("receive(true)"), "function or pattern"));
}

TEST_F(Functions, WaitsInsideCoroutinesAndNotInsideC) {
  EXPECT_EQ(eval("send(self(), 'a') local f = coroutine.wrap(function(x) local m = receive() local y = "
                 "coroutine.yield(m .. x) return y .. m end) "
                 "local first = f('1') return first, f('2')"),
            R"("a1", "2a")");
  EXPECT_EQ(eval("local co = coroutine.create(function() sleep(1) error('no') end) return coroutine.resume(co)"),
            "false, \"shell:1: no\"");
  EXPECT_EQ(eval("local co = coroutine.create(function() sleep(1) end) coroutine.resume(co) return "
                 "coroutine.status(co), coroutine.resume(co)"),
            R"("dead", false, "cannot resume dead coroutine")");
  EXPECT_EQ(eval("pcall(function() sleep(1) error('x', 0) end)"), "false, \"x\"");
  EXPECT_TRUE(has(eval("table.sort({2, 1}, function(a, b) sleep(1) return a < b end)"), "cannot wait here"));
  EXPECT_TRUE(has(eval("table.sort({2, 1}, function(a, b) coroutine.wrap(function() sleep(1) end)() return a < b end)"),
                  "cannot wait here"));
  EXPECT_TRUE(has(eval("table.sort({2, 1}, function(a, b) exit() end)"), "ended: \"normal\""));
}

TEST_F(Functions, PrintGoesToALeader) {
  EXPECT_EQ(eval("print('a', 1, {x = 2}, nil)"), "");
  EXPECT_EQ(eval("device = group_leader() print(device, {'b'}) print(device)"), "");
  EXPECT_TRUE(starts(s.take_output(), "a\t1\t{x = 2}\tnil\n{\"b\"}\n<shell@localhost#1f."));
  EXPECT_EQ(eval("print(self(), 'to me') return receive()"), R"({"io.put", {text = "to me\n"}})");
}

TEST_F(Functions, LinksMonitorsAndExits) {
  EXPECT_EQ(eval("ref = monitor('nobody') m = receive{'DOWN', ref} return m[3], m[4], m[5], m[2] == ref"),
            R"("process", {"nobody", "shell@localhost"}, "noproc", true)");
  EXPECT_EQ(eval("p, ref = spawn_monitor(function() exit({'shutdown', 1}) end) m = receive{'DOWN', ref} return m[4] == "
                 "p, m[5]"),
            R"(true, {"shutdown", 1})");
  EXPECT_EQ(eval("p, ref = spawn_monitor(function() error('boom', 0) end) m = receive{'DOWN', ref} return m[5][1], "
                 "m[5][2].type, m[5][2].text"),
            R"("exception", "lua", "boom")");
  EXPECT_EQ(eval("p = spawn(function() receive() end) r = monitor(p) return demonitor(r), exit(p, 'kill'), "
                 "receive({'DOWN'}, 20)"),
            "true, true, nil, \"timeout\"");
  EXPECT_EQ(eval("trap_exit(true)"), "false");
  EXPECT_EQ(eval("p = spawn_link(function() exit('gone') end) m = receive{'EXIT'} return m[2] == p, m[3]"),
            R"(true, "gone")");
  EXPECT_EQ(eval("p = spawn(function() receive() end) link(p) exit(p, 'kill') return receive{'EXIT', p}[3]"),
            "\"killed\"");
  EXPECT_EQ(eval("p = spawn(function() receive() end) link(p) unlink(p) exit(p, 'kill') return receive({'EXIT'}, 20)"),
            "nil, \"timeout\"");
  EXPECT_EQ(eval("trap_exit(false)"), "true");
}

TEST_F(Functions, Timers) {
  EXPECT_EQ(eval("t = timer.send_interval(1, 'tick') receive('tick') receive('tick') return timer.cancel(t)"), "true");
  EXPECT_EQ(eval("timer.cancel(t)"), "false");
  EXPECT_EQ(eval("timer.send_after(1, self(), {'late'}) return receive{'late'}"), "{\"late\"}");
  EXPECT_TRUE(has(eval("timer.send_interval(0, 'x')"), "out of range"));
  EXPECT_TRUE(has(eval("timer.send_after(-1, 'x')"), "milliseconds"));
  EXPECT_EQ(eval("sleep(0), timer.sleep(1)"), R"("ok", "ok")");
}

TEST_F(Functions, AServerOfLua) {
  eval(
      "function counter(total) while true do local m, from = receive{'add'} total = total + m[2] "
      "if from then server.reply(from, total) end end end");
  eval("p = spawn(counter, 0)");
  EXPECT_EQ(eval("server.call(p, {'add', 5}), server.call(p, {'add', 2})"), "5, 7");
  EXPECT_EQ(eval("server.cast(p, {'add', 3}) return server.call(p, {'add', 0})"), "10");
  // Later, once, and by whoever looks for it first.
  eval(
      "me = self() q = spawn(function() local m, from = receive(function(m) return m == 'slow' end) send(me, 'asked') "
      "receive('go') send(me, {server.reply(from, {1}), server.reply(from, 2), tostring(from)}) end)");
  eval("t = task.async(function(to) return server.call(to, 'slow') end, {q})");
  EXPECT_EQ(eval("receive('asked', 30000) send(q, 'go') return task.await(t, 30000)"), "{1}");
  EXPECT_EQ(eval("receive(30000)"), "{true, false, \"from (answered)\"}");
  // Who is forgotten, or whose server ends, is told.
  EXPECT_TRUE(
      has(eval("server.call(spawn(function() receive() collectgarbage() receive() end), 'x', 30000)"), "cancelled"));
  EXPECT_TRUE(
      has(eval("server.call(spawn(function() local m, from = receive() error('broken') end), 'x', 30000)"), "broken"));
  EXPECT_TRUE(has(eval("server.reply(5, 1)"), "from expected"));
}

TEST_F(Functions, CallsAndTheCatalogue) {
  start_counter();
  EXPECT_EQ(eval("server.call('counter', {'push', {number = 5}})"), "5.0");
  EXPECT_EQ(eval("server.call('counter', {'read', {}}, 1000)"), "5.0");
  EXPECT_EQ(eval("exercise.calculator.push(2.5)"), "7.5");
  EXPECT_EQ(eval("server.cast('counter', {'push', {number = 1}}) return sys.get_state('counter').total"), "8.5");
  EXPECT_EQ(eval("rpc.call(node(), 'exercise.calculator.push', {1})"), "9.5");
  EXPECT_EQ(eval("rpc.call(node(), 'math.abs', {-1})"), "1");
  EXPECT_TRUE(has(eval("rpc.call(node(), 'no.such', {})"), "undef"));
  EXPECT_TRUE(has(eval("exercise.calculator.push('x')"), "bad_argument"));
  EXPECT_TRUE(
      has(eval("exercise.calculator.push()"), "exercise.calculator.push(number): 1 argument(s) expected, 0 given"));
  EXPECT_TRUE(has(eval("exercise.fail()"), "not_found: no such key"));
  EXPECT_TRUE(has(eval("exercise.throw()"), "exception: thrown"));
  EXPECT_TRUE(has(eval("exercise.must()"), "noproc"));
  EXPECT_TRUE(has(eval("exercise.calculator()"), "module"));
  EXPECT_TRUE(has(eval("exercise.nothing()"), "nil value (field 'nothing')"));
  EXPECT_EQ(eval("ok, e = pcall(exercise.fail) return ok, tostring(e)"), "false, \"not_found: no such key\"");
  EXPECT_EQ(eval("tostring(exercise.calculator.push)"), "\"exercise.calculator.push(number) -> any\"");
  EXPECT_TRUE(has(eval("app.functions('exercise.calculator')"), "{\"exercise.calculator.push(number) -> any\"}"));
  EXPECT_TRUE(has(eval("functions()"), "exercise.counter"));
  EXPECT_TRUE(has(eval("server.call('nobody', 1)"), "noproc"));
  EXPECT_TRUE(has(eval("supervisor.which_children('nobody')"), "noproc"));
  EXPECT_TRUE(has(eval("server.call(spawn(function() sleep(math.huge) end), 1, 10)"), "timeout"));
  EXPECT_TRUE(has(eval("spawn('no.such')"), "undef"));
  EXPECT_TRUE(has(eval("server.call('counter', {'unknown'})"), "function_clause"));
}

TEST_F(Functions, CrashShow) {
  start_counter();
  EXPECT_EQ(eval("Crash = {}"), "");
  EXPECT_EQ(eval("function Crash.show()\n"
                 "  local ref = monitor('counter')\n"
                 "  local msg = receive(function(m) return m[1] == 'DOWN' and m[2] == ref end)\n"
                 "  if msg[5] == 'noproc' then return 'ok' end\n"
                 "  print(msg[5])\n"
                 "  return Crash.show()\n"
                 "end"),
            "");
  s.start("Crash.show()");
  auto here = s.node->make_handle().or_exit();
  here->send("counter", value("unknown"));
  EXPECT_EQ(s.finish().text, "\"ok\"");
  EXPECT_EQ(s.take_output(), "function_clause\n");
}

TEST_F(Functions, WhatAReceiveHasLeftStillWaits) {
  eval("p = spawn(function() receive{'never'} end)");
  const std::string before = eval("process_info(p, 'memory')");
  EXPECT_GT(std::stoll(before), 20'000) << "the Lua state itself";
  eval("for i = 1, 100 do send(p, {'other', ('x'):rep(100000)}) end");
  EXPECT_EQ(eval("sleep(1) while process_info(p, 'memory') < 10000000 do sleep(1) end return process_info(p, 'queue')"),
            "100");
  EXPECT_LT(std::stoll(eval("process_info(p, 'memory')")) - std::stoll(before), 10'300'000);
  eval("exit(p, 'kill')");
  // And its own, taken again.
  EXPECT_EQ(eval("for i = 1, 10 do send(self(), {i, ('x'):rep(100000)}) end receive({'none'}, 0) return "
                 "process_info(self(), 'queue')"),
            "10");
  eval("with = process_info(self(), 'memory')");
  EXPECT_EQ(eval("for i = 1, 10 do assert(receive()[1] == i) end return process_info(self(), 'queue')"), "0");
  EXPECT_EQ(eval("collectgarbage() sleep(1) return process_info(self(), 'memory') < with - 900000"), "true");
}

TEST_F(Functions, WhatAReceiveHasLeftIsShownAndBounded) {
  eval("p = spawn(function() mailbox_limit(5) receive{'never'} end)");
  eval("for i = 1, 3 do send(p, {'other', i}) end sleep(1) while process_info(p, 'queue') < 3 do sleep(1) end");
  EXPECT_EQ(eval("process_info(p, 'messages')"), "{{\"other\", 1}, {\"other\", 2}, {\"other\", 3}}");
  eval("for i = 4, 9 do send(p, {'other', i}) end");
  EXPECT_EQ(eval("process_info(p, 'queue')"), "5");
  EXPECT_EQ(s.node->core().counters().mailbox_refused.load(), 4u);
  EXPECT_EQ(eval("process_info(p, 'messages')[5]"), "{\"other\", 5}");
  // The same in bytes, for what a receive has left and for what it has not seen.
  eval("q = spawn(function() mailbox_limit(0, 100000) receive{'never'} end)");
  eval(
      "for i = 1, 2 do send(q, {'other', ('x'):rep(40000)}) end sleep(1) "
      "while process_info(q, 'queue') < 2 do sleep(1) end");
  eval("for i = 1, 5 do send(q, {'other', ('x'):rep(40000)}) end");
  EXPECT_EQ(eval("process_info(q, 'queue')"), "3");
  EXPECT_EQ(s.node->core().counters().mailbox_refused.load(), 8u);
  EXPECT_TRUE(has(eval("mailbox_limit(-1)"), "bad_argument"));
}

TEST_F(Functions, ManyProcessesAreListedInSlices) {
  std::vector<pid> made;
  for (int i = 0; i < 3000; ++i)
    made.push_back(
        spawn(*s.node, [](process& self) -> task<> { auto got = co_await self.receive(wait_forever); }).or_exit());
  EXPECT_EQ(eval("all = processes() local seen = {} for _, p in ipairs(all) do seen[p] = true end "
                 "return #all >= 3000, seen[self()]"),
            "true, true");
  EXPECT_EQ(eval("local n table.sort({1, 2}, function() n = #processes() return false end) return n >= 3000"), "true");
  for (const pid one : made) s.node->exit(one, exit_reason::kill());
}

TEST_F(Functions, TablesAsKeysOfMapsStayTables) {
  eval("send(self(), {'m', {[{1, 2}] = 'list', [map{}] = 'map', [{}] = 'empty', [bytes('a')] = 'b'}})");
  eval("m = receive()[2] kinds = {} for k, v in pairs(m) do kinds[v] = inspect(k) end");
  EXPECT_EQ(eval("kinds.b .. kinds.empty .. kinds.list .. kinds.map"), R"x("bytes(\"\\x61\"){}{1, 2}map{}")x");
  EXPECT_EQ(
      eval("send(self(), m) n = 0 for k, v in pairs(receive()) do n = n + (kinds[v] == inspect(k) and 1 or 0) end "
           "return n"),
      "4");
  EXPECT_TRUE(has(eval("send(self(), {[{1}] = 1, [{1}] = 2})"), "two keys of a map are the same: {1}"));
}

TEST_F(Functions, AMalformedMessageIsAnErrorAndNeverNil) {
  eval("register('listener', self())");
  const pid to = *s.node->whereis("listener");
  const std::array<std::byte, 4> malformed{std::byte{0xc7}, std::byte{0x01}, std::byte{0x01}, std::byte{0xff}};
  s.node->send(to, value("before"));
  s.node->core().deliver(to, detail::make_wire_envelope(detail::signal::message, malformed));
  s.node->send(to, value("behind"));
  EXPECT_EQ(eval("receive('behind')"), "\"behind\"");
  EXPECT_EQ(eval("receive()"), "\"before\"");
  EXPECT_TRUE(has(eval("receive()"), "bad_argument: a message's content: ")) << eval("receive()");
  EXPECT_EQ(eval("receive(0)"), "nil, \"timeout\"");
}

TEST_F(Functions, TimesMustBeGiven) {
  EXPECT_TRUE(has(eval("sleep()"), "bad argument #1"));
  EXPECT_TRUE(has(eval("timer.sleep()"), "bad argument #1"));
  EXPECT_TRUE(has(eval("sleep(nil)"), "bad argument #1"));
  EXPECT_TRUE(has(eval("timer.send_interval(0, 'x')"), "out of range"));
  EXPECT_EQ(eval("sleep(0)"), "\"ok\"");
}

}  // namespace
}  // namespace troupe::test
