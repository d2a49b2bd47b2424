// troupe::run in a program of its own: this one, started again.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
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
// Its child takes longer than any test to stop.
supervisor lingers(troupe::node&) {
  return supervise("held.top")
      .child("slow",
             [](process& up) {
               return spawn_link(up, [](process& self) -> task<> {
                 self.trap_exits(true);
                 for (;;) (void)co_await self.receive(wait_forever);
               });
             })
      .stop_within(1h);
}

// As `troupe stop` asks for it.
supervisor is_asked(troupe::node& n) {
  spawn(n, [](process& self) -> task<> {
    list why{value("asked by its test")};
    auto asking = rpc::call_values(self, std::string(self.node().name()), "troupe.stop", value(std::move(why)));
    static_cast<void>((co_await std::move(asking)).or_exit());
  }).or_exit();
  return lingers(n);
}

constexpr const char* secret_variables[] = {"TROUPE_COOKIE",   "RELEASE_COOKIE",        "NOTIFY_SOCKET",
                                            "WATCHDOG_USEC",   "WATCHDOG_PID",          "TROUPE_DAEMON",
                                            "TROUPE_READY_FD", "TROUPE__HELD__PASSWORD"};
supervisor tells(troupe::node& n) {
  for (const char* name : secret_variables)
    n.log().notice(std::string(name) + (std::getenv(name) == nullptr ? " is gone" : " is there"));
  n.log().notice("the password is " + config(n).get<std::string>("held.password").or_exit());
  return supervise("held.top");
}

// Not a test by itself (suites named Program… are not registered).
TEST(ProgramRun, Main) {
  const char* mode = std::getenv(mode_variable);
  if (mode == nullptr) GTEST_SKIP() << "only run by Run";
  const std::string which = mode;
  application app{.name = "held"};
  app.config.text("held.password", "none", "a secret").hide();
  app.start = which == "block"     ? blocks
              : which == "compute" ? computes
              : which == "ask"     ? asks
              : which == "tell"    ? tells
              : which == "linger"  ? lingers
              : which == "asked"   ? is_asked
                                   : plain;
  const char* stop = std::getenv("TROUPE_TEST_STOP");
  std::string limit = std::string("node.stop_within=") + (stop ? stop : "200ms");
  char name[] = "held", set[] = "--set";
  char* words[] = {name, set, limit.data(), nullptr};
  std::_Exit(run(3, words, std::move(app)));
}

class Run : public testing::Test {
 protected:
  std::unique_ptr<program> start(std::string mode, std::optional<std::string> stop_within = {}) {
    program_options how;
    how.environment = {{mode_variable, std::move(mode)},
                       {"TROUPE_TEST_STOP", std::move(stop_within)},
                       {"TROUPE_RUN_DIR", run_.str()},
                       {"TROUPE_COOKIE", std::nullopt}};
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

// What a child of ours inherits speaks in our name or shows our secrets.
TEST_F(Run, SecretsAreTakenOutOfTheEnvironment) {
  program_options how;
  how.environment = {{mode_variable, "tell"}, {"TROUPE_RUN_DIR", run_.str()}};
  for (const char* name : secret_variables) how.environment[name] = "1";
  how.environment["TROUPE_COOKIE"] = how.environment["RELEASE_COOKIE"] = "a-cookie";
  how.environment["TROUPE_DAEMON"] = "";  // else it writes its log nowhere
  program node({own_path(), "--gtest_filter=ProgramRun.*"}, how);
  ASSERT_TRUE(node.wait_output("the password is 1")) << node.out() << node.err();
  for (const char* name : secret_variables)
    EXPECT_NE(node.out().find(std::string(name) + " is gone"), std::string::npos) << name << node.out();
  node.signal(SIGTERM);
  EXPECT_TRUE(node.wait_exit());
}

TEST_F(Run, SystemdGetsItsSignsOfLife) {
  const std::string path = run_.str() + "/notify";
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), at.sun_path);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  timeval limit{30, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  program_options how;
  how.environment = {{mode_variable, "plain"}, {"TROUPE_RUN_DIR", run_.str()}, {"TROUPE_COOKIE", std::nullopt},
                     {"NOTIFY_SOCKET", path},  {"WATCHDOG_USEC", "100000"},    {"WATCHDOG_PID", std::nullopt}};
  program node({own_path(), "--gtest_filter=ProgramRun.*"}, how);
  int signs = 0;
  while (signs < 5) {
    char text[512];
    const ssize_t count = recv(fd, text, sizeof text, 0);
    ASSERT_GT(count, 0) << node.out() << node.err();
    if (std::string_view(text, static_cast<std::size_t>(count)) == "WATCHDOG=1") ++signs;
  }
  node.signal(SIGTERM);
  EXPECT_EQ(node.wait_exit(), 0);
  close(fd);
}

// `timeout`, a terminal's Ctrl-C under a wrapper that passes its own on: two signals, one wish.
TEST_F(Run, AWishThatArrivesTwiceIsOne) {
  const int pairs[][2] = {{SIGTERM, SIGTERM}, {SIGINT, SIGTERM}, {SIGTERM, SIGINT}};
  for (const auto& [first, again] : pairs) {
    auto good = start("linger", "1s");
    ASSERT_TRUE(good->wait_output("ready")) << good->out() << good->err();
    good->signal(first);
    ASSERT_TRUE(good->wait_output("stopping")) << good->out();
    good->signal(again);
    EXPECT_EQ(good->wait_exit(), 1);
    EXPECT_NE(good->out().find("not everything ended in time"), std::string::npos) << good->out();
    EXPECT_EQ(good->out().find("stopping now"), std::string::npos) << good->out();
  }
}

// A tool that was heard and got no answer sends SIGTERM, five seconds later.
TEST_F(Run, AToolsRequestAndTheFirstSignalAreOneWish) {
  auto good = start("asked", "4s");
  ASSERT_TRUE(good->wait_output("asked by its test")) << good->out() << good->err();
  EXPECT_FALSE(good->wait_exit(2100ms));
  good->signal(SIGTERM);
  EXPECT_EQ(good->wait_exit(), 1);
  EXPECT_NE(good->out().find("not everything ended in time"), std::string::npos) << good->out();
  EXPECT_EQ(good->out().find("stopping now"), std::string::npos) << good->out();
}

TEST_F(Run, ALaterSignalEndsItAtOnce) {
  auto slow = start("linger", "1h");
  ASSERT_TRUE(slow->wait_output("ready")) << slow->out() << slow->err();
  slow->signal(SIGTERM);
  ASSERT_TRUE(slow->wait_output("stopping")) << slow->out();
  EXPECT_FALSE(slow->wait_exit(2100ms));
  slow->signal(SIGTERM);
  EXPECT_EQ(slow->wait_exit(), 1);
  EXPECT_NE(slow->out().find("stopping now"), std::string::npos) << slow->out();
}

TEST_F(Run, StopsWithinItsTimeWhateverHoldsAWorker) {
  auto held = start("compute", "2s");
  ASSERT_TRUE(held->wait_output("holds its worker")) << held->out() << held->err();
  const auto began = std::chrono::steady_clock::now();
  held->signal(SIGTERM);
  EXPECT_TRUE(held->wait_output("the stop waits for a process that holds its worker")) << held->out();
  EXPECT_EQ(held->wait_exit(), 1);
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_GE(took, 1900ms);
  EXPECT_LT(took, 4s);
}

}  // namespace
}  // namespace troupe::test
