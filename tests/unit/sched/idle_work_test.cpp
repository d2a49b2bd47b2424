// A worker with nothing to do takes a turn of somebody else's wait.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "sched/scheduler.hpp"
#include "support/wait.hpp"

namespace troupe::internal {
namespace {

using namespace std::chrono_literals;
using test::wait_until;

struct errand : runnable {
  std::function<void()> work;
};
void run_errand(runnable& what) { static_cast<errand&>(what).work(); }

// As a loop is: one thread at a time, asleep until it is interrupted or its time is over.
class waiting_room final : public idle_work {
 public:
  explicit waiting_room(scheduler& home) : home_(home) {}

  bool turn() override {
    {
      std::lock_guard lock(mutex_);
      if (taken_) return false;
      taken_ = true;
    }
    ++turns;
    if (on_turn) on_turn();
    if (const auto longest = home_.rest()) {
      {
        std::unique_lock lock(mutex_);
        const auto limit = std::min<duration>(*longest, 60s);
        if (limit > duration::zero()) signal_.wait_for(lock, limit, [this] { return interrupted_; });
        interrupted_ = false;
      }
      home_.rested();
    }
    std::lock_guard lock(mutex_);
    taken_ = false;
    return true;
  }
  void interrupt() override {
    {
      std::lock_guard lock(mutex_);
      interrupted_ = true;
    }
    signal_.notify_all();
  }
  void reclaim() override { ++reclaims; }
  bool neglected() override {
    std::lock_guard lock(mutex_);
    return std::exchange(seen_, turns.load()) == turns && !taken_;
  }
  void step_in() override { ++steps_in; }

  std::function<void()> on_turn;
  std::atomic<std::uint64_t> turns = 0, reclaims = 0, steps_in = 0;

 private:
  scheduler& home_;
  std::mutex mutex_;
  std::condition_variable signal_;
  bool taken_ = false, interrupted_ = false;
  std::uint64_t seen_ = 0;
};

TEST(IdleWork, IsTakenByAnIdleWorkerWhoWakesForItsOwn) {
  for (const unsigned workers : {1u, 2u, 4u}) {
    scheduler s({workers, nullptr, run_errand});
    s.start();
    waiting_room room(s);
    ASSERT_TRUE(s.set_idle_work(&room));
    waiting_room second(s);
    EXPECT_FALSE(s.set_idle_work(&second));
    ASSERT_TRUE(wait_until([&] { return room.turns > 0; }));
    std::atomic<int> runs = 0;
    errand one;
    one.work = [&] { ++runs; };
    for (int i = 1; i <= 200; ++i) {
      s.schedule(one);
      ASSERT_TRUE(wait_until([&] { return runs == i; })) << workers;
    }
    EXPECT_TRUE(s.set_idle_work(nullptr));
    const auto turns = room.turns.load();
    s.schedule(one);
    ASSERT_TRUE(wait_until([&] { return runs == 201; }));
    EXPECT_EQ(room.turns, turns);
    s.stop();
  }
}

TEST(IdleWork, WhatATurnSchedulesRunsAfterIt) {
  scheduler s({1, nullptr, run_errand});
  s.start();
  waiting_room room(s);
  std::atomic<int> runs = 0;
  errand one;
  one.work = [&] { ++runs; };
  std::atomic<int> made = 0;
  room.on_turn = [&] {
    if (made < 100 && runs == made) ++made, s.schedule(one);  // as a frame does that brings a message
  };
  ASSERT_TRUE(s.set_idle_work(&room));
  EXPECT_TRUE(wait_until([&] { return runs == 100; }));
  EXPECT_TRUE(s.set_idle_work(nullptr));
  s.stop();
}

TEST(IdleWork, TimersFireWhileAWorkerIsInIt) {
  scheduler s({1, nullptr, run_errand});
  s.start();
  waiting_room room(s);
  ASSERT_TRUE(s.set_idle_work(&room));
  std::atomic<int> fired = 0;
  auto count = [](void* context, std::uint64_t, std::uint64_t) { ++*static_cast<std::atomic<int>*>(context); };
  for (int i = 1; i <= 20; ++i) {
    s.arm({s.clock().now() + 1ms, count, &fired, 0, 0, 0});
    ASSERT_TRUE(wait_until([&] { return fired == i; }));
  }
  EXPECT_TRUE(s.set_idle_work(nullptr));
  s.forget(&fired);
  s.stop();
}

// One that has work without end looks in, now and then.
TEST(IdleWork, BusyWorkersVisitIt) {
  scheduler s({1, nullptr, run_errand});
  s.start();
  waiting_room room(s);
  std::atomic<bool> go_on = true;
  errand one;
  one.work = [&] {
    if (go_on) s.schedule_last(one);
  };
  s.schedule(one);
  ASSERT_TRUE(s.set_idle_work(&room));
  EXPECT_TRUE(wait_until([&] { return room.turns > 20; }));
  go_on = false;
  EXPECT_TRUE(s.set_idle_work(nullptr));
  s.stop();
}

// None comes to it, because a slice does not end: the watch says so, and goes on saying so.
TEST(IdleWork, TheWatchSeesThatNobodyCan) {
  scheduler s({1, nullptr, run_errand});
  s.start();
  waiting_room room(s);
  ASSERT_TRUE(s.set_idle_work(&room));
  std::atomic<bool> told = false;
  errand one;
  one.work = [&] { told = wait_until([&] { return room.steps_in > 2; }); };
  s.schedule(one);
  EXPECT_TRUE(wait_until([&] { return told.load(); }));
  EXPECT_TRUE(s.set_idle_work(nullptr));
  s.stop();
}

TEST(IdleWork, SchedulersWithoutThreadsHaveNone) {
  scheduler s({0, nullptr, run_errand});
  waiting_room room(s);
  EXPECT_FALSE(s.set_idle_work(&room));
}

}  // namespace
}  // namespace troupe::internal
