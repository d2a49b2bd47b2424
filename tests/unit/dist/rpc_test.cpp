// Functions and processes of another node's catalogue, and of one's own.
#include "fixture.hpp"

#include <atomic>
#include <source_location>
#include <stdexcept>

namespace troupe::test {

using namespace std::chrono_literals;

struct Point {
  double x = 0, y = 0;
  TROUPE_MESSAGE(Point, "test.point", x, y)
};

task<> live_on(process& self) {
  auto got = co_await self.receive(wait_forever);
  self.exit(exit_reason(got.or_exit().to_value()));
}

catalogue test_offers() {
  catalogue offers;
  offers.function("math.add", [](std::int64_t a, std::int64_t b) { return a + b; });
  offers.function("math.mirror", [](Point p) { return Point{p.y, p.x}; });
  offers.function("math.root", [](double x) -> result<double> {
    if (x < 0) return error(errc::bad_config, "negative");
    return x / 2;
  });
  offers.function("bad.throw", []() -> std::int64_t { throw std::runtime_error("boom"); });
  offers.function("bad.exit", [](process& self) -> std::int64_t { self.exit(exit_reason("gone")); });
  offers.function("bad.hang", [](process& self) -> task<> {
    auto got = co_await self.receive(wait_forever);
    static_cast<void>(got);
  });
  offers.function("io.say", [](process& self, std::string text) -> task<pid> {
    self.print(text);
    co_return self.group_leader();
  });
  offers.function("test.wait_for", [](process& self, pid who) -> task<value> {
    self.send(who, value(self.id()));
    auto got = co_await self.receive(wait_forever);
    co_return got.or_exit().to_value();
  });
  offers.function("test.hang_at", [](process& self, std::string where) -> task<std::string> {
    if (self.node().name() == where) co_await self.sleep(std::chrono::hours(1));
    co_return self.node().name();
  });
  offers.process("test.live", live_on);
  offers.process("test.quick", [](process& self, std::string reason) -> task<> {
    self.exit(exit_reason(reason.c_str()));
    co_return;
  });
  return offers;
}

// Everything twice: across the network and on the own node.
class Rpc : public cluster_fixture, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    member_options options;
    options.offers = test_offers();
    one_ = start("one@test", options);
    two_ = start("two@test", options);
    target_ = GetParam() ? "two@test" : "one@test";
  }
  error failure_of(const std::string& function, list arguments, duration limit = patience) {
    return *one_.run([&](process& self) -> task<expected_failure> {
      auto got = co_await rpc::call_values(self, target_, function, value(arguments)).within(limit);
      co_return expected_failure(got ? error() : got.error());
    });
  }
  member one_, two_;
  std::string target_;
};

TEST_P(Rpc, ReturnsTypedResults) {
  one_.run([&](process& self) -> task<> {
    auto sum = co_await rpc::call<std::int64_t>(self, target_, "math.add", 2, 3);
    EXPECT_EQ(sum.or_exit(), 5);
    auto mirrored = co_await rpc::call<Point>(self, target_, "math.mirror", Point{1, 2}).within(patience);
    EXPECT_EQ(mirrored.or_exit().x, 2);
    auto half = co_await rpc::call<double>(self, target_, "math.root", 3.0).or_exit();
    EXPECT_EQ(half, 1.5);
    auto plain = co_await rpc::call(self, target_, "math.add", 1, 1);
    EXPECT_EQ(plain.or_exit(), value(2));
    auto wrong = co_await rpc::call<std::string>(self, target_, "math.add", 1, 1);
    EXPECT_EQ(wrong.error(), errc::bad_message);
  });
}

// What waits for an answer is shown at the caller's own line.
TEST_P(Rpc, WaitsAtTheLineOfItsCaller) {
  const auto line = std::make_shared<std::uint_least32_t>(0);
  auto body = [line, target = target_](process& self) -> task<> {
    *line = std::source_location::current().line() + 1;
    (void)co_await rpc::call(self, target, "bad.hang").within(patience);
  };
  const pid waits = spawn(*one_.machine, body).or_exit();
  const auto seen = std::make_shared<std::atomic<bool>>(false);
  EXPECT_TRUE(wait_until([&] {
    one_.core().inspect(waits, [seen, line](process& p) {
      *seen = p.core().details(p, 0).waits_at == "rpc_test.cpp:" + std::to_string(*line);
    });
    return seen->load();
  }));
  one_.machine->exit(waits, exit_reason::kill());
}

TEST_P(Rpc, TellsFailuresApart) {
  EXPECT_EQ(failure_of("math.sub", {1, 2}), errc::undef);
  EXPECT_EQ(failure_of("test.live", {}), errc::undef);  // a process, not a function
  error count = failure_of("math.add", {1});
  EXPECT_EQ(count, errc::bad_argument);
  EXPECT_TRUE(count.text().starts_with("math.add(integer, integer): 2 argument(s) expected, 1 given")) << count.text();
  error type = failure_of("math.add", {1, "two"});
  EXPECT_EQ(type, errc::bad_argument);
  EXPECT_TRUE(type.text().starts_with("math.add(integer, integer): argument 2")) << type.text();
  error returned = failure_of("math.root", {-1.0});
  EXPECT_EQ(returned, errc::bad_config);
  EXPECT_FALSE(returned.maybe_executed());
  error thrown = failure_of("bad.throw", {});
  EXPECT_EQ(thrown, errc::exception);
  EXPECT_NE(thrown.text().find("std::runtime_error: boom"), std::string::npos) << thrown.text();
  error ended = failure_of("bad.exit", {});
  EXPECT_EQ(ended, errc::exited);
  EXPECT_NE(ended.text().find("gone"), std::string::npos) << ended.text();
  EXPECT_TRUE(ended.maybe_executed());
  error late = failure_of("bad.hang", {}, 50ms);
  EXPECT_EQ(late, errc::timeout);
  EXPECT_TRUE(late.maybe_executed());
}

TEST_P(Rpc, PrintsOnTheCallersTerminal) {
  one_.run([&](process& self) -> task<> {
    self.group_leader(self.id());
    auto leader = co_await rpc::call<pid>(self, target_, "io.say", "hello");
    EXPECT_EQ(leader.or_exit(), self.id());
    auto got = co_await self.receive(patience);
    EXPECT_EQ(got.or_exit().tag(), "io.put");
    rpc::cast(self, target_, "io.say", "unasked");
    auto more = co_await self.receive(patience);
    EXPECT_EQ(more.or_exit().to_value().items()->back().text_at("text"), "unasked\n");
  });
}

TEST_P(Rpc, SpawnsMonitored) {
  one_.run([&](process& self) -> task<> {
    auto started = co_await spawn_on(self, target_, "test.live").monitored();
    const spawned child = started.or_exit();
    EXPECT_EQ(child.process.node(), target_);
    self.send(child.process, value("enough"));
    auto got = co_await self.receive<down>(patience);
    const down told = got.or_exit();
    EXPECT_EQ(told.monitor, child.monitor);
    EXPECT_EQ(told.process, child.process);
    EXPECT_EQ(told.reason, exit_reason("enough"));
    // One that ends at once still tells its own reason, not noproc; many times, for the race.
    for (int i = 0; i < 50; ++i) {
      const std::string word = "quick" + std::to_string(i);
      auto quick = co_await spawn_on(self, target_, "test.quick", word).monitored();
      auto ended = co_await self.receive<down>(patience);
      const down last = ended.or_exit();
      EXPECT_EQ(last.monitor, quick.or_exit().monitor);
      EXPECT_EQ(last.process, quick->process);
      EXPECT_EQ(last.reason, exit_reason(word.c_str()));
    }
    EXPECT_EQ(self.waiting_messages(), 0u);
  });
}

TEST_P(Rpc, SpawnsLinked) {
  one_.run([&](process& self) -> task<> {
    self.trap_exits(true);
    for (int i = 0; i < 50; ++i) {
      auto started = co_await spawn_on(self, target_, "test.quick", "early").linked();
      auto got = co_await self.receive<exit_message>(patience);
      const exit_message told = got.or_exit();
      EXPECT_EQ(told.from, started.or_exit());
      EXPECT_EQ(told.reason, exit_reason("early"));
    }
  });
  // The other way: who is linked to it ends, and it follows.
  one_.run([&](process& self) -> task<> {
    auto started = co_await spawn_on(self, target_, "test.live");
    const pid child = started.or_exit();
    self.link(child);
    self.unlink(child);
    self.monitor(child);
    auto linker = [child](process& other) -> task<> {
      other.link(child);
      other.exit(exit_reason("together"));
      co_return;
    };
    spawn(self, linker);
    auto got = co_await self.receive<down>(patience);
    EXPECT_EQ(got.or_exit().reason, exit_reason("together"));
  });
}

TEST_P(Rpc, RefusesASpawnThatCannotBe) {
  one_.run([&](process& self) -> task<> {
    auto unknown = co_await spawn_on(self, target_, "test.nothing").monitored();
    EXPECT_EQ(unknown.error(), errc::undef);
    auto function = co_await spawn_on(self, target_, "math.add", 1, 2);
    EXPECT_EQ(function.error(), errc::undef);
    auto count = co_await spawn_on(self, target_, "test.live", "too", "many").linked();
    EXPECT_EQ(count.error(), errc::bad_argument);
    EXPECT_TRUE(count.error().text().starts_with("test.live(")) << count.error().text();
    auto started = co_await spawn_on(self, target_, "test.quick", 5).monitored();  // a number where text is wanted
    auto ended = co_await self.receive<down>(patience);
    const down told = ended.or_exit();
    EXPECT_EQ(told.process, started.or_exit().process);
    EXPECT_TRUE(told.reason.is("bad_argument")) << told.reason.text();
    EXPECT_EQ(self.waiting_messages(), 0u);
  });
}

TEST_P(Rpc, ManyAtOnce) {
  std::vector<spawned> callers;
  auto caller = [target = target_](process& self) -> task<> {
    for (int i = 0; i < 50; ++i) {
      auto sum = co_await rpc::call<std::int64_t>(self, target, "math.add", i, 1).within(patience);
      if (sum.or_exit() != i + 1) self.exit(exit_reason("wrong"));
    }
  };
  for (int i = 0; i < 20; ++i) callers.push_back(spawn_monitor(one_.door->self(), caller));
  for (const spawned& each : callers) EXPECT_EQ(one_.door->join(each, patience).or_exit(), exit_reason::normal());
}

// -- calls that are awaited later

TEST_P(Rpc, AsyncIsAwaitedLater) {
  one_.run([&](process& self) -> task<> {
    auto sum = rpc::async<std::int64_t>(self, target_, "math.add", 2, 3);
    auto mirrored = rpc::async<Point>(self, target_, "math.mirror", Point{1, 2});
    auto thrown = rpc::async(self, target_, "bad.throw");
    auto ended = rpc::async<void>(self, target_, "bad.exit");
    auto first = co_await sum;
    EXPECT_EQ(first.or_exit(), 5);
    auto second = co_await mirrored.within(patience);
    EXPECT_EQ(second.or_exit().x, 2);
    auto third = co_await thrown.within(patience);
    EXPECT_EQ(third.error(), errc::exception);
    auto fourth = co_await ended.within(patience);
    EXPECT_EQ(fourth.error(), errc::exited);
    EXPECT_TRUE(fourth.error().maybe_executed());
    auto again = co_await sum;
    EXPECT_EQ(again.error(), errc::cancelled);
    auto wrong = rpc::async<std::string>(self, target_, "math.add", 1, 1);
    auto fifth = co_await wrong.within(patience);
    EXPECT_EQ(fifth.error(), errc::bad_message);
    EXPECT_EQ(self.waiting_messages(), 0u);
  });
}

TEST_P(Rpc, AsyncMayBeAwaitedAgainOrGivenUp) {
  one_.run([&](process& self) -> task<> {
    auto hangs = rpc::async(self, target_, "test.wait_for", self.id());
    auto asked = co_await self.receive<pid>(patience);
    const pid there = asked.or_exit();
    EXPECT_FALSE(hangs.ready());
    for (duration limit : {duration::zero(), duration(10ms)}) {
      auto late = co_await hangs.within(limit);
      EXPECT_EQ(late.error(), errc::timeout);
      EXPECT_TRUE(late.error().maybe_executed());
      EXPECT_NE(late.error().text().find("test.wait_for on " + target_), std::string::npos) << late.error().text();
    }
    self.send(there, value("now"));
    auto done = co_await hangs.within(patience);
    EXPECT_EQ(done.or_exit(), value("now"));
    // Given up: the process that waits for it ends, the function goes on.
    std::vector<pid> running;
    {
      auto one = rpc::async(self, target_, "test.wait_for", self.id());
      auto two = rpc::async(self, target_, "test.wait_for", self.id());
      for (int i = 0; i < 2; ++i) {
        auto heard = co_await self.receive<pid>(patience);
        running.push_back(heard.or_exit());
      }
      one = std::move(two);
    }
    for (const pid function : running) {
      const ref watch = self.monitor(function);
      self.send(function, value("go"));
      auto ended = co_await self.receive<down>(patience);
      const down told = ended.or_exit();
      EXPECT_EQ(told.monitor, watch);
      EXPECT_TRUE(told.reason.is_normal()) << told.reason.text();
    }
  });
  // The test's own handle is left; who waited for the answers is gone.
  EXPECT_TRUE(wait_until([&] { return one_.machine->process_count() == 1; }));
}

TEST_P(Rpc, MulticallGivesAResultForEachInOrder) {
  one_.run([&](process& self) -> task<> {
    const std::vector<std::string> names{"one@test", "nobody@test", target_, "two@test"};
    auto all = co_await rpc::multicall<std::int64_t>(self, names, "math.add", 20, 3).within(patience);
    EXPECT_EQ(all.size(), 4u);
    EXPECT_EQ(all[0].or_exit(), 23);
    EXPECT_EQ(all[1].error(), errc::noconnection);
    EXPECT_EQ(all[2].or_exit(), 23);
    EXPECT_EQ(all[3].or_exit(), 23);
    auto none = co_await rpc::multicall(self, std::vector<std::string>(), "math.add", 1, 2);
    EXPECT_TRUE(none.empty());
    // One deadline for all: who hangs takes nothing from who answers.
    const time_point begin = self.now();
    auto some = co_await rpc::multicall(self, names, "test.hang_at", "two@test").within(100ms);
    EXPECT_LT(self.now() - begin, patience);
    EXPECT_EQ(some[0].or_exit(), value("one@test"));
    EXPECT_EQ(some[3].error(), errc::timeout);
    EXPECT_NE(some[3].error().text().find(" at rpc_test.cpp:"), std::string::npos) << some[3].error().text();
    EXPECT_EQ(self.waiting_messages(), 0u);
  });
}

// A thousand calls that take for ever, and short ones between them.
TEST_P(Rpc, LongAndShortCallsDoNotQueueBehindEachOther) {
  one_.run([&](process& self) -> task<> {
    std::vector<rpc::pending<value>> hanging;
    for (int i = 0; i < 1000; ++i) {
      hanging.push_back(rpc::async(self, target_, "bad.hang"));
      if (i % 10 != 0) continue;
      auto sum = co_await rpc::call<std::int64_t>(self, target_, "math.add", i, 1).within(patience);
      EXPECT_EQ(sum.or_exit(), i + 1);
    }
    for (const auto& one : hanging) EXPECT_FALSE(one.ready());
  });
}

TEST_P(Rpc, AsyncOverALostConnection) {
  if (target_ != "two@test") return;
  one_.run([&](process& self) -> task<> {
    auto hangs = rpc::async(self, "two@test", "test.wait_for", self.id());
    auto asked = co_await self.receive<pid>(patience);
    static_cast<void>(asked.or_exit());
    disconnect(self, "two@test");
    auto lost = co_await hangs.within(patience);
    EXPECT_EQ(lost.error(), errc::noconnection);
    EXPECT_TRUE(lost.error().maybe_executed());
  });
}

INSTANTIATE_TEST_SUITE_P(Where, Rpc, testing::Values(true, false),
                         [](const auto& info) { return info.param ? "far" : "near"; });

TEST(RpcAlone, ANodeWithoutNetworkServesItself) {
  detail::bare_node_options options;
  options.node.offers = test_offers();
  auto alone = detail::make_bare_node(std::move(options));
  auto door = alone->make_handle().or_exit();
  door->run(patience,
            [](process& self) -> task<> {
              auto sum = co_await rpc::call<std::int64_t>(self, std::string(nonode), "math.add", 2, 3);
              EXPECT_EQ(sum.or_exit(), 5);
              auto far = co_await rpc::call<std::int64_t>(self, "two@test", "math.add", 2, 3);
              EXPECT_EQ(far.error(), errc::noconnection);
              auto joined = co_await connect(self, "two@test");
              EXPECT_EQ(joined.error(), errc::noconnection);
              EXPECT_TRUE(nodes(self).empty());
            })
      .or_exit();
}

}  // namespace troupe::test
