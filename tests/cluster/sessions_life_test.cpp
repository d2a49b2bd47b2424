// Named shells and the nodes that they look at: names, attaching, stopping by rpc, and output whose reader is gone.
#include "shell_window.hpp"

#include <signal.h>

namespace troupe::test {
namespace {

class ShellNode : public SessionTest {};

TEST_F(ShellNode, ATakenNameIsRefused) {
  auto first = shell("node1@localhost");
  const outcome second = tool({"shell", "--name", "node1@localhost"}, "node()\n");
  EXPECT_EQ(second.exit_code, 5);
  EXPECT_TRUE(has(second.err, "name_taken: a node node1@localhost runs here already, as os process " +
                                  std::to_string(first->tty().pid())))
      << second.err;
  EXPECT_EQ(second.out, "");
  // --sname is the same; a name alone is of this host.
  EXPECT_EQ(tool({"shell", "--sname", "node1"}, "node()\n").exit_code, 5);
  EXPECT_EQ(tool({"shell", "--sname", "node2"}, "node()\n").out, "\"node2@localhost\"\n");
  EXPECT_EQ(first->enter("1 + 1"), "2");
}

TEST_F(ShellNode, UsageIsSaid) {
  EXPECT_EQ(tool({"shell", "--name", "no good"}).exit_code, 2);
  EXPECT_EQ(tool({"shell", "--name", "a@h", "--sname", "b@h"}).exit_code, 2);
  const outcome both = tool({"shell", "node1", "--name", "node2"});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_TRUE(has(both.err, "--name")) << both.err;
  EXPECT_EQ(tool({"shell", "--name", "a@h", "--cookie", "a b"}).exit_code, 2);
}

TEST_F(ShellNode, WithoutACookieTheUsersOwnIsMade) {
  auto node1 = shell("node1@localhost");
  auto node2 = shell("node2@localhost");
  EXPECT_EQ(node1->enter("connect(\"node2@localhost\")"), "true");
  const auto made = home_ / ".troupe" / "cookie";
  EXPECT_EQ(std::filesystem::status(made).permissions(), std::filesystem::perms(0600));
}

TEST_F(ShellNode, AHiddenOneIsNotListed) {
  auto node1 = shell("node1@localhost");
  auto console = shell("console@localhost", {"--hidden"});
  EXPECT_EQ(console->enter("connect(\"node1@localhost\")"), "true");
  EXPECT_EQ(node1->enter("nodes()"), "{}");
  EXPECT_EQ(node1->enter("nodes(\"hidden\")"), "{\"console@localhost\"}");
}

TEST_F(ShellNode, IsANodeLikeAnyOther) {
  auto node1 = shell("node1@localhost");
  EXPECT_TRUE(has(tool({"names"}).out, "node1@localhost"));
  EXPECT_EQ(tool({"ping", "node1"}).exit_code, 0);
  // Another terminal on it: variables are of each session, names of the node.
  auto other = remote("node1");
  EXPECT_EQ(node1->enter("x = 1"), "");
  EXPECT_EQ(node1->enter("register(self(), \"shell\")"), "true");
  EXPECT_EQ(other->enter("x"), "nil");
  EXPECT_EQ(other->enter("send(\"shell\", \"from the other terminal\")"), "\"from the other terminal\"");
  EXPECT_EQ(node1->enter("receive()"), "\"from the other terminal\"");
  other->tty().type("\x04");
  EXPECT_EQ(other->tty().wait_exit(), 0);
  // `troupe stop` ends the shell, in order.
  const outcome stopped = tool({"stop", "node1"});
  EXPECT_EQ(stopped.exit_code, 0) << stopped.err;
  EXPECT_EQ(node1->tty().wait_exit(), 0);
  EXPECT_TRUE(has(node1->tty().transcript(), "node1@localhost stops: asked by `troupe stop`"));
}

// libedit says of each that nothing was typed.
TEST_F(ShellNode, AnEmptiedLineIsNotTheEnd) {
  auto node1 = shell("node1@localhost");
  for (const char* keys : {"\x7f", "a\x7f", "\x01", "abc\x15", "\x0c"}) {
    node1->tty().type(keys);
    EXPECT_EQ(node1->enter("1 + 1"), "2");
  }
}

TEST_F(ShellNode, LeavingItTellsTheOthers) {
  auto node1 = shell("node1@localhost");
  auto node2 = shell("node2@localhost");
  EXPECT_EQ(node1->enter("monitor_nodes(true)"), "\"ok\"");
  EXPECT_EQ(node2->enter("connect(\"node1@localhost\")"), "true");
  EXPECT_EQ(node1->enter("receive({\"nodeup\"}, 30000)[2]"), "\"node2@localhost\"");
  node2->tty().type("\x04");
  EXPECT_EQ(node2->tty().wait_exit(), 0);
  EXPECT_EQ(node1->enter("receive({\"nodedown\"}, 30000)[2]"), "\"node2@localhost\"");
}

// -- an application under a name, attached to and stopped by rpc

class Application : public SessionTest {
 protected:
  void SetUp() override {
    SessionTest::SetUp();
    home_.write(".troupe/cookie", "the-cookie-of-this-test-alone\n");
    std::filesystem::permissions(home_ / ".troupe", std::filesystem::perms(0700));
    std::filesystem::permissions(home_ / ".troupe" / "cookie", std::filesystem::perms(0600));
    app_ = start_sample({"--name", "app@localhost"});
  }
  std::unique_ptr<program> app_;
};

TEST_F(Application, IsLookedAtThroughARemoteShell) {
  auto console = remote("app");
  EXPECT_EQ(console->enter("node()"), "\"app@localhost\"");
  EXPECT_TRUE(has(console->enter("registered()"), "\"sample.counter\"")) << console->screen_text();
  EXPECT_EQ(console->enter("sample.add(5)"), "5");
  EXPECT_EQ(console->enter("sys.get_state(\"sample.counter\").total"), "5");
  EXPECT_TRUE(has(console->enter("supervisor.which_children(\"sample.supervisor\")"), "\"sample.counter\""));
  EXPECT_EQ(console->enter("exit(whereis(\"sample.counter\"), \"kill\")"), "true");
  EXPECT_TRUE(console->enter_until("sys.get_state(\"sample.counter\").total", "0")) << console->screen_text();
  // The configuration on the fly, a message by hand, a process shut down for maintenance.
  EXPECT_EQ(console->enter("troupe.config_set(\"log.level\", \"debug\") return troupe.log_level()"), "\"debug\"");
  EXPECT_TRUE(has(console->enter("send(\"sample.counter\", {\"add\", {amount = 3}})"), "{\"add\", {amount = 3}}"));
  EXPECT_EQ(console->enter("sys.get_state(\"sample.counter\").total"), "3");
  EXPECT_EQ(console->enter("supervisor.terminate_child(\"sample.supervisor\", \"sample.counter\")"), "nil");
  EXPECT_EQ(console->enter("whereis(\"sample.counter\")"), "nil");
  EXPECT_TRUE(
      has(console->enter("supervisor.restart_child(\"sample.supervisor\", \"sample.counter\")"), "pid(\"<app@"));
  console->tty().type("\x04");
  EXPECT_EQ(console->tty().wait_exit(), 0);
  EXPECT_EQ(tool({"ping", "app"}).exit_code, 0);
}

TEST_F(Application, IsStoppedByRpc) {
  const outcome asked = tool({"rpc", "app@localhost", "troupe.stop", "the pod ends"});
  EXPECT_EQ(asked.exit_code, 0) << asked.err;
  EXPECT_EQ(app_->wait_exit(), 0);
  EXPECT_TRUE(has(app_->out(), "the pod ends")) << app_->out();
}

TEST_F(Application, IsStoppedByAnotherNode) {
  auto term = shell("term@localhost", {"--hidden"});
  EXPECT_EQ(term->enter("rpc.call(\"app@localhost\", \"troupe.stop\", {\"asked by term\"})"), "40000");
  EXPECT_EQ(app_->wait_exit(), 0);
  EXPECT_TRUE(has(app_->out(), "asked by term")) << app_->out();
}

// What was spawned from a shell lives on when its terminal is closed; what it prints then is in the node's log.
TEST_F(Application, OutputOfAClosedTerminalGoesToTheLog) {
  auto console = remote("app");
  EXPECT_FALSE(
      has(console->enter("p = spawn(function() while true do print(\"tick of p\") sleep(100) end end)"), "error"));
  EXPECT_TRUE(console->shows("tick of p")) << console->screen_text();
  EXPECT_FALSE(has(app_->out(), "tick of p"));
  console->tty().hang_up();
  EXPECT_TRUE(app_->wait_output("tick of p")) << app_->out();
}

}  // namespace
}  // namespace troupe::test
