#include "runtime_support.hpp"

#include <troupe/blocking.hpp>
#include <troupe/call.hpp>
#include <troupe/io.hpp>

#include "support/wait.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

task<> storage(process& self) {
  std::string held;
  for (;;) {
    auto got = (co_await self.receive(wait_forever)).or_exit();
    if (auto* put = got.get<Put>()) {
      held += put->text;
      self.reply(got, held);
    } else if (got.get<Stop>()) {
      self.exit(exit_reason("told to"));
    } else if (auto* pong = got.get<Pong>()) {
      if (pong->number == 1) self.reply_error(got, error(errc::not_allowed, "ones are not taken"));
      // others are dropped without an answer
    }
  }
}

TEST_F(RuntimeTest, CallsAnswerOrSayWhyNot) {
  auto log = run([](process& self) -> task<std::string> {
    pid server = spawn(self, storage);
    std::string out;
    auto first = co_await call<std::string>(self, server, Put{"k", "a"});
    auto second = co_await call<std::string>(self, server, Put{"k", "b"}).within(patience);
    out += first.or_exit() + second.or_exit();
    auto refused = co_await call<std::string>(self, server, Pong{1});
    out += " " + refused.error().message();
    auto dropped = co_await call<std::string>(self, server, Pong{2});
    out += " " + dropped.error().name();
    auto ended = co_await call<std::string>(self, server, Stop{});
    out += " " + ended.error().message();
    auto gone = co_await call<std::string>(self, server, Put{"k", "c"});
    out += " " + gone.error().name();
    auto unnamed = co_await call<std::string>(self, "no.body", Put{"k", "c"});
    out += " " + unnamed.error().message();
    co_return out;
  });
  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(*log,
            "aab not_allowed: ones are not taken cancelled exited: \"told to\" noproc noproc: no process is registered "
            "as no.body");
}

TEST_F(RuntimeTest, ACallTimesOutAndItsLateReplyIsDropped) {
  auto outcome = run([](process& self) -> task<std::string> {
    pid slow = spawn(self, [](process& me) -> task<> {
      auto got = (co_await me.receive(wait_forever)).or_exit();
      (co_await me.receive<Stop>(wait_forever)).or_exit();
      me.reply(got, std::string("late"));
      (co_await me.receive<Stop>(wait_forever)).or_exit();
    });
    auto late = co_await call<std::string>(self, slow, Put{"k", "x"}).within(5ms);
    self.send(slow, Stop{});
    auto none = co_await self.receive(10ms);
    co_return late.error().name() + (late.error().maybe_executed() ? " maybe" : "") + (none ? " stray" : "");
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(*outcome, "timeout maybe");
}

TEST_F(RuntimeTest, OrExitEndsTheCallerWithTheError) {
  auto reason = run([](process& self) -> task<std::string> {
    spawned caller = spawn_monitor(self, [](process& me) -> task<> {
      auto text = co_await call<std::string>(me, "no.body", Put{"k", "x"}).or_exit();
      me.exit(exit_reason("not reached"));
    });
    (void)caller;
    co_return (co_await self.receive<down>(patience))->reason.text();
  });
  ASSERT_TRUE(reason) << reason.error().message();
  EXPECT_TRUE(reason->starts_with(R"({"noproc", "no process is registered as no.body", "call_test.cpp:)")) << *reason;
}

TEST_F(RuntimeTest, AHandleCalls) {
  pid server = h->spawn(storage);
  auto first = h->call<std::string>(server, Put{"k", "z"}, patience);
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ(*first, "z");
  auto refused = h->call<std::string>(server, Pong{1}, patience);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::not_allowed);
  auto ended = h->call<std::string>(server, Stop{}, patience);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), errc::exited);
}

TEST_F(RuntimeTest, PrintGoesToTheInheritedGroupLeader) {
  spawn(h->self(), [](process& self) -> task<> {
    spawn(self, [](process& inner) -> task<> {
      inner.print("hello");
      co_return;
    });
    co_return;
  });
  EXPECT_TRUE(wait_until([&] { return n->core().counters().print_dropped.load() == 1; }));  // nobody leads it
  h->self().group_leader(h->id());
  spawn(h->self(), [](process& self) -> task<> {
    spawn(self, [](process& inner) -> task<> {
      inner.print("from below");
      co_return;
    });
    co_return;
  });
  auto got = h->receive(patience);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->as<io_put>().text, "from below\n");
  EXPECT_EQ(n->core().counters().print_dropped.load(), 1u);
}

TEST_F(RuntimeTest, BlockingWorkLeavesTheWorkersFree) {
  auto outcome = run([](process& self) -> task<std::string> {
    std::atomic<int> ticks{0};
    pid ticker = spawn(
        self,
        [](process& me, std::atomic<int>* count) -> task<> {
          for (;;) {
            ++*count;
            co_await me.sleep(1ms);
          }
        },
        &ticks);
    // Both workers would be held by these if they ran in place; the ticker must go on.
    auto wait_for_ticks = [&ticks] {
      int before = ticks.load();
      while (ticks.load() < before + 3) std::this_thread::yield();
      return std::string("went on");
    };
    auto text = co_await blocking(self, wait_for_ticks);
    auto broken = [&ticks]() -> int {
      (void)ticks;
      throw std::runtime_error("from there");
    };
    try {
      (void)co_await blocking(self, broken);
    } catch (const std::runtime_error& e) {
      text += std::string(", ") + e.what();
    }
    (void)self.monitor(ticker);
    self.exit(ticker, exit_reason::kill());
    (void)co_await self.receive<down>(patience);
    co_return text;
  });
  ASSERT_TRUE(outcome) << outcome.error().message();
  EXPECT_EQ(*outcome, "went on, from there");
}

// An interrupted shell evaluation (Ctrl-C) ends what it waits for; a result that another thread is making is waited
// for.
TEST_F(RuntimeTest, BlockingWorkIsNotCutShortByAnInterrupt) {
  std::atomic<bool> runs = false, interrupted = false;
  const pid waits = h->spawn([&, parent = h->id()](process& self) -> task<> {
    auto work = [&] {
      runs = true;
      while (!interrupted) std::this_thread::yield();
      return std::string("whole");
    };
    auto text = co_await blocking(self, work);
    self.send(parent, value(text));
  });
  ASSERT_TRUE(wait_until([&] { return runs.load(); }));
  std::atomic<bool> looked = false;
  ASSERT_TRUE(n->core().inspect(waits, [&looked](process& self) {
    detail::core::expire_wait(self);
    looked = true;
  }));
  ASSERT_TRUE(wait_until([&] { return looked.load(); }));
  interrupted = true;
  auto got = h->receive(patience);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->to_value(), value("whole"));
}

double halve(double number) { return number / 2; }
result<std::string> twice(std::string text, int times) {
  if (times < 0) return error(errc::bad_argument, "times is negative");
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}
task<std::int64_t> count_processes(process& self) { co_return static_cast<std::int64_t>(self.node().process_count()); }

TEST_F(RuntimeTest, CatalogueFunctionsCheckTheirArguments) {
  catalogue offers;
  offers.function("math.halve", halve, "half of a number");
  offers.function("text.twice", twice);
  offers.function("node.count", count_processes);
  EXPECT_THROW(offers.function("math.halve", halve), std::invalid_argument);
  EXPECT_THROW(offers.function("math..halve", halve), std::invalid_argument);
  EXPECT_EQ(module_of("exercise.calculator.push"), "exercise.calculator");
  const auto* entry = offers.find("text.twice");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->arguments, (std::vector<std::string>{"text", "integer"}));
  EXPECT_EQ(entry->returns, "text");
  auto ask = [&](std::string name, value arguments) {
    auto got = run([&](process& self) -> task<std::string> {
      auto running = offers.find(name)->run(self, arguments);
      auto answer = co_await std::move(running);
      co_return answer ? answer->print() : answer.error().message();
    });
    return got ? *got : got.error().message();
  };
  EXPECT_EQ(ask("math.halve", list_of({5})), "2.5");
  EXPECT_EQ(ask("text.twice", list_of({"ab", 2})), "\"abab\"");
  EXPECT_EQ(ask("text.twice", list_of({"ab", -1})), "bad_argument: times is negative");
  EXPECT_EQ(ask("text.twice", list_of({"ab"})), "bad_argument: 2 argument(s) expected, 1 given");
  EXPECT_EQ(ask("text.twice", list_of({1, 2})), "bad_argument: argument 1: text expected, integer found");
  EXPECT_NE(ask("node.count", list_of({})), "0");
}

}  // namespace
}  // namespace troupe::test
