// Global names among real programs: a holder is killed, and who hears `nodedown` takes over.
#include <cstdlib>
#include <iostream>

#include <troupe/global.hpp>
#include <troupe/lock.hpp>
#include <troupe/node.hpp>
#include <troupe/rpc.hpp>
#include <troupe/supervisor.hpp>

#include "observe/json.hpp"
#include "observer.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct Lone {
  using messages = handles<>;
};

class GlobalNodes : public ObserverTest {
 protected:
  value json(std::vector<std::string> words) {
    words.emplace_back("--json");
    const outcome got = tool(words);
    EXPECT_EQ(got.exit_code, 0) << got.err;
    auto out = internal::from_json(got.out);
    EXPECT_TRUE(out) << got.out;
    return out ? *out : value();
  }
  bool joined(std::size_t nodes_of_one_view) {
    return wait_until([&] { return global::members(*here_).size() == nodes_of_one_view; }, 30s);
  }
};

// Has that node's counter registered as "the one".
task<bool> register_there(process& self, std::string node) {
  auto counter = co_await rpc::call<pid>(self, node, "troupe.whereis", "sample.counter").within(20s);
  if (!counter) co_return false;
  list given;
  given.emplace_back("the one");
  given.emplace_back(*counter);
  auto said = co_await rpc::call<value>(self, node, "troupe.lua_call", "global.register_name", given).within(20s);
  co_return said && said->items() && said->items()->front() == value("yes");
}

TEST_F(GlobalNodes, WhoHearsNodedownTakesOver) {
  const char* wanted = std::getenv("TROUPE_ROUNDS");
  const int rounds = wanted ? std::atoi(wanted) : 20;
  auto bystander = start_node("bystander", {"--peer", "observer"});
  ASSERT_TRUE(bystander->wait_output("ready")) << bystander->out() << bystander->err();
  duration longest{0};
  for (int round = 0; round < rounds; ++round) {
    auto holder = start_node("holder", {"--peer", "observer"});
    ASSERT_TRUE(holder->wait_output("ready")) << holder->out() << holder->err();
    ASSERT_TRUE(joined(3)) << "round " << round;
    const pid_t os_pid = holder->pid();
    auto took = door_->run(120s, [os_pid](process& self) -> task<duration> {
      self.trap_exits(true);
      auto asking = register_there(self, "holder@localhost");
      const bool there = co_await std::move(asking);
      EXPECT_TRUE(there);
      // The start here finds the name taken: the child is ignored, without a process.
      auto start = [](process& up) -> task<started> {
        auto made = co_await start_link<Lone>(up, global::name("the one"));
        if (made.what() == started::kind::already_started) co_return started::ignore();
        co_return made;
      };
      auto plan = supervise("").child("lone", start);
      auto tree = co_await start_supervisor(self, std::move(plan));
      EXPECT_TRUE(tree) << tree.text();
      auto lone = co_await global::whereis_name(self, "the one");
      EXPECT_TRUE(lone && lone->node() == "holder@localhost");
      monitor_nodes(self, true);
      ::kill(os_pid, SIGKILL);
      auto event = co_await self.receive(30s);
      EXPECT_TRUE(event && event->tag() == "nodedown");
      const time_point down = self.now();
      EXPECT_FALSE(global::whereis_here(self.node(), global::name("the one")));
      auto again = co_await restart_child(self, tree.process(), "lone");
      EXPECT_TRUE(again && *again) << (again ? "ignored" : again.error().message());
      const duration time = self.now() - down;
      auto mine = co_await global::whereis_name(self, "the one");
      EXPECT_TRUE(mine && again && *mine == *again);
      auto stopping = stop_server(self, tree.process(), exit_reason::shutdown());
      auto stopped = co_await std::move(stopping);
      EXPECT_TRUE(stopped);
      co_return time;
    });
    ASSERT_TRUE(took) << took.error().message();
    longest = std::max(longest, *took);
    if (HasFailure()) FAIL() << "in round " << round;
  }
  std::cout << rounds << " take-overs, the longest " << std::chrono::duration<double, std::milli>(longest).count()
            << " ms after nodedown\n";
}

// Its connection stands for a minute more, four ticks, and the process that answers for its names does not run.
TEST_F(GlobalNodes, ARegistrationAtASilentNodeEnds) {
  auto holder = start_node("holder", {"--peer", "observer"});
  ASSERT_TRUE(holder->wait_output("ready")) << holder->out() << holder->err();
  ASSERT_TRUE(joined(2));
  const auto counter = door_->run(30s, [](process& self) -> task<result<pid>> {
    auto got = co_await rpc::call<pid>(self, "holder@localhost", "troupe.whereis", "sample.counter").within(20s);
    co_return got;
  });
  ASSERT_TRUE(counter && *counter);
  holder->signal(SIGSTOP);
  const auto began = std::chrono::steady_clock::now();
  const auto told = door_->run(60s, [there = **counter](process& self) -> task<std::string> {
    auto how = global::register_options().within(wait_forever);
    auto asking = global::register_name(self, "counter of all", there, how);
    auto got = co_await std::move(asking);
    co_return got ? "it was given" : got.error().message();
  });
  holder->signal(SIGCONT);
  ASSERT_TRUE(told) << told.error().message();
  EXPECT_TRUE(told->starts_with("timeout: ")) << *told;
  EXPECT_NE(told->find("troupe.global of holder@localhost"), std::string::npos) << *told;
  EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
}

TEST_F(GlobalNodes, TheToolShowsNamesAndLocks) {
  const auto wrong = tool({"registry", "holder", "globl"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_EQ(wrong.err, "troupe registry: \"globl\" is none of local, global, groups, locks and waits\n");
  const auto followed = tool({"registry", "holder", "waits", "--watch"});
  EXPECT_EQ(followed.exit_code, 2);
  EXPECT_NE(followed.err.find("waits can only be looked at"), std::string::npos) << followed.err;
  auto other = start_node("holder", {"--peer", "observer"});
  ASSERT_TRUE(other->wait_output("ready")) << other->out() << other->err();
  ASSERT_TRUE(joined(2));
  auto done = door_->run(60s, [](process& self) -> task<> {
    auto asking = register_there(self, "holder@localhost");
    const bool there = co_await std::move(asking);
    EXPECT_TRUE(there);
  });
  ASSERT_TRUE(done);
  auto holding = spawn(*here_, [](process& self) -> task<> {
    auto taking = lock::acquire(self, "disk", 20s);
    auto held = co_await std::move(taking);
    EXPECT_TRUE(held);
    auto never = co_await self.receive(wait_forever);
    (void)never;
  });
  ASSERT_TRUE(holding);
  ASSERT_TRUE(wait_until([&] { return tool({"registry", "holder", "locks"}).out.find("disk") != std::string::npos; }));
  const value names = json({"registry", "holder", "global"});
  ASSERT_EQ(names.items()->size(), 1u) << names.print();
  EXPECT_EQ(names.items()->front().text_at("name"), "the one");
  EXPECT_EQ(names.items()->front().text_at("node"), "holder@localhost");
  EXPECT_EQ(json({"registry", "holder", "global", "--name", "x*"}).items()->size(), 0u);
  const value locks = json({"registry", "holder", "locks"});
  EXPECT_EQ(locks.find("locks")->items()->front().text_at("state"), "held");
  EXPECT_NE(tool({"registry", "holder", "global"}).out.find("the one"), std::string::npos);
  here_->exit(*holding, exit_reason::kill());
}

// One process has the lock and calls another, which wants the lock: neither alone is a circle.
TEST_F(GlobalNodes, TheToolShowsCirclesOfLocksAndCalls) {
  auto other = start_node("holder", {"--peer", "observer"});
  ASSERT_TRUE(other->wait_output("ready")) << other->out() << other->err();
  ASSERT_TRUE(joined(2));
  const auto wants = [](process& self) -> task<> {
    auto taking = lock::acquire(self, "disk", 60s);
    auto held = co_await std::move(taking);
    (void)held;
  };
  const auto has = [wants](process& self) -> task<> {
    auto taking = lock::acquire(self, "disk", 20s);
    auto held = co_await std::move(taking);
    EXPECT_TRUE(held);
    const pid called = spawn(self, wants);
    auto never = co_await call(self, called, value("are you there?")).within(60s);
    (void)never;
  };
  auto first = spawn(*here_, has);
  ASSERT_TRUE(first);
  value seen;
  ASSERT_TRUE(wait_until([&] {
    seen = json({"registry", "holder", "waits"});
    return !seen.find("cycles")->items()->empty();
  })) << seen.print();
  EXPECT_EQ(seen.find("cycles")->items()->size(), 1u) << seen.print();
  EXPECT_EQ(seen.find("cycles")->items()->front().items()->size(), 2u) << seen.print();
  EXPECT_EQ(seen.find("calls")->items()->size(), 1u) << seen.print();
  const std::string table = tool({"registry", "holder", "waits"}).out;
  EXPECT_NE(table.find("each waits for the next: "), std::string::npos) << table;
  EXPECT_NE(table.find("WAITS_FOR"), std::string::npos) << table;
  EXPECT_EQ(json({"registry", "holder", "locks"}).find("cycles")->items()->size(), 0u);
  here_->exit(*first, exit_reason::kill());
}

}  // namespace
}  // namespace troupe::test
