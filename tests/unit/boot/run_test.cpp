// troupe::run in a program of its own: this one, started again.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include <troupe/troupe.hpp>

#include "support/program.hpp"
#include "support/temp_dir.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* mode_variable = "TROUPE_TEST_RUN";
std::string own_path() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

// All signals are blocked in the threads that run this: it never returns.
void for_ever() {
  for (;;) pause();
}

supervisor blocks(troupe::node&) {
  return supervise("held.top").child("copier", [](process& up) {
    return spawn_link(up, [](process& self) -> task<> { co_await blocking(self, for_ever); });
  });
}
supervisor computes(troupe::node&) {
  return supervise("held.top").child("hog", [](process& up) {
    return spawn_link(up, [](process&) -> task<> {
      for_ever();
      co_return;
    });
  });
}
supervisor asks(troupe::node& n) { return supervise(config(n).get<std::string>("held.missing").or_exit()); }
supervisor plain(troupe::node&) { return supervise("held.top"); }

// Not a test by itself (suites named Program… are not registered).
TEST(ProgramRun, Main) {
  const char* mode = std::getenv(mode_variable);
  if (mode == nullptr) GTEST_SKIP() << "only run by Run";
  const std::string which = mode;
  application app{.name = "held"};
  app.start = which == "block" ? blocks : which == "compute" ? computes : which == "ask" ? asks : plain;
  char name[] = "held", set[] = "--set", within[] = "node.stop_within=200ms";
  char* words[] = {name, set, within, nullptr};
  std::_Exit(run(3, words, std::move(app)));
}

class Run : public testing::Test {
 protected:
  std::unique_ptr<program> start(std::string mode) {
    program_options how;
    how.environment = {
        {mode_variable, std::move(mode)}, {"TROUPE_RUN_DIR", run_.str()}, {"TROUPE_COOKIE", std::nullopt}};
    return std::make_unique<program>(std::vector<std::string>{own_path(), "--gtest_filter=ProgramRun.*"}, how);
  }
  temp_dir run_;
};

TEST_F(Run, EndsAlthoughBlockingWorkGoesOn) {
  auto held = start("block");
  ASSERT_TRUE(held->wait_output("ready")) << held->out() << held->err();
  held->signal(SIGTERM);
  EXPECT_EQ(held->wait_exit(), 1);
  EXPECT_NE(held->out().find("ended by force"), std::string::npos) << held->out();
  EXPECT_NE(held->out().find("blocking work of <held@localhost#"), std::string::npos) << held->out();
}

TEST_F(Run, EndsAlthoughAProcessHoldsItsWorker) {
  auto held = start("compute");
  ASSERT_TRUE(held->wait_output("ready")) << held->out() << held->err();
  ASSERT_TRUE(held->wait_output("holds its worker")) << held->out();
  held->signal(SIGTERM);
  EXPECT_EQ(held->wait_exit(), 1);
  EXPECT_NE(held->out().find("process <held@localhost#"), std::string::npos) << held->out();
}

TEST_F(Run, AnExitInTheStartFunctionIsAReason) {
  auto failed = start("ask");
  EXPECT_EQ(failed->wait_exit(), 1);
  EXPECT_NE(failed->err().find("did not start: the application held: failed: {\"not_found\", \"held.missing"),
            std::string::npos)
      << failed->err();
}

TEST_F(Run, AStopInOrderIsNoForce) {
  auto good = start("plain");
  ASSERT_TRUE(good->wait_output("ready")) << good->out() << good->err();
  good->signal(SIGTERM);
  EXPECT_EQ(good->wait_exit(), 0);
  EXPECT_EQ(good->out().find("force"), std::string::npos) << good->out();
}

}  // namespace
}  // namespace troupe::test
