// exit(self(), reason), links to nobody, and tasks that cannot run: what a process does to itself.
#include "runtime_support.hpp"

#include <memory>

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

// Bodies that stand where a coroutine was meant.
task<> no_coroutine(process&) { return {}; }
task<int> no_number(process&) { return {}; }

class SelfExitTest : public RuntimeTest {
 protected:
  template <class F>
  exit_reason end_of(F body) {
    spawn_options watched;
    watched.monitor = true;
    auto made = h->try_spawn(std::move(watched), std::move(body));
    EXPECT_TRUE(made);
    return h->join(*made, patience).value_or(exit_reason("it lives"));
  }
  static void expect_empty_task(const exit_reason& why) {
    EXPECT_TRUE(why.is("exception")) << why.text();
    EXPECT_NE(why.text().find("an empty task was awaited or spawned"), std::string::npos) << why.text();
  }
};

TEST_F(SelfExitTest, ActsAtOnceWithItsReason) {
  for (const char* word : {"enough", "normal", "shutdown"}) {
    bool went_on = false;
    auto body = [&went_on, word](process& self) -> task<> {
      self.exit(self.id(), exit_reason(word));
      went_on = true;
      co_return;
    };
    EXPECT_EQ(end_of(body), exit_reason(word));
    EXPECT_FALSE(went_on) << word;
  }
  auto killed = [](process& self) -> task<> {
    self.trap_exits(true);  // in vain
    self.exit(self.id(), exit_reason::kill());
    co_return;
  };
  EXPECT_EQ(end_of(killed), exit_reason::killed());
}

TEST_F(SelfExitTest, CannotBeCaught) {
  for (const char* word : {"enough", "kill"}) {
    bool waited = false;
    auto stubborn = [&waited, word](process& self) -> task<> {
      try {
        self.exit(self.id(), exit_reason(word));
      } catch (...) {
      }
      (void)co_await self.receive(10ms);
      waited = true;
    };
    EXPECT_EQ(end_of(stubborn), exit_reason(word == std::string("kill") ? "killed" : word));
    EXPECT_FALSE(waited);
    auto quick = [word](process& self) -> task<> {
      try {
        self.exit(self.id(), exit_reason(word));
      } catch (...) {
      }
      co_return;
    };
    EXPECT_EQ(end_of(quick), exit_reason(word == std::string("kill") ? "killed" : word));
  }
}

TEST_F(SelfExitTest, IsAMessageToOneThatTrapsBehindWhatItSentBefore) {
  run([](process& self) -> task<> {
    self.trap_exits(true);
    self.send(self.id(), Pong{1});
    self.exit(self.id(), exit_reason("enough"));
    EXPECT_EQ(self.waiting_messages(), 2u);
    auto first = co_await self.receive(0ms);
    EXPECT_TRUE(first && first->get<Pong>());
    auto second = co_await self.receive<exit_message>(0ms);
    EXPECT_TRUE(second);
    if (!second) co_return;
    EXPECT_EQ(second->from, self.id());
    EXPECT_EQ(second->reason, exit_reason("enough"));
  }).or_exit();
}

TEST_F(SelfExitTest, OfAHandleIsAMessage) {
  h->self().exit(h->id(), exit_reason::kill());
  auto told = h->receive(patience);
  ASSERT_TRUE(told);
  ASSERT_TRUE(told->get<exit_message>());
  EXPECT_EQ(told->get<exit_message>()->reason, exit_reason::kill());
}

TEST_F(SelfExitTest, ALinkToNobodyIsNoproc) {
  auto linked = [](process& self) -> task<> {
    self.link(pid());
    co_await self.sleep(wait_forever);
  };
  EXPECT_EQ(end_of(linked), exit_reason::noproc());
  run([](process& self) -> task<> {
    self.trap_exits(true);
    self.link(pid());
    auto told = co_await self.receive<exit_message>(patience);
    EXPECT_TRUE(told && !told->from && told->reason == exit_reason::noproc());
    self.link(pid());
    self.unlink(pid());
    auto more = co_await self.receive<exit_message>(50ms);
    EXPECT_FALSE(more);
  }).or_exit();
}

TEST_F(SelfExitTest, AnEmptyTaskEndsItsProcessAlone) {
  expect_empty_task(end_of(&no_coroutine));
  auto kept = std::make_shared<int>(1);  // a body with captures, which the process keeps
  expect_empty_task(end_of([kept](process&) -> task<> { return {}; }));
  expect_empty_task(end_of([](process& self) -> task<> {
    auto inner = no_number(self);
    (void)co_await std::move(inner);
  }));
  expect_empty_task(end_of([](process&) -> task<> {
    task<> never;
    co_await never;
  }));
  EXPECT_EQ(kept.use_count(), 1);
}

TEST_F(SelfExitTest, ATaskRunsOnce) {
  int runs = 0;
  auto twice = [&runs](process& self) -> task<> {
    auto work = [](process&, int* count) -> task<int> { co_return ++*count; };
    auto one = work(self, &runs);
    EXPECT_EQ(co_await one, 1);
    (void)co_await one;
  };
  expect_empty_task(end_of(twice));
  EXPECT_EQ(runs, 1);
}

TEST_F(SelfExitTest, HandleRunTellsOfAnEmptyTask) {
  auto nothing = run(&no_coroutine);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error(), errc::exited);
  EXPECT_NE(nothing.error().text().find("an empty task was awaited"), std::string::npos) << nothing.error().text();
  auto number = run(&no_number);
  ASSERT_FALSE(number);
  EXPECT_EQ(number.error(), errc::exited);
  EXPECT_EQ(n->core().counters().crashed.load(), 2u);
}

}  // namespace
}  // namespace troupe::test
