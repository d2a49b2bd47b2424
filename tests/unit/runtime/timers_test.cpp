// Deadlines and timers on a clock that the test moves, without threads: how many entries there are, and what is freed.
#include "runtime_support.hpp"

#include <memory>
#include <vector>

#include <troupe/call.hpp>

#include "runtime/process_private.hpp"
#include "sched/scheduler.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
using detail::process_private;

class manual_clock final : public clock {
 public:
  [[nodiscard]] time_point now() const noexcept override { return now_; }
  [[nodiscard]] std::chrono::system_clock::time_point wall() const noexcept override { return {}; }
  void advance(duration by) { now_ += by; }

 private:
  time_point now_{};
};

class TimersTest : public testing::Test {
 protected:
  TimersTest() {
    detail::bare_node_options options;
    options.name = "still@localhost";
    options.workers = 0;
    options.clock = time;
    n = detail::make_bare_node(std::move(options));
  }
  internal::scheduler& workers() { return n->core().scheduler(); }
  void settle() {
    while (workers().run_one()) {
    }
  }
  void pass(duration by) {
    time->advance(by);
    workers().fire_due();
    settle();
  }
  std::shared_ptr<manual_clock> time = std::make_shared<manual_clock>();
  std::unique_ptr<node> n;
};

TEST_F(TimersTest, LongAndShortWaitsOfOneProcessNeedOneEntry) {
  int timeouts = 0;
  auto body = [&timeouts](process& self) -> task<> {
    for (;;) {
      (void)co_await self.receive<Ping>(1h);
      auto none = co_await self.receive<Pong>(1ms);
      if (!none) ++timeouts;
    }
  };
  const pid p = spawn(*n, body).or_exit();
  settle();
  EXPECT_EQ(workers().armed(), 1u);
  for (int i = 0; i < 1000; ++i) {
    n->send(p, Ping{p, i});
    settle();
    pass(2ms);
    ASSERT_LE(workers().armed(), 1u) << i;
  }
  EXPECT_EQ(timeouts, 1000);
  n->exit(p, exit_reason::kill());
  settle();
  EXPECT_EQ(workers().armed(), 0u) << "a dead process's waits go with it";
}

TEST_F(TimersTest, CancelledTimersLeaveNothing) {
  auto body = [](process& self) -> task<> {
    for (int i = 0; i < 1000; ++i) {
      timer later = self.send_after(1h, self.id(), Stop{});
      if (!self.cancel(later)) self.exit(exit_reason("no timer"));
      if (self.cancel(later)) self.exit(exit_reason("cancelled twice"));
    }
    (void)co_await self.receive(wait_forever);
  };
  const pid p = spawn(*n, body).or_exit();
  settle();
  ASSERT_TRUE(n->exists(p));
  EXPECT_LE(workers().armed(), 1u);
  pass(2h);
  EXPECT_TRUE(n->exists(p)) << "nothing was sent";
  EXPECT_EQ(workers().armed(), 0u);
}

TEST_F(TimersTest, TimersAndADeadlineShareTheEntry) {
  std::string seen;
  auto body = [&seen](process& self) -> task<> {
    self.send_after(3s, self.id(), Pong{3});
    self.send_after(1s, self.id(), Pong{1});
    timer every = self.send_interval(2s, self.id(), Pong{2});
    self.send_after(wait_forever, self.id(), Stop{});
    for (int i = 0; i < 5; ++i) {
      auto got = co_await self.receive<Pong>(1500ms);
      seen += got ? std::to_string(got->number) : "-";
    }
    self.cancel(every);
    auto last = co_await self.receive(20s);
    seen += last ? "?" : ".";
    (void)co_await self.receive(wait_forever);
  };
  const pid p = spawn(*n, body).or_exit();
  settle();
  for (int tenth = 0; tenth < 400; ++tenth) {
    pass(100ms);
    ASSERT_LE(workers().armed(), 1u);
  }
  // Till 4 s one in each; at 5.5 s nothing has come, and the interval is cancelled.
  EXPECT_EQ(seen, "1232-.");
  EXPECT_TRUE(n->exists(p));
  EXPECT_EQ(workers().armed(), 0u);
}

TEST_F(TimersTest, AnIntervalKeepsItsBeatAndCountsWhatItSkips) {
  std::vector<std::int64_t> at;  // ms
  auto body = [&at](process& self) -> task<> {
    self.send_interval(10ms, self.id(), Ping{});
    for (;;) {
      (void)co_await self.receive<Ping>(wait_forever);
      at.push_back(self.now().time_since_epoch() / 1ms);
    }
  };
  (void)spawn(*n, body).or_exit();
  settle();
  // Each is looked at late, by 3 ms more or less: none makes the next one late.
  for (const duration by : {13ms, 9ms, 10ms, 8ms, 10ms}) pass(by);
  EXPECT_EQ(at, (std::vector<std::int64_t>{13, 22, 32, 40, 50}));
  EXPECT_EQ(n->core().counters().timers_skipped.load(), 0u);
  pass(37ms);  // due at 60: those of 70 and 80 have passed as well
  pass(3ms);   // 90
  EXPECT_EQ(at, (std::vector<std::int64_t>{13, 22, 32, 40, 50, 87, 90}));
  EXPECT_EQ(n->core().counters().timers_skipped.load(), 2u);
}

TEST_F(TimersTest, AnIntervalOfNothingEndsItsProcess) {
  for (const duration period : {duration(0ms), duration(-5ms)}) {
    exit_reason why;
    auto body = [period](process& self) -> task<> {
      self.send_interval(period, self.id(), Ping{});
      co_await self.sleep(1h);
    };
    auto watcher = [&](process& self) -> task<> {
      (void)spawn_monitor(self, body);
      auto ended = co_await self.receive<down>(wait_forever);
      why = ended->reason;
    };
    (void)spawn(*n, watcher).or_exit();
    settle();
    EXPECT_TRUE(why.is("bad_argument")) << why.text();
    EXPECT_NE(why.text().find("send_interval: a period above zero"), std::string::npos) << why.text();
  }
  EXPECT_EQ(workers().armed(), 0u);
}

TEST_F(TimersTest, ABusyProcessHearsItsTimers) {
  bool rang = false;
  auto body = [&rang](process& self) -> task<> {
    self.send_after(1s, self.id(), Pong{1});
    self.send_after(2s, self.id(), Pong{2});
    for (;;) {
      co_await self.yield();
      auto got = co_await self.receive<Pong>(0ms);
      if (got && got->number == 2) break;
    }
    rang = true;
  };
  (void)spawn(*n, body).or_exit();
  for (int i = 0; i < 100 && !rang; ++i) {
    time->advance(100ms);
    workers().fire_due();
    for (int turn = 0; turn < 3; ++turn) (void)workers().run_one();
  }
  EXPECT_TRUE(rang);
}

// Freed with it, or nobody frees it.
struct counted {
  std::shared_ptr<int> held;
};

TEST_F(TimersTest, AReplyThatComesTogetherWithAKillIsFreed) {
  const pid server = spawn(*n, [](process& self) -> task<> {
                       auto kept = co_await self.receive(wait_forever);
                       (void)co_await self.receive(wait_forever);
                     }).or_exit();
  const pid caller = spawn(*n, [server](process& self) -> task<> {
                       (void)co_await call<std::string>(self, server, Ping{self.id(), 1});
                     }).or_exit();
  settle();
  std::uint64_t waits_for = 0;
  n->core().inspect(caller, [&](process& seen) { waits_for = process_private::wait(seen)->reply_id; });
  settle();
  ASSERT_NE(waits_for, 0u);
  auto alive = std::make_shared<int>(1);
  detail::envelope* reply = detail::make_envelope<counted>(detail::signal::reply, alive);
  reply->id = waits_for;
  n->core().deliver(caller, reply);
  n->exit(caller, exit_reason::kill());
  settle();
  EXPECT_FALSE(n->exists(caller));
  EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace troupe::test
