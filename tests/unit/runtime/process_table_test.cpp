// The blocks of a node's processes: how many there may be, whoever gives them back.
#include "runtime_support.hpp"

#include <array>
#include <vector>

#include <troupe/call.hpp>

#include "support/wait.hpp"

namespace troupe::test {
namespace {

task<> waits(process& self) { (void)co_await self.receive(wait_forever); }

struct Begin {
  TROUPE_MESSAGE(Begin, "begin")
};

TEST(ProcessTable, AsManyLiveAsMayAndNoneMore) {
  for (const unsigned workers : {0u, 1u, 2u}) {
    detail::bare_node_options options;
    options.name = "test@localhost";
    options.workers = workers;
    options.node.max_processes = 300;
    auto n = detail::make_bare_node(std::move(options));
    for (int round = 0; round < 3; ++round) {
      std::vector<pid> all;
      for (;;) {
        auto one = spawn(*n, waits);
        if (!one) {
          EXPECT_EQ(one.error(), errc::system_limit);
          break;
        }
        all.push_back(*one);
      }
      EXPECT_EQ(all.size(), 300u) << workers << " workers, round " << round;
      EXPECT_EQ(n->core().process_count(), 300u);
      for (const pid each : all) n->exit(each, exit_reason::kill());
      while (workers == 0 && n->core().scheduler().run_one()) {
      }
      ASSERT_TRUE(wait_until([&] { return n->core().process_count() == 0; }));
    }
    EXPECT_EQ(n->core().spawned(), 900u);
    EXPECT_EQ(n->core().exited(), 900u);
  }
}

// What ends on one worker is no reason to refuse a process on another, nor on a thread that is none.
TEST(ProcessTable, BlocksOnTheShelvesOfOthersAreNoneThatLive) {
  detail::bare_node_options options;
  options.name = "test@localhost";
  options.workers = 2;
  options.node.max_processes = 100;
  auto n = detail::make_bare_node(std::move(options));
  auto h = n->make_handle().or_exit();
  for (int round = 0; round < 20; ++round) {
    const int refused = h->run(patience, [](process& self) -> task<int> {
                           int lost = 0;
                           for (int i = 0; i < 98; ++i) {  // itself and the handle are the other two
                             if (!spawn_monitor(self, [](process&) -> task<> { co_return; }).process) ++lost;
                           }
                           for (int i = 0; i < 98 - lost; ++i) (void)co_await self.receive<down>(patience);
                           co_return lost;
                         }).or_exit();
    EXPECT_EQ(refused, 0) << round;
    ASSERT_TRUE(wait_until([&] { return n->core().process_count() == 1; }));
    std::vector<pid> outside;
    for (int i = 0; i < 99; ++i) outside.push_back(spawn(*n, waits).or_exit());
    for (const pid each : outside) n->exit(each, exit_reason::kill());
    ASSERT_TRUE(wait_until([&] { return n->core().process_count() == 1; }));
  }
}

// -- who takes a waiting process's mark away hands it the message

TEST_F(RuntimeTest, WhatIsHandedOverKeepsItsOrderAndIsCounted) {
  constexpr int each = 20'000;
  const auto outcome = run([](process& self) -> task<std::string> {
    const pid me = self.id();
    for (std::int64_t s = 0; s < 3; ++s) {
      spawn(self, [me, s](process& sender) -> task<> {
        for (std::int64_t i = 0; i < each; ++i) {
          sender.send(me, Ping{sender.id(), s * each + i});
          if (i % 7 == s) co_await sender.yield();
        }
      });
    }
    std::array<std::int64_t, 3> next{0, each, 2 * each};
    for (int i = 0; i < 3 * each; ++i) {
      auto got = co_await self.receive<Ping>(patience);
      if (!got) co_return "lost after " + std::to_string(i);
      auto& expected = next.at(static_cast<std::size_t>(got->number / each));
      if (got->number != expected++) co_return "out of order at " + std::to_string(got->number);
    }
    if (self.waiting_messages() != 0 || self.waiting_bytes() != 0) {
      co_return std::to_string(self.waiting_messages()) + " and " + std::to_string(self.waiting_bytes()) + " counted";
    }
    co_return "all";
  });
  EXPECT_EQ(outcome.value(), "all");
}

TEST_F(RuntimeTest, AMessageThatIsHandedOverBehindOthersIsBehindThem) {
  const auto outcome = run([](process& self) -> task<std::string> {
    const pid me = self.id();
    self.send(me, Pong{1});  // put aside by the receive below, which begins to wait
    spawn(self, [me](process& other) -> task<> {
      other.send(me, Pong{2});
      other.send(me, Begin{});
      co_return;
    });
    (void)(co_await self.receive<Begin>(patience)).or_exit();
    const auto first = (co_await self.receive<Pong>(patience)).or_exit();
    const auto second = (co_await self.receive<Pong>(patience)).or_exit();
    co_return std::to_string(first.number) + std::to_string(second.number);
  });
  EXPECT_EQ(outcome.value(), "12");
}

// A reply that comes after its caller gave up finds it waiting for something else.
TEST_F(RuntimeTest, ALateReplyThatFindsItsCallerWaitingIsCounted) {
  const auto outcome = run([](process& self) -> task<std::string> {
    const pid slow = spawn(self, [](process& server) -> task<> {
      auto asked = (co_await server.receive(wait_forever)).or_exit();
      auto told = co_await server.receive<Begin>(patience);
      server.reply(asked, Pong{7});
      if (told) server.send(asked.from(), Pong{8});
    });
    auto answer = co_await call<Pong>(self, slow, Ping{self.id(), 1}).within(5ms);
    if (answer) co_return "answered";
    self.send(slow, Begin{});
    co_return std::to_string((co_await self.receive<Pong>(patience)).or_exit().number);
  });
  EXPECT_EQ(outcome.value(), "8");
  EXPECT_EQ(n->core().counters().late_replies.load(), 1u);
}

}  // namespace
}  // namespace troupe::test
