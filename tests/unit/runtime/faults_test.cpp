// What goes wrong in programs, and at the edges: it must end the one concerned, with a reason, and nobody else.
#include "runtime_support.hpp"

#include <atomic>
#include <stdexcept>
#include <thread>

#include <troupe/call.hpp>

#include "runtime/process_private.hpp"
#include "support/wait.hpp"

namespace troupe::test {

struct Odd {};

}  // namespace troupe::test

template <>
struct troupe::codec<troupe::test::Odd> {
  static void put(writer& w, const test::Odd&) { w.put_nil(); }
  static bool take(reader&, test::Odd&) { throw std::runtime_error("the codec"); }
};

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
using detail::process_private;

task<> idle(process& self) {
  for (;;) (void)co_await self.receive(wait_forever);
}
task<> answer_pings(process& self) {
  for (;;) {
    auto got = co_await self.receive<Ping>(wait_forever);
    if (got) self.send(got->from, Pong{got->number});
  }
}

// -- predicates

bool refuses_pings(const message& m) {
  if (m.tag() == "ping") throw std::runtime_error("the predicate");
  return false;
}

TEST_F(RuntimeTest, APredicateThatThrowsEndsItsProcessAlone) {
  auto reason = run([](process& self) -> task<std::string> {
    spawned parked =
        spawn_monitor(self, [](process& me) -> task<> { (void)co_await me.receive_if(refuses_pings, wait_forever); });
    // Parked: a worker looks at the message, with nothing of the process on its stack.
    while (self.core().summary(parked.process)->status != detail::process_status::waiting) co_await self.yield();
    self.send(parked.process, Pong{1});
    self.send(parked.process, Ping{self.id(), 1});
    auto told = co_await self.receive<down>(patience);
    co_return told.or_exit().reason.text();
  });
  ASSERT_TRUE(reason) << reason.error().message();
  EXPECT_EQ(*reason, R"({"exception", {type = "std::runtime_error", text = "the predicate"}})");
}

TEST_F(RuntimeTest, WhatAPredicateThrowsCanBeCaughtAndTheMessageStays) {
  auto outcome = run([](process& self) -> task<std::string> {
    self.send(self.id(), Pong{1});
    self.send(self.id(), Ping{self.id(), 7});
    std::string out;
    try {
      (void)co_await self.receive_if(refuses_pings, patience);
    } catch (const std::runtime_error& e) {
      out = e.what();
    }
    auto left = co_await self.receive<Ping>(0ms);
    out += left ? " " + std::to_string(left->number) : " lost";
    auto other = co_await self.receive<Pong>(0ms);
    co_return out + (other ? " and the other" : " lost");
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(*outcome, "the predicate 7 and the other");
}

TEST_F(RuntimeTest, ACodecThatThrowsWhileAMessageIsLookedAt) {
  auto outcome = run([](process& self) -> task<std::string> {
    self.send(self.id(), value(5));
    std::string out;
    try {
      (void)co_await self.receive<Odd>(patience);
    } catch (const std::runtime_error& e) {
      out = e.what();
    }
    auto left = co_await self.receive(0ms);
    co_return out + (left ? " " + left->to_value().print() : " lost");
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(*outcome, "the codec 5");
}

// -- stale pids

// Only 16 bits of the generation fit beside a mailbox: the rest must be looked at too.
TEST(StalePid, ReachesNobodyAfterManyLivesOfItsBlock) {
  auto n = detail::make_bare_node({.name = "test@localhost", .workers = 1});
  auto h = n->make_handle().or_exit();
  const pid dead = h->spawn(idle);
  std::atomic<process*> block{nullptr};
  ASSERT_TRUE(n->core().inspect(dead, [&block](process& seen) { block = &seen; }));
  ASSERT_TRUE(wait_until([&] { return block.load() != nullptr; }));
  const std::uint32_t life = process_private::generation(*block).load();
  n->exit(dead, exit_reason::kill());
  ASSERT_TRUE(wait_until([&] { return process_private::generation(*block).load() == life + 1; }));
  process_private::generation(*block).fetch_add(65'535);  // as after so many spawns
  // The worker that has ended it has its block.
  const pid later = h->run(patience, [](process& self) -> task<pid> { co_return spawn(self, answer_pings); }).or_exit();
  ASSERT_EQ(static_cast<std::uint32_t>(later.id()), static_cast<std::uint32_t>(dead.id()));
  ASSERT_EQ(static_cast<std::uint16_t>(later.id() >> 32), static_cast<std::uint16_t>(dead.id() >> 32));
  ASSERT_NE(later, dead);
  n->send(dead, Stop{});
  n->exit(dead, exit_reason::kill());
  EXPECT_EQ(n->core().counters().dead_letters_noproc.load(), 1u);
  h->send(later, Ping{h->id(), 5});  // behind what was for the dead
  auto pong = h->receive(patience);
  ASSERT_TRUE(pong) << "it has ended";
  EXPECT_EQ(pong->as<Pong>().number, 5);
}

// -- calls that are passed on

task<> answers(process& self) {
  for (;;) {
    auto got = (co_await self.receive(wait_forever)).or_exit();
    self.reply(got, std::string("answered"));
  }
}
task<> passes_on(process& self, pid to) {
  for (;;) {
    auto got = (co_await self.receive(wait_forever)).or_exit();
    self.send(to, std::move(got));
  }
}
task<> asks_anew(process& self, pid to) {
  for (;;) {
    auto got = (co_await self.receive(wait_forever)).or_exit();
    auto told = co_await call<std::string>(self, to, std::move(got));
    self.set_label(told ? *told : told.error().message());
  }
}

TEST_F(RuntimeTest, ACallThatIsSentOnAnswersItsCaller) {
  const pid last = h->spawn(answers);
  const pid middle = h->spawn(passes_on, last);
  const pid first = h->spawn(passes_on, middle);
  auto told = h->call<std::string>(first, Ping{h->id(), 1}, patience);
  ASSERT_TRUE(told) << told.error().message();
  EXPECT_EQ(*told, "answered");
  EXPECT_EQ(n->core().counters().late_replies.load(), 0u);
  // Nobody there: the caller hears that, too.
  n->exit(last, exit_reason::kill());
  ASSERT_TRUE(wait_until([&] { return !n->exists(last); }));
  auto lost = h->call<std::string>(first, Ping{h->id(), 1}, patience);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error(), errc::noproc);
}

TEST_F(RuntimeTest, ACallThatIsAskedAnewIsTheServersOwn) {
  const pid last = h->spawn(answers);
  const pid middle = h->spawn(asks_anew, last);
  auto told = h->call<std::string>(middle, Ping{h->id(), 1}, patience);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error(), errc::cancelled) << told.error().message();
  auto label = [&] {
    auto seen = std::make_shared<std::string>();
    std::atomic<bool> done{false};
    n->core().inspect(middle, [&](process& it) {
      *seen = detail::core::details(it, 0).label;
      done = true;
    });
    EXPECT_TRUE(wait_until([&] { return done.load(); }));
    return *seen;
  };
  EXPECT_TRUE(wait_until([&] { return label() == "answered"; })) << label();
}

// -- handles

TEST_F(RuntimeTest, AHandleSaysThatThereIsNoProcessLeft) {
  detail::bare_node_options small;
  small.node.max_processes = 1;
  auto little = detail::make_bare_node(std::move(small));
  auto here = little->make_handle().or_exit();
  auto ran = here->run(patience, [](process&) -> task<int> { co_return 1; });
  ASSERT_FALSE(ran);
  EXPECT_EQ(ran.error(), errc::system_limit);
  EXPECT_EQ(here->try_spawn({}, idle).error(), errc::system_limit);
  EXPECT_THROW(here->spawn(idle), std::runtime_error);
}

TEST_F(RuntimeTest, JoinReturnsWhenTheProcessCannotBeKilled) {
  std::atomic<bool> go{false};
  spawn_options watched;
  watched.monitor = true;
  auto held = h->try_spawn(std::move(watched), [&go](process&) -> task<> {
    while (!go) std::this_thread::yield();
    co_return;
  });
  ASSERT_TRUE(held);
  auto ended = h->join(*held, 5ms);
  EXPECT_TRUE(n->exists(held->process));
  go = true;
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), errc::timeout);
  EXPECT_NE(ended.error().text().find("holds its worker"), std::string::npos) << ended.error().text();
  EXPECT_TRUE(wait_until([&] { return !n->exists(held->process); }));
  EXPECT_FALSE(h->receive(0ms)) << "its DOWN was taken back";
}

// -- exits

TEST_F(RuntimeTest, OnlyThePlainKillCannotBeTrapped) {
  auto reasons = run([](process& self) -> task<std::string> {
    spawned trapper = spawn_monitor(
        self,
        [](process& me, pid told) -> task<> {
          me.trap_exits(true);
          me.send(told, Stop{});
          for (;;) {
            auto got = co_await me.receive<exit_message>(wait_forever);
            if (got) me.send(told, value(got->reason.text()));
          }
        },
        self.id());
    (co_await self.receive<Stop>(patience)).or_exit();
    self.exit(trapper.process, exit_reason(list_of({"kill", "me"})));
    auto trapped = co_await self.receive(patience);
    self.exit(trapper.process, exit_reason::kill());
    auto ended = co_await self.receive<down>(patience);
    co_return *trapped->as<value>().text() + " " + ended.or_exit().reason.text();
  });
  ASSERT_TRUE(reasons) << reasons.error().message();
  EXPECT_EQ(*reasons, R"({"kill", "me"} "killed")");
}

// -- memory

TEST_F(RuntimeTest, AProcessIsChargedForItsOwnFrames) {
  auto seen = run([](process& self) -> task<std::string> {
    auto memory = [&self](pid p) { return self.core().summary(p)->memory; };
    const std::size_t before = memory(self.id());
    std::vector<spawned> children;
    for (int i = 0; i < 100; ++i) {
      spawn_options plain;
      children.push_back(try_spawn(self, std::move(plain), idle).or_exit());
    }
    const std::size_t after = memory(self.id());
    const std::size_t child = memory(children[0].process);
    for (const spawned& one : children) self.exit(one.process, exit_reason::kill());
    for (const spawned& one : children) {
      while (self.node().exists(one.process)) co_await self.yield();
    }
    co_return std::string(after == before ? "same" : "grown") + (child > sizeof(process) ? " own" : " none") +
        (memory(self.id()) == before ? " same" : " shrunk");
  });
  ASSERT_TRUE(seen) << seen.error().message();
  EXPECT_EQ(*seen, "same own same");
  const pid of_a_thread = h->spawn(idle);
  EXPECT_GT(n->core().summary(of_a_thread)->memory, sizeof(process));
}

}  // namespace
}  // namespace troupe::test
