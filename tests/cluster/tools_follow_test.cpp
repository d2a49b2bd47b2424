// What runs on: watch, trace, the shell; and that a node forgets a tool that was killed.
#include "tools_support.hpp"

#include "observe/json.hpp"
#include "support/terminal.hpp"

namespace {

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

class ToolFollows : public ToolTest {
 protected:
  std::int64_t trace_sessions() {
    outcome got = tool({"info", "sample", "--json"});
    auto shown = internal::from_json(got.out);
    const value* trace = shown ? shown->find("trace") : nullptr;
    return trace ? trace->integer_at("sessions", -1) : -1;
  }
  std::int64_t watchers_of_counter() {
    outcome got = tool({"info", "sample", "sample.counter", "--json"});
    auto shown = internal::from_json(got.out);
    const value* watchers = shown ? shown->find("monitored_by") : nullptr;
    return watchers && watchers->items() ? static_cast<std::int64_t>(watchers->items()->size()) : -1;
  }
};

TEST_F(ToolFollows, WatchTellsEachReasonAcrossRestarts) {
  auto node = start_sample();
  auto watch = tool_in_background({"watch", "sample", "sample.counter", "--wait", "--count", "2"});
  ASSERT_TRUE(watch->wait_output("watching sample.counter on sample@localhost\n")) << watch->err();
  (void)tool({"rpc", "sample", "sample.add", "-1"});
  ASSERT_TRUE(watch->wait_output("ended: \"negative amount\"")) << watch->out();
  ASSERT_TRUE(watch->wait_output("again\n")) << watch->out();
  EXPECT_EQ(tool({"exit", "sample", "sample.counter"}).exit_code, 0);
  EXPECT_EQ(watch->wait_exit(), 0) << watch->err();
  EXPECT_NE(watch->out().find("ended: \"killed\""), std::string::npos) << watch->out();
}

TEST_F(ToolFollows, WatchOfNobody) {
  auto node = start_sample();
  outcome got = tool({"watch", "sample", "sample.nobody"});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_NE(got.err.find("no process sample.nobody"), std::string::npos) << got.err;
  EXPECT_EQ(tool({"watch", "sample", "sample.nobody", "--wait", "--within", "200ms"}).exit_code, 4);
}

TEST_F(ToolFollows, WatchEndsWithItsNodeAndWithCtrlC) {
  auto node = start_sample();
  auto watch = tool_in_background({"watch", "sample", "sample.counter"});
  ASSERT_TRUE(watch->wait_output("watching"));
  watch->signal(SIGINT);
  EXPECT_EQ(watch->wait_exit(), 0);
  auto second = tool_in_background({"watch", "sample", "sample.counter"});
  ASSERT_TRUE(second->wait_output("watching"));
  node->signal(SIGKILL);
  EXPECT_EQ(second->wait_exit(), 3) << second->err();
}

TEST_F(ToolFollows, ANodeForgetsAKilledWatch) {
  auto node = start_sample();
  std::int64_t before = watchers_of_counter();
  auto watch = tool_in_background({"watch", "sample", "sample.counter"});
  ASSERT_TRUE(watch->wait_output("watching"));
  EXPECT_EQ(watchers_of_counter(), before + 1);
  watch->signal(SIGKILL);
  EXPECT_TRUE(wait_until([&] { return watchers_of_counter() == before; }));
}

TEST_F(ToolFollows, TraceOfReceivedMessages) {
  auto node = start_sample();
  auto trace = tool_in_background({"trace", "sample", "--process", "sample.counter", "--receive", "--limit", "3"});
  ASSERT_TRUE(trace->wait_output("tracing 1 process")) << trace->err();
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(tool({"rpc", "sample", "sample.add", std::to_string(i)}).exit_code, 0);
  EXPECT_EQ(trace->wait_exit(), 0) << trace->err();
  std::string shown = trace->out();
  EXPECT_NE(shown.find("{\"add\", {amount = 2}}"), std::string::npos) << shown;
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 3) << shown;
  EXPECT_EQ(trace_sessions(), 0);
}

TEST_F(ToolFollows, TraceAsJsonIsOneObjectALine) {
  auto node = start_sample();
  auto trace =
      tool_in_background({"trace", "sample", "--process", "sample.counter", "--receive", "--limit", "1", "--json"});
  ASSERT_TRUE(wait_until([&] { return trace_sessions() == 1; }));
  EXPECT_EQ(tool({"rpc", "sample", "sample.add", "1"}).exit_code, 0);
  EXPECT_EQ(trace->wait_exit(), 0) << trace->err();
  auto shown = internal::from_json(trace->out());
  ASSERT_TRUE(shown) << trace->out();
  EXPECT_EQ(shown->text_at("kind"), "receive");
}

TEST_F(ToolFollows, CtrlCEndsATraceInOrder) {
  auto node = start_sample();
  auto trace = tool_in_background({"trace", "sample", "--process", "sample.counter", "--receive"});
  ASSERT_TRUE(trace->wait_output("tracing 1 process"));
  EXPECT_EQ(trace_sessions(), 1);
  trace->signal(SIGINT);
  EXPECT_EQ(trace->wait_exit(), 0) << trace->err();
  EXPECT_EQ(trace_sessions(), 0);
}

TEST_F(ToolFollows, ANodeForgetsAKilledTraceWithinASecond) {
  auto node = start_sample();
  auto trace = tool_in_background({"trace", "sample", "--process", "sample.counter", "--receive"});
  ASSERT_TRUE(trace->wait_output("tracing 1 process")) << trace->err();
  EXPECT_EQ(trace_sessions(), 1);
  trace->signal(SIGKILL);
  auto killed = std::chrono::steady_clock::now();
  ASSERT_TRUE(wait_until([&] { return trace_sessions() == 0; }));
  // Generous for a loaded machine, on which asking alone takes its time; measured about 100 ms.
  EXPECT_LT(std::chrono::steady_clock::now() - killed, 5s);
}

TEST_F(ToolFollows, TraceOfAllNeedsForce) {
  auto node = start_sample();
  outcome got = tool({"trace", "sample", "--all", "--receive"});
  EXPECT_EQ(got.exit_code, 5) << got.err;
  EXPECT_EQ(tool({"trace", "sample", "--all", "--force", "--receive", "--seconds", "1"}).exit_code, 0);
}

TEST_F(ToolFollows, ShellFromAPipe) {
  auto node = start_sample();
  outcome got = tool({"remote", "sample"}, "x = 20\nx * 2 + 2\nfor i = 1, 2 do\n  print('n' .. i)\nend\nnode()\n");
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_NE(got.out.find("42\n"), std::string::npos) << got.out;
  EXPECT_NE(got.out.find("n1\nn2\n"), std::string::npos) << got.out;
  EXPECT_NE(got.out.find("sample@localhost"), std::string::npos) << got.out;
  outcome failed = tool({"remote", "sample"}, "error('no')\n1 + 1\n");
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_NE(failed.err.find("no"), std::string::npos);
  EXPECT_NE(failed.out.find("2\n"), std::string::npos);
  EXPECT_EQ(tool({"remote", "sample"}, "for i = 1, 2 do\n").exit_code, 1);
  EXPECT_EQ(tool({"remote", "nobody"}, "1\n").exit_code, 3);
}

TEST_F(ToolFollows, AShellOfItsOwn) {
  outcome got = tool({"shell"}, "1 + 1\n");
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out, "2\n");
}

class Shell : public ToolFollows {
 protected:
  std::unique_ptr<terminal> open(const std::string& node = "sample") {
    terminal_options how;
    how.child = environment();
    how.child.environment["TERM"] = "xterm";
    auto made = std::make_unique<terminal>(std::vector<std::string>{tool_path(), "remote", node}, how);
    EXPECT_TRUE(made->wait_text("sample@localhost>")) << made->transcript();
    return made;
  }
};

TEST_F(Shell, EvaluatesPrintsAndLeaves) {
  auto node = start_sample();
  auto shell = open();
  shell->type_line("6 * 7");
  EXPECT_TRUE(shell->wait_text("\n42\n")) << shell->shown().text();
  shell->type_line("for i = 1, 2 do");
  EXPECT_TRUE(shell->wait_text("do\n................>")) << shell->shown().text();
  shell->type_line("print('turn ' .. i) end");
  EXPECT_TRUE(shell->wait_text("turn 2")) << shell->shown().text();
  shell->type_line("nonsense(");
  EXPECT_TRUE(shell->wait_text("nonsense(\n................>"));
  shell->type("\x03");
  EXPECT_TRUE(shell->wait_text("................>\nsample@localhost>")) << shell->shown().text();
  shell->type_line("7 * 7");
  EXPECT_TRUE(shell->wait_text("\n49\n")) << shell->shown().text();
  shell->type("\x04");
  EXPECT_EQ(shell->wait_exit(), 0);
  EXPECT_EQ(tool({"ping", "sample"}).exit_code, 0);
}

TEST_F(Shell, CtrlCStopsTheEvaluationAndNotTheNode) {
  auto node = start_sample();
  auto shell = open();
  shell->type_line("print('loops') while true do end");
  ASSERT_TRUE(shell->wait_screen([](const screen& s) { return s.text().find("\nloops") != std::string::npos; }))
      << shell->shown().text();
  shell->type("\x03");
  EXPECT_TRUE(shell->wait_text("interrupted")) << shell->shown().text();
  shell->type_line("8 * 8");
  EXPECT_TRUE(shell->wait_text("\n64\n")) << shell->shown().text();
}

TEST_F(Shell, TabCompletes) {
  auto node = start_sample();
  auto shell = open();
  shell->type("whereis(\"sample.coun\t");
  EXPECT_TRUE(shell->wait_text("whereis(\"sample.counter")) << shell->shown().text();
}

TEST_F(Shell, OutputComesAboveTheLine) {
  auto node = start_sample();
  auto shell = open();
  shell->type_line("spawn(function() receive(function(m) return m == 'go' end, 30000) print('from below') end)");
  ASSERT_TRUE(shell->wait_screen([](const screen& s) {
    return s.text().find("\npid(\"<sample@localhost") != std::string::npos;
  })) << shell->shown().text();
  shell->type("typed so far");
  ASSERT_TRUE(shell->wait_text("> typed so far"));
  std::string text = shell->shown().text();
  std::size_t from = text.rfind("<sample@localhost#");
  std::string target = text.substr(from, text.find('>', from) - from + 1);
  EXPECT_EQ(tool({"send", "sample", target, "go"}).exit_code, 0);
  EXPECT_TRUE(shell->wait_screen([](const screen& s) {
    return s.text().find("\nfrom below\nsample@localhost> typed so far") != std::string::npos;
  })) << shell->shown().text();
}

TEST_F(Shell, ALostNodeIsSaidAndEndsIt) {
  auto node = start_sample();
  auto shell = open();
  node->signal(SIGKILL);
  EXPECT_TRUE(shell->wait_text("is lost")) << shell->shown().text();
  EXPECT_EQ(shell->wait_exit(), 3);
}

}  // namespace
