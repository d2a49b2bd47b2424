// What the node's own processes may count on, whatever users' processes do with the workers.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <thread>

#include "sched/scheduler.hpp"
#include "support/wait.hpp"

namespace troupe::internal {
namespace {

using namespace std::chrono_literals;
using test::wait_until;

struct piece : runnable {
  std::function<void(piece&)> body;
  std::atomic<int> runs{0};
};

void run_piece(runnable& what) {
  auto& p = static_cast<piece&>(what);
  if (p.body) p.body(p);
  ++p.runs;
}

// As many slices as there are workers, all of which hold on until the end.
class HeldWorkers : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    s_.start();
    for (unsigned i = 0; i < GetParam(); ++i) {
      piece& one = *holders_.emplace_back(std::make_unique<piece>());
      one.body = [this](piece&) {
        ++held_;
        (void)wait_until([this] { return go_.load(); });
      };
      s_.schedule(one);
    }
    ASSERT_TRUE(wait_until([this] { return held_ == static_cast<int>(GetParam()); }));
  }
  void TearDown() override {
    go_ = true;
    for (auto& one : holders_) ASSERT_TRUE(wait_until([&] { return one->runs == 1; }));
    s_.stop();
  }

  std::atomic<bool> go_{false};
  std::atomic<int> held_{0};
  std::vector<std::unique_ptr<piece>> holders_;
  scheduler s_{{GetParam(), system_clock(), run_piece}};
};

INSTANTIATE_TEST_SUITE_P(Scheduler, HeldWorkers, testing::Values(1, 2, 3));

TEST_P(HeldWorkers, TheNodesOwnGoesOnAndWhatItWakesToo) {
  const auto began = std::chrono::steady_clock::now();
  piece first, second;
  first.body = [&](piece& p) {  // as an answer takes a few steps
    if (p.runs < 50) s_.schedule_own(second);
  };
  second.body = [&](piece&) { s_.schedule_own(first); };
  s_.schedule_own(first);
  ASSERT_TRUE(wait_until([&] { return first.runs == 51; }));
  EXPECT_EQ(held_, static_cast<int>(GetParam()));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 1s);
}

TEST_P(HeldWorkers, AUsersProcessNeverRunsOnTheLane) {
  piece own, users;
  own.body = [&](piece&) { s_.schedule(users); };
  s_.schedule_own(own);
  ASSERT_TRUE(wait_until([&] { return own.runs == 1; }));
  piece again;
  s_.schedule_own(again);  // the lane goes on behind it
  ASSERT_TRUE(wait_until([&] { return again.runs == 1; }));
  EXPECT_EQ(users.runs, 0);
  go_ = true;
  EXPECT_TRUE(wait_until([&] { return users.runs == 1; })) << "a worker takes what the lane has made runnable";
}

TEST_P(HeldWorkers, TimersFire) {
  std::atomic<int> fired{0};
  auto note = [](void* context, std::uint64_t, std::uint64_t) { ++*static_cast<std::atomic<int>*>(context); };
  const auto began = std::chrono::steady_clock::now();
  for (int i = 1; i <= 10; ++i) {
    s_.arm({s_.clock().now() + 1ms, note, &fired, 0, 0, 0});
    ASSERT_TRUE(wait_until([&] { return fired == i; }));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
  s_.forget(&fired);
}

TEST_P(HeldWorkers, WhoHoldsWhichWorkerIsSeenAndSinceWhen) {
  std::set<std::size_t> workers;
  std::set<runnable*> slices;
  duration shortest{};
  ASSERT_TRUE(wait_until([&] {
    workers.clear();
    slices.clear();
    shortest = duration::max();
    s_.each_holder([&](const thread_holder& one) {
      workers.insert(one.worker);
      slices.insert(one.slice);
      shortest = std::min(shortest, one.held);
    });
    return shortest > 30ms;
  }));
  EXPECT_EQ(workers.size(), GetParam());
  EXPECT_EQ(slices.size(), GetParam());
  EXPECT_LT(*workers.rbegin(), GetParam());
  piece own;
  std::size_t on = 0;
  own.body = [&](piece& me) {
    s_.each_holder([&](const thread_holder& one) { on = one.slice == &me ? one.worker : on; });
  };
  s_.schedule_own(own);
  ASSERT_TRUE(wait_until([&] { return own.runs == 1; }));
  EXPECT_EQ(on, GetParam()) << "the lane comes behind the workers";
}

TEST(Lane, BusyProcessesOfTheNodeLeaveTheWorkersToUsers) {
  scheduler s({1, system_clock(), run_piece});
  piece own, users;
  std::atomic<bool> over{false};
  own.body = [&](piece&) {
    if (!over) s.schedule_own_last(own);
  };
  users.body = [&](piece&) {
    if (!over) s.schedule_last(users);
  };
  s.schedule_own(own);
  s.schedule(users);
  s.start();
  EXPECT_TRUE(wait_until([&] { return own.runs > 10'000 && users.runs > 10'000; }));
  over = true;
  s.stop();
}

TEST(Lane, ManyLongSlicesDoNotHoldUpTheNodesOwn) {
  scheduler s({1, system_clock(), run_piece});
  std::atomic<bool> over{false};
  std::array<piece, 200> users;
  for (piece& one : users) {
    one.body = [&](piece& me) {
      std::this_thread::sleep_for(5ms);  // a second for all of them
      if (!over) s.schedule_last(me);
    };
    s.schedule(one);
  }
  s.start();
  ASSERT_TRUE(wait_until([&] { return users[0].runs > 0; }));
  for (int i = 0; i < 20; ++i) {
    piece own;
    const auto began = std::chrono::steady_clock::now();
    s.schedule_own(own);
    ASSERT_TRUE(wait_until([&] { return own.runs == 1; }));
    EXPECT_LT(std::chrono::steady_clock::now() - began, 500ms);
  }
  over = true;
  s.stop();
}

TEST(Lane, WhatWaitsInTheRingOfAHeldWorkerGoesToOneThatNeverRunsDry) {
  scheduler s({2, system_clock(), run_piece});
  piece busy, holder;
  std::array<piece, 100> kept;
  std::atomic<bool> over{false};
  busy.body = [&](piece&) {
    if (!over) s.schedule_last(busy);  // its worker has always something, and so looks for nothing elsewhere
  };
  bool in_time = false;
  holder.body = [&](piece&) {
    for (piece& one : kept) s.schedule_last(one);
    in_time = wait_until([&] { return std::ranges::all_of(kept, [](const piece& one) { return one.runs == 1; }); });
  };
  s.start();
  s.schedule(busy);
  s.schedule(holder);
  ASSERT_TRUE(wait_until([&] { return holder.runs == 1; }));
  EXPECT_TRUE(in_time);
  over = true;
  s.stop();
}

TEST(Lane, ASimulationHasOneOrder) {
  scheduler s({0, system_clock(), run_piece});
  std::vector<int> order;
  std::array<piece, 4> pieces;
  for (int i = 0; i < 4; ++i) {
    pieces[i].body = [&order, i](piece&) { order.push_back(i); };
    if (i % 2) s.schedule_own(pieces[i]);
    else s.schedule(pieces[i]);
  }
  while (s.run_one()) {
  }
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace troupe::internal
