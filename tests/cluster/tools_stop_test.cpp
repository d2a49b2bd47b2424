// `troupe stop` where the way to the node is not plain, and `troupe release shell`, which stops what it is left.
#include "tools_support.hpp"

#include "support/terminal.hpp"

namespace {

using namespace troupe;
using namespace troupe::test;

class Stop : public ToolTest {};

// As where /var/run is a link to /run: the path that a tool is given is not the one that the system shows.
TEST_F(Stop, ByForceThroughALinkedRunDirectory) {
  temp_dir top;
  std::filesystem::create_directory(top / "real");
  std::filesystem::create_directory(top / "real/run");
  std::filesystem::permissions(top / "real/run", std::filesystem::perms::owner_all);
  std::filesystem::create_directory_symlink(top / "real", top / "link");
  program_options how = environment();
  how.environment["TROUPE_RUN_DIR"] = (top / "link/run").string();
  program node({sample_path(), "--set", "sample.slow_stop=1h"}, how);
  ASSERT_TRUE(node.wait_output("ready")) << node.out() << node.err();
  outcome got = run_program({tool_path(), "stop", "sample", "--timeout", "500ms", "--kill"}, how);
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out, "sample@localhost: killed\n");
  EXPECT_EQ(node.wait_exit(), 137);
}

TEST_F(Stop, CtrlCEndsTheWaitAndNotTheNode) {
  auto node = start_sample({"--set", "sample.slow_stop=1h"});
  auto stop = tool_in_background({"stop", "sample"});
  ASSERT_TRUE(node->wait_output("[notice] asked to end")) << node->out();
  // It has asked; whether it waits already does not matter.
  stop->signal(SIGINT);
  EXPECT_EQ(stop->wait_exit(std::chrono::seconds(20)), 130) << stop->err();  // of its 35
  EXPECT_NE(tool({"names"}).out.find("sample@localhost"), std::string::npos);
}

class ReleaseShell : public ToolTest {
 protected:
  std::string log() const { return home_.str() + "/sample.log"; }
  std::string log_text() const { return std::filesystem::exists(log()) ? read_file(log()) : std::string(); }
  std::vector<std::string> words(std::vector<std::string> more = {}) const {
    std::vector<std::string> out{tool_path(),   "release",  "shell",      "sample", "--",
                                 sample_path(), "--daemon", "--log-file", log()};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  std::unique_ptr<terminal> open(std::vector<std::string> more = {}) const {
    terminal_options how;
    how.child = environment();
    how.child.environment["TERM"] = "xterm";
    auto made = std::make_unique<terminal>(words(std::move(more)), how);
    EXPECT_TRUE(made->wait_text("sample@localhost>")) << made->transcript();
    return made;
  }
  // In order, and it is gone.
  void expect_stopped() const {
    EXPECT_TRUE(wait_until([&] { return tool({"ping", "sample"}).exit_code == 3; }));
    EXPECT_NE(read_file(log()).find("[notice] stopped"), std::string::npos) << read_file(log());
  }
};

TEST_F(ReleaseShell, LeavingItStopsTheNodeAndCtrlCDoesNot) {
  auto shell = open();
  shell->type("\x03");
  ASSERT_TRUE(shell->wait_text("sample@localhost>\nsample@localhost>")) << shell->shown().text();
  shell->type_line("6 * 7");
  EXPECT_TRUE(shell->wait_text("\n42\n")) << shell->shown().text();
  EXPECT_EQ(tool({"ping", "sample"}).exit_code, 0);
  shell->type("\x04");
  EXPECT_TRUE(shell->wait_text("sample@localhost: stopped")) << shell->shown().text();
  EXPECT_EQ(shell->wait_exit(), 0);
  expect_stopped();
}

TEST_F(ReleaseShell, SigtermStopsTheNode) {
  auto shell = open();
  ASSERT_EQ(kill(shell->pid(), SIGTERM), 0);
  EXPECT_EQ(shell->wait_exit(), 0) << shell->shown().text();
  expect_stopped();
}

TEST_F(ReleaseShell, AClosedTerminalStopsTheNode) {
  auto shell = open();
  shell->hang_up();
  EXPECT_EQ(shell->wait_exit(), 0);
  expect_stopped();
}

TEST_F(ReleaseShell, ASecondSignalDoesNotWait) {
  auto shell = open({"--set", "sample.slow_stop=1h"});
  ASSERT_EQ(kill(shell->pid(), SIGTERM), 0);
  ASSERT_TRUE(wait_until([&] { return log_text().find("stopping") != std::string::npos; }));
  // Within two seconds it is the same wish; one that comes later ends the node.
  EXPECT_TRUE(wait_until([&] {
    static_cast<void>(kill(shell->pid(), SIGTERM));
    return shell->shown().text().find("sample@localhost: killed") != std::string::npos;
  })) << shell->shown().text();
  EXPECT_EQ(shell->wait_exit(), 0);
  EXPECT_EQ(tool({"ping", "sample"}).exit_code, 3);
}

// Its start is not broken off: a node half made would be nobody's.
TEST_F(ReleaseShell, ASignalWhileItStarts) {
  program_options how = environment();
  how.keep_input = true;
  program shell(words({"--set", "sample.hang_at_start=true", "--ready-within", "2s"}), how);
  ASSERT_TRUE(wait_until([&] { return log_text().find("starting") != std::string::npos; }));
  shell.signal(SIGTERM);
  EXPECT_EQ(shell.wait_exit(), 4) << shell.err();
  EXPECT_NE(shell.err().find("not ready in time"), std::string::npos) << shell.err();
  EXPECT_EQ(tool({"ping", "sample"}).exit_code, 3);
}

TEST_F(ReleaseShell, WhatDoesNotStart) {
  outcome got = run_program(words({"--set", "sample.fail_start=true"}), environment());
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_NE(got.err.find("the disk is full"), std::string::npos) << got.err;
  outcome help = run_program(words({"--help"}), environment());
  EXPECT_EQ(help.exit_code, 0) << help.err;
  EXPECT_NE(help.out.find("--log-file"), std::string::npos) << help.out;
  EXPECT_EQ(tool({"release", "shell", "sample", "--", "/nonexistent"}).exit_code, 1);
  EXPECT_EQ(tool({"release", "shell", "no such name"}).exit_code, 2);
}

TEST_F(ReleaseShell, ItsExitCodeIsThatOfTheShell) {
  program_options how = environment("error('no')\n");
  outcome got = run_program(words(), how);
  EXPECT_EQ(got.exit_code, 1) << got.err;
  expect_stopped();
}

}  // namespace
