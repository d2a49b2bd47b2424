// Who drives a loop: its own thread, or those that it is lent to.
#include <troupe/bus/loop.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "support/wait.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

// Leaders of one thread: the test's.
class one_leader final : public bus::leaders {
 public:
  std::optional<duration> rest() noexcept override { return longest; }
  void rested() noexcept override { ++rests; }
  bool here() const noexcept override { return std::this_thread::get_id() == thread; }
  bool idle() const noexcept override { return is_idle; }
  void wanted() noexcept override { ++calls; }

  std::thread::id thread = std::this_thread::get_id();
  duration longest{};
  int rests = 0;
  std::atomic<bool> is_idle = true;
  std::atomic<int> calls = 0;
};

class LentLoop : public testing::Test {
 protected:
  ~LentLoop() override { static_cast<void>(loop_->lend(nullptr)); }
  // The loop's own thread lets go at its next turn.
  void lend() {
    ASSERT_TRUE(loop_->lend(&leader_));
    ASSERT_TRUE(wait_until([&] { return !loop_->led(); }));
  }
  one_leader leader_;
  std::unique_ptr<bus::loop> loop_ = bus::make_loop();
};

TEST_F(LentLoop, IsDrivenByItsLeaderAlone) {
  EXPECT_FALSE(loop_->lead());  // not lent
  lend();
  EXPECT_FALSE(loop_->lend(&leader_));  // lent already
  std::thread::id by;
  bool fired = false;
  loop_->post([&] {
    by = std::this_thread::get_id();
    loop_->at(loop_->now(), [&] { fired = loop_->inside(); });
  });
  EXPECT_TRUE(loop_->lead());
  EXPECT_EQ(by, std::this_thread::get_id());
  EXPECT_TRUE(fired);
  EXPECT_FALSE(loop_->inside());
  EXPECT_EQ(leader_.rests, 1);
  EXPECT_TRUE(loop_->lend(nullptr));
  loop_->run([&] { by = std::this_thread::get_id(); });
  EXPECT_NE(by, std::this_thread::get_id());
}

TEST_F(LentLoop, WakesASleepingLeaderForAPost) {
  lend();
  leader_.longest = wait_forever;
  bool ran = false;
  std::thread other([&] {
    EXPECT_TRUE(wait_until([&] { return loop_->led(); }));
    loop_->post([&] { ran = true; });
  });
  while (!ran) EXPECT_TRUE(loop_->lead());
  other.join();
  std::thread third([&] {
    EXPECT_TRUE(wait_until([&] { return loop_->led(); }));
    loop_->interrupt();
  });
  EXPECT_TRUE(loop_->lead());
  third.join();
}

TEST_F(LentLoop, CallsALeaderWhenAStrangerPostsAndNobodyLeads) {
  lend();
  const int before = leader_.calls;
  loop_->post([] {});  // by a leader, who will come to it
  EXPECT_EQ(leader_.calls, before);
  std::thread([&] { loop_->post([] {}); }).join();
  EXPECT_EQ(leader_.calls, before + 1);
}

TEST_F(LentLoop, ItsOwnThreadStepsInUntilALeaderIsIdle) {
  lend();
  leader_.is_idle = false;
  std::atomic<bool> ran = false;
  loop_->post([&] { ran = true; });
  EXPECT_FALSE(ran);
  loop_->step_in();
  ASSERT_TRUE(wait_until([&] { return ran.load(); }));
  EXPECT_TRUE(loop_->led());
  EXPECT_FALSE(loop_->lead());
  const int before = leader_.calls;
  leader_.is_idle = true;
  loop_->reclaim();
  EXPECT_TRUE(wait_until([&] { return !loop_->led() && leader_.calls > before; }));
  EXPECT_TRUE(loop_->lead());
}

// The leader waits for what only a leader would do.
TEST_F(LentLoop, RunFromALeaderIsDoneByItsOwnThread) {
  lend();
  leader_.is_idle = false;
  std::thread::id by;
  loop_->run([&] { by = std::this_thread::get_id(); });
  EXPECT_NE(by, std::this_thread::get_id());
}

TEST_F(LentLoop, TimersWakeTheLeader) {
  lend();
  leader_.longest = wait_forever;
  bool fired = false;
  loop_->post([&] { loop_->at(loop_->now() + 2ms, [&] { fired = true; }); });
  while (!fired) EXPECT_TRUE(loop_->lead());
}

// Taken back while somebody sleeps in it, and given again, under fire of posts.
TEST_F(LentLoop, NothingIsLostWhileTheLeadChanges) {
  std::atomic<int> ran = 0;
  std::atomic<bool> stop = false;
  leader_.longest = wait_forever;
  std::thread leading([&] {
    while (!stop) {
      if (!loop_->lead()) std::this_thread::yield();
    }
  });
  std::thread changing([&] {
    while (!stop) {
      static_cast<void>(loop_->lend(&leader_));
      loop_->step_in();
      static_cast<void>(loop_->lend(nullptr));
    }
  });
  constexpr int posts = 20'000;
  for (int i = 0; i < posts; ++i) {
    loop_->post([&] { ++ran; });
    if (i % 64 == 0) loop_->run([] {});
  }
  EXPECT_TRUE(wait_until([&] { return ran == posts; }));
  stop = true;
  loop_->interrupt();
  changing.join();
  static_cast<void>(loop_->lend(nullptr));
  leading.join();
}

}  // namespace
}  // namespace troupe::test
