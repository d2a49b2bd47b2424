// Real nodes for a test: they start or say why not, and end with it however it ends.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include <troupe/cluster.hpp>
#include <troupe/handle.hpp>
#include <troupe/peer.hpp>
#include <troupe/rpc.hpp>

#include "support/paths.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

std::string own_path() { return std::filesystem::read_symlink("/proc/self/exe").string(); }
constexpr const char* starts_one = "TROUPE_TEST_STARTS_A_PEER";

bool is_gone(int os_pid) {
  return wait_until([os_pid] { return ::kill(os_pid, 0) != 0; });
}

// Not a test by itself (suites named Program… are not registered).
TEST(ProgramPeer, StartsOneAndWaits) {
  if (std::getenv(starts_one) == nullptr) GTEST_SKIP() << "only run by Peer";
  testing::cluster nodes;
  auto one = nodes.start("one", exercise_path()).value();
  std::printf("started %d in %s\n", one->os_pid(), nodes.run_directory().c_str());
  std::fflush(stdout);
  for (;;) ::pause();
}

TEST(Peer, IsReadyAndReachable) {
  testing::cluster nodes;
  auto one = nodes.start("one", exercise_path(), {"--set", "exercise.tick=1h"});
  ASSERT_TRUE(one) << one.error().message();
  auto two = nodes.start("one", exercise_path(), {"--set", "exercise.tick=1h"});
  ASSERT_TRUE(two) << two.error().message();
  EXPECT_NE((*one)->name(), (*two)->name());
  auto here = nodes.join("tester").value();
  auto door = here->make_handle().value();
  const std::string name = (*one)->name();
  const auto pushed = door->run(20s, [name](process& self) -> task<double> {
    auto answer = co_await rpc::call<double>(self, name, "exercise.calculator.push", 5);
    co_return answer.or_exit();
  });
  EXPECT_EQ(pushed.value(), 5);
  EXPECT_TRUE((*one)->wait_output("ready"));
  EXPECT_EQ((*one)->stop().value(), 0);
  EXPECT_FALSE((*one)->running());
  (*two)->kill();
  EXPECT_EQ((*two)->stop().error(), errc::exited);
}

TEST(Peer, SaysWhyItDoesNotStart) {
  testing::cluster nodes;
  const auto bad = nodes.start("bad", exercise_path(), {"--set", "exercise.tik=5ms"});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error(), errc::exited);
  EXPECT_TRUE(bad.error().text().contains("did you mean exercise.tick?")) << bad.error().text();
  const auto none = nodes.start("none", "/nowhere/none");
  EXPECT_EQ(none.error(), errc::exited);
  EXPECT_TRUE(none.error().text().ends_with("cannot be run: /nowhere/none: No such file or directory\n"))
      << none.error().text();
  temp_dir folder;
  const auto script = folder.write("sleeps", "#!/bin/sh\necho asleep\nexec sleep 60\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  const auto late = nodes.start("late", script.string(), {}, 300ms);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), errc::timeout);
}

TEST(Peer, EndsWithItsCluster) {
  int os_pid = 0;
  std::string folder;
  {
    testing::cluster nodes;
    os_pid = nodes.start("one", exercise_path()).value()->os_pid();
    folder = nodes.run_directory();
    EXPECT_EQ(::kill(os_pid, 0), 0);
  }
  EXPECT_NE(::kill(os_pid, 0), 0);
  EXPECT_FALSE(std::filesystem::exists(folder));
}

TEST(Peer, EndsWithTheProgramThatStartedIt) {
  program owner({own_path(), "--gtest_filter=ProgramPeer.*"}, {.environment = {{starts_one, "1"}}});
  ASSERT_TRUE(owner.wait_output("started ")) << owner.out() << owner.err();
  ASSERT_TRUE(owner.wait_output(" in /"));
  int os_pid = 0;
  char folder[200] = "";
  const std::string out = owner.out();
  ASSERT_EQ(std::sscanf(out.c_str() + out.find("started "), "started %d in %199s", &os_pid, folder), 2);
  owner.signal(SIGKILL);
  EXPECT_TRUE(is_gone(os_pid));
  std::filesystem::remove_all(std::filesystem::path(folder).parent_path());  // which nobody was left to do
}

}  // namespace
}  // namespace troupe::test
