// rpc.* of Lua, near and far, and what Lua says of other nodes.
#include "cluster.hpp"

#include <stdexcept>

namespace troupe::test {
namespace {

class LuaRpc : public LuaCluster {
 protected:
  catalogue offers() override {
    catalogue all;
    all.function("math.add", [](std::int64_t a, std::int64_t b) { return a + b; });
    all.function("math.min", [](value) { return std::string("the catalogue's"); });
    all.function("bad.fail", []() -> result<int> { return error(errc::not_found, "no such key"); });
    all.function("bad.throw", []() -> int { throw std::runtime_error("thrown"); });
    all.function("bad.exit", [](process& self) -> int { self.exit(exit_reason("gone")); });
    all.function("bad.hang", [](process& self) -> task<> { co_await self.sleep(std::chrono::hours(1)); });
    all.function("note", [](process& self, std::string text) -> task<> {
      self.print(text);
      co_return;
    });
    return all;
  }
  // What pcall gives, as {code, maybe_executed}.
  std::string failure(const std::string& call) {
    return eval("ok, e = pcall(function() return " + call + " end) return ok, e.code, e.maybe_executed");
  }
};

TEST_F(LuaRpc, CallsTheCatalogueAndTheLibrary) {
  for (const char* node : {"'two@test'", "node()"}) {
    const std::string at = node;
    EXPECT_EQ(eval("rpc.call(" + at + ", 'math.add', {2, 3})"), "5");
    EXPECT_EQ(eval("rpc.call(" + at + ", 'math.abs', {-1})"), "1");
    EXPECT_EQ(eval("rpc.call(" + at + ", math.abs, {-1})"), "1");
    EXPECT_EQ(eval("rpc.call(" + at + ", 'math.min', {1})"), "\"the catalogue's\"");
    EXPECT_EQ(eval("rpc.call(" + at + ", 'string.find', {'abc', 'b'})"), "2, 2");
    EXPECT_EQ(eval("rpc.call(" + at + ", 'print', {'here'})"), "");
    EXPECT_TRUE(console_->printed("here\n"));
    EXPECT_EQ(eval("rpc.call(" + at + ", function(a, b) return node(), a, nil, b end, {1, 2})"),
              at == "node()" ? "\"one@test\", 1, nil, 2" : "\"two@test\", 1, nil, 2");
    EXPECT_EQ(eval("rpc.call(" + at + ", 'sleep', {1}, math.huge)"), "\"ok\"");
    EXPECT_EQ(
        eval("rpc.call(" + at + ", 'is_alive', {self()}) == (node(self()) == " + at + ")") == "true" || at != "node()",
        true);
  }
  EXPECT_EQ(eval("rpc.call('two@test', 'node')"), "\"two@test\"");
  EXPECT_EQ(eval("rpc.call('two@test', 'register', {'there', rpc.call('two@test', 'spawn', {'troupe.lua', "
                 "{terminal = self()}})})"),
            "true");
  EXPECT_TRUE(starts(eval("rpc.call('two@test', 'whereis', {'there'})"), "pid(\"<two@test"));
}

TEST_F(LuaRpc, TellsFailuresApart) {
  for (const char* node : {"'two@test'", "node()"}) {
    const std::string at = std::string("rpc.call(") + node;
    EXPECT_EQ(failure(at + ", 'no.such', {})"), R"(false, "undef", false)");
    EXPECT_EQ(failure(at + ", 'math.add', {1})"), R"(false, "bad_argument", false)");
    EXPECT_EQ(failure(at + ", 'math.add', {1, 'x'})"), R"(false, "bad_argument", false)");
    EXPECT_EQ(failure(at + ", 'bad.fail')"), R"(false, "not_found", false)");
    EXPECT_EQ(failure(at + ", 'bad.throw')"), R"(false, "exception", true)");
    EXPECT_EQ(failure(at + ", 'bad.exit')"), R"(false, "exited", true)");
    EXPECT_EQ(failure(at + ", 'bad.hang', {}, 30)"), R"(false, "timeout", true)");
    EXPECT_EQ(failure(at + ", 'math.floor', {'x'})"), R"(false, "exception", true)");
    EXPECT_EQ(failure(at + ", function() exit('early') end)"), R"(false, "exited", true)");
    EXPECT_EQ(failure(at + ", function() error('oops') end)"), R"(false, "exception", true)");
    EXPECT_EQ(failure(at + ", function() return print end)"), R"(false, "bad_message", true)");
  }
  EXPECT_EQ(failure("rpc.call('gone@test', 'math.abs', {-1})"), R"(false, "noconnection", false)");
  // For people: a line, also when it is joined to one; and it goes through messages and spawns.
  EXPECT_TRUE(starts(eval("rpc.call('gone@test', 'math.abs', {-1})"), "error: noconnection: "));
  EXPECT_TRUE(has(eval("rpc.call('two@test', 'bad.hang', {}, 1)"), "(it may have run)"));
  EXPECT_EQ(eval("'<' .. e .. '>'").substr(0, 16), "\"<noconnection: ");
  EXPECT_EQ(eval("send(self(), e) return receive().code, getmetatable(e) == rpc.error"), R"("noconnection", true)");
  EXPECT_EQ(eval("me = self() spawn('two@test', function() send(me, tostring(e)) end) return receive() == tostring(e)"),
            "true");
}

TEST_F(LuaRpc, ACallThatIsLostMayHaveRun) {
  console_->start("rpc.call('two@test', 'bad.hang', {}, math.huge)");
  ASSERT_TRUE(wait_until([&] { return two_.network->counters().rpc_served.load() == 1; }));
  EXPECT_TRUE(disconnect(*two_.machine, "one@test"));
  const auto lost = console_->finish();
  EXPECT_TRUE(starts(lost.error, "noconnection: ")) << lost.error;
  EXPECT_TRUE(has(lost.error, "(it may have run)")) << lost.error;
}

TEST_F(LuaRpc, CastSaysNothing) {
  EXPECT_EQ(eval("rpc.cast('two@test', 'note', {'cast'})"), "true");
  EXPECT_TRUE(console_->printed("cast\n"));
  EXPECT_EQ(eval("rpc.cast('two@test', print, {'from', 'there'})"), "true");
  EXPECT_TRUE(console_->printed("from\tthere\n"));
  EXPECT_EQ(eval("rpc.cast('two@test', function(p) send(p, node()) end, {self()}) return receive()"), "\"two@test\"");
  EXPECT_EQ(eval("rpc.cast('two@test', 'no.such'), rpc.cast('gone@test', 'note', {'x'})"), "true, true");
}

TEST_F(LuaRpc, MulticallAsksAllAtOnce) {
  EXPECT_EQ(eval("rpc.multicall({'two@test', node()}, 'math.abs', {-1})"),
            R"({{node = "two@test", value = 1}, {node = "one@test", value = 1}})");
  EXPECT_EQ(eval("rpc.multicall({}, 'math.abs', {-1})"), "{}");
  EXPECT_EQ(eval("all = rpc.multicall({'two@test', 'gone@test', node()}, 'node') "
                 "return all[1].value, all[2].error.code, all[2].node, all[3].value"),
            R"("two@test", "noconnection", "gone@test", "one@test")");
  // One deadline for all of them, and who answers in time is not lost by it.
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(eval("all = rpc.multicall({'two@test', node(), 'two@test'}, function() "
                 "if node() == 'two@test' then sleep(math.huge) end return 'quick' end, {}, 200) "
                 "return all[1].error.code, all[1].error.maybe_executed, all[2].value, all[3].error.code"),
            R"("timeout", true, "quick", "timeout")");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST_F(LuaRpc, AsyncIsAskedLater) {
  EXPECT_EQ(eval("h = rpc.async('two@test', 'math.add', {2, 3}) return rpc.yield(h)"), "5");
  EXPECT_TRUE(starts(eval("rpc.yield(h)"), "error: cancelled: "));
  EXPECT_EQ(eval("hang = rpc.async('two@test', 'bad.hang') return rpc.nb_yield(hang), rpc.nb_yield(hang, 20)"),
            "false, false");
  EXPECT_TRUE(starts(eval("rpc.yield(hang, 20)"), "error: timeout: bad.hang on two@test did not answer in time"));
  EXPECT_EQ(eval("me = self() wait = rpc.async('two@test', function() receive() return 'late', 2 end) "
                 "return rpc.nb_yield(wait)"),
            "false");
  EXPECT_EQ(eval("h = rpc.async('two@test', function() send(me, self()) receive() return 'late', 2 end) "
                 "local there = receive() send(there, 1) return rpc.nb_yield(h, 20000)"),
            "true, \"late\", 2");
  EXPECT_TRUE(starts(eval("h = rpc.async('gone@test', 'math.abs', {-1}) return rpc.yield(h)"), "error: noconnection"));
  EXPECT_TRUE(starts(eval("h = rpc.async('two@test', 'bad.fail') return rpc.nb_yield(h, 20000)"), "error: not_found"));
  // Given up: the process that waits for the answer goes with its handle.
  EXPECT_EQ(eval("before = #processes() many = {} for i = 1, 20 do many[i] = rpc.async('two@test', 'bad.hang') end "
                 "grown = #processes() - before many = nil collectgarbage() return grown"),
            "20");
  EXPECT_TRUE(wait_until([&] { return eval("#processes() <= before") == "true"; }));
  // Another evaluating process may take the answer.
  EXPECT_EQ(eval("h = rpc.async('two@test', 'math.add', {4, 4})"), "");
  EXPECT_TRUE(has(eval("exit('oops')"), "oops"));
  EXPECT_EQ(eval("rpc.yield(h)"), "8");
}

TEST_F(LuaRpc, LongAndShortCallsDoNotWaitForEachOther) {
  EXPECT_EQ(eval("long = {} for i = 1, 100 do long[i] = rpc.async('two@test', 'bad.hang') "
                 "long[100 + i] = rpc.async('two@test', function() while true do end end) end "
                 "for i = 1, 100 do assert(rpc.call('two@test', 'math.add', {i, 1}) == i + 1) end "
                 "local n = 0 for i = 1, 200 do if not rpc.nb_yield(long[i]) then n = n + 1 end end return n"),
            "200");
}

TEST_F(LuaCluster, NodesByClass) {
  EXPECT_EQ(eval("alive()"), "true");
  EXPECT_EQ(eval("connect('two@test')"), "true");
  EXPECT_EQ(eval("connect(node())"), "true");
  EXPECT_EQ(eval("nodes()"), "{\"two@test\"}");
  EXPECT_EQ(eval("nodes('this')"), "{\"one@test\"}");
  EXPECT_EQ(eval("nodes{'this', 'visible'}"), R"({"one@test", "two@test"})");
  EXPECT_EQ(eval("nodes('this', 'connected')"), R"({"one@test", "two@test"})");
  EXPECT_EQ(eval("nodes('hidden')"), "{}");
  EXPECT_EQ(eval("nodes('known')"), R"({"one@test", "two@test"})");
  EXPECT_TRUE(has(eval("nodes('all')"), "bad_argument: \"all\" is no class of nodes: this, visible"));
  EXPECT_EQ(eval("local ok, why = connect('gone@test') return ok, why:match('^%w+')"), "nil, \"noconnection\"");
  EXPECT_EQ(eval("monitor_nodes(true)"), "\"ok\"");
  EXPECT_EQ(eval("monitor_node('two@test')"), "true");
  EXPECT_EQ(eval("disconnect('two@test')"), "true");
  EXPECT_EQ(
      eval("local m = receive{'nodedown', 'two@test'} local n = receive{'nodedown', 'two@test'} return m[2], n[2]"),
      R"("two@test", "two@test")");
  EXPECT_EQ(eval("disconnect('two@test')"), "false");
  EXPECT_EQ(eval("connect('two@test') return receive{'nodeup'}[2]"), "\"two@test\"");
  EXPECT_EQ(eval("monitor_nodes(false) disconnect('two@test') return receive({'nodedown'}, 50)"), "nil, \"timeout\"");
  EXPECT_EQ(eval("register('shell', self())"), "true");
  EXPECT_EQ(eval("p = spawn('two@test', function() register(self(), 'shell') while true do print(receive()) end end) "
                 "return rpc.call('two@test', 'is_alive', {p})"),
            "true");
  EXPECT_TRUE(has(eval("is_alive(p)"), "rpc.call(\"two@test\", \"is_alive\", {…})"));
}

}  // namespace
}  // namespace troupe::test
