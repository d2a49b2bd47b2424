#include "sched/scheduler.hpp"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <thread>

#include "sched/pool.hpp"
#include "support/wait.hpp"

namespace troupe::internal {
namespace {

using namespace std::chrono_literals;
using test::wait_until;

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
      ASSERT_TRUE(wait_until([&] {
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
  EXPECT_TRUE(wait_until([&] { return fired.load() == 1; }));
  s.forget(&fired);
}

// An owner's entry is moved, not added to, and can be taken back.
TEST(Scheduler, AnOwnerHasOneTimer) {
  auto time = std::make_shared<manual_clock>();
  scheduler s({0, time, run_job});
  std::vector<std::uint64_t> fired;
  auto note = [](void* context, std::uint64_t a, std::uint64_t) {
    static_cast<std::vector<std::uint64_t>*>(context)->push_back(a);
  };
  std::array<job, 50> owners;
  for (std::uint64_t i = 0; i < owners.size(); ++i) s.arm({time->now() + 1h, note, &fired, i, 0, 0, &owners[i]});
  // In an order of their own, some earlier and some later than they were.
  for (std::uint64_t i = 0; i < owners.size(); ++i)
    s.arm({time->now() + 1ms * ((i * 37) % 50 + 1), note, &fired, i, 0, 0, &owners[i]});
  EXPECT_EQ(s.armed(), owners.size());
  for (std::size_t i = 0; i < owners.size(); i += 2) s.disarm(owners[i]);
  s.disarm(owners[0]);
  EXPECT_EQ(s.armed(), owners.size() / 2);
  time->advance(50ms);
  EXPECT_EQ(s.fire_due(), owners.size() / 2);
  ASSERT_EQ(fired.size(), owners.size() / 2);
  for (std::size_t i = 1; i < fired.size(); ++i) EXPECT_LT(fired[i - 1] * 37 % 50, fired[i] * 37 % 50);
  s.arm({time->now() + 1ms, note, &fired, 7, 0, 0, &owners[7]});
  EXPECT_EQ(s.armed(), 1u);
  s.forget(&fired);
  EXPECT_EQ(s.armed(), 0u);
  EXPECT_EQ(s.next_due(), time_point::max());
}

// What a job does while it holds its worker.
struct holding : runnable {
  scheduler* home = nullptr;
  std::function<void(holding&)> body;
  std::atomic<bool> ran{false};
};
void run_holding(runnable& what) {
  auto& h = static_cast<holding&>(what);
  if (h.body) h.body(h);
  h.ran = true;
}

TEST(Scheduler, WhatWaitsBehindALongSliceGoesToAnIdleWorker) {
  scheduler s({2, system_clock(), run_holding});
  s.start();
  holding second;
  holding first;
  bool in_time = false;
  first.body = [&](holding&) {
    s.schedule(second);  // into the slot of this worker, which does not come to it
    in_time = wait_until([&] { return second.ran.load(); });
  };
  s.schedule(first);
  ASSERT_TRUE(wait_until([&] { return first.ran.load(); }));
  EXPECT_TRUE(in_time);
  s.stop();
}

TEST(Scheduler, ATimerThatALongSliceArmedIsFiredByAnother) {
  scheduler s({2, system_clock(), run_holding});
  s.start();
  std::atomic<int> fired{0};
  holding first;
  bool in_time = false;
  first.body = [&](holding&) {
    auto note = [](void* context, std::uint64_t, std::uint64_t) { ++*static_cast<std::atomic<int>*>(context); };
    s.arm({s.clock().now() + 1ms, note, &fired, 0, 0, 0});
    in_time = wait_until([&] { return fired.load() == 1; });
  };
  s.schedule(first);
  ASSERT_TRUE(wait_until([&] { return first.ran.load(); }));
  EXPECT_TRUE(in_time);
  s.stop();
}

std::atomic<int> stalls_seen{0};
std::atomic<runnable*> stalled_last{nullptr};

TEST(Scheduler, AStallIsToldWhileItLastsAndTheWatchThenSleeps) {
  scheduler_options how{1, system_clock(), run_holding};
  how.stall_after = 2ms;
  how.stalled = [](runnable& what, duration held) {
    EXPECT_GE(held, 2ms);
    stalled_last = &what;
    ++stalls_seen;
  };
  stalls_seen = 0;
  scheduler s(std::move(how));
  s.start();
  holding first;
  bool told = false;
  first.body = [&](holding&) { told = wait_until([] { return stalls_seen.load() >= 2; }); };  // again ten times later
  s.schedule(first);
  ASSERT_TRUE(wait_until([&] { return first.ran.load(); }));
  EXPECT_TRUE(told);
  EXPECT_EQ(stalled_last.load(), &first);
  EXPECT_TRUE(wait_until([&] { return !s.watched(); })) << "an idle node uses no CPU for it";
  holding second;
  second.body = [&](holding&) { told = wait_until([&] { return stalled_last.load() != &first; }); };
  s.schedule(second);
  ASSERT_TRUE(wait_until([&] { return second.ran.load(); }));
  EXPECT_TRUE(told) << "it wakes with the workers";
  s.stop();
}

TEST(Scheduler, LeaveTellsWhatHoldsAThread) {
  scheduler s({1, system_clock(), run_holding});
  s.start();
  std::atomic<bool> go{false}, at_work{false};
  const int context = 0;
  s.run_blocking(
      [&] {
        at_work = true;
        (void)wait_until([&] { return go.load(); });
      },
      {&context, 7, "copier"});
  holding first;
  first.body = [&](holding&) { (void)wait_until([&] { return go.load(); }); };
  s.schedule(first);
  std::vector<runnable*> slices;
  std::vector<job_owner> jobs;
  auto look = [&] {
    slices.clear();
    jobs.clear();
    s.each_holder([&](const thread_holder& holder) {
      if (holder.slice) slices.push_back(holder.slice);
      else jobs.push_back(holder.job);
    });
  };
  ASSERT_TRUE(wait_until([&] {
    look();
    return slices.size() == 1 && jobs.size() == 1;
  }));
  EXPECT_EQ(slices[0], &first);
  EXPECT_EQ(jobs[0].context, &context);
  EXPECT_STREQ(jobs[0].entry, "copier");
  EXPECT_FALSE(s.leave(1ms));
  go = true;
  EXPECT_TRUE(s.leave(20s));
  look();
  EXPECT_TRUE(slices.empty() && jobs.empty());
}

TEST(Scheduler, ForgetWaitsForTheBlockingWorkOfItsContext) {
  scheduler s({1, system_clock(), run_job});
  s.start();
  const int mine = 0, other = 0;
  std::atomic<bool> go{false}, at_work{false}, over{false}, stays{false};
  s.run_blocking([&] { (void)wait_until([&] { return stays.load(); }); }, {&other, 1, nullptr});
  s.run_blocking(
      [&] {
        at_work = true;
        (void)wait_until([&] { return go.load(); });
        over = true;
      },
      {&mine, 2, nullptr});
  ASSERT_TRUE(wait_until([&] { return at_work.load(); }));
  std::thread opener([&] { go = true; });
  s.forget(&mine);
  EXPECT_TRUE(over);
  opener.join();
  stays = true;
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
  EXPECT_TRUE(wait_until([&] { return done.load() == 20; }));
}

// Destroyed after the cache of its thread, since it was made before that.
struct late {
  std::set<void*>* taken = nullptr;
  ~late() {
    for (int i = 0; i < 200; ++i) taken->insert(pool_take(48));
    void* back = *taken->begin();
    taken->erase(back);
    pool_give(back, 48);
  }
};

TEST(Pool, AThreadWithoutItsCacheSharesNoBlock) {
  std::set<void*> theirs, ours;
  std::thread([&] {
    thread_local late last;
    last.taken = &theirs;
    pool_give(pool_take(48), 48);
  }).join();
  ASSERT_EQ(theirs.size(), 199u);
  std::thread([&] {
    for (int i = 0; i < 5000; ++i) ours.insert(pool_take(48));
  }).join();
  EXPECT_EQ(ours.size(), 5000u);
  for (void* block : theirs) EXPECT_FALSE(ours.contains(block));
  for (void* block : theirs) pool_give(block, 48);
  for (void* block : ours) pool_give(block, 48);
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

// Two that wake each other in turn, as a call and its answer do.
TEST(Scheduler, APairThatTalksStaysOnItsWorker) {
  struct talker : runnable {
    scheduler* home = nullptr;
    talker* other = nullptr;
    std::atomic<int>* left = nullptr;
    std::atomic<int>* moved = nullptr;
    std::atomic<unsigned>* last = nullptr;
  };
  scheduler s({2, system_clock(), [](runnable& what) {
                 auto& self = static_cast<talker&>(what);
                 const unsigned here = self.home->worker_here();
                 if (self.last->exchange(here) != here) ++*self.moved;
                 if (--*self.left > 0) self.home->schedule(*self.other);
               }});
  std::atomic<int> left{200'000}, moved{0};
  std::atomic<unsigned> last{0};
  talker a, b;
  for (talker* each : {&a, &b}) {
    each->home = &s;
    each->other = each == &a ? &b : &a;
    each->left = &left;
    each->moved = &moved;
    each->last = &last;
  }
  s.start();
  s.schedule(a);
  ASSERT_TRUE(wait_until([&] { return left <= 0; }));
  // Where the machine takes the worker's CPU away, the watch gives what waits to the other: now and then.
  EXPECT_LT(moved, 2'000);
  s.stop();
}

}  // namespace
}  // namespace troupe::internal
