// Much and long: chunks, parked senders, refusals.
#include "fixture.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

struct Blob {
  std::int64_t number = 0;
  std::string content;
  TROUPE_MESSAGE(Blob, "blob", number, content)
};

class Flow : public cluster_fixture {
 protected:
  // Notes of each message to "sink" its number, or -1 and the reason of a DOWN.
  struct record {
    std::mutex mutex;
    std::vector<std::int64_t> numbers;
    std::vector<std::size_t> sizes;
    std::vector<std::string> downs;
    std::size_t count() {
      std::lock_guard lock(mutex);
      return numbers.size();
    }
  };
  static task<> sink(process& self, std::shared_ptr<record> out) {
    for (;;) {
      auto got = co_await self.receive(wait_forever);
      std::lock_guard lock(out->mutex);
      if (auto sender = got->to_value().process()) {
        self.monitor(*sender);
        self.send(*sender, value("watched"));
      } else if (const down* ended = got->get<down>()) {
        out->downs.push_back(ended->reason.text());
      } else if (const Blob* blob = got->get<Blob>()) {
        out->numbers.push_back(blob->number);
        out->sizes.push_back(blob->content.size());
      }
    }
  }
  std::shared_ptr<record> start_sink(member& where) {
    auto out = std::make_shared<record>();
    spawn_options options;
    options.name = "sink";
    spawn(*where.machine, std::move(options), &Flow::sink, out).or_exit();
    return out;
  }
};

TEST_F(Flow, ALongMessageASmallOneAndTheEndComeInOrder) {
  member one = start("one@test");
  member two = start("two@test");
  auto seen = start_sink(two);
  auto body = [](process& self) -> task<> {
    const address there("sink", "two@test");
    self.send(there, value(self.id()));
    static_cast<void>(co_await self.receive(patience));
    self.send(there, Blob{1, std::string(40u << 20, 'x')});
    self.send(there, Blob{2, "small"});
    self.exit(exit_reason("done"));
  };
  spawn(*one.machine, body).or_exit();
  ASSERT_TRUE(wait_until([&] {
    std::lock_guard lock(seen->mutex);
    return !seen->downs.empty();
  }));
  std::lock_guard lock(seen->mutex);
  EXPECT_EQ(seen->numbers, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(seen->sizes, (std::vector<std::size_t>{40u << 20, 5}));
  EXPECT_EQ(seen->downs, std::vector<std::string>{"\"done\""});
}

TEST_F(Flow, OthersPassALongMessage) {
  member one = start("one@test");
  member two = start("two@test");
  start_echo(two, "echo");
  auto seen = start_sink(two);
  one.run([](process& self) -> task<> { (co_await connect(self, "two@test")).or_exit(); });
  auto bulk = [](process& self) -> task<> {
    self.send(address("sink", "two@test"), Blob{1, std::string(200u << 20, 'x')});
    co_return;
  };
  spawn(*one.machine, bulk).or_exit();
  ASSERT_TRUE(wait_until([&] {
    const value info = two.network->info();
    return !info.find("peers")->items()->empty() &&
           info.find("peers")->items()->front().integer_at("arriving_bytes") > 0;
  }));
  int passed = 0;
  while (seen->count() == 0) {
    one.run([](process& self) -> task<> {
      (co_await call<value>(self, address("echo", "two@test"), value("hi")).within(patience)).or_exit();
    });
    ++passed;
  }
  EXPECT_GT(passed, 3);
}

TEST_F(Flow, ManyLongMessagesOfManySendersArriveWhole) {
  member_options small;
  small.wire.frame_bytes = 4096;
  small.wire.credit_bytes = 4096;
  small.wire.message_bytes = 64u << 10;
  member one = start("one@test");
  member two = start("two@test", std::move(small));
  auto seen = start_sink(two);
  auto body = [](process& self, std::int64_t me) -> task<> {
    for (std::int64_t i = 0; i < 5; ++i) {
      self.send(address("sink", "two@test"), Blob{me * 10 + i, std::string(static_cast<std::size_t>(me) * 1000, 'x')});
    }
    co_return;
  };
  for (std::int64_t me = 1; me <= 40; ++me) spawn(*one.machine, body, me).or_exit();
  ASSERT_TRUE(wait_until([&] { return seen->count() == 200; }));
  std::lock_guard lock(seen->mutex);
  std::map<std::int64_t, std::int64_t> last;
  for (std::size_t i = 0; i < 200; ++i) {
    const std::int64_t me = seen->numbers[i] / 10;
    EXPECT_EQ(seen->sizes[i], static_cast<std::size_t>(me) * 1000);
    EXPECT_EQ(seen->numbers[i] % 10, last[me]++);
  }
}

TEST_F(Flow, AParkedSenderLosesNothing) {
  member_options narrow;
  narrow.queue_bytes = 64u << 10;
  member one = start("one@test", std::move(narrow));
  member two = start("two@test");
  auto seen = start_sink(two);
  auto body = [](process& self) -> task<> {
    for (std::int64_t i = 0; i < 20'000; ++i) {
      self.send(address("sink", "two@test"), Blob{i, std::string(1000, 'x')});
      if (i % 20 == 19) co_await self.yield();
    }
  };
  std::vector<pid> senders;
  for (int i = 0; i < 4; ++i) senders.push_back(spawn(*one.machine, body).or_exit());
  ASSERT_TRUE(wait_until([&] { return seen->count() == 80'000; }, 20s))
      << seen->count() << one.network->info().print() << two.network->info().print();
  EXPECT_EQ(one.network->counters().refused_overloaded.load(), 0u);
  EXPECT_GT(one.network->counters().parked.load(), 0u);
}

TEST_F(Flow, WhoAsksNotToBeParkedIsTold) {
  member_options narrow;
  narrow.queue_bytes = 64u << 10;
  member one = start("one@test", std::move(narrow));
  member two = start("two@test");
  auto seen = start_sink(two);
  const auto [taken, code] = one.run([](process& self) -> task<std::pair<std::int64_t, errc>> {
    (co_await connect(self, "two@test")).or_exit();
    for (std::int64_t i = 0; i < 1'000'000; ++i) {
      auto sent = self.try_send(address("sink", "two@test"), Blob{i, std::string(1000, 'x')});
      if (!sent) co_return std::pair(i, sent.error().code());
    }
    co_return std::pair(std::int64_t{0}, errc::none);
  });
  EXPECT_EQ(code, errc::overloaded);
  EXPECT_GT(taken, 0);
  EXPECT_TRUE(wait_until([&, sent = taken] { return seen->count() == static_cast<std::size_t>(sent); }));
}

TEST_F(Flow, TrySendKnowsWhatThisSideKnows) {
  member one = start("one@test");
  member two = start("two@test");
  start_echo(two, "echo");
  one.run([](process& self) -> task<> {
    EXPECT_EQ(self.try_send(address("nobody"), value(1)).error(), errc::noproc);
    EXPECT_TRUE(self.try_send(address("echo", "two@test"), value(1)));
    EXPECT_FALSE(co_await connect(self, "four@test"));
    EXPECT_EQ(self.try_send(address("x", "four@test"), value(1)).error(), errc::noconnection);
  });
}

TEST_F(Flow, AParkedSenderGoesOnWhenTheNodeIsLost) {
  member_options narrow;
  narrow.queue_bytes = 64u << 10;
  member one = start("one@test", std::move(narrow));
  // A node that is dialled and never there: what is sent waits for the dial, and so does its sender.
  std::atomic<bool> over = false;
  auto body = [](process& self, std::atomic<bool>* done) -> task<> {
    for (int i = 0; i < 1000; ++i) self.send(address("sink", "two@test"), Blob{i, std::string(1000, 'x')});
    co_await self.yield();
    *done = true;
  };
  spawn(*one.machine, body, &over).or_exit();
  EXPECT_TRUE(wait_until([&] { return over.load(); }));
}

TEST_F(Flow, AKilledSenderEndsAtOnceWhateverItWaitsFor) {
  member_options narrow;
  narrow.queue_bytes = 64u << 10;
  member one = start("one@test", std::move(narrow));
  member two = start("two@test");
  start_sink(two);
  auto body = [](process& self) -> task<> {
    for (;;) {
      self.send(address("sink", "two@test"), Blob{0, std::string(60'000, 'x')});
      co_await self.sleep(1us);
    }
  };
  const pid sender = spawn(*one.machine, body).or_exit();
  ASSERT_TRUE(wait_until([&] { return one.network->counters().parked.load() > 3; }));
  one.machine->exit(sender, exit_reason::kill());
  EXPECT_TRUE(wait_until([&] { return !one.machine->exists(sender); }));
}

TEST_F(Flow, WhatMustArriveAndIsTooLongArrivesAsThat) {
  member_options small;
  small.wire.frame_bytes = 4096;
  small.wire.message_bytes = 16u << 10;
  member one = start("one@test", std::move(small));
  member two = start("two@test");
  auto server = [](process& self) -> task<> {
    for (;;) {
      auto got = co_await self.receive(wait_forever);
      if (got->to_value() == value("die")) self.exit(exit_reason(std::string(100'000, 'r')));
      self.reply(*got, value(std::string(100'000, 'x')));
    }
  };
  spawn_options named;
  named.name = "big";
  const pid big = spawn(*two.machine, std::move(named), server).or_exit();
  one.run([big](process& self) -> task<> {
    const ref watch = self.monitor(big);
    auto got = co_await call<value>(self, address("big", "two@test"), value("hi")).within(patience);
    EXPECT_EQ(got.error(), errc::too_large);
    self.send(big, value("die"));
    auto ended = co_await self.receive<down>(patience);
    EXPECT_EQ(ended->monitor, watch);
    EXPECT_TRUE(ended->reason.is("too_large")) << ended->reason.text();
  });
}

TEST_F(Flow, DeepAndWideContentsDoNotEndTheConnection) {
  member one = start("one@test");
  member two = start("two@test");
  start_echo(two, "echo");
  one.run([](process& self) -> task<> {
    const address there("echo", "two@test");
    list wide(300'000, value(7));
    auto back = co_await call<value>(self, there, value(wide)).within(patience);
    EXPECT_TRUE(back && back->items()->back() == value(std::move(wide)));
    value deep(1);
    for (int i = 0; i < 80; ++i) deep = value(list{std::move(deep)});
    back = co_await call<value>(self, there, value(deep)).within(patience);
    EXPECT_TRUE(back && back->items()->back() == deep);
    for (int i = 0; i < 60; ++i) deep = value(list{std::move(deep)});
    back = co_await call<value>(self, there, std::move(deep)).within(patience);
    EXPECT_EQ(back.error(), errc::too_large);
    EXPECT_EQ(nodes(self), std::vector<std::string>{"two@test"});
  });
}

TEST_F(Flow, ALinkHoldsAfterAnUnlinkAndALoss) {
  member one = start("one@test");
  member two = start("two@test");
  const pid far = start_echo(two, "echo");
  auto body = [](process& self, pid other) -> task<> {
    self.trap_exits(true);
    self.link(other);
    (co_await call<value>(self, other, value("settled")).within(patience)).or_exit();
    monitor_nodes(self, true);
    self.unlink(other);
    disconnect(self, "two@test");
    static_cast<void>(co_await self.receive(patience));  // nodedown
    monitor_nodes(self, false);
    (co_await connect(self, "two@test").within(patience)).or_exit();
    self.link(other);
    self.send(other, list_of({"die", "bye"}));
    auto ended = co_await self.receive<exit_message>(patience);
    EXPECT_TRUE(ended && ended->reason.is("bye"));
  };
  one.run([&](process& self) { return body(self, far); });
}

}  // namespace troupe::test
