// Much and long: chunks, parked senders, refusals.
#include <algorithm>
#include <atomic>
#include <iostream>
#include <set>
#include <thread>

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
      const value content = got->to_value();
      if (auto sender = content.process()) {
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

// Bursts without a single wait in between, of any size: whatever is over the mark stays here until it can leave.
TEST_F(Flow, ABurstLosesNothing) {
  struct burst {
    std::int64_t messages;
    std::size_t bytes;
  };
  for (const auto [messages, size] : {burst{30, 1u << 20}, burst{3000, 8u << 10}, burst{60'000, 100}}) {
    member_options narrow;
    narrow.queue_bytes = 256u << 10;
    member one = start("one@test", std::move(narrow));
    member two = start("two@test");
    auto seen = start_sink(two);
    auto body = [](process& self, burst what) -> task<> {
      (co_await connect(self, "two@test")).or_exit();
      for (std::int64_t i = 0; i < what.messages; ++i) {
        self.send(address("sink", "two@test"), Blob{i, std::string(what.bytes, 'x')});
      }
    };
    spawn(*one.machine, body, burst{messages, size}).or_exit();
    EXPECT_TRUE(wait_until([&] { return seen->count() == static_cast<std::size_t>(messages); }, 30s))
        << seen->count() << " of " << messages << one.network->info().print();
    EXPECT_EQ(one.network->counters().refused_overloaded.load(), 0u);
    one.end();
    two.end();
  }
}

// It never waits, so nothing can park it: it ends, and what arrived has no gap.
TEST_F(Flow, ASenderThatNeverWaitsEndsAtTheBound) {
  member_options narrow;
  narrow.queue_bytes = 64u << 10;
  narrow.sender_bytes = 4u << 20;
  member one = start("one@test", std::move(narrow));
  member two = start("two@test");
  auto seen = start_sink(two);
  auto body = [](process& self) -> task<> {
    self.trap_exits(true);
    (co_await connect(self, "two@test")).or_exit();
    for (std::int64_t i = 0; i < 100'000; ++i)
      self.send(address("sink", "two@test"), Blob{i, std::string(10'000, 'x')});
    self.send(self.id(), value("still here"));
    static_cast<void>(co_await self.receive(wait_forever));
    self.send(address("sink", "two@test"), Blob{-1, "too late"});
  };
  one.run([&](process& self) -> task<> {
    const auto watched = spawn_monitor(self, body);
    EXPECT_TRUE(watched.process);
    auto ended = co_await self.receive<down>(patience);
    EXPECT_TRUE(ended && ended->reason.is("overloaded")) << (ended ? ended->reason.text() : ended.error().message());
  });
  EXPECT_EQ(one.network->counters().ended_overloaded.load(), 1u);
  // Something behind all that it sent.
  one.run([](process& self) -> task<> {
    self.send(address("sink", "two@test"), Blob{-2, "the end"});
    co_return;
  });
  std::size_t arrived = 0;
  ASSERT_TRUE(wait_until([&] {
    const std::size_t now = seen->count();
    const bool stands =
        now == arrived && one.network->info().find("peers")->items()->front().integer_at("waiting_senders") == 0;
    arrived = now;
    return stands && now > 400;
  }));
  std::lock_guard lock(seen->mutex);
  std::erase(seen->numbers, -2);
  for (std::size_t i = 0; i < seen->numbers.size(); ++i) ASSERT_EQ(seen->numbers[i], static_cast<std::int64_t>(i));
}

TEST_F(Flow, AThreadIsToldWhatDidNotLeave) {
  member_options narrow;
  narrow.queue_bytes = 64u << 10;
  member one = start("one@test", std::move(narrow));
  member two = start("two@test");
  auto seen = start_sink(two);
  one.run([](process& self) -> task<> { (co_await connect(self, "two@test")).or_exit(); });
  std::vector<std::int64_t> gone;
  errc refused = errc::none;
  for (std::int64_t i = 0; i < 1'000'000 && refused == errc::none; ++i) {
    refused = one.door->send(address("sink", "two@test"), Blob{i, std::string(10'000, 'x')});
    if (refused == errc::none) gone.push_back(i);
  }
  EXPECT_EQ(refused, errc::overloaded);
  ASSERT_TRUE(wait_until([&] { return seen->count() == gone.size(); }));
  std::lock_guard lock(seen->mutex);
  EXPECT_EQ(seen->numbers, gone);
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

// A cast is parked like a send, keeps its place among its process's sends, and may be long.
TEST_F(Flow, CastsAreNotLost) {
  constexpr int casts = 20'000;
  const auto seen = std::make_shared<std::atomic<int>>(0);
  const auto longest = std::make_shared<std::atomic<std::size_t>>(0);
  member_options narrow;
  narrow.queue_bytes = 64u << 10;
  member_options offering;
  offering.offers.function("count.one", [seen, longest](bytes content) {
    if (content.size() > *longest) *longest = content.size();
    ++*seen;
  });
  member one = start("one@test", std::move(narrow));
  member two = start("two@test", std::move(offering));
  auto body = [](process& self) -> task<> {
    (co_await connect(self, "two@test")).or_exit();
    rpc::cast(self, "two@test", "count.one", bytes(5u << 20));
    for (int i = 1; i < casts; ++i) {
      rpc::cast(self, "two@test", "count.one", bytes(100));
      if (i % 100 == 0) co_await self.yield();
    }
  };
  spawn(*one.machine, body).or_exit();
  EXPECT_TRUE(wait_until([&] { return *seen == casts; })) << *seen << one.network->info().print();
  EXPECT_EQ(*longest, 5u << 20);
  EXPECT_EQ(one.network->counters().refused_overloaded.load(), 0u);
  EXPECT_GT(one.network->counters().parked.load(), 0u);
}

// Both sides send more than the other's bounded mailbox, the connection and the senders' queues hold.
TEST_F(Flow, TwoNodesThatFloodEachOtherGoOn) {
  member_options narrow;
  narrow.queue_bytes = 64u << 10;
  narrow.wire.credit_bytes = 256u << 10;
  member one = start("one@test", narrow);
  member two = start("two@test", narrow);
  constexpr std::int64_t flooders = 5, each = 4000;
  struct tally {
    std::atomic<std::uint64_t> messages{0}, ends{0};
  };
  auto in_one = std::make_shared<tally>(), in_two = std::make_shared<tally>();
  auto reader = [](process& self, std::shared_ptr<tally> out) -> task<> {
    std::set<pid> watched;  // who was not answered at once asks again
    for (;;) {
      auto got = co_await self.receive(wait_forever);
      if (const down* ended = got->get<down>()) {
        EXPECT_EQ(ended->reason, exit_reason("flooded"));
        ++out->ends;
      } else if (got->get<Blob>()) {
        ++out->messages;
        if (out->messages % 64 == 0) co_await self.yield();  // slower than five that send
      } else {
        const value content = got->to_value();
        if (watched.insert(*content.process()).second) self.monitor(*content.process());
        self.send(*content.process(), value("watched"));
      }
    }
  };
  auto flood = [](process& self, std::string where) -> task<> {
    const address there("bounded", where);
    for (bool watched = false; !watched;) {
      self.send(there, value(self.id()));
      auto answer = co_await self.receive(100ms);
      watched = answer.has_value();
    }
    for (std::int64_t i = 0; i < each; ++i) {
      self.send(there, Blob{i, std::string(1000, 'x')});
      if (i % 20 == 19) co_await self.yield();
    }
    self.exit(exit_reason("flooded"));
  };
  const auto bounded = [&](member& where, std::shared_ptr<tally> out) {
    spawn_options options;
    options.name = "bounded";
    options.mailbox_limit = 50;
    spawn(*where.machine, std::move(options), reader, std::move(out)).or_exit();
  };
  bounded(one, in_one);
  bounded(two, in_two);
  start_echo(one, "echo");
  start_echo(two, "echo");
  for (std::int64_t i = 0; i < flooders; ++i) {
    spawn(*one.machine, flood, std::string("two@test")).or_exit();
    spawn(*two.machine, flood, std::string("one@test")).or_exit();
  }
  const auto over = [](const tally& seen) { return seen.ends.load() >= flooders; };
  // Meanwhile others are served.
  const auto ask = [](std::string where) {
    return [where](process& self) -> task<> {
      (co_await call<value>(self, address("echo", where), value("hi")).within(patience)).or_exit();
    };
  };
  int asked = 0;
  for (; !over(*in_one) || !over(*in_two); ++asked) {
    one.run(ask("two@test"));
    two.run(ask("one@test"));
    if (asked > 100'000) break;
  }
  ASSERT_TRUE(wait_until([&] { return over(*in_one) && over(*in_two); }))
      << in_one->ends << " and " << in_two->ends << one.network->info().print() << two.network->info().print();
  EXPECT_GT(asked, 0);
  for (auto [where, seen] : {std::pair(&one, in_one), std::pair(&two, in_two)}) {
    // Each message is in one of two counts, and no end was lost or told twice.
    EXPECT_TRUE(wait_until([&] {
      return seen->messages + where->core().counters().mailbox_refused >= flooders * each;
    })) << seen->messages
        << " arrived, " << where->core().counters().mailbox_refused << " were refused";
    EXPECT_EQ(seen->ends.load(), static_cast<std::uint64_t>(flooders));
  }
}

// No worker is needed to send: what a process has sent leaves while it, and all beside it, compute.
TEST_F(Flow, AMessageLeavesWhileEveryWorkerComputes) {
  member one = start("one@test");
  member two = start("two@test");
  constexpr duration computes = 400ms;
  constexpr int rounds = 5;
  struct clock_record {
    std::mutex mutex;
    std::vector<time_point> arrivals;
  };
  auto seen = std::make_shared<clock_record>();
  auto note = [](process& self, std::shared_ptr<clock_record> out) -> task<> {
    for (;;) {
      (void)co_await self.receive(wait_forever);
      const time_point now = self.now();
      std::lock_guard lock(out->mutex);
      out->arrivals.push_back(now);
    }
  };
  spawn_options named;
  named.name = "clock";
  spawn(*two.machine, std::move(named), note, seen).or_exit();
  one.run([](process& self) -> task<> { (co_await connect(self, "two@test")).or_exit(); });
  const auto spin = [computes](process& self) {
    for (const time_point until = self.now() + computes; self.now() < until;) {
    }
  };
  const auto hog = [spin](process& self) -> task<> {
    spin(self);
    co_return;
  };
  std::vector<duration> took;
  for (int round = 0; round < rounds; ++round) {
    const auto done = std::make_shared<std::atomic<bool>>(false);
    auto sent = std::make_shared<std::atomic<std::int64_t>>(0);
    const auto sender = [spin, sent, done](process& self) -> task<> {
      sent->store(self.now().time_since_epoch().count());
      self.send(address("clock", "two@test"), value("now"));
      spin(self);
      done->store(true);
      co_return;
    };
    spawn(*one.machine, sender).or_exit();
    for (unsigned i = 1; i < std::max(2u, std::thread::hardware_concurrency()); ++i) spawn(*one.machine, hog).or_exit();
    ASSERT_TRUE(wait_until([&] {
      std::lock_guard lock(seen->mutex);
      return seen->arrivals.size() == static_cast<std::size_t>(round) + 1;
    }));
    std::lock_guard lock(seen->mutex);
    took.push_back(seen->arrivals.back() - time_point(duration(sent->load())));
    ASSERT_TRUE(wait_until([&] { return done->load(); }));
  }
  std::sort(took.begin(), took.end());
  const double median = std::chrono::duration<double, std::milli>(took[rounds / 2]).count();
  RecordProperty("median_ms", std::to_string(median));
  std::cout << "a message left and arrived after " << median << " ms while every worker computed\n";
  EXPECT_LT(took[rounds / 2], computes / 4);
}

}  // namespace troupe::test
