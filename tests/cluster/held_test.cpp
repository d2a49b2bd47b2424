// A node whose workers are all held: it answers tools within a second, and stops.
#include "tools_support.hpp"

#include <set>

#include "observe/json.hpp"

namespace {

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

// What a tool and its connection take by themselves, on a machine that is busy with other tests.
constexpr auto answer_time = 1s, tool_time = 2s;

class Held : public ToolTest {
 protected:
  value info() const {
    auto shown = internal::from_json(tool({"info", "sample", "--json"}).out);
    return shown ? std::move(*shown) : value();
  }
  // Which workers users' processes hold, and the first of these.
  std::set<std::int64_t> held() {
    std::set<std::int64_t> out;
    const value about = info();
    const value* all = about.find("held");
    if (!all || !all->items()) return out;
    for (const value& one : *all->items()) {
      const value* worker = one.find("worker");
      if (!worker->integer()) continue;  // the lane
      out.insert(*worker->integer());
      holder_ = one.text_at("pid");
    }
    return out;
  }
  void hold(const char* busy) {
    EXPECT_EQ(tool({"rpc", "sample", "sample.hold_workers", busy}).exit_code, 0);
    const auto workers = static_cast<std::size_t>(info().integer_at("workers"));
    ASSERT_GE(workers, 2u);
    ASSERT_TRUE(wait_until([&] { return held().size() == workers; })) << "who holds which worker is shown";
  }
  void expect_answer(std::vector<std::string> words) const {
    const auto began = std::chrono::steady_clock::now();
    const outcome got = tool(words);
    EXPECT_EQ(got.exit_code, 0) << testing::PrintToString(words) << got.err;
    EXPECT_LT(std::chrono::steady_clock::now() - began, answer_time + tool_time) << testing::PrintToString(words);
  }
  void expect_answers() const {
    expect_answer({"ping", "sample"});
    expect_answer({"ps", "sample"});
    expect_answer({"info", "sample"});
    expect_answer({"info", "sample", "troupe.global"});
    expect_answer({"exit", "sample", holder_});
    EXPECT_EQ(tool({"exit", "sample", "troupe.global"}).exit_code, 5) << "not without --force";
    EXPECT_EQ(info().find("counters")->integer_at("exits_refused"), 1);
  }

  std::string holder_;
};

TEST_F(Held, BySleepersItAnswersAndStopsInItsTime) {
  auto node = start_sample({"--set", "node.stop_within=2s"});
  hold("false");
  expect_answers();
  const auto began = std::chrono::steady_clock::now();
  const outcome got = tool({"stop", "sample"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out, "sample@localhost: stopped\n");
  EXPECT_EQ(got.err, "") << "it has taken the request";
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2s + answer_time + tool_time);
  EXPECT_EQ(node->wait_exit(), 1);
  EXPECT_NE(node->out().find("the stop waits for a process that holds its worker"), std::string::npos) << node->out();
  EXPECT_NE(node->out().find("ended by force: this still holds a thread"), std::string::npos) << node->out();
  EXPECT_NE(node->out().find(holder_), std::string::npos) << node->out();
}

TEST_F(Held, ByBusyOnesItAnswersAndAPillarsEndTakesItDown) {
  auto node = start_sample({"--set", "node.stop_within=1s"});
  hold("true");
  expect_answers();
  expect_answer({"exit", "sample", "troupe.global", "--force"});
  EXPECT_EQ(node->wait_exit(), 1);
  EXPECT_NE(node->out().find("a process that the node rests on has ended"), std::string::npos) << node->out();
}

TEST_F(Held, ByLuaItAnswersAndStops) {
  auto node = start_sample();
  const std::string text =
      "for i = 1, 8 do\n"
      "  spawn(function()\n"
      "    local text, pattern = (\"a\"):rep(28), (\"a?\"):rep(28) .. (\"a\"):rep(28) .. \"b\"\n"
      "    while true do pcall(string.find, text, pattern) end\n"
      "  end)\n"
      "end\n";
  EXPECT_EQ(tool({"remote", "sample"}, text).exit_code, 0);
  ASSERT_TRUE(wait_until([&] { return !held().empty(); }));
  expect_answers();
  // In order: its supervisors take their turns among them.
  EXPECT_EQ(tool({"stop", "sample"}).out, "sample@localhost: stopped\n");
  EXPECT_EQ(node->wait_exit(), 0);
}

// Not even the lane runs: the request is not taken, the signal waits.
TEST_F(Held, WhollyStoppedItIsToldBySignal) {
  auto node = start_sample();
  node->signal(SIGSTOP);
  const outcome late = tool({"stop", "sample", "--timeout", "500ms"});
  EXPECT_EQ(late.exit_code, 4);
  EXPECT_NE(late.err.find("does not take the request; sent SIGTERM"), std::string::npos) << late.err;
  auto again = tool_in_background({"stop", "sample", "--timeout", "5s"});
  ASSERT_TRUE(again->wait_output("sent SIGTERM")) << again->err();
  node->signal(SIGCONT);
  EXPECT_EQ(again->wait_exit(), 0) << again->err();
  EXPECT_EQ(again->out(), "sample@localhost: stopped\n");
  EXPECT_EQ(node->wait_exit(), 0) << "in order: what was sent twice meanwhile is one wish\n" << node->out();
  EXPECT_EQ(node->out().find("stopping now"), std::string::npos) << node->out();
}

}  // namespace
