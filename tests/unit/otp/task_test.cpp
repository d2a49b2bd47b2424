// Tasks near: outcome, race of end and answer, links, owners, many at once; the supervisor that they are children of.
#include <troupe/task_supervisor.hpp>

#include "otp_test.hpp"

#include <atomic>

namespace troupe::test {
namespace {

struct Opaque {  // not encodable: work of this node may return anything
  std::unique_ptr<int> number;
};

std::int64_t twice(std::int64_t n) { return 2 * n; }
task<std::int64_t> held(process& self) {
  (void)co_await self.receive(wait_forever);
  co_return 0;
}
result<std::int64_t> refusing() { return error(errc::not_found, "no such thing"); }
std::int64_t throwing() { throw std::runtime_error("boom"); }

class TaskTest : public OtpTest {
 protected:
  TaskTest() {
    here.reset();
    EXPECT_TRUE(node->stop(20s));
    detail::bare_node_options options;
    options.workers = 2;
    options.log = log;
    options.node.offers.function("test.twice", twice);
    options.node.offers.function("test.held", held);
    options.node.offers.function("test.refusing", refusing);
    options.node.offers.function("test.throwing", throwing);
    node = detail::make_bare_node(std::move(options));
    here = node->make_handle().or_exit();
    top = start_supervisor(*node, supervise("top").child(task_supervisor("tasks", {.max_children = 3}))).or_exit();
  }
  // A body in a process of its own; its value here.
  template <class F>
  auto run(F body) {
    return here->run(20s, std::move(body)).or_exit();
  }
  std::size_t children() { return here->call<std::vector<child_info>>("tasks", ask_which_children()).or_exit().size(); }
  // Its reason, for a process that waits for a message before it may end.
  std::string reason_of(pid who) {
    const ref watch = here->self().monitor(who);
    here->send(who, value("go"));
    for (;;) {
      auto got = here->receive(20s);
      if (!got) return "it lives";
      if (auto* ended = got->get<down>(); ended && ended->monitor == watch) return ended->reason.text();
    }
  }
  pid top;
};

template <class R>
std::string shown(const std::optional<result<R>>& got) {
  if (!got) return "none";
  if (!*got) return got->error().name() + " " + got->error().text();
  if constexpr (std::is_void_v<R>) return "nothing";
  else return std::to_string(**got);
}

TEST_F(TaskTest, WorkOfThisNodeIsAwaited) {
  const auto got = run([](process& self) -> task<std::string> {
    auto plain = async(self, [] { return std::int64_t{1}; });
    auto waiting = async(self, "tasks", [](process& me) -> task<std::int64_t> {
      co_await me.sleep(1ms);
      co_return 2;
    });
    auto nothing = async(self, [](process&) -> task<> { co_return; });
    auto odd = async(self, [] { return Opaque{std::make_unique<int>(4)}; });
    auto failing = async(self, []() -> result<std::int64_t> { return error(errc::not_found, "five"); });
    auto a = co_await plain.await(self);
    auto b = co_await waiting.await(self);
    auto c = co_await nothing.await(self);
    auto d = co_await odd.await(self);
    auto e = co_await failing.await(self);
    co_return std::to_string(a.or_exit() + b.or_exit() + *d.or_exit().number) + (c ? " ok " : " ") + e.error().name();
  });
  EXPECT_EQ(got, "7 ok not_found");
}

TEST_F(TaskTest, FunctionsOfTheCatalogueAreChildrenOfTheSupervisor) {
  const auto got = run([](process& self) -> task<std::string> {
    auto right = async<std::int64_t>(self, "tasks", "test.twice", 21);
    auto wrong = async<std::int64_t>(self, "tasks", "test.twice", "text");
    auto unknown = async<std::int64_t>(self, "tasks", "test.none");
    auto refused = async<std::int64_t>(self, "tasks", "test.refusing");
    auto nowhere = async<std::int64_t>(self, "no.tasks", "test.twice", 1);
    std::string out;
    for (auto* one : {&right, &wrong, &unknown, &refused, &nowhere}) {
      auto waiting = one->await(self);
      auto got = co_await std::move(waiting);
      out += (got ? std::to_string(*got) : got.error().name()) + " ";
    }
    co_return out;
  });
  EXPECT_EQ(got, "42 bad_argument undef not_found noproc ");
}

TEST_F(TaskTest, AnOutcomeIsGivenOnceAndToTheOwnerAlone) {
  const auto got = run([](process& self) -> task<std::string> {
    auto mine = async(self, [] { return std::int64_t{1}; });
    std::string out;
    {
      auto other = async(self, [&mine](process& me) -> task<std::string> {
        auto got = co_await mine.yield(me, 1s);
        auto awaited = co_await mine.await(me, 1s);  // refused, and the owner's is still to come
        co_return got->error().name() + " " + awaited.error().name();
      });
      auto told = co_await other.await(self);
      out += told.or_exit();
    }
    auto first = co_await mine.await(self);
    auto again = co_await mine.await(self);
    auto yielded = co_await mine.yield(self, 0ms);
    co_return out + " " + std::to_string(first.or_exit()) + " " + again.error().name() + " " +
        shown(yielded).substr(0, 9);
  });
  EXPECT_EQ(got, "not_allowed not_allowed 1 cancelled cancelled");
}

TEST_F(TaskTest, AnAwaitThatIsLateLeavesTheTaskToBeYieldedOrShutDown) {
  const auto got = run([](process& self) -> task<std::string> {
    auto slow = async(self, "tasks", [](process& me) -> task<std::int64_t> {
      auto go = co_await me.receive(wait_forever);
      co_return go ? 5 : 6;
    });
    auto late = co_await slow.await(self, 1ms);
    auto again = co_await slow.await(self, 1ms);
    auto none = co_await slow.yield(self, 1ms);
    const bool early = slow.ready();
    auto known = task_children(self, "tasks");
    auto all = co_await std::move(known);
    self.send(all.or_exit().at(0), value("go"));
    auto there = co_await slow.yield(self, 10s);
    co_return late.error().name() + " " + again.error().name() + " " + shown(none) + " " + (early ? "early " : "") +
        shown(there);
  });
  EXPECT_EQ(got, "timeout cancelled none 5");
}

TEST_F(TaskTest, ACrashEndsALinkedOwnerAndIsAnOutcomeForOthers) {
  auto owner = [](process& self) -> task<> {
    (void)co_await self.receive(wait_forever);
    auto crashing = async<std::int64_t>(self, "tasks", "test.throwing");
    auto got = co_await crashing.await(self, wait_forever);
    self.exit(exit_reason(("saw " + got.error().name()).c_str()));
  };
  const pid linked = spawn(*node, owner).or_exit();
  const std::string reason = reason_of(linked);
  EXPECT_NE(reason.find("boom"), std::string::npos) << reason;

  const auto got = run([](process& self) -> task<std::string> {
    auto crashing = async_nolink<std::int64_t>(self, "tasks", "test.throwing");
    auto got = co_await crashing.await(self);
    std::string out = got.error().name() + (got.error().text().find("boom") == std::string::npos ? " ?" : " boom");
    self.trap_exits(true);
    auto linked = async(self, []() -> std::int64_t { throw std::runtime_error("bang"); });
    auto second = co_await linked.await(self);
    auto told = co_await self.receive<exit_message>(5s);
    auto no_more = co_await self.receive(20ms);
    out += " " + second.error().name() + (told && told->from == linked.process() ? " told" : " untold");
    if (told && told->reason.text().find("bang") == std::string::npos) out += " of what?";
    if (no_more) out += " twice";
    co_return out;
  });
  EXPECT_EQ(got, "exited boom exited told");
}

TEST_F(TaskTest, TheEndOfAnOwnerEndsALinkedTaskAlone) {
  for (const bool linked : {true, false}) {
    auto owner = [linked](process& self) -> task<> {
      auto one = linked ? async<std::int64_t>(self, "tasks", "test.held")
                        : async_nolink<std::int64_t>(self, "tasks", "test.held");
      (void)co_await self.receive(wait_forever);
    };
    const pid who = spawn(*node, owner).or_exit();
    ASSERT_TRUE(wait_until([&] { return children() == 1; }));
    node->exit(who, exit_reason("gone"));
    (void)end_of(who);
    if (linked) {
      EXPECT_TRUE(wait_until([&] { return children() == 0; }));
    } else {
      auto all = run([](process& self) -> task<std::vector<pid>> {
        auto asking = task_children(self, "tasks");
        auto got = co_await std::move(asking);
        co_return got.or_exit();
      });
      ASSERT_EQ(all.size(), 1u);
      EXPECT_TRUE(here->call<void>("tasks", ask_terminate_process(all[0])));
      EXPECT_EQ(children(), 0u);
      EXPECT_EQ(here->call<void>("tasks", ask_terminate_process(all[0])).error().code(), errc::not_found);
    }
  }
}

// Task.yield(task) || Task.shutdown(task): whatever the task manages to answer before it ends is the answer.
TEST_F(TaskTest, WhatSlipsInBeforeTheEndWins) {
  const auto got = run([](process& self) -> task<std::string> {
    // Answers only because it is being shut down: the latest moment there is.
    auto polite = async(self, "tasks", [](process& me) -> task<std::int64_t> {
      me.trap_exits(true);
      auto asked = co_await me.receive<exit_message>(wait_forever);
      co_return asked ? 7 : 0;
    });
    auto slipped = co_await polite.yield_or_shutdown(self, 5ms);
    auto deaf = async(self, "tasks", [](process& me) -> task<std::int64_t> {
      me.trap_exits(true);
      for (;;) (void)co_await me.receive(wait_forever);
    });
    auto killed = co_await deaf.yield_or_shutdown(self, 1ms, 20ms);
    auto after = co_await deaf.yield(self, 0ms);
    auto crashed = async_nolink<std::int64_t>(self, "tasks", "test.throwing");
    while (!crashed.ready()) co_await self.sleep(1ms);
    auto why = co_await crashed.shutdown(self);
    auto brutal = async<std::int64_t>(self, "tasks", "test.held");
    auto at_once = co_await brutal.shutdown(self, 0ms);
    auto asking = task_children(self, "tasks");
    auto left = co_await std::move(asking);
    co_return shown(slipped) + " " + shown(killed) + " " + shown(after).substr(0, 9) + " " + why->error().name() + " " +
        shown(at_once) + " " + std::to_string(left.or_exit().size());
  });
  EXPECT_EQ(got, "7 none cancelled exited none 0");
}

// The deadline and the answer at the same moment, again and again: always one of the two, and never a hung owner.
TEST_F(TaskTest, TheRaceOfDeadlineAndAnswerHasOneOutcome) {
  const auto got = run([](process& self) -> task<std::string> {
    int answered = 0, ended = 0, odd = 0;
    for (int i = 0; i < 400; ++i) {
      auto racing = async(self, [i](process& me) -> task<std::int64_t> {
        co_await me.sleep(std::chrono::microseconds(50 + i % 20 * 5));
        co_return i;
      });
      auto got = co_await racing.yield_or_shutdown(self, std::chrono::microseconds(100));
      if (!got) ++ended;
      else if (*got && **got == i) ++answered;
      else ++odd;
    }
    co_return std::to_string(answered + ended) + " " + std::to_string(odd);
  });
  EXPECT_EQ(got, "400 0");
}

TEST_F(TaskTest, IgnoredTasksRunOn) {
  std::atomic<bool> done{false};
  const auto got = run([&done](process& self) -> task<std::string> {
    auto one = async(self, "tasks", [&done](process& me) -> task<std::int64_t> {
      co_await me.sleep(20ms);
      done = true;
      throw std::runtime_error("nobody's business");
      co_return 1;
    });
    auto none = co_await one.ignore(self);
    while (!done) co_await self.sleep(1ms);
    auto there = async(self, [] { return std::int64_t{3}; });
    while (!there.ready()) co_await self.sleep(1ms);
    auto three = co_await there.ignore(self);
    co_return shown(none) + " " + shown(three);
  });
  EXPECT_EQ(got, "none 3");
}

TEST_F(TaskTest, ManyShareOneDeadline) {
  const auto got = run([](process& self) -> task<std::string> {
    std::vector<async_task<std::int64_t>> all;
    for (int i = 0; i < 5; ++i) {
      all.push_back(async(self, [i](process& me) -> task<std::int64_t> {
        if (i == 3) (void)co_await me.receive(wait_forever);
        co_return i;
      }));
    }
    std::span<async_task<std::int64_t>> some(all);
    auto yielding = yield_many(self, some, 50ms);
    auto yielded = co_await std::move(yielding);
    std::string out;
    for (const auto& one : yielded) out += shown(one) + " ";
    std::vector<async_task<std::int64_t>> more;
    for (int i = 0; i < 3; ++i) more.push_back(async(self, [i] { return std::int64_t{i}; }));
    auto waiting = await_many(self, std::span(more));
    auto awaited = co_await std::move(waiting);
    for (const auto& one : awaited) out += std::to_string(*one) + " ";
    co_return out;
  });
  EXPECT_EQ(got, "0 1 2 none 4 0 1 2 ");
}

TEST_F(TaskTest, MoreThanMaxChildrenAreRefused) {
  const auto got = run([](process& self) -> task<std::string> {
    std::vector<async_task<std::int64_t>> all;
    for (int i = 0; i < 3; ++i) all.push_back(async<std::int64_t>(self, "tasks", "test.held"));
    // The supervisor takes them in their order: each has a keeper of its own, so wait for the three.
    for (;;) {
      auto asking = task_children(self, "tasks");
      auto there = co_await std::move(asking);
      if (there.or_exit().size() == 3) break;
    }
    auto fourth = async<std::int64_t>(self, "tasks", "test.twice", 1);
    auto refused = co_await fourth.await(self);
    auto starting = start_task(self, "tasks", "test.twice", 1);
    auto child = co_await std::move(starting);
    for (auto& one : all) {
      auto ending = one.shutdown(self);
      (void)co_await std::move(ending);
    }
    co_return refused.error().name() + " " + child.error().name();
  });
  EXPECT_EQ(got, "system_limit system_limit");
  EXPECT_EQ(children(), 0u);
}

TEST_F(TaskTest, ServersAreToldInsteadOfWaiting) {
  const auto got = run([](process& self) -> task<std::string> {
    auto one = async<std::int64_t>(self, "tasks", "test.twice", 4);
    const std::uint64_t id = one.notify(self);
    auto ready = co_await self.receive<task_ready>(10s);
    auto there = co_await one.yield(self, 0ms);
    auto late = async(self, [] { return std::int64_t{1}; });
    while (!late.ready()) co_await self.sleep(1ms);
    const std::uint64_t other = late.notify(self);
    auto again = co_await self.receive<task_ready>(10s);
    co_return (ready && ready->id == id ? "told " : "untold ") + shown(there) +
        (again && again->id == other ? " told" : " untold");
  });
  EXPECT_EQ(got, "told 8 told");
}

TEST_F(TaskTest, TheSupervisorEndsItsTasksAndTheirAwaitsEndWithIt) {
  auto owner = [](process& self) -> task<> {
    self.trap_exits(true);
    auto one = async_nolink<std::int64_t>(self, "tasks", "test.held");
    auto asking = task_children(self, "tasks");
    auto there = co_await std::move(asking);
    auto got = co_await one.await(self, wait_forever);
    (void)co_await self.receive(wait_forever);
    self.exit(exit_reason((got ? "value" : got.error().name() + " " + got.error().text()).c_str()));
  };
  const pid who = spawn(*node, owner).or_exit();
  ASSERT_TRUE(wait_until([&] { return children() == 1; }));
  EXPECT_TRUE(here->call<void>("top", ask_terminate_child("tasks")));
  EXPECT_EQ(reason_of(who), R"("exited \"shutdown\"")");
}

TEST_F(TaskTest, OthersMayStartTasksThatNobodyAwaits) {
  std::atomic<int> ran{0};
  const auto got = run([&ran](process& self) -> task<bool> {
    auto near = start_task(self, "tasks", [&ran] { ++ran; });
    auto one = co_await std::move(near);
    auto named = start_task(self, "tasks", "test.twice", 2);
    auto two = co_await std::move(named);
    co_return one.has_value() && two.has_value();
  });
  EXPECT_TRUE(got);
  EXPECT_TRUE(wait_until([&] { return ran == 1 && children() == 0; }));
}

}  // namespace
}  // namespace troupe::test
