// Connections that come, go and are lost: what each side is told, once and in which order.
#include "fixture.hpp"

namespace troupe::test {

using namespace std::chrono_literals;
using Loss = cluster_fixture;

struct Never {  // never sent
  bool set = false;
  TROUPE_MESSAGE(Never, "test.never", set)
};

bool is_event(const value& content, std::string_view event, std::string_view node) {
  const list* items = content.items();
  return items && items->size() >= 2 && (*items)[0] == value(event) && (*items)[1] == value(node);
}

TEST_F(Loss, ConnectSaysWhatHappened) {
  member one = start("one@test"), two = start("two@test");
  member_options other;
  other.cookie = "another-cookie-altogether";
  member three = start("three@test", other);
  one.run([&](process& self) -> task<> {
    auto self_too = co_await connect(self, "one@test");
    EXPECT_TRUE(self_too);
    auto joined = co_await connect(self, "two@test").within(patience);
    EXPECT_TRUE(joined) << joined.error().message();
    auto again = co_await connect(self, "two@test").within(patience);
    EXPECT_TRUE(again);
    auto refused = co_await connect(self, "three@test").within(patience);
    EXPECT_EQ(refused.error(), errc::bad_cookie) << refused.error().message();
    auto nobody = co_await connect(self, "four@test").within(patience);
    EXPECT_EQ(nobody.error(), errc::noconnection);
    EXPECT_NE(nobody.error().text().find("four@test"), std::string::npos) << nobody.error().text();
    auto illegal = co_await connect(self, "no good name").within(patience);
    EXPECT_EQ(illegal.error(), errc::bad_name);
    EXPECT_EQ(nodes(self), std::vector<std::string>{"two@test"});
    EXPECT_EQ(nodes(self, node_class::visible | node_class::current),
              (std::vector<std::string>{"one@test", "two@test"}));
    EXPECT_TRUE(nodes(self, node_class::hidden).empty());
  });
  EXPECT_TRUE(wait_until([&] { return nodes(*two.machine) == std::vector<std::string>{"one@test"}; }));
}

TEST_F(Loss, HiddenNodesAreListedApart) {
  member_options hidden;
  hidden.hidden = true;
  member one = start("one@test"), two = start("two@test", hidden);
  two.run([&](process& self) -> task<> {
    auto joined = co_await connect(self, "one@test").within(patience);
    EXPECT_TRUE(joined);
  });
  EXPECT_TRUE(wait_until([&] { return nodes(*one.machine, node_class::hidden).size() == 1; }));
  EXPECT_TRUE(nodes(*one.machine).empty());
  EXPECT_EQ(nodes(*one.machine, node_class::connected).size(), 1u);
}

TEST_F(Loss, NodeUpComesFirstAndNodeDownLast) {
  member one = start("one@test"), two = start("two@test");
  monitor_nodes(one.door->self(), true);
  const pid far = start_echo(two, "echo");
  // The monitor connects; a second subscriber with two subscriptions hears everything twice.
  monitor_nodes(one.door->self(), true);
  const ref watch = one.door->self().monitor(far);
  one.door->self().link(far);
  value ask = list_of({"hi", one.door->id()});
  one.door->send(far, ask);
  std::vector<std::string> seen;
  auto take = [&] {
    auto got = one.door->receive(patience);
    ASSERT_TRUE(got) << seen.size();
    const value content = got->to_value();
    if (is_event(content, "nodeup", "two@test")) seen.emplace_back("nodeup");
    else if (is_event(content, "nodedown", "two@test")) seen.emplace_back("nodedown");
    else if (const down* told = got->get<down>(); told && told->monitor == watch)
      seen.emplace_back("DOWN " + told->reason.text());
    else if (const exit_message* ended = got->get<exit_message>()) seen.emplace_back("EXIT " + ended->reason.text());
    else seen.emplace_back(content.print());
  };
  for (int i = 0; i < 3; ++i) take();
  EXPECT_TRUE(disconnect(*two.machine, "one@test"));
  for (int i = 0; i < 4; ++i) take();
  ASSERT_EQ(seen.size(), 7u);
  EXPECT_EQ(seen[0], "nodeup");
  EXPECT_EQ(seen[1], "nodeup");
  EXPECT_EQ(seen[2], list_of({"hi", far}).print());
  EXPECT_EQ(seen[3], "EXIT \"noconnection\"");
  EXPECT_EQ(seen[4], "DOWN \"noconnection\"");
  EXPECT_EQ(seen[5], "nodedown");
  EXPECT_EQ(seen[6], "nodedown");
  EXPECT_FALSE(one.door->receive(0ms));
  EXPECT_TRUE(nodes(*one.machine).empty());
}

TEST_F(Loss, EverythingIsSettledOnce) {
  member one = start("one@test"), two = start("two@test");
  constexpr int count = 200;
  std::vector<pid> far;
  for (int i = 0; i < count; ++i) far.push_back(start_echo(two, "echo" + std::to_string(i)));
  process& self = one.door->self();
  for (pid p : far) {
    self.monitor(p);
    self.link(p);
  }
  // A few end by themselves before: theirs are told already, and not again.
  for (int i = 0; i < 10; ++i) one.door->send(far[static_cast<std::size_t>(i)], list_of({"die", "early"}));
  std::map<std::string, int> told;
  for (int i = 0; i < 20; ++i) {
    auto got = one.door->receive(patience);
    ASSERT_TRUE(got);
    ++told[got->to_value().items()->front().print()];
  }
  EXPECT_EQ(told["\"DOWN\""], 10);
  EXPECT_EQ(told["\"EXIT\""], 10);
  two.end();
  told.clear();
  for (int i = 0; i < 2 * (count - 10); ++i) {
    auto got = one.door->receive(patience);
    ASSERT_TRUE(got) << i;
    ++told[got->to_value().items()->front().print()];
  }
  EXPECT_EQ(told["\"DOWN\""], count - 10);
  EXPECT_EQ(told["\"EXIT\""], count - 10);
  EXPECT_FALSE(one.door->receive(0ms));
}

TEST_F(Loss, CallsThatWaitFailAndSayThatTheyMayHaveRun) {
  catalogue offers;
  offers.function("test.hang", [](process& self) -> task<> {
    auto got = co_await self.receive(wait_forever);
    static_cast<void>(got);
  });
  member_options options;
  options.offers = std::move(offers);
  member one = start("one@test"), two = start("two@test", std::move(options));
  auto mute = [](process& self) -> task<> {
    for (;;) {
      auto got = co_await self.receive<Never>(wait_forever);
      static_cast<void>(got);
    }
  };
  const pid silent = spawn(*two.machine, mute).or_exit();
  auto asker = [silent](process& self) -> task<> {
    auto got = co_await call<value>(self, silent, value("x")).within(patience);
    self.exit(exit_reason(got.error().maybe_executed() ? exit_reason(got.error()) : exit_reason("wrong")));
  };
  auto remote = [](process& self) -> task<> {
    auto got = co_await rpc::call<value>(self, "two@test", "test.hang").within(patience);
    self.exit(exit_reason(got.error().maybe_executed() ? exit_reason(got.error()) : exit_reason("wrong")));
  };
  const spawned first = spawn_monitor(one.door->self(), asker), second = spawn_monitor(one.door->self(), remote);
  // Both are under way when the function runs and the call waits in the mailbox.
  EXPECT_TRUE(wait_until([&] {
    auto waiting = two.core().summary(silent);
    return waiting && waiting->queued == 1 && two.network->counters().rpc_served.load() == 1;
  }));
  EXPECT_TRUE(disconnect(*one.machine, "two@test"));
  EXPECT_TRUE(one.door->join(first, patience).or_exit().is("noconnection"));
  EXPECT_TRUE(one.door->join(second, patience).or_exit().is("noconnection"));
}

TEST_F(Loss, WhatWasHeldForTheOtherSideIsReleased) {
  member one = start("one@test"), two = start("two@test");
  const pid far = start_echo(two, "echo");
  one.run([&](process& self) -> task<> {
    self.monitor(far);
    auto got = co_await call<value>(self, far, value(1));
    EXPECT_TRUE(got);
    auto watchers = std::make_shared<std::atomic<int>>(-1);
    EXPECT_TRUE(two.core().inspect(far, [watchers](process& p) {
      *watchers = static_cast<int>(detail::core::details(p, 0).monitored_by.size());
    }));
    while (watchers->load() < 0) co_await self.yield();
    EXPECT_EQ(watchers->load(), 1);
    disconnect(self, "two@test");
    auto told = co_await self.receive<down>(patience);
    EXPECT_EQ(told.or_exit().reason, exit_reason::noconnection());
  });
  EXPECT_TRUE(wait_until([&] {
    auto watchers = std::make_shared<std::atomic<int>>(-1);
    if (!two.core().inspect(far, [watchers](process& p) {
          *watchers = static_cast<int>(detail::core::details(p, 0).monitored_by.size());
        })) {
      return false;
    }
    return wait_until([&] { return watchers->load() >= 0; }) && watchers->load() == 0;
  }));
  // And the two find each other again.
  value answer = one.run([&](process& self) -> task<value> {
    auto got = co_await call<value>(self, far, value(2));
    co_return got.or_exit();
  });
  EXPECT_EQ(answer, list_of({"echo", 2}));
}

TEST_F(Loss, AnotherLifeIsAnotherNode) {
  member one = start("one@test"), two = start("two@test");
  const pid far = start_echo(two, "echo");
  process& self = one.door->self();
  monitor_nodes(self, true);
  auto expect_event = [&](std::string_view event) {
    auto got = one.door->receive(patience);
    ASSERT_TRUE(got);
    EXPECT_TRUE(is_event(got->to_value(), event, "two@test")) << got->to_value().print();
  };
  one.run([&](process& p) -> task<> {
    auto got = co_await call<value>(p, far, value(1));
    EXPECT_TRUE(got);
  });
  expect_event("nodeup");
  two.end();
  expect_event("nodedown");
  member_options next;
  next.creation = 2;
  two = start("two@test", next);
  start_echo(two, "echo");
  // Dialled under its former life: the pid is stale, nobody else gets what was meant for it.
  error why = *one.run([&](process& p) -> task<expected_failure> {
    auto got = co_await call<value>(p, far, value(1));
    co_return expected_failure(got ? error() : got.error());
  });
  EXPECT_EQ(why, errc::stale) << why.message();
  expect_event("nodeup");
}

TEST_F(Loss, MonitorNodeTellsOfWhatNeverWas) {
  member one = start("one@test");
  process& self = one.door->self();
  monitor_node(self, "nowhere@test");
  auto got = one.door->receive(patience);
  ASSERT_TRUE(got);
  EXPECT_TRUE(is_event(got->to_value(), "nodedown", "nowhere@test")) << got->to_value().print();
  member two = start("two@test");
  monitor_node(self, "two@test");
  monitor_node(self, "two@test");
  monitor_node(self, "two@test");
  monitor_node(self, "two@test", false);
  EXPECT_TRUE(wait_until([&] { return nodes(*one.machine).size() == 1; }));
  two.end();
  for (int i = 0; i < 2; ++i) {
    auto down_event = one.door->receive(patience);
    ASSERT_TRUE(down_event);
    EXPECT_TRUE(is_event(down_event->to_value(), "nodedown", "two@test"));
  }
  EXPECT_FALSE(one.door->receive(0ms));
}

TEST_F(Loss, CrossingDialsMakeOneConnection) {
  for (int round = 0; round < 5; ++round) {
    member one = start("one@test"), two = start("two@test");
    const pid here = start_echo(one, "echo"), there = start_echo(two, "echo");
    auto ask = [](process& self, pid whom) -> task<> {
      for (int i = 0; i < 20; ++i) {
        auto got = co_await call<value>(self, whom, value(i));
        static_cast<void>(got.or_exit());
      }
    };
    const spawned a = spawn_monitor(one.door->self(), ask, there), b = spawn_monitor(two.door->self(), ask, here);
    EXPECT_EQ(one.door->join(a, patience).or_exit(), exit_reason::normal());
    EXPECT_EQ(two.door->join(b, patience).or_exit(), exit_reason::normal());
    EXPECT_EQ(one.network->hub().counters().connections, 1u);
  }
}

}  // namespace troupe::test
