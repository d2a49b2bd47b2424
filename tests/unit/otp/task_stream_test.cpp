// Streams of tasks: how many at once, in which order, what a late one does.
#include <troupe/task_stream.hpp>

#include "otp_test.hpp"

#include <atomic>

namespace troupe::test {
namespace {

class TaskStreamTest : public OtpTest {
 protected:
  template <class F>
  auto run(F body) {
    return here->run(20s, std::move(body)).or_exit();
  }
};

std::vector<std::int64_t> numbers(std::int64_t count) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < count; ++i) out.push_back(i);
  return out;
}

TEST_F(TaskStreamTest, OrderedOutcomesAndNeverMoreThanTheBound) {
  std::atomic<int> at_once{0}, most{0};
  const auto got = run([&](process& self) -> task<std::string> {
    auto work = [&](process& me, std::int64_t n) -> task<std::int64_t> {
      const int now = ++at_once;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) continue;
      co_await me.sleep(std::chrono::milliseconds(n % 3 == 0 ? 6 : 1));  // later ones are done first
      --at_once;
      co_return n* n;
    };
    task_stream_options options;
    options.max_concurrency = 3;
    auto squares = async_stream(self, numbers(20), work, options);
    std::string out;
    for (;;) {
      auto next = co_await squares.next(self);
      if (!next) break;
      out += std::to_string(next->or_exit()) + " ";
    }
    auto end = co_await squares.next(self);
    co_return out + (end ? "more" : "end");
  });
  std::string expected;
  for (int i = 0; i < 20; ++i) expected += std::to_string(i * i) + " ";
  EXPECT_EQ(got, expected + "end");
  EXPECT_EQ(most, 3);
}

TEST_F(TaskStreamTest, UnorderedOnesComeWhenTheyAreDone) {
  const auto got = run([](process& self) -> task<std::string> {
    const pid collector = self.id();
    auto work = [collector](process& me, std::int64_t n) -> task<std::int64_t> {
      if (n == 0) {  // done only when all the others are
        me.send(collector, value(me.id()));
        (void)co_await me.receive(wait_forever);
      }
      co_return n;
    };
    task_stream_options options;
    options.max_concurrency = 2;
    options.ordered = false;
    auto stream = async_stream(self, numbers(6), work, options);
    std::vector<std::int64_t> seen;
    for (int i = 0; i < 5; ++i) {
      auto next = co_await stream.next(self);
      seen.push_back(next->or_exit());
    }
    auto first = co_await self.receive(5s);
    self.send(*first->to_value().process(), value("go"));
    auto last = co_await stream.next(self);
    std::ranges::sort(seen);
    std::string out;
    for (const auto n : seen) out += std::to_string(n);
    co_return out + " " + std::to_string(last->or_exit());
  });
  EXPECT_EQ(got, "12345 0");
}

TEST_F(TaskStreamTest, ALateTaskEndsTheStreamOrItselfAlone) {
  for (const auto late : {task_stream_options::on_timeout::end_stream, task_stream_options::on_timeout::kill_task}) {
    const auto got = run([late](process& self) -> task<std::string> {
      auto work = [](process& me, std::int64_t n) -> task<std::int64_t> {
        if (n == 1) (void)co_await me.receive(wait_forever);
        co_return n;
      };
      task_stream_options options;
      options.max_concurrency = 2;
      options.limit = 100ms;
      options.late = late;
      auto stream = async_stream(self, numbers(4), work, options);
      std::string out;
      for (;;) {
        auto next = co_await stream.next(self);
        if (!next) break;
        out += (*next ? std::to_string(**next) : next->error().name()) + " ";
      }
      co_return out;
    });
    EXPECT_EQ(got, late == task_stream_options::on_timeout::end_stream ? "0 timeout " : "0 timeout 2 3 ");
  }
}

TEST_F(TaskStreamTest, ACrashIsAnOutcomeWhenNotLinked) {
  const auto got = run([](process& self) -> task<std::string> {
    task_stream_options options;
    options.linked = false;
    auto work = [](std::int64_t n) -> std::int64_t {
      if (n == 1) throw std::runtime_error("boom");
      return n;
    };
    auto stream = async_stream(self, numbers(3), work, options);
    std::string out;
    for (;;) {
      auto next = co_await stream.next(self);
      if (!next) break;
      out += (*next ? std::to_string(**next) : next->error().name()) + " ";
    }
    co_return out;
  });
  EXPECT_EQ(got, "0 exited 2 ");
}

TEST_F(TaskStreamTest, AStreamThatIsDroppedEndsItsTasks) {
  std::atomic<int> alive{0};
  struct counted {
    explicit counted(std::atomic<int>& n) : count(n) { ++count; }
    ~counted() { --count; }
    std::atomic<int>& count;
  };
  run([&](process& self) -> task<bool> {
    auto work = [&](process& me, std::int64_t n) -> task<std::int64_t> {
      const counted one(alive);
      if (n > 0) (void)co_await me.receive(wait_forever);
      co_return n;
    };
    task_stream_options options;
    options.max_concurrency = 4;
    {
      auto stream = async_stream(self, numbers(10), work, options);
      (void)co_await stream.next(self);
      while (alive < 3) co_await self.sleep(1ms);
    }
    while (alive > 0) co_await self.sleep(1ms);
    co_return true;
  });
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace troupe::test
