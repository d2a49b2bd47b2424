#include <atomic>

#include "runtime_support.hpp"
#include "sched/scheduler.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

task<> echo(process& self) {
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* ping = got->get<Ping>()) self.send(ping->from, Pong{ping->number});
    else if (got->get<Stop>()) co_return;
    else self.exit(exit_reason("surprised"));
  }
}

TEST_F(RuntimeTest, MessagesGoThereAndBack) {
  auto sum = run([](process& self) -> task<std::int64_t> {
    pid peer = spawn(self, echo);
    std::int64_t total = 0;
    for (std::int64_t i = 1; i <= 1000; ++i) {
      self.send(peer, Ping{self.id(), i});
      auto pong = co_await self.receive<Pong>(patience);
      total += pong.or_exit().number;
    }
    self.send(peer, Stop{});
    co_return total;
  });
  ASSERT_TRUE(sum) << sum.error().message();
  EXPECT_EQ(*sum, 500500);
}

TEST_F(RuntimeTest, SelectiveReceiveLeavesOthersInOrder) {
  auto order = run([](process& self) -> task<std::string> {
    self.send(self.id(), Put{"a", "1"});
    self.send(self.id(), Pong{7});
    self.send(self.id(), Put{"b", "2"});
    self.send(self.id(), value("plain"));
    auto pong = co_await self.receive<Pong>(patience);
    std::string want = "b";
    auto second = co_await self.receive_if(
        [&want](const message& m) {
          value v = m.to_value();
          return v.items() && (*v.items())[1].text_at("key") == want;
        },
        patience);
    auto first = co_await self.receive(patience);
    auto last = co_await self.receive(patience);
    std::string out = std::to_string(pong.or_exit().number);
    out += second->as<Put>().key;
    out += first->as<Put>().key;
    out += *last->as<value>().text();
    co_return out;
  });
  ASSERT_TRUE(order) << order.error().message();
  EXPECT_EQ(*order, "7baplain");
}

TEST_F(RuntimeTest, AReceiveTimesOutAndKeepsTheMailbox) {
  auto outcome = run([](process& self) -> task<bool> {
    self.send(self.id(), Stop{});
    auto none = co_await self.receive<Pong>(5ms);
    auto zero = co_await self.receive<Pong>(0ms);
    auto stop = co_await self.receive<Stop>(patience);
    co_return !none && none.error() == errc::timeout && !zero && stop.has_value();
  });
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(*outcome);
}

TEST_F(RuntimeTest, SleepIsNeverShort) {
  auto slept = run([](process& self) -> task<duration> {
    time_point before = self.now();
    co_await self.sleep(20ms);
    co_return self.now() - before;
  });
  ASSERT_TRUE(slept);
  EXPECT_GE(*slept, 20ms);
}

TEST_F(RuntimeTest, MonitorsTellOnceAndWhy) {
  auto reasons = run([](process& self) -> task<std::string> {
    auto body = [](process& me) -> task<> {
      auto got = co_await me.receive(wait_forever);
      if (got->get<Stop>()) co_return;
      throw std::runtime_error("broken");
    };
    spawned good = spawn_monitor(self, body);
    spawned bad = spawn_monitor(self, body);
    self.send(good.process, Stop{});
    auto first = co_await self.receive<down>(patience);
    self.send(bad.process, Pong{1});
    auto second = co_await self.receive<down>(patience);
    ref late = self.monitor(good.process);
    auto third = co_await self.receive<down>(patience);
    bool refs = first->monitor == good.monitor && second->monitor == bad.monitor && third->monitor == late;
    auto more = co_await self.receive(10ms);
    co_return std::string(refs ? "" : "wrong ") + first->reason.text() + second->reason.text() + third->reason.text() +
        (more ? "more" : "");
  });
  ASSERT_TRUE(reasons) << reasons.error().message();
  EXPECT_EQ(*reasons, "\"normal\"{\"exception\", {type = \"std::runtime_error\", text = \"broken\"}}\"noproc\"");
}

TEST_F(RuntimeTest, DemonitorTakesAWaitingDownAway) {
  auto outcome = run([](process& self) -> task<bool> {
    spawned child = spawn_monitor(self, [](process&) -> task<> { co_return; });
    spawned other = spawn_monitor(self, echo);
    // Both have been told when the second's DOWN is here, since it is asked for after the first had ended.
    while (self.node().exists(child.process)) co_await self.yield();
    self.exit(other.process, exit_reason("x"));
    auto second = co_await self.receive_if(
        [&other](const message& m) {
          value v = m.to_value();
          return v.items() && (*v.items())[1] == value(other.monitor);
        },
        patience);
    self.demonitor(child.monitor);
    auto none = co_await self.receive(0ms);
    co_return second.has_value() && !none;
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_TRUE(*outcome);
}

TEST_F(RuntimeTest, MonitorByNameNamesTheName) {
  auto shown = run([](process& self) -> task<std::string> {
    spawn_options named;
    named.name = "the.echo";
    pid peer = try_spawn(self, std::move(named), echo).or_exit().process;
    (void)self.monitor("the.echo");
    (void)self.monitor("nobody.there");
    auto first = co_await self.receive<down>(patience);
    self.exit(peer, exit_reason::kill());
    auto second = co_await self.receive<down>(patience);
    co_return first->name + " " + first->reason.text() + " " + second->name + "@" + second->node + " " +
        second->reason.text();
  });
  ASSERT_TRUE(shown) << shown.error().message();
  EXPECT_EQ(*shown, "nobody.there \"noproc\" the.echo@test@localhost \"killed\"");
}

TEST_F(RuntimeTest, LinksCarryExitsUnlessNormalOrTrapped) {
  auto outcome = run([](process& self) -> task<std::string> {
    self.trap_exits(true);
    pid quiet = spawn_link(self, [](process&) -> task<> { co_return; });
    auto first = co_await self.receive<exit_message>(patience);
    pid loud = spawn_link(self, [](process& me) -> task<> {
      // A chain: the middle does not trap, so the end of the inner one ends it too.
      pid inner = spawn_link(me, [](process& it) -> task<> {
        co_await it.sleep(1ms);
        it.exit(exit_reason("inner"));
      });
      (void)inner;
      (void)co_await me.receive(wait_forever);
    });
    auto second = co_await self.receive<exit_message>(patience);
    self.link(quiet);
    auto third = co_await self.receive<exit_message>(patience);
    bool from = first->from == quiet && second->from == loud && third->from == quiet;
    co_return (from ? "" : "wrong ") + first->reason.text() + second->reason.text() + third->reason.text();
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(*outcome, "\"normal\"\"inner\"\"noproc\"");
}

TEST_F(RuntimeTest, UnlinkedMeansUnlinked) {
  auto outcome = run([](process& self) -> task<bool> {
    spawned peer = spawn_monitor(self, echo);
    self.link(peer.process);
    self.unlink(peer.process);
    self.exit(peer.process, exit_reason("bang"));
    auto told = co_await self.receive<down>(patience);
    co_return told->reason == exit_reason("bang");
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_TRUE(*outcome);
}

struct Witness {
  std::atomic<int>* count;
  explicit Witness(std::atomic<int>* c) : count(c) { count->fetch_add(1); }
  Witness(const Witness&) = delete;
  ~Witness() { count->fetch_sub(1); }
};

task<> deep(process& self, std::atomic<int>* alive, int level) {
  Witness here(alive);
  if (level > 0) {
    co_await deep(self, alive, level - 1);
  } else {
    (void)co_await self.receive(wait_forever);
  }
}

TEST_F(RuntimeTest, AKilledProcessRunsItsDestructorsAndReturnsFromNoAwait) {
  std::atomic<int> alive{0};
  auto reason = run([&alive](process& self) -> task<exit_reason> {
    spawned victim = spawn_monitor(self, deep, &alive, 20);
    while (alive.load() < 21) co_await self.yield();
    self.exit(victim.process, exit_reason::kill());
    auto told = co_await self.receive<down>(patience);
    co_return told->reason;
  });
  ASSERT_TRUE(reason) << reason.error().message();
  EXPECT_EQ(*reason, exit_reason::killed());
  EXPECT_EQ(alive.load(), 0);
}

TEST_F(RuntimeTest, AMillionFinishedAwaitsNeedNoStack) {
  auto total = run([](process&) -> task<std::int64_t> {
    std::int64_t sum = 0;
    auto one = []() -> task<int> { co_return 1; };
    for (int i = 0; i < 1'000'000; ++i) sum += co_await one();
    co_return sum;
  });
  ASSERT_TRUE(total) << total.error().message();
  EXPECT_EQ(*total, 1'000'000);
}

TEST_F(RuntimeTest, ABusyProcessLetsOthersRun) {
  auto outcome = run([](process& self) -> task<bool> {
    pid busy = spawn(self, [](process& me) -> task<> {
      for (;;) co_await me.yield();
    });
    pid flooded = spawn(self, [](process& me) -> task<> {
      me.send(me.id(), Stop{});
      for (;;) {
        (void)co_await me.receive(wait_forever);
        me.send(me.id(), Stop{});
      }
    });
    pid peer = spawn(self, echo);
    for (int i = 0; i < 100; ++i) {
      self.send(peer, Ping{self.id(), i});
      (co_await self.receive<Pong>(patience)).or_exit();
    }
    self.exit(busy, exit_reason::kill());
    self.exit(flooded, exit_reason::kill());
    co_return true;
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
}

TEST_F(RuntimeTest, NamesAreUniqueAndFreeAfterDeath) {
  auto outcome = run([](process& self) -> task<std::string> {
    std::string out;
    out += self.register_name("me") ? "ok " : "no ";
    out += to_string(self.register_name("me2").error().code());
    spawned peer = spawn_monitor(self, echo);
    spawn_options same;
    same.name = "me";
    auto taken = try_spawn(self, std::move(same), echo);
    out += " " + taken.error().name();
    out += " " + self.register_name("bad name").error().name();
    out += self.unregister_name() ? " ok" : " no";
    spawn_options again;
    again.name = "me";
    again.monitor = true;
    spawned holder = try_spawn(self, std::move(again), echo).or_exit();
    self.send("me", Stop{});
    (co_await self.receive<down>(patience)).or_exit();
    out += self.node().whereis("me") ? " still" : " free";
    self.exit(peer.process, exit_reason::kill());
    (void)holder;
    co_return out;
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(*outcome, "ok already_named name_taken bad_name ok free");
}

TEST_F(RuntimeTest, TimersFireRepeatAndCancel) {
  auto outcome = run([](process& self) -> task<int> {
    self.send_after(1ms, self.id(), Pong{1});
    (co_await self.receive<Pong>(patience)).or_exit();
    timer every = self.send_interval(1ms, self.id(), Pong{2});
    int seen = 0;
    while (seen < 5) {
      (co_await self.receive<Pong>(patience)).or_exit();
      ++seen;
    }
    bool stopped = self.cancel(every);
    timer never = self.send_after(1h, self.id(), Pong{3});
    bool cancelled = self.cancel(never);
    while ((co_await self.receive<Pong>(0ms)).has_value()) {
      seen += 0;
    }
    auto none = co_await self.receive<Pong>(20ms);
    co_return stopped&& cancelled && !none ? seen : -1;
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(*outcome, 5);
}

TEST_F(RuntimeTest, ManyDeadlinesInOneProcessNeedOneTimer) {
  auto outcome = run([](process& self) -> task<int> {
    int timeouts = 0;
    for (int i = 0; i < 50; ++i) {
      self.send(self.id(), Stop{});
      (co_await self.receive<Stop>(5s)).or_exit();
      auto none = co_await self.receive<Pong>(100us);
      if (!none) ++timeouts;
    }
    co_return timeouts;
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(*outcome, 50);
}

TEST_F(RuntimeTest, AHandleReceivesCallsAndIsReadable) {
  pid peer = h->spawn(echo);
  h->send(peer, Ping{h->id(), 9});
  auto pong = h->receive(patience);
  ASSERT_TRUE(pong);
  EXPECT_EQ(pong->as<Pong>().number, 9);
  auto none = h->receive(0ms);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error(), errc::timeout);
  h->send(peer, Stop{});
}

TEST_F(RuntimeTest, MaxProcessesIsALimitWithAName) {
  detail::bare_node_options small;
  small.node.max_processes = 10;
  auto little = detail::make_bare_node(std::move(small));
  errc seen = errc::none;
  int made = 0;
  for (int i = 0; i < 20 && seen == errc::none; ++i) {
    auto one = spawn(*little, echo);
    if (one) ++made;
    else seen = one.error().code();
  }
  EXPECT_EQ(made, 10);
  EXPECT_EQ(seen, errc::system_limit);
}

TEST_F(RuntimeTest, ABoundedMailboxRefusesAndCounts) {
  auto refused = run([](process& self) -> task<std::uint64_t> {
    spawn_options bounded;
    bounded.mailbox_limit = 3;
    pid stuck = try_spawn(self, std::move(bounded),
                          [](process& me) -> task<> { (void)co_await me.receive<Stop>(wait_forever); })
                    .or_exit()
                    .process;
    for (int i = 0; i < 10; ++i) self.send(stuck, Pong{i});
    std::uint64_t count = self.core().counters().mailbox_refused.load();
    self.exit(stuck, exit_reason::kill());
    co_return count;
  });
  ASSERT_TRUE(refused) << refused.error().message();
  EXPECT_EQ(*refused, 7u);
}

// A node whose processes run when the test says so: what a process has not yet seen counts as waiting too.
TEST(WaitingMessages, AreCountedFromTheSendUntilTheyAreTaken) {
  auto still = detail::make_bare_node({.name = "still@localhost", .workers = 0});
  const auto run_all = [&] {
    while (still->core().scheduler().run_one()) {
    }
  };
  const auto waiting = [&](pid p) { return still->core().summary(p).value().queued; };
  pid taker = *spawn(*still, [](process& self) -> task<> {
    while (true) (co_await self.receive<Pong>(wait_forever)).or_exit();
  });
  still->send(taker, Stop{});  // before it has run
  EXPECT_EQ(waiting(taker), 1u);
  run_all();
  EXPECT_EQ(waiting(taker), 1u);  // it does not want that one

  for (std::uint32_t sent = 1; sent <= 3; ++sent) {  // the first wakes it
    still->send(taker, Pong{});
    EXPECT_EQ(waiting(taker), 1 + sent);
    EXPECT_EQ(to_string(still->core().summary(taker)->status), "runnable");
  }
  run_all();
  EXPECT_EQ(waiting(taker), 1u);

  auto watcher = still->make_handle().or_exit();
  static_cast<void>(watcher->self().monitor(taker));  // a signal wakes it, and is no message
  EXPECT_EQ(waiting(taker), 1u);
  run_all();
  EXPECT_EQ(waiting(taker), 1u);
  still->exit(taker, exit_reason::kill());
  run_all();
}

struct Half {
  int field = 0;
  int beside = 0;
  TROUPE_MESSAGE(Half, "half", field)
};
struct Near {
  using troupe_inside_node = void;
  int field = 0;
  int beside = 0;
  TROUPE_MESSAGE(Near, "near", field)
};

TEST_F(RuntimeTest, EncodeAlwaysSendsThroughTheCodec) {
  detail::bare_node_options options;
  options.name = "coded@localhost";
  options.node.encode_always = true;
  auto coded = detail::make_bare_node(std::move(options));
  auto here = coded->make_handle().or_exit();
  here->send(here->id(), Put{"k", "v"});
  auto got = here->receive(patience);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->peek()->type, &detail::wire_type);
  EXPECT_EQ(got->to_value().print(), R"({"put", {key = "k", text = "v"}})");
  EXPECT_EQ(got->as<Put>().text, "v");

  // Of a message that was moved, what is no field would be there too.
  const pid answering = here->spawn([](process& self) -> task<> {
    for (;;) {
      auto asked = (co_await self.receive(wait_forever)).or_exit();
      Half half(asked.as<Half>().field);
      half.beside = asked.as<Half>().beside + 10;
      self.reply(asked, std::move(half));
    }
  });
  Half request(1);
  request.beside = 5;
  auto reply = here->call<Half>(answering, std::move(request), patience);
  ASSERT_TRUE(reply) << reply.error().message();
  EXPECT_EQ(reply->field, 1);
  EXPECT_EQ(reply->beside, 0);

  Near near(2);
  near.beside = 7;
  here->send(here->id(), std::move(near));
  got = here->receive(patience);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->as<Near>().beside, 7);  // says that it stays inside the node
}

TEST_F(RuntimeTest, StalePidsReachNobody) {
  auto outcome = run([](process& self) -> task<bool> {
    spawned first = spawn_monitor(self, [](process&) -> task<> { co_return; });
    (co_await self.receive<down>(patience)).or_exit();
    // The block is used again, by another life.
    pid second;
    do {
      second = spawn(self, echo);
    } while ((second.id() & 0xffffffff) != (first.process.id() & 0xffffffff));
    self.send(first.process, Stop{});
    self.exit(first.process, exit_reason::kill());
    self.send(second, Ping{self.id(), 3});
    auto pong = co_await self.receive<Pong>(patience);
    co_return pong.has_value() && second != first.process && !self.node().exists(first.process);
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_TRUE(*outcome);
}

TEST_F(RuntimeTest, StopEndsEverythingRootsFirst) {
  std::atomic<int> alive{0};
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(spawn(*n, deep, &alive, 3));
  std::atomic<bool> orderly{false};
  auto root = spawn(*n, [&orderly](process& self) -> task<> {
    self.trap_exits(true);
    (void)self.register_name("root");
    auto told = co_await self.receive<exit_message>(wait_forever);
    orderly = told->reason == exit_reason::shutdown();
  });
  n->add_root(*root);
  while (!n->whereis("root")) std::this_thread::yield();
  h.reset();
  EXPECT_TRUE(n->stop(patience));
  EXPECT_TRUE(orderly);
  EXPECT_EQ(alive.load(), 0);
  EXPECT_EQ(n->process_count(), 0u);
  EXPECT_FALSE(spawn(*n, echo));
}

TEST_F(RuntimeTest, ManyProcessesFromManyThreads) {
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      auto mine = n->make_handle().or_exit();
      for (int i = 0; i < 500; ++i) {
        pid peer = mine->spawn(echo);
        mine->send(peer, Ping{mine->id(), i});
        auto pong = mine->receive(patience);
        if (pong && pong->as<Pong>().number == i) ++done;
        mine->send(peer, Stop{});
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(done.load(), 2000);
}

}  // namespace
}  // namespace troupe::test
