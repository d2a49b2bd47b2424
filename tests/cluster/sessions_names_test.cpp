// Names, groups and locks of a cluster, typed into real terminals, nearly as people type them into OTP's shells.
#include "shell_window.hpp"

#include <signal.h>

#include <algorithm>

namespace troupe::test {
namespace {

class NameSessions : public SessionTest {
 protected:
  // node1 and node2, which know of each other.
  void begin() {
    node1_ = shell("node1@localhost");
    node2_ = shell("node2@localhost");
    EXPECT_EQ(node2_->enter("connect(\"node1@localhost\")"), "true");
    EXPECT_TRUE(node1_->enter_until("nodes()", "{\"node2@localhost\"}")) << node1_->screen_text();
  }
  // Typed again until the answer holds all of these.
  static bool answers(shell_window& in, const std::string& line, const std::vector<std::string>& parts) {
    return wait_until([&] {
      const std::string answer = in.enter(line);
      return std::ranges::all_of(parts, [&](const std::string& part) { return answer.find(part) != answer.npos; });
    });
  }

  std::unique_ptr<shell_window> node1_, node2_;
};

TEST_F(NameSessions, GlobalProcessRegistration) {
  begin();
  EXPECT_EQ(node1_->enter("global.register_name({\"todo_list\", \"bob\"}, self())"), "\"yes\"");
  EXPECT_TRUE(
      has(node2_->enter("global.register_name({\"todo_list\", \"bob\"}, self())"), "\"no\", pid(\"<node1@localhost#"))
      << node2_->screen_text();
  EXPECT_TRUE(has(node2_->enter("global.whereis_name({\"todo_list\", \"bob\"})"), "pid(\"<node1@localhost#"))
      << node2_->screen_text();
  EXPECT_TRUE(has(node2_->enter("node(global.send({\"todo_list\", \"bob\"}, {\"hi\", self()}))"), "node1@localhost"));
  EXPECT_TRUE(has(node1_->enter("receive({\"hi\"}, 30000)"), "pid(\"<node2@localhost#")) << node1_->screen_text();
  EXPECT_EQ(node2_->enter("global.registered_names()"), "{{\"todo_list\", \"bob\"}}");
  // A server under a global alias is called by it, from any node: one that was typed, then one of a program.
  EXPECT_EQ(node1_->enter("function todo() local items = {} while true do local m, from = receive{\"add\"} "
                          "items[#items + 1] = m[2] if from then server.reply(from, items) end end end"),
            "");
  EXPECT_EQ(node1_->enter("global.register_name({\"todo_list\", \"alice\"}, spawn(todo))"), "\"yes\"");
  EXPECT_EQ(node2_->enter("server.call({global = {\"todo_list\", \"alice\"}}, {\"add\", \"milk\"})"), "{\"milk\"}");
  EXPECT_EQ(node1_->enter("server.cast({global = {\"todo_list\", \"alice\"}}, {\"add\", \"bread\"})"), "\"ok\"");
  EXPECT_EQ(node1_->enter("#server.call({global = {\"todo_list\", \"alice\"}}, {\"add\", \"tea\"})"), "3");
  auto sample = start_sample();
  EXPECT_EQ(node1_->enter("connect(\"sample@localhost\")"), "true");
  EXPECT_EQ(node1_->enter("counter = rpc.call(\"sample@localhost\", \"whereis\", {\"sample.counter\"})"), "");
  EXPECT_EQ(node1_->enter("global.register_name(\"some_global_alias\", counter)"), "\"yes\"");
  EXPECT_EQ(node2_->enter("server.call({global = \"some_global_alias\"}, {\"add\", {amount = 5}})"), "5");
  EXPECT_EQ(node1_->enter("server.call({global = \"some_global_alias\"}, {\"add\", {amount = 2}}, 5000)"), "7");
  EXPECT_EQ(node1_->enter("global.unregister_name(\"some_global_alias\")"), "true");
  EXPECT_TRUE(node2_->enter_until("global.whereis_name(\"some_global_alias\")", "nil")) << node2_->screen_text();
  EXPECT_TRUE(has(node2_->enter("server.call({global = \"some_global_alias\"}, {\"add\", {amount = 1}})"), "noproc"));
}

TEST_F(NameSessions, ProcessGroups) {
  begin();
  EXPECT_EQ(node1_->enter("pg.start()"), "\"ok\"");
  EXPECT_EQ(node1_->enter("pg.create({\"todo_list\", \"bob\"})"), "\"ok\"");
  EXPECT_EQ(node2_->enter("pg.start()"), "\"ok\"");
  EXPECT_TRUE(node2_->enter_until("pg.which_groups()", "{{\"todo_list\", \"bob\"}}")) << node2_->screen_text();
  EXPECT_EQ(node2_->enter("pg.join({\"todo_list\", \"bob\"}, self())"), "\"ok\"");
  EXPECT_TRUE(answers(*node1_, "pg.get_members({\"todo_list\", \"bob\"})", {"{pid(\"<node2@localhost#"}))
      << node1_->screen_text();
  EXPECT_EQ(node1_->enter("pg.join({\"todo_list\", \"bob\"}, self())"), "\"ok\"");
  EXPECT_TRUE(has(node1_->enter("pg.get_members({\"todo_list\", \"bob\"})"), "{pid(\"<node1@localhost#"))
      << node1_->screen_text();
  EXPECT_EQ(node1_->enter("#pg.get_members({\"todo_list\", \"bob\"})"), "2");
  EXPECT_TRUE(answers(*node2_, "pg.get_members({\"todo_list\", \"bob\"})",
                      {"{pid(\"<node2@localhost#", "pid(\"<node1@localhost#"}))
      << node2_->screen_text();
  EXPECT_EQ(node2_->enter("pg.get_closest_pid({\"todo_list\", \"bob\"}) == self()"), "true");
  EXPECT_EQ(node2_->enter("pg.broadcast({\"todo_list\", \"bob\"}, \"to all\")"), "2");
  EXPECT_EQ(node1_->enter("receive(30000)"), "\"to all\"");
  EXPECT_EQ(node2_->enter("receive(30000)"), "\"to all\"");
  EXPECT_EQ(node2_->enter("pg.leave({\"todo_list\", \"bob\"}, self())"), "\"ok\"");
  EXPECT_TRUE(node1_->enter_until("#pg.get_members({\"todo_list\", \"bob\"})", "1")) << node1_->screen_text();
}

// The same server on several nodes: to all of them, and asked of all of them.
TEST_F(NameSessions, AbcastAndMultiCall) {
  begin();
  EXPECT_EQ(node1_->enter("register(self(), \"shell\")"), "true");
  EXPECT_EQ(node2_->enter("register(self(), \"shell\")"), "true");
  EXPECT_EQ(node1_->enter("server.abcast(\"shell\", \"Hello from node1!\")"), "\"abcast\"");
  EXPECT_EQ(node1_->enter("receive(30000)"), "\"Hello from node1!\"");
  EXPECT_EQ(node2_->enter("receive(30000)"), "\"Hello from node1!\"");
  auto one = start_sample({"--name", "one"});
  auto two = start_sample({"--name", "two"});
  EXPECT_EQ(node1_->enter("connect(\"one\"), connect(\"two\")"), "true, true");
  EXPECT_EQ(node1_->enter("server.multi_call({\"one\", \"two\"}, \"sample.counter\", {\"add\", {amount = 3}})"),
            R"({{node = "one@localhost", reply = 3}, {node = "two@localhost", reply = 3}})");
  EXPECT_TRUE(has(
      node1_->enter("server.multi_call({\"node2@localhost\"}, \"sample.counter\", {\"add\", {amount = 3}})"), "noproc"))
      << node1_->screen_text();
}

TEST_F(NameSessions, MonitorOfAGlobalName) {
  begin();
  EXPECT_EQ(node2_->enter("global.register_name({\"todo_list\", \"bob\"}, self())"), "\"yes\"");
  EXPECT_TRUE(
      has(node1_->enter("monitor(global.whereis_name({\"todo_list\", \"bob\"}))"), "ref(\"#ref<node1@localhost#"))
      << node1_->screen_text();
  EXPECT_EQ(kill(node2_->tty().pid(), SIGKILL), 0);
  EXPECT_TRUE(node1_->shows("node disconnected")) << node1_->screen_text();  // the log, above the line
  std::string told;
  EXPECT_TRUE(wait_until([&] {
    told = node1_->enter("flush()");
    return has(told, "{\"DOWN\", ref(\"#ref<node1@localhost#");
  })) << told;
  EXPECT_TRUE(has(told, "\"process\", pid(\"<node2@localhost#")) << told;
  EXPECT_TRUE(has(told, "\"), \"noconnection\"}")) << told;
  EXPECT_EQ(node1_->enter("global.whereis_name({\"todo_list\", \"bob\"})"), "nil");
}

TEST_F(NameSessions, ALockHangsUntilItIsFree) {
  begin();
  EXPECT_TRUE(has(node1_->enter("global.set_lock({\"some_resource\", self()})"), "true, ")) << node1_->screen_text();
  // node2 hangs until node1 releases the lock.
  ASSERT_TRUE(node2_->ready());
  node2_->tty().type_line("global.set_lock({\"some_resource\", self()})");
  EXPECT_TRUE(node1_->enter_until("#global.locks().locks", "2")) << node1_->screen_text();
  EXPECT_FALSE(has(node2_->screen_text(), "\ntrue, ")) << node2_->screen_text();
  EXPECT_EQ(node1_->enter("global.del_lock({\"some_resource\", self()})"), "true");
  EXPECT_TRUE(node2_->shows("\ntrue, ")) << node2_->screen_text();
  EXPECT_EQ(node1_->enter("global.set_lock({\"some_resource\", self()}, 50)"), "false");
  EXPECT_EQ(node1_->enter("function process(large_data) return global.trans({\"some_resource\", self()}, "
                          "function() return #large_data end) end"),
            "");
  EXPECT_EQ(node1_->enter("global.trans({\"some_resource\", self()}, function() return 1 end, 50)"), "\"aborted\"");
  // A killed holder's lock is free before anybody hears of it.
  EXPECT_EQ(kill(node2_->tty().pid(), SIGKILL), 0);
  EXPECT_TRUE(node1_->shows("node disconnected")) << node1_->screen_text();  // the log, above the line
  EXPECT_EQ(node1_->enter("process(\"abc\")"), "3");
  EXPECT_EQ(node1_->enter("#global.locks().locks"), "0");
}

// A holder is killed; who hears `nodedown` takes the name over at the first try.
TEST_F(NameSessions, AGlobalProcessIsTakenOver) {
  begin();
  EXPECT_EQ(node1_->enter("global.register_name(\"AGlobalProcess\", self())"), "\"yes\"");
  EXPECT_TRUE(
      has(node2_->enter("global.register_name(\"AGlobalProcess\", self())"), "\"no\", pid(\"<node1@localhost#"));
  EXPECT_EQ(node2_->enter(
                "function node_monitor() monitor_nodes(true) while true do local m = receive() print(m[1] .. \" \" .. "
                "m[2]) if m[1] == \"nodedown\" then print(global.register_name(\"AGlobalProcess\", self())) "
                "end end end"),
            "");
  EXPECT_EQ(node2_->enter("watcher = spawn(node_monitor)"), "");
  auto node3 = shell("node3@localhost");
  EXPECT_EQ(node3->enter("connect(\"node2@localhost\")"), "true");
  EXPECT_TRUE(node2_->shows("nodeup node3@localhost")) << node2_->screen_text();
  EXPECT_EQ(kill(node1_->tty().pid(), SIGKILL), 0);
  EXPECT_TRUE(node2_->shows("node disconnected")) << node2_->screen_text();
  EXPECT_TRUE(node2_->shows("\nyes\n")) << node2_->screen_text();
  EXPECT_EQ(node2_->enter("global.whereis_name(\"AGlobalProcess\") == watcher"), "true");
  EXPECT_TRUE(answers(*node3, "global.whereis_name(\"AGlobalProcess\")", {"pid(\"<node2@localhost#"}))
      << node3->screen_text();
}

// The same as a program of its own, under a supervisor, looked at through a remote shell.
TEST_F(NameSessions, ASupervisedGlobalProcessIsTakenOver) {
  const std::string path = build_dir() + "/bin/global_process";
  program one({path, "--name", "one", "--set", "node.tick=200ms"}, environment());
  ASSERT_TRUE(one.wait_output("ready")) << one.out() << one.err();
  program two({path, "--name", "two", "--set", "node.tick=200ms", "--set", "node.wait_for=one"}, environment());
  ASSERT_TRUE(two.wait_output("ready")) << two.out() << two.err();
  auto console = remote("two");
  EXPECT_EQ(console->enter("node()"), "\"two@localhost\"");
  EXPECT_EQ(console->enter("nodes()"), "{\"one@localhost\"}");
  EXPECT_TRUE(has(console->enter("registered()"), "\"MySupervisor\"")) << console->screen_text();
  EXPECT_EQ(console->enter("global.registered_names()"), "{\"AGlobalProcess\"}");
  EXPECT_EQ(console->enter("node(global.whereis_name(\"AGlobalProcess\"))"), "\"one@localhost\"");
  EXPECT_EQ(console->enter("for _, c in ipairs(supervisor.which_children(\"MySupervisor\")) do print(c.id .. "
                           "\" \" .. tostring(c.pid ~= null)) end"),
            "AGlobalProcess false\nNodeMonitor true");
  one.signal(SIGKILL);
  EXPECT_TRUE(two.wait_output("Starting <")) << two.out();
  EXPECT_TRUE(console->enter_until("node(global.whereis_name(\"AGlobalProcess\"))", "\"two@localhost\""))
      << console->screen_text();
  EXPECT_TRUE(has(console->enter("supervisor.restart_child(\"MySupervisor\", \"AGlobalProcess\")"), "running"));
  EXPECT_EQ(console->enter("process_alive(global.whereis_name(\"AGlobalProcess\"))"), "true");
}

}  // namespace
}  // namespace troupe::test
