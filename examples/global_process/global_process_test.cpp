// The session of the README, with real programs: the second is ignored, and takes over when the first is killed.
#include <csignal>

#include <gtest/gtest.h>

#include "support/paths.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"

namespace troupe::test {
namespace {

class GlobalProcess : public testing::Test {
 protected:
  std::unique_ptr<program> start(const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> command{build_dir() + "/bin/global_process", "--name", name, "--set", "node.tick=200ms"};
    command.insert(command.end(), more.begin(), more.end());
    return std::make_unique<program>(command, options());
  }
  std::string ask(const std::string& name) {
    const auto done = run_program({tool_path(), "rpc", name, "global_process.where"}, options());
    return done.out + done.err;
  }
  program_options options() {
    program_options out;
    out.environment = {
        {"TROUPE_RUN_DIR", folder_.str()}, {"TROUPE_COOKIE", "examples-share-this-one"}, {"HOME", folder_.str()}};
    return out;
  }
  temp_dir folder_;
};

TEST_F(GlobalProcess, IsStartedOnceAndTakenOver) {
  auto one = start("one");
  ASSERT_TRUE(one->wait_output("Starting <")) << one->out() << one->err();
  EXPECT_TRUE(one->out().contains("Attempting a start on one@localhost..."));
  auto two = start("two", {"--set", "node.wait_for=one"});
  ASSERT_TRUE(two->wait_output("Ignored.")) << two->out() << two->err();
  EXPECT_TRUE(two->out().contains("Attempting a start on two@localhost..."));
  EXPECT_FALSE(two->out().contains("Starting <"));
  ASSERT_TRUE(two->wait_output("ready"));
  for (const char* name : {"one", "two"}) EXPECT_EQ(ask(name), "\"one@localhost\"\n");
  one->signal(SIGKILL);
  ASSERT_TRUE(two->wait_output("Starting <")) << two->out();
  EXPECT_EQ(ask("two"), "\"two@localhost\"\n");
  // Back again, the first comes second.
  one = start("one", {"--set", "node.wait_for=two"});
  EXPECT_TRUE(one->wait_output("Ignored.")) << one->out() << one->err();
}

}  // namespace
}  // namespace troupe::test
