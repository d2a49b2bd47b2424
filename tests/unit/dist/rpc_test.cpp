// Functions and processes of another node's catalogue, and of one's own.
#include "fixture.hpp"

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

TEST_P(Rpc, TellsFailuresApart) {
  EXPECT_EQ(failure_of("math.sub", {1, 2}), errc::undef);
  EXPECT_EQ(failure_of("test.live", {}), errc::undef);  // a process, not a function
  EXPECT_EQ(failure_of("math.add", {1}), errc::bad_argument);
  error type = failure_of("math.add", {1, "two"});
  EXPECT_EQ(type, errc::bad_argument);
  EXPECT_NE(type.text().find("argument 2"), std::string::npos) << type.text();
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
