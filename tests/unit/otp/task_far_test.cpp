// Tasks on another node: outcome, what fails to start, lost nodes, links across nodes, output.
#include <troupe/task_stream.hpp>

#include <atomic>

#include "unit/dist/fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

std::atomic<int> alive{0};
struct counted {
  counted() { ++alive; }
  ~counted() { --alive; }
};

task<std::string> greet(process& self, std::string who) { co_return "hello " + who + " from " + self.node().name(); }
task<std::int64_t> wait_for_ever(process& self) {
  const counted one;
  (void)co_await self.receive(wait_forever);
  co_return 1;
}
task<std::int64_t> polite(process& self) {
  self.trap_exits(true);
  auto asked = co_await self.receive<exit_message>(wait_forever);
  co_return asked ? 7 : 0;
}
std::int64_t failing() { throw std::runtime_error("boom"); }

class TaskFarTest : public cluster_fixture {
 protected:
  TaskFarTest() {
    member_options offering;
    offering.offers.function("test.greet", greet);
    offering.offers.function("test.wait", wait_for_ever);
    offering.offers.function("test.polite", polite);
    offering.offers.function("test.failing", failing);
    one = start("one@test");
    two = start("two@test", std::move(offering));
    EXPECT_TRUE(start_supervisor(*two.machine, supervise("top").child(task_supervisor("tasks"))));
  }
  member one, two;
};

TEST_F(TaskFarTest, RunsThereAndAnswersHere) {
  const auto got = one.run([](process& self) -> task<std::string> {
    auto greeting = async<std::string>(self, {"tasks", "two@test"}, "test.greet", "bob");
    auto unknown = async(self, {"tasks", "two@test"}, "test.none");
    auto nobody = async(self, {"other", "two@test"}, "test.greet", "x");
    auto wrong = async(self, {"tasks", "two@test"}, "test.greet");
    auto lost = async(self, {"tasks", "nobody@test"}, "test.greet", "x");
    auto travelling = async(self, address("tasks", "two@test"), [] { return std::int64_t{1}; });
    auto a = co_await greeting.await(self);
    auto b = co_await unknown.await(self);
    auto c = co_await nobody.await(self);
    auto d = co_await wrong.await(self);
    auto e = co_await lost.await(self);
    auto f = co_await travelling.await(self);
    co_return a.or_exit() + " " + b.error().name() + " " + c.error().name() + " " + d.error().name() + " " +
        e.error().name() + " " + f.error().name();
  });
  EXPECT_EQ(got, "hello bob from two@test undef noproc bad_argument noconnection unsupported");
}

TEST_F(TaskFarTest, ShutdownThereKeepsTheRule) {
  const auto got = one.run([](process& self) -> task<std::string> {
    auto slow = async<std::int64_t>(self, {"tasks", "two@test"}, "test.wait");
    auto none = co_await slow.yield_or_shutdown(self, 50ms);
    auto kind = async<std::int64_t>(self, {"tasks", "two@test"}, "test.polite");
    auto slipped = co_await kind.yield_or_shutdown(self, 50ms);
    auto crashed = async_nolink<std::int64_t>(self, {"tasks", "two@test"}, "test.failing");
    auto why = co_await crashed.await(self);
    co_return std::string(none ? "some" : "none") + " " + std::to_string(slipped ? slipped->or_exit() : -1) + " " +
        why.error().name() + (why.error().text().find("boom") == std::string::npos ? "" : " boom");
  });
  EXPECT_EQ(got, "none 7 exited boom");
  EXPECT_TRUE(wait_until([] { return alive == 0; }));
}

TEST_F(TaskFarTest, TheEndOfTheOwnerEndsATaskElsewhere) {
  auto owner = [](process& self) -> task<> {
    auto slow = async<std::int64_t>(self, {"tasks", "two@test"}, "test.wait");
    (void)co_await self.receive(wait_forever);
  };
  const pid who = spawn(*one.machine, owner).or_exit();
  ASSERT_TRUE(wait_until([] { return alive == 1; }));
  one.machine->exit(who, exit_reason("gone"));
  EXPECT_TRUE(wait_until([] { return alive == 0; }));
}

TEST_F(TaskFarTest, ALostNodeIsAnOutcomeAndALinkedOwnersEnd) {
  std::atomic<bool> waiting{false};
  std::string seen;
  auto owner = [&](process& self) -> task<> {
    self.trap_exits(true);
    auto slow = async<std::int64_t>(self, {"tasks", "two@test"}, "test.wait");
    waiting = true;
    auto got = co_await slow.await(self, patience);
    auto told = co_await self.receive<exit_message>(patience);
    seen = got.error().name() + (got.error().maybe_executed() ? " maybe " : " ") + told.or_exit().reason.text();
    waiting = false;
  };
  (void)spawn(*one.machine, owner).or_exit();
  ASSERT_TRUE(wait_until([&] { return waiting && alive == 1; }));
  two.network->leave();
  ASSERT_TRUE(wait_until([&] { return !waiting; }));
  EXPECT_EQ(seen, "noconnection maybe \"noconnection\"");
  EXPECT_TRUE(wait_until([] { return alive == 0; })) << "linked to what it has lost";
}

TEST_F(TaskFarTest, StreamsAndChildrenGoThereToo) {
  const auto got = one.run([](process& self) -> task<std::string> {
    const std::vector<std::string> names{"a", "b", "c"};
    auto stream = async_stream<std::string>(self, {"tasks", "two@test"}, "test.greet", names);
    std::string out;
    for (;;) {
      auto next = co_await stream.next(self);
      if (!next) break;
      out += next->or_exit().substr(6, 1);
    }
    const address there("tasks", "two@test");
    auto starting = start_task(self, there, "test.wait");
    auto child = co_await std::move(starting);
    auto asking = task_children(self, there);
    auto all = co_await std::move(asking);
    out += all && child && all->size() == 1 && all->front() == *child ? " child" : " ?";
    auto ended = co_await terminate_child(self, there, *child);
    auto again = co_await terminate_child(self, there, *child);
    co_return out + (ended ? " ended " : " ? ") + again.error().name();
  });
  EXPECT_EQ(got, "abc child ended not_found");
}

}  // namespace
}  // namespace troupe::test
