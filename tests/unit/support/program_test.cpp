#include "support/program.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <system_error>

#include "support/temp_dir.hpp"

namespace {

using namespace std::chrono_literals;
using troupe::test::program;
using troupe::test::run_program;
using troupe::test::wait_until;

TEST(Program, GivesBothStreamsAndTheExitCode) {
  const auto result = run_program({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_FALSE(result.timed_out);
}

TEST(Program, ReadsItsInputUpToTheEnd) {
  const std::string text(300'000, 'x');  // more than a pipe holds
  EXPECT_EQ(run_program({"cat"}, {.input = text}).out, text);
}

TEST(Program, HasTheEnvironmentAndDirectoryAskedFor) {
  troupe::test::temp_dir folder;
  setenv("TROUPE_TEST_GONE", "here", 1);
  const auto result = run_program({"sh", "-c", "echo $A${TROUPE_TEST_GONE:-gone}; pwd"},
                                  {.environment = {{"A", "b"}, {"TROUPE_TEST_GONE", {}}}, .directory = folder.str()});
  EXPECT_EQ(result.out, "bgone\n" + folder.str() + "\n");
}

TEST(Program, IsKilledAtTheDeadlineWithItsGroup) {
  const auto result = run_program({"sh", "-c", "sleep 1000 & echo $!; wait"}, {}, 500ms);
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.exit_code, 128 + SIGKILL);
  const auto child = static_cast<pid_t>(std::stol(result.out));
  EXPECT_TRUE(wait_until([&] { return !troupe::test::process_exists(child); }));
}

TEST(Program, OutputIsSeenWhileItRuns) {
  program child({"cat"}, {.keep_input = true});
  child.write("one\n");
  EXPECT_TRUE(child.wait_output("one"));
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait_exit(), 128 + SIGTERM);
  EXPECT_FALSE(child.wait_output("two")) << "a program that has ended is not waited for";
}

TEST(Program, ThatDoesNotExistIsAnError) { EXPECT_THROW(run_program({"/nowhere/troupe"}), std::system_error); }

TEST(TempDir, IsRemovedWithWhatIsReadOnlyInside) {
  std::filesystem::path path;
  {
    troupe::test::temp_dir folder;
    path = folder.path();
    EXPECT_EQ(troupe::test::read_file(folder.write("a/b", "text")), "text");
    std::filesystem::permissions(folder / "a", std::filesystem::perms::owner_read);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
