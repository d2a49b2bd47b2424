// Functions that return task<>{} where a coroutine was meant: they end their own process, with a reason that says so.
#include "otp_test.hpp"

#include <troupe/task_supervisor.hpp>

namespace troupe::test {
namespace {

struct Do {
  TROUPE_MESSAGE(Do, "do")
};
struct Count {
  TROUPE_MESSAGE(Count, "count")
};

struct Forgetful {
  using messages = handles<Do, Count>;
  task<> on(process&, Do) { return {}; }
  task<int> on(process&, Count) { return {}; }
};

class EmptyTaskTest : public OtpTest {
 protected:
  static void expect_said(const std::string& text) {
    EXPECT_NE(text.find("an empty task was awaited or spawned"), std::string::npos) << text;
  }
};

TEST_F(EmptyTaskTest, OfAHandlerEndsItsServer) {
  for (const char* tag : {"do", "count"}) {
    const pid server = start_server<Forgetful>(*node, {}).or_exit();
    auto got = here->call(server, list_of({tag, map_of({})}));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error(), errc::exited);
    expect_said(got.error().text());
    EXPECT_TRUE(end_of(server).is("noproc"));
  }
  const pid server = start_server<Forgetful>(*node, {}).or_exit();
  const ref watch = here->self().monitor(server);
  here->send(server, Do());
  auto ended = here->receive(20s);
  ASSERT_TRUE(ended && ended->get<down>() && ended->get<down>()->monitor == watch);
  expect_said(ended->get<down>()->reason.text());
}

TEST_F(EmptyTaskTest, OfAStartFunctionIsAStartThatFailed) {
  auto forgetful = [](process&) -> task<started> { return {}; };
  const started outcome = start_supervisor(*node, supervise("top").child("a", forgetful));
  EXPECT_FALSE(outcome);
  expect_said(outcome.text());
  EXPECT_FALSE(pid_of("top"));
}

TEST_F(EmptyTaskTest, OfATaskIsItsOutcome) {
  auto outcome = here->run(20s, [](process& self) -> task<result<int>> {
    self.trap_exits(true);
    auto work = async(self, [](process&) -> task<int> { return {}; });
    auto waiting = work.await(self);
    auto got = co_await std::move(waiting);
    co_return got;
  });
  ASSERT_TRUE(outcome);
  ASSERT_FALSE(*outcome);
  expect_said(outcome->error().text());
}

}  // namespace
}  // namespace troupe::test
