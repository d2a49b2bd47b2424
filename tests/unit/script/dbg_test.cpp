#include "shell.hpp"

namespace troupe::test {
namespace {

// Echoes numbers to whoever asks; a message for everything else.
task<> mirror(process& self) {
  self.register_name("exercise.echo").or_exit();
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (got && got->is_call()) self.reply(*got, got->to_value());
  }
}

struct Dbg : testing::Test {
  static catalogue offers() {
    catalogue all;
    all.process("exercise.start", &mirror);
    all.function("exercise.calculator.push", [](int number) { return number + 1; });
    return all;
  }
  shell s{offers()};
  void SetUp() override {
    s.eval("spawn('exercise.start')");
    ASSERT_TRUE(wait_until([&] { return s.node->whereis("exercise.echo").has_value(); }));
  }
};

TEST_F(Dbg, TheSeedsSession) {
  EXPECT_EQ(s.eval("device = group_leader()"), "");
  EXPECT_TRUE(starts(s.eval("dbg.tracer(function(msg) print(device, msg) end)"), "pid("));
  EXPECT_EQ(s.eval("dbg.p('exercise.echo', {'r'})"), "{matched = 1}");
  EXPECT_EQ(s.eval("send('exercise.echo', {'push', {number = 5}})"), R"({"push", {number = 5}})");
  const std::string echo = s.node->whereis("exercise.echo")->text();
  EXPECT_TRUE(s.printed(R"({"trace", pid(")" + echo + R"("), "receive", {"push", {number = 5}}})")) << s.output;
  EXPECT_EQ(s.eval("dbg.stop_clear()"), "\"ok\"");
  s.take_output();
  s.eval("send('exercise.echo', {'push', {number = 6}})");
  EXPECT_EQ(s.eval("flush()"), "\"ok\"");
  EXPECT_EQ(s.take_output(), "");
}

TEST_F(Dbg, PrintsLinesByDefault) {
  s.eval("dbg.tracer()");
  EXPECT_EQ(s.eval("dbg.tracer()"), "nil, \"already_started\"");
  EXPECT_EQ(s.eval("dbg.p(whereis('exercise.echo'), 'm')"), "{matched = 1}");
  s.eval("server.call('exercise.echo', 'hello')");
  EXPECT_TRUE(s.printed("<- \"hello\"")) << s.output;
  EXPECT_EQ(s.eval("dbg.stop()"), "\"ok\"");
  EXPECT_EQ(s.eval("dbg.stop()"), "\"ok\"");
}

TEST_F(Dbg, Calls) {
  s.eval("dbg.tracer(function(msg) print(msg[3], msg[4], msg[5]) end)");
  EXPECT_EQ(s.eval("dbg.p(self(), {'call'})"), "{matched = 1}");  // no function yet
  EXPECT_EQ(s.eval("dbg.tp('exercise.calculator', '*', {returns = true})"), "{matched = 1}");
  EXPECT_EQ(s.eval("exercise.calculator.push(5)"), "6");
  EXPECT_TRUE(s.printed("call\texercise.calculator.push\t{5}")) << s.output;
  EXPECT_TRUE(s.printed("return_from\texercise.calculator.push\t6")) << s.output;
  EXPECT_EQ(s.eval("dbg.stop_clear()"), "\"ok\"");
}

TEST_F(Dbg, AHandlerFoldsAState) {
  s.eval("me = self() dbg.tracer('process', {function(msg, n) send(me, {'seen', n}) return n + 1 end, 1})");
  s.eval("dbg.p('exercise.echo', {'r'}) for i = 1, 3 do send('exercise.echo', i) end");
  EXPECT_EQ(s.eval("receive{'seen'}, receive{'seen'}, receive{'seen'}"), R"({"seen", 1}, {"seen", 2}, {"seen", 3})");
}

TEST_F(Dbg, TheBudgetEndsIt) {
  s.eval("dbg.tracer{limit = 2}");
  s.eval("dbg.p('exercise.echo', 'r') for i = 1, 5 do send('exercise.echo', i) end");
  EXPECT_TRUE(s.printed("dbg: ")) << s.output;
  EXPECT_TRUE(has(s.output, "<- 2"));
  EXPECT_FALSE(has(s.output, "<- 3"));
}

TEST_F(Dbg, FailuresSayWhy) {
  EXPECT_TRUE(has(s.eval("dbg.p('exercise.echo')"), "no tracer runs"));
  EXPECT_TRUE(has(s.eval("dbg.tracer('nonsense')"), "\"process\" expected"));
  EXPECT_TRUE(has(s.eval("dbg.tracer(coroutine.wrap(print))"), "without a name"));
  s.eval("dbg.tracer(function(msg) error('my mistake') end)");
  EXPECT_TRUE(has(s.eval("dbg.p('exercise.echo', {'x'})"), "flags are"));
  for (const char* flags : {"'r'", "'c'", "'p'"}) {
    const std::string answer = s.eval("dbg.p('nobody', " + std::string(flags) + ")");
    EXPECT_TRUE(has(answer, "noproc") && has(answer, "nobody")) << answer;
  }
  EXPECT_TRUE(has(s.eval("dbg.p(spawn(function() end), {'r'}) return dbg.p(pid('<shell@localhost#1f.99999>'), {'r'})"),
                  "noproc"));
  s.eval("dbg.p('exercise.echo', {'r'}) send('exercise.echo', 1)");
  EXPECT_TRUE(s.printed("my mistake")) << s.output;
  EXPECT_TRUE(wait_until([&] { return has(s.eval("dbg.p('exercise.echo')"), "no tracer runs"); }));
}

TEST_F(Dbg, AHandlerThatHangsIsStopped) {
  s.eval("dbg.tracer(function(msg) while true do end end) dbg.p('exercise.echo', {'r'}) send('exercise.echo', 1)");
  EXPECT_EQ(s.eval("dbg.stop_clear()"), "\"ok\"");
}

}  // namespace
}  // namespace troupe::test
