#include "sched/scheduler.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "sched/pool.hpp"

namespace troupe::internal {
namespace {

using namespace std::chrono_literals;

class manual_clock final : public clock {
 public:
  [[nodiscard]] time_point now() const noexcept override { return now_; }
  [[nodiscard]] std::chrono::system_clock::time_point wall() const noexcept override { return {}; }
  void advance(duration by) { now_ += by; }

 private:
  time_point now_{};
};

struct job : runnable {
  scheduler* home = nullptr;
  std::atomic<int> runs{0};
  int again = 0;
  std::vector<int>* order = nullptr;
  int number = 0;
};

void run_job(runnable& what) {
  auto& j = static_cast<job&>(what);
  if (j.order) j.order->push_back(j.number);
  // Its owner may take it away as soon as the last run is counted.
  const int again = j.again;
  if (j.runs.fetch_add(1) + 1 <= again) j.home->schedule_last(j);
}

bool eventually(auto condition) {
  auto end = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(Scheduler, RunsWhatIsQueuedInOrderWithoutThreads) {
  scheduler s({0, std::make_shared<manual_clock>(), run_job});
  std::vector<int> order;
  std::array<job, 5> jobs;
  for (int i = 0; i < 5; ++i) {
    jobs[i].order = &order;
    jobs[i].number = i;
    s.schedule(jobs[i]);
  }
  while (s.run_one()) {
  }
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(Scheduler, TimersFireByTheClockAndInOrderOfArming) {
  auto time = std::make_shared<manual_clock>();
  scheduler s({0, time, run_job});
  std::vector<std::uint64_t> fired;
  auto note = [](void* context, std::uint64_t a, std::uint64_t) {
    static_cast<std::vector<std::uint64_t>*>(context)->push_back(a);
  };
  s.arm({time->now() + 20ms, note, &fired, 3, 0, 0});
  s.arm({time->now() + 10ms, note, &fired, 1, 0, 0});
  s.arm({time->now() + 10ms, note, &fired, 2, 0, 0});
  EXPECT_EQ(s.next_due(), time->now() + 10ms);
  EXPECT_EQ(s.fire_due(), 0u);
  time->advance(10ms);
  EXPECT_EQ(s.fire_due(), 2u);
  s.forget(&fired);
  time->advance(1h);
  EXPECT_EQ(s.fire_due(), 0u);
  EXPECT_EQ(fired, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(s.next_due(), time_point::max());
}

// Every job asks for more runs, from several threads at once: a lost wake-up would leave it waiting for ever.
TEST(Scheduler, NoWakeUpIsLost) {
  for (unsigned workers : {1u, 3u}) {
    scheduler s({workers, system_clock(), run_job});
    s.start();
    for (int round = 0; round < 200; ++round) {
      std::array<job, 8> jobs;
      std::vector<std::thread> threads;
      for (std::size_t t = 0; t < 2; ++t) {
        threads.emplace_back([&, t] {
          for (std::size_t i = t * 4; i < t * 4 + 4; ++i) {
            jobs[i].home = &s;
            jobs[i].again = 20;
            s.schedule(jobs[i]);
          }
        });
      }
      for (auto& t : threads) t.join();
      ASSERT_TRUE(eventually([&] {
        return std::all_of(jobs.begin(), jobs.end(), [](const job& j) { return j.runs.load() == 21; });
      })) << "workers "
          << workers << " round " << round;
    }
    s.stop();
  }
}

TEST(Scheduler, ASleepingWorkerWakesForANewEarliestTimer) {
  scheduler s({2, system_clock(), run_job});
  s.start();
  std::atomic<int> fired{0};
  auto note = [](void* context, std::uint64_t, std::uint64_t) {
    static_cast<std::atomic<int>*>(context)->fetch_add(1);
  };
  s.arm({s.clock().now() + 1h, note, &fired, 0, 0, 0});
  s.arm({s.clock().now() + 2ms, note, &fired, 0, 0, 0});
  EXPECT_TRUE(eventually([&] { return fired.load() == 1; }));
  s.forget(&fired);
}

TEST(Scheduler, BlockingWorkRunsElsewhere) {
  scheduler s({1, system_clock(), run_job});
  s.start();
  std::atomic<int> done{0};
  for (int i = 0; i < 20; ++i) {
    s.run_blocking([&done, &s] {
      if (!s.on_worker()) ++done;
    });
  }
  EXPECT_TRUE(eventually([&] { return done.load() == 20; }));
}

TEST(Pool, BlocksWanderBetweenThreads) {
  std::vector<void*> blocks;
  for (int i = 0; i < 20'000; ++i) blocks.push_back(pool_take(64));
  for (void* b : blocks) static_cast<char*>(b)[63] = 1;
  std::thread([&] {
    for (void* b : blocks) pool_give(b, 64);
    void* again = pool_take(64);
    pool_give(again, 64);
  }).join();
  void* large = pool_take(pool_limit + 1);
  pool_give(large, pool_limit + 1);
}

}  // namespace
}  // namespace troupe::internal
