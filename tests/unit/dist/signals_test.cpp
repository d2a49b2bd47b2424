// Every kind of signal between two nodes.
#include "fixture.hpp"

namespace troupe::test {

using namespace std::chrono_literals;
using Signals = cluster_fixture;

struct Numbered {
  std::int64_t number = 0;
  std::string text;
  TROUPE_MESSAGE(Numbered, "test.numbered", number, text)
};

TEST_F(Signals, MessageByPidAndByName) {
  member one = start("one@test"), two = start("two@test");
  const pid far = start_echo(two, "echo");
  value by_pid = one.run([&](process& self) -> task<value> {
    list ask{value("hi"), value(self.id())};
    self.send(far, value(ask));
    auto got = co_await self.receive(patience);
    co_return got.or_exit().to_value();
  });
  EXPECT_EQ(by_pid, list_of({"hi", far}));
  value by_name = one.run([&](process& self) -> task<value> {
    list ask{value("ho"), value(self.id())};
    self.send(address("echo", "two@test"), value(ask));
    auto got = co_await self.receive(patience);
    co_return got.or_exit().to_value();
  });
  EXPECT_EQ(by_name, list_of({"ho", far}));
}

task<> collect(process& self, pid report, int count) {
  std::int64_t expected = 0;
  for (; expected < count; ++expected) {
    auto got = co_await self.receive<Numbered>(patience);
    Numbered one = got.or_exit();
    if (one.number != expected || one.text != "payload") break;
  }
  self.send(report, value(expected));
}

TEST_F(Signals, KeepTheOrderOfEachPairFromTheFirstSendOn) {
  member one = start("one@test"), two = start("two@test");
  constexpr int count = 20000;
  const pid target = spawn(*two.machine, &collect, one.door->id(), count).or_exit();
  // The first messages wait for the dial; the rest flow.
  one.run([&](process& self) -> task<> {
    for (int i = 0; i < count; ++i) {
      self.send(target, Numbered{i, "payload"});
      if (i % 100 == 0) co_await self.yield();
    }
  });
  auto seen = one.door->receive(patience);
  EXPECT_EQ(seen.or_exit().to_value(), value(count));
}

TEST_F(Signals, CallByNameAndPid) {
  member one = start("one@test"), two = start("two@test");
  const pid far = start_echo(two, "echo");
  value answer = one.run([&](process& self) -> task<value> {
    auto got = co_await call<value>(self, address("echo", "two@test"), value("x"));
    co_return got.or_exit();
  });
  EXPECT_EQ(answer, list_of({"echo", "x"}));
  answer = one.run([&](process& self) -> task<value> {
    auto got = co_await call<value>(self, far, value(7));
    co_return got.or_exit();
  });
  EXPECT_EQ(answer, list_of({"echo", 7}));
}

TEST_F(Signals, FailedCallsSayWhy) {
  member one = start("one@test"), two = start("two@test");
  const pid far = start_echo(two, "echo");
  auto failure_of = [&](address to, value content, duration limit) {
    return *one.run([&](process& self) -> task<expected_failure> {
      auto got = co_await call<value>(self, to, content).within(limit);
      co_return expected_failure(got ? error() : got.error());
    });
  };
  EXPECT_EQ(failure_of(address("nobody", "two@test"), "x", patience), errc::noproc);
  EXPECT_EQ(failure_of(address("x", "nowhere@test"), "x", patience), errc::noconnection);
  EXPECT_EQ(failure_of(far, "forget", patience), errc::cancelled);
  const pid gone(far.life(), far.id() + (1ull << 40));
  EXPECT_EQ(failure_of(gone, "x", patience), errc::noproc);
  const pid former(intern_life("two@test", 77).or_exit(), 1);
  EXPECT_EQ(failure_of(former, "x", patience), errc::stale);
}

TEST_F(Signals, MonitorTellsTheReasonOnce) {
  member one = start("one@test"), two = start("two@test");
  const pid far = start_echo(two, "echo");
  one.run([&](process& self) -> task<> {
    const ref by_pid = self.monitor(far);
    const ref by_name = self.monitor(address("echo", "two@test"));
    list ask{value("hi"), value(self.id())};
    self.send(far, value(ask));
    auto answered = co_await self.receive(patience);
    EXPECT_TRUE(answered);
    list order{value("die"), value("of age")};
    self.send(far, value(order));
    for (int i = 0; i < 2; ++i) {
      auto got = co_await self.receive<down>(patience);
      const down told = got.or_exit();
      EXPECT_EQ(told.reason, exit_reason("of age"));
      EXPECT_EQ(told.process, far);
      EXPECT_EQ(told.name, told.monitor == by_name ? "echo" : "");
      EXPECT_TRUE(told.monitor == by_name || told.monitor == by_pid);
    }
    self.monitor(far);
    auto again = co_await self.receive<down>(patience);
    EXPECT_EQ(again.or_exit().reason, exit_reason::noproc());
    self.monitor(address("echo", "two@test"));
    auto unnamed = co_await self.receive<down>(patience);
    EXPECT_EQ(unnamed.or_exit().reason, exit_reason::noproc());
    EXPECT_EQ(self.waiting_messages(), 0u);
  });
}

TEST_F(Signals, DemonitorIsSilent) {
  member one = start("one@test"), two = start("two@test");
  const pid far = start_echo(two, "echo");
  one.run([&](process& self) -> task<> {
    self.demonitor(self.monitor(far));
    self.demonitor(self.monitor(address("echo", "two@test")));
    const ref kept = self.monitor(far);
    list order{value("die"), value("now")};
    self.send(far, value(order));
    auto got = co_await self.receive<down>(patience);
    EXPECT_EQ(got.or_exit().monitor, kept);
    // Whatever else were under way would come before this.
    auto other = co_await call<value>(self, address("nobody", "two@test"), value(1));
    EXPECT_FALSE(other);
    EXPECT_EQ(self.waiting_messages(), 0u);
  });
}

TEST_F(Signals, LinksCarryExitsBothWays) {
  member one = start("one@test"), two = start("two@test");
  const pid far = start_echo(two, "echo");
  one.run([&](process& self) -> task<> {
    self.trap_exits(true);
    self.link(far);
    list order{value("die"), value("sadly")};
    self.send(far, value(order));
    auto got = co_await self.receive<exit_message>(patience);
    const exit_message told = got.or_exit();
    EXPECT_EQ(told.from, far);
    EXPECT_EQ(told.reason, exit_reason("sadly"));
    self.link(far);
    auto again = co_await self.receive<exit_message>(patience);
    EXPECT_EQ(again.or_exit().reason, exit_reason::noproc());
  });
  const pid other = start_echo(two, "other");
  one.run([&](process& self) -> task<> {
    const ref watch = self.monitor(other);
    auto linker = [other](process& child) -> task<> {
      child.link(other);
      auto answered = co_await call<value>(child, other, value(1));  // the link is there
      EXPECT_TRUE(answered);
      child.exit(exit_reason("taken along"));
    };
    spawn(self, linker);
    auto got = co_await self.receive<down>(patience);
    const down told = got.or_exit();
    EXPECT_EQ(told.monitor, watch);
    EXPECT_EQ(told.reason, exit_reason("taken along"));
  });
}

TEST_F(Signals, UnlinkHolds) {
  member one = start("one@test"), two = start("two@test");
  const pid far = start_echo(two, "echo");
  one.run([&](process& self) -> task<> {
    for (int i = 0; i < 100; ++i) {
      self.link(far);
      self.unlink(far);
    }
    list order{value("die"), value("alone")};
    const ref watch = self.monitor(far);
    self.send(far, value(order));
    auto got = co_await self.receive<down>(patience);  // had the link held, this process were gone
    EXPECT_EQ(got.or_exit().monitor, watch);
  });
}

TEST_F(Signals, ExitAskedAndKill) {
  member one = start("one@test"), two = start("two@test");
  auto stubborn = [](process& self) -> task<> {
    self.trap_exits(true);
    for (;;) {
      auto got = co_await self.receive(wait_forever);
      if (got->is_call()) self.reply(*got, value("trapping"));
    }
  };
  const pid far = spawn(*two.machine, stubborn).or_exit();
  one.run([&](process& self) -> task<> {
    self.monitor(far);
    auto ready = co_await call<value>(self, far, value("ready?"));
    EXPECT_TRUE(ready);
    self.exit(far, exit_reason("please"));
    self.exit(far, exit_reason::kill());
    auto got = co_await self.receive<down>(patience);
    EXPECT_EQ(got.or_exit().reason, exit_reason::killed());
  });
}

TEST_F(Signals, OutputGoesToTheGroupLeaderOfTheSpawner) {
  catalogue offers;
  offers.process("test.printer", [](process& self, std::string text) -> task<> {
    self.print(text);
    co_return;
  });
  member_options options;
  options.offers = std::move(offers);
  member one = start("one@test"), two = start("two@test", std::move(options));
  one.run([&](process& self) -> task<> {
    self.group_leader(self.id());
    auto child = co_await spawn_on(self, "two@test", "test.printer", "from afar");
    EXPECT_EQ(child.or_exit().node(), "two@test");
    auto got = co_await self.receive(patience);
    message line = std::move(got.or_exit());
    EXPECT_EQ(line.tag(), "io.put");
    EXPECT_EQ(line.to_value().items()->back().text_at("text"), "from afar\n");
    EXPECT_EQ(line.from(), *child);
  });
}

TEST_F(Signals, TooLargeIsRefusedAlone) {
  member_options small;
  small.wire.frame_bytes = 4096;
  small.wire.message_bytes = 4096;
  member one = start("one@test"), two = start("two@test", small);
  const pid far = start_echo(two, "echo");
  for (int round = 0; round < 2; ++round) {  // before the connection is up, and after
    error why = *one.run([&](process& self) -> task<expected_failure> {
      const std::string much(8192, 'x');
      auto refused = co_await call<value>(self, far, value(much));
      auto taken = co_await call<value>(self, far, value("little"));
      EXPECT_TRUE(taken) << (taken ? "" : taken.error().message());
      co_return expected_failure(refused ? error() : refused.error());
    });
    EXPECT_EQ(why, errc::too_large);
  }
}

TEST_F(Signals, StaleMonitorsAndLinksAreLikeDead) {
  member one = start("one@test"), two = start("two@test");
  const pid former(intern_life("two@test", 77).or_exit(), 1);
  one.run([&](process& self) -> task<> {
    self.trap_exits(true);
    for (int round = 0; round < 2; ++round) {
      self.monitor(former);
      auto told = co_await self.receive<down>(patience);
      EXPECT_EQ(told.or_exit().reason, exit_reason::noproc());
      self.link(former);
      auto ended = co_await self.receive<exit_message>(patience);
      EXPECT_EQ(ended.or_exit().reason, exit_reason::noproc());
    }
  });
}

}  // namespace troupe::test
