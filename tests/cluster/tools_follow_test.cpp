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

TEST_F(ToolFollows, TraceOfNobodySaysSo) {
  auto node = start_sample();
  auto refused = tool_in_background({"trace", "sample", "--process", "sample.nobody", "--receive"});
  EXPECT_EQ(refused->wait_exit(), 1);
  EXPECT_NE(refused->err().find("nobody is registered as sample.nobody"), std::string::npos) << refused->err();
  EXPECT_NE(refused->err().find("--wait"), std::string::npos) << refused->err();
  auto waits = tool_in_background({"trace", "sample", "--process", "sample.nobody", "--receive", "--wait"});
  ASSERT_TRUE(waits->wait_output("tracing 0 processes")) << waits->err();
  waits->signal(SIGINT);
  EXPECT_EQ(waits->wait_exit(), 0) << waits->err();

  auto other = tool_in_background({"trace", "sample", "--process", "sample.counter", "--calls", "nosuch.*"});
  ASSERT_TRUE(other->wait_output("tracing 1 process")) << other->err();
  EXPECT_NE(other->err().find("no function that sample@localhost offers fits --calls nosuch.*"), std::string::npos)
      << other->err();
  other->signal(SIGINT);
  EXPECT_EQ(other->wait_exit(), 0) << other->err();
  EXPECT_EQ(trace_sessions(), 0);
}

TEST_F(ToolFollows, TraceOfCallsAndWhatTheyReturn) {
  auto node = start_sample();
  auto trace = tool_in_background({"trace", "sample", "-p", "new", "--calls", "sample", "--returns", "--limit", "2"});
  ASSERT_TRUE(trace->wait_output("tracing 0 processes")) << trace->err();
  EXPECT_EQ(tool({"rpc", "sample", "sample.add", "5"}).exit_code, 0);
  EXPECT_EQ(trace->wait_exit(), 0) << trace->err();
  EXPECT_NE(trace->out().find(" sample.add(5)\n"), std::string::npos) << trace->out();
  EXPECT_NE(trace->out().find(" sample.add/1 --> 5\n"), std::string::npos) << trace->out();
  EXPECT_NE(trace->err().find("Trace limit reached: 2 events."), std::string::npos) << trace->err();
}

TEST_F(ToolFollows, TraceOfCallsByArityAndInUtc) {
  auto node = start_sample();
  program_options far_east = environment();
  far_east.environment["TZ"] = "EAST-12";
  for (const char* json : {"", "--json"}) {
    std::vector<std::string> words{tool_path(),  "trace",   "sample", "-p",      "new", "--calls",
                                   "sample.add", "--arity", "--utc",  "--limit", "1"};
    if (*json) words.emplace_back(json);
    program trace(words, far_east);
    ASSERT_TRUE(wait_until([&] { return trace_sessions() == 1; }));
    EXPECT_EQ(tool({"rpc", "sample", "sample.add", "5"}).exit_code, 0);
    EXPECT_EQ(trace.wait_exit(), 0) << trace.err();
    if (*json) {
      auto shown = internal::from_json(trace.out());
      ASSERT_TRUE(shown) << trace.out();
      EXPECT_EQ(shown->integer_at("arity"), 1) << trace.out();
      EXPECT_FALSE(shown->find("arguments")) << trace.out();
      continue;
    }
    EXPECT_NE(trace.out().find(" sample.add/1\n"), std::string::npos) << trace.out();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::system_clock::now().time_since_epoch());  // twelve hours from what the clock shows there
    const auto now = seconds.count() % 86400;
    const int hours = std::stoi(trace.out().substr(0, 2)), minutes = std::stoi(trace.out().substr(3, 2));
    const auto away = (now - (hours * 3600 + minutes * 60) + 86400) % 86400;
    EXPECT_LT(away, 6 * 3600) << trace.out();
  }
}

TEST_F(ToolFollows, TraceOfWhatIsSentAndOfLives) {
  auto node = start_sample();
  auto sent = tool_in_background({"trace", "sample", "--process", "new", "--send", "--limit", "1"});
  ASSERT_TRUE(sent->wait_output("tracing 0 processes")) << sent->err();
  EXPECT_EQ(tool({"rpc", "sample", "sample.add", "5"}).exit_code, 0);
  EXPECT_EQ(sent->wait_exit(), 0) << sent->err();
  EXPECT_NE(sent->out().find("sample.counter ! {\"add\", {amount = 5}}"), std::string::npos) << sent->out();

  auto lives = tool_in_background({"trace", "sample", "--process", "sample.counter", "--life", "--limit", "2"});
  ASSERT_TRUE(lives->wait_output("tracing 1 process")) << lives->err();
  EXPECT_EQ(tool({"exit", "sample", "sample.counter"}).exit_code, 0);
  EXPECT_EQ(lives->wait_exit(), 0) << lives->err();
  EXPECT_NE(lives->out().find(" exited \"killed\"\n"), std::string::npos) << lives->out();
  EXPECT_NE(lives->out().find(" registered sample.counter\n"), std::string::npos) << lives->out();
}

TEST_F(ToolFollows, TraceOfTooMuchEndsItself) {
  auto node = start_sample();
  auto trace = tool_in_background(
      {"trace", "sample", "--process", "sample.counter", "--receive", "--rate", "2/600000"});  // ten minutes
  ASSERT_TRUE(trace->wait_output("tracing 1 process")) << trace->err();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(tool({"send", "sample", "sample.counter", R"(["add", {"amount": 1}])"}).exit_code, 0);
  }
  EXPECT_EQ(trace->wait_exit(), 0) << trace->err();
  EXPECT_NE(trace->err().find("more than 2 events in 600000 ms"), std::string::npos) << trace->err();
  const std::string shown = trace->out();
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 2) << shown;
}

TEST_F(ToolFollows, EveryTraceOfANodeIsStopped) {
  auto node = start_sample();
  EXPECT_EQ(tool({"trace", "sample", "--stop"}).out, "ended 0 traces\n");
  auto one = tool_in_background({"trace", "sample", "--process", "sample.counter", "--receive"});
  auto two = tool_in_background({"trace", "sample", "--process", "new", "--life"});
  ASSERT_TRUE(one->wait_output("tracing")) << one->err();
  ASSERT_TRUE(two->wait_output("tracing")) << two->err();
  outcome got = tool({"trace", "sample", "--stop"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out, "ended 2 traces\n");
  EXPECT_EQ(one->wait_exit(), 0) << one->err();
  EXPECT_EQ(two->wait_exit(), 0) << two->err();
  EXPECT_NE(one->err().find("Trace stopped."), std::string::npos) << one->err();
  EXPECT_EQ(trace_sessions(), 0);
  EXPECT_EQ(tool({"trace", "sample", "--stop", "--json"}).out, "0\n");
}

TEST_F(ToolFollows, ATraceThatItsNodeCutsOffFails) {
  for (int how : {SIGTERM, SIGKILL}) {
    auto node = start_sample();
    auto trace = tool_in_background({"trace", "sample", "--process", "sample.counter", "--receive"});
    ASSERT_TRUE(trace->wait_output("tracing 1 process")) << trace->err();
    node->signal(how);
    EXPECT_EQ(trace->wait_exit(), 3) << trace->err();
    EXPECT_NE(trace->err().find("sample@localhost"), std::string::npos) << trace->err();
    EXPECT_NE(trace->err().find("noconnection"), std::string::npos) << trace->err();
    (void)node->wait_exit();
  }
}

TEST_F(ToolFollows, TraceHelpSaysWhereItEnds) {
  std::string help = tool({"trace", "--help"}).out;
  for (const char* each : {"10000 if not said", "1000/1000 if not said", "60 if not said", "--stop"}) {
    EXPECT_NE(help.find(each), std::string::npos) << each << "\n" << help;
  }
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

TEST_F(Shell, ANodeThatStopsIsSaidAndEndsIt) {
  auto node = start_sample();
  auto shell = open();
  node->signal(SIGTERM);
  EXPECT_EQ(shell->wait_exit(), 3) << shell->shown().text();
  EXPECT_NE(shell->shown().text().find("sample@localhost"), std::string::npos) << shell->shown().text();
}

TEST_F(Shell, ALostNodeIsSaidAndEndsIt) {
  auto node = start_sample();
  auto shell = open();
  node->signal(SIGKILL);
  EXPECT_TRUE(shell->wait_text("is lost")) << shell->shown().text();
  EXPECT_EQ(shell->wait_exit(), 3);
}

}  // namespace
