// Nodes among each other: real programs over real sockets, and a node of this program beside them.
#include <iostream>
#include <set>

#include <troupe/node.hpp>
#include <troupe/rpc.hpp>

#include "tools_support.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

class NodesTest : public ToolTest {
 protected:
  void SetUp() override {
    ToolTest::SetUp();
    if (IsSkipped()) return;
    node_options options;
    options.name = "observer";
    options.cookie = cookie;
    options.run_directory = run_.str();
    options.workers = 1;
    options.wire.tick = 100ms;
    here_ = node::start(std::move(options)).or_exit();
    door_ = here_->make_handle().or_exit();
  }
  std::unique_ptr<program> start_node(const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> words{sample_path(), "--name", name};
    words.insert(words.end(), more.begin(), more.end());
    program_options how = environment();
    how.environment["TROUPE_COOKIE"] = cookie;
    return std::make_unique<program>(words, how);
  }
  static bool is_ready(program& one) {
    const bool ready = one.wait_output("ready");
    EXPECT_TRUE(ready) << one.out() << one.err();
    return ready;
  }
  template <class F>
  auto run(F body) {
    return door_->run(60s, std::move(body)).or_exit();
  }

  static constexpr const char* cookie = "a-cookie-for-these-tests";
  std::unique_ptr<node> here_;
  std::unique_ptr<handle> door_;
};

TEST_F(NodesTest, AKilledNodeIsToldToEachOfAThousandMonitorsOnce) {
  auto other = start_node("sample");
  ASSERT_TRUE(is_ready(*other));
  const pid_t os_pid = other->pid();
  const duration took = run([os_pid](process& self) -> task<duration> {
    const address there("sample.counter", "sample@localhost");
    std::set<ref> watching;
    for (int i = 0; i < 1000; ++i) watching.insert(self.monitor(there));
    auto number = co_await rpc::call<std::int64_t>(self, "sample@localhost", "sample.add_one", 1);
    EXPECT_TRUE(number && *number == 2);
    monitor_nodes(self, true);
    const time_point killed = self.now();
    ::kill(os_pid, SIGKILL);
    while (!watching.empty()) {
      auto told = co_await self.receive<down>(20s);
      EXPECT_TRUE(told);
      if (!told) break;
      EXPECT_EQ(watching.erase(told->monitor), 1u);
      EXPECT_EQ(told->reason, exit_reason::noconnection());
    }
    const duration time = self.now() - killed;
    auto event = co_await self.receive(20s);  // the next message of all: nodedown, and no DOWN besides
    EXPECT_EQ(event ? event->to_value().items()->front() : value(), value("nodedown"));
    co_return time;
  });
  std::cout << "1000 DOWNs " << std::chrono::duration<double, std::milli>(took).count() << " ms after kill -9\n";
  EXPECT_LT(took, 2s);  // a tick or a timeout would take longer
}

TEST_F(NodesTest, AStoppedNodeIsGivenUpAndBothAgreeWhenItWakes) {
  auto other = start_node("sample", {"--set", "node.tick=100ms"});
  ASSERT_TRUE(is_ready(*other));
  run([&other](process& self) -> task<> {
    const address there("sample.counter", "sample@localhost");
    (co_await connect(self, "sample@localhost")).or_exit();
    const ref watch = self.monitor(there);
    auto number = co_await rpc::call<std::int64_t>(self, "sample@localhost", "sample.add_one", 1);
    EXPECT_TRUE(number);
    other->signal(SIGSTOP);
    auto told = co_await self.receive<down>(20s);
    EXPECT_EQ(told->monitor, watch);
    EXPECT_EQ(told->reason, exit_reason::noconnection());
    other->signal(SIGCONT);
    // It learns that its connection is over, and the next one works in both directions.
    for (;;) {
      auto again = co_await rpc::call<std::int64_t>(self, "sample@localhost", "sample.add_one", 1).within(5s);
      if (again) break;
      EXPECT_EQ(again.error(), errc::noconnection) << again.error().message();
    }
    const ref second = self.monitor(there);
    const pid counter =
        (co_await rpc::call<pid>(self, "sample@localhost", "troupe.whereis", "sample.counter").within(5s)).or_exit();
    self.exit(counter, exit_reason("enough"));
    told = co_await self.receive<down>(20s);
    EXPECT_EQ(told->monitor, second);
    EXPECT_EQ(told->reason, exit_reason("enough"));
  });
}

TEST_F(NodesTest, TwentyProgramsThatKnowOneFormAMesh) {
  std::vector<std::unique_ptr<program>> all;
  for (int i = 0; i < 20; ++i) all.push_back(start_node("n" + std::to_string(i), {"--peer", "observer"}));
  for (auto& one : all) ASSERT_TRUE(is_ready(*one));
  EXPECT_TRUE(wait_until([&] { return nodes(*here_).size() == 20; }, 60s)) << nodes(*here_).size();
  auto sees = [&](const std::string& name) {
    return run([name](process& self) -> task<std::size_t> {
      auto about = co_await rpc::call<value>(self, name, "troupe.nodes").within(10s);
      co_return about && about->items() ? about->items()->size() : 0;
    });
  };
  for (int i = 0; i < 20; ++i) {
    const std::string name = "n" + std::to_string(i) + "@localhost";
    EXPECT_TRUE(wait_until([&] { return sees(name) == 20; }, 60s)) << name << " sees " << sees(name);
  }
}

TEST_F(NodesTest, AStartWaitsForItsNodesOrNamesThoseMissing) {
  auto early = start_node("early", {"--set", "node.wait_for=late,observer"});
  auto late = start_node("late");
  ASSERT_TRUE(is_ready(*late));
  EXPECT_TRUE(is_ready(*early));
  auto alone = start_node("alone", {"--set", "node.wait_for=nobody", "--set", "node.wait_within=200ms"});
  EXPECT_EQ(alone->wait_exit(), 1);
  const std::string said = alone->out() + alone->err();
  EXPECT_NE(said.find("nobody@localhost"), std::string::npos) << said;
  auto patient = start_node("patient", {"--set", "node.wait_for=nobody", "--set", "node.wait_within=200ms", "--set",
                                        "node.wait_optional=true"});
  EXPECT_TRUE(is_ready(*patient));
  EXPECT_NE(patient->out().find("nobody@localhost"), std::string::npos) << patient->out();
}

}  // namespace troupe::test
