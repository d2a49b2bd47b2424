// Real sockets and a run directory: two nodes and a tool in one OS process.
#include "unit/dist/socket_fixture.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

class Ipc : public socket_fixture {};

TEST_F(Ipc, NodesFindEachOtherInTheRunDirectory) {
  catalogue offers;
  offers.function("math.add", [](std::int64_t a, std::int64_t b) { return a + b; });
  member one = start("one@test", false), two = start("two@test", false, std::move(offers));
  const pid far = start_echo(two, "echo");
  one.run([&](process& self) -> task<> {
    auto got = co_await call<value>(self, address("echo", "two@test"), value("x"));
    EXPECT_EQ(got.or_exit(), list_of({"echo", "x"}));
    auto sum = co_await rpc::call<std::int64_t>(self, "two@test", "math.add", 20, 22);
    EXPECT_EQ(sum.or_exit(), 42);
    auto nobody = co_await connect(self, "three@test");
    EXPECT_EQ(nobody.error(), errc::noconnection);
    self.monitor(far);
    self.trap_exits(true);
    self.link(far);
    list order{value("die"), value("done")};
    self.send(far, value(order));
    for (int i = 0; i < 2; ++i) {
      auto told = co_await self.receive(patience);
      EXPECT_TRUE(told);
    }
  });
  EXPECT_EQ(nodes(*two.machine), std::vector<std::string>{"one@test"});
}

// Who can read the run directory has the control key; who has that alone is nobody's node, whatever it calls itself.
TEST_F(Ipc, AToolWithTheControlKeyTakesNoMembersNameAndLife) {
  member one = start("one@test", false), two = start("two@test", false);
  const auto join = [](member& from) {
    return from.door
        ->run(patience, [](process& self) -> task<result<void>> { co_return co_await connect(self, "one@test"); })
        .or_exit();
  };
  ASSERT_TRUE(join(two));
  ASSERT_TRUE(wait_until([&] { return nodes(*one.machine) == std::vector<std::string>{"two@test"}; }));
  const std::uint64_t creation = two.core().life()->creation;
  const pid far = start_echo(two, "echo");
  member same = start("two@test", true, {}, creation), other = start("two@test", true, {}, creation + 1);
  for (member* each : {&same, &other}) {
    const auto refused = join(*each);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), errc::name_taken) << refused.error().message();
  }
  // The member has noticed nothing.
  one.run([&](process& self) -> task<> { EXPECT_TRUE(co_await call<value>(self, far, value("x"))); });
  EXPECT_EQ(nodes(*one.machine), std::vector<std::string>{"two@test"});
  EXPECT_EQ(one.network->hub().counters().accepted, 1u);
  // Nor is its name free because it is away.
  two.end();
  ASSERT_TRUE(wait_until([&] { return nodes(*one.machine).empty(); }));
  member late = start("two@test", true, {}, creation);
  const auto refused = join(late);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::name_taken) << refused.error().message();
  member tool = start("tool-1@test", true);
  EXPECT_TRUE(join(tool));
}

TEST_F(Ipc, AToolNeedsNoCookie) {
  catalogue offers;
  offers.function("io.say", [](process& self, std::string text) -> task<> {
    self.print(text);
    co_return;
  });
  member one = start("one@test", false, std::move(offers));
  member tool = start("tool-4711@test", true);
  EXPECT_TRUE(tool.network->endpoints().empty());
  const pid worker = start_echo(one, "worker");
  tool.run([&](process& self) -> task<> {
    self.group_leader(self.id());
    auto said = co_await rpc::call<void>(self, "one@test", "io.say", "hello");
    EXPECT_TRUE(said) << (said ? "" : said.error().message());
    auto line = co_await self.receive(patience);
    EXPECT_EQ(line.or_exit().tag(), "io.put");
    self.monitor(address("worker", "one@test"));
    list order{value("die"), value("crash")};
    self.send(address("worker", "one@test"), value(order));
    auto told = co_await self.receive<down>(patience);
    EXPECT_EQ(told.or_exit().reason, exit_reason("crash"));
    EXPECT_EQ(told->process, worker);
  });
  EXPECT_TRUE(nodes(*one.machine).empty());
  EXPECT_EQ(nodes(*one.machine, node_class::hidden), std::vector<std::string>{"tool-4711@test"});
  monitor_node(tool.door->self(), "one@test");
  one.end();
  auto event = tool.door->receive(patience);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->to_value().items()->front(), value("nodedown"));
  EXPECT_EQ(event->to_value().items()->back().text_at("reason"), "shutting_down");
}

}  // namespace troupe::test
