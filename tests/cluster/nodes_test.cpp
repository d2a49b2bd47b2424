// Nodes among each other: real programs over real sockets, and a node of this program beside them.
#include <cstdlib>
#include <iostream>
#include <set>

#include <troupe/node.hpp>
#include <troupe/rpc.hpp>

#include "observer.hpp"
#include "support/memory.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

struct Bulk {  // as the sample pours it
  bytes content;
  TROUPE_MESSAGE(Bulk, "bulk", content)
};

class NodesTest : public ObserverTest {
 protected:
  NodesTest() : ObserverTest(100ms) {}
  static bool is_ready(program& one) {
    const bool ready = one.wait_output("ready");
    EXPECT_TRUE(ready) << one.out() << one.err();
    return ready;
  }
  template <class F>
  auto run(F body) {
    return door_->run(60s, std::move(body)).or_exit();
  }
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

// TROUPE_BULK_MB: how long the long message is, small enough for any machine by default.
TEST_F(NodesTest, ALongMessageASmallOneAndTheEndWhileOthersAreServed) {
  const char* given = std::getenv("TROUPE_BULK_MB");
  const std::int64_t size = (given ? std::atoll(given) : 128) * 1'000'000;
  auto source = start_node("source");
  auto third = start_node("third");
  ASSERT_TRUE(is_ready(*source));
  ASSERT_TRUE(is_ready(*third));
  const pid_t source_pid = source->pid();

  auto echo = [](process& self) -> task<> {
    for (;;) {
      auto got = co_await self.receive(wait_forever);
      if (got->is_call()) self.reply(*got, value("pong"));
    }
  };
  spawn_options named;
  named.name = "echo";
  spawn(*here_, std::move(named), echo).or_exit();
  const auto longest_trip = [this](std::int64_t trips) {
    return run([trips](process& self) -> task<std::int64_t> {
      co_return (
          co_await rpc::call<std::int64_t>(self, "third@localhost", "sample.longest_trip", "observer@localhost", trips)
              .within(60s))
          .or_exit();
    });
  };
  longest_trip(100);
  const std::int64_t alone = longest_trip(500);

  struct sight {
    std::atomic<bool> over{false};
    std::vector<std::string> order;
    std::size_t length = 0;
  };
  const auto pour = [this, size](std::shared_ptr<sight> out) {
    auto body = [size](process& self, std::shared_ptr<sight> seen) -> task<> {
      const auto made = co_await spawn_on(self, "source@localhost", "sample.pour", self.id(), size).monitored();
      EXPECT_TRUE(made) << made.error().message();
      if (!made) seen->over = true;
      if (!made) co_return;
      while (seen->order.empty() || seen->order.back() != "down") {
        auto got = co_await self.receive(60s);
        EXPECT_TRUE(got) << "nothing came";
        if (!got) break;
        if (const down* ended = got->get<down>()) {
          EXPECT_EQ(ended->monitor, made->monitor);
          seen->order.push_back("down");
          continue;
        }
        if (const Bulk* bulk = got->get<Bulk>()) {
          seen->order.emplace_back("bulk");
          seen->length = bulk->content.size();
        } else {
          const value content = got->to_value();
          EXPECT_EQ(content, value("small"));
          seen->order.emplace_back("small");
        }
      }
      seen->over = true;
    };
    spawn(*here_, body, std::move(out)).or_exit();
  };
  const std::int64_t before = memory_in_use();
  auto whole = std::make_shared<sight>();
  const auto began = std::chrono::steady_clock::now();
  pour(whole);
  std::int64_t beside = 0;
  while (!whole->over) beside = std::max(beside, longest_trip(50));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  EXPECT_EQ(whole->order, (std::vector<std::string>{"bulk", "small", "down"}));
  EXPECT_EQ(whole->length, static_cast<std::size_t>(size));
  std::cout << size / 1'000'000 << " MB in " << seconds
            << " s; the longest round trip of a third node: " << beside / 1000. << " ms beside it, " << alone / 1000.
            << " ms alone\n";
  EXPECT_LT(beside, 500'000);

  // The same, and its sender killed in the middle: only the end comes, and what had come is given back.
  auto part = std::make_shared<sight>();
  pour(part);
  EXPECT_TRUE(wait_until([&] { return memory_in_use() > before + size / 4; }, 30s));
  ::kill(source_pid, SIGKILL);
  EXPECT_TRUE(wait_until([&] { return part->over.load(); }, 30s));
  EXPECT_EQ(part->order, std::vector<std::string>{"down"});
  EXPECT_TRUE(wait_until([&] { return memory_in_use() < before + 64'000'000; }, 30s))
      << (memory_in_use() - before) / 1'000'000 << " MB more than before";
}

}  // namespace troupe::test
