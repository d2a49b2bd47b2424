// Sessions between nodes, typed into real terminals, nearly as people type them into OTP's shells.
#include "shell_window.hpp"

#include <signal.h>

namespace troupe::test {
namespace {

class Sessions : public SessionTest {};

TEST_F(Sessions, StartingACluster) {
  auto node1 = shell("node1@localhost");
  auto node2 = shell("node2@localhost");
  auto node3 = shell("node3@localhost");
  EXPECT_EQ(node2->enter("node()"), "\"node2@localhost\"");
  EXPECT_EQ(node2->enter("alive()"), "true");
  EXPECT_EQ(node2->enter("nodes()"), "{}");
  EXPECT_EQ(node2->enter("connect(\"node1@localhost\")"), "true");
  EXPECT_EQ(node2->enter("nodes()"), "{\"node1@localhost\"}");
  EXPECT_EQ(node3->enter("node()"), "\"node3@localhost\"");
  EXPECT_EQ(node3->enter("connect(\"node2@localhost\")"), "true");
  // The mesh: node2 knows node1, so node3 gets to know it too, and they it.
  EXPECT_TRUE(node3->enter_until("nodes()", R"({"node1@localhost", "node2@localhost"})")) << node3->screen_text();
  EXPECT_EQ(node3->enter("nodes(\"this\", \"visible\")"),
            R"({"node1@localhost", "node2@localhost", "node3@localhost"})");
  EXPECT_TRUE(node1->enter_until("nodes()", R"({"node2@localhost", "node3@localhost"})")) << node1->screen_text();
  EXPECT_EQ(node1->enter("connect(\"node3@localhost\")"), "true");
  EXPECT_TRUE(has(node1->enter("connect(\"node4@localhost\")"), "nil, \"noconnection: ")) << node1->screen_text();
  // A tool that looks on is none of them.
  auto console = remote("node1");
  EXPECT_TRUE(has(console->enter("nodes(\"hidden\")"), "{\"tool-")) << console->screen_text();
  EXPECT_EQ(console->enter("nodes()"), R"({"node2@localhost", "node3@localhost"})");
}

TEST_F(Sessions, CommunicatingBetweenNodes) {
  auto node1 = shell("node1@localhost");
  auto node2 = shell("node2@localhost");
  EXPECT_TRUE(has(node1->enter("spawn(\"node2@localhost\", function() print(\"Hello from \" .. node() .. \"!\") end)"),
                  "pid(\"<node2@localhost#"))
      << node1->screen_text();
  EXPECT_TRUE(node1->shows("\nHello from node2@localhost!\n")) << node1->screen_text();
  EXPECT_EQ(node1->enter("caller = self()"), "");
  EXPECT_EQ(node1->enter("for number = 1, 10 do spawn(\"node2@localhost\", function() "
                         "send(caller, {\"response\", 10 * number}) end) end"),
            "");
  std::string answers;
  EXPECT_TRUE(wait_until([&] {
    answers += node1->enter("flush()") + "\n";
    return has(answers, "{\"response\", 100}");
  }));
  for (int number = 10; number <= 100; number += 10)
    EXPECT_TRUE(has(answers, "{\"response\", " + std::to_string(number) + "}")) << answers;
  EXPECT_TRUE(answers.ends_with("\"ok\"\n")) << answers;
  EXPECT_FALSE(has(node2->screen_text(), "Hello")) << node2->screen_text();
}

TEST_F(Sessions, LocalProcessesBetweenNodes) {
  auto node1 = shell("node1@localhost");
  auto node2 = shell("node2@localhost");
  EXPECT_EQ(node1->enter("register(self(), \"shell\")"), "true");
  EXPECT_EQ(node2->enter("register(self(), \"shell\")"), "true");
  EXPECT_EQ(node1->enter("send({\"shell\", \"node2@localhost\"}, \"Hello from node1!\")"), "\"Hello from node1!\"");
  EXPECT_TRUE(wait_until([&] { return node2->enter("flush()") == "\"Hello from node1!\"\n\"ok\""; }))
      << node2->screen_text();
  EXPECT_TRUE(has(node1->enter("register(spawn(function() sleep(math.huge) end), \"shell\")"), "name_taken"));
}

TEST_F(Sessions, MonitorOfANodeThatIsKilled) {
  auto node1 = shell("node1@localhost");
  auto node2 = shell("node2@localhost");
  EXPECT_EQ(node2->enter("connect(\"node1@localhost\")"), "true");
  EXPECT_EQ(node2->enter("register(self(), \"todo\")"), "true");
  EXPECT_EQ(node1->enter("monitor_nodes(true)"), "\"ok\"");
  EXPECT_EQ(node1->enter("todo = rpc.call(\"node2@localhost\", \"whereis\", {\"todo\"})"), "");
  EXPECT_TRUE(has(node1->enter("monitor(todo)"), "ref(\"#ref<node1@localhost#"));
  EXPECT_EQ(node1->enter("trap_exit(true)"), "false");
  EXPECT_EQ(node1->enter("link(todo)"), "true");
  EXPECT_EQ(node1->enter("monitor_node(\"node2@localhost\")"), "true");
  EXPECT_EQ(kill(node2->tty().pid(), SIGKILL), 0);
  EXPECT_EQ(node2->tty().wait_exit(), 137);
  EXPECT_TRUE(has(node1->enter("receive({\"nodedown\", \"node2@localhost\"}, 30000)[1]"), "\"nodedown\""))
      << node1->screen_text();
  // All of it came before.
  const std::string told = node1->enter("flush()");
  EXPECT_TRUE(has(told, "{\"DOWN\", ref(\"#ref<node1@localhost#")) << told;
  EXPECT_TRUE(has(told, "\"process\", pid(\"<node2@localhost#")) << told;
  EXPECT_TRUE(has(told, "\"), \"noconnection\"}")) << told;
  EXPECT_TRUE(has(told, "{\"EXIT\", pid(\"<node2@localhost#")) << told;
  EXPECT_TRUE(has(told, "{\"nodedown\", \"node2@localhost\"")) << told;
  EXPECT_EQ(node1->enter("nodes()"), "{}");
  // The name is free at once, for another life.
  auto again = shell("node2@localhost");
  EXPECT_EQ(node1->enter("connect(\"node2@localhost\")"), "true") << node1->screen_text();
  EXPECT_EQ(node1->enter("send(todo, \"to the former life\")"), "\"to the former life\"");
  EXPECT_TRUE(has(node1->enter("r = monitor(todo) return receive({\"DOWN\", r}, 30000)[5]"), "noproc"))
      << node1->screen_text();
  EXPECT_EQ(again->enter("flush()"), "\"ok\"");
}

TEST_F(Sessions, RemoteProcedureCalls) {
  auto node1 = shell("node1@localhost");
  auto node2 = shell("node2@localhost");
  EXPECT_EQ(node1->enter("rpc.call(\"node2@localhost\", \"math.abs\", {-1})"), "1");
  EXPECT_EQ(node1->enter("rpc.multicall({node(), \"node2@localhost\"}, \"node\")"),
            R"({{node = "node1@localhost", value = "node1@localhost"}, )"
            R"({node = "node2@localhost", value = "node2@localhost"}})");
  EXPECT_EQ(node1->enter("key = rpc.async(\"node2@localhost\", \"math.max\", {3, 9})"), "");
  EXPECT_EQ(node1->enter("rpc.yield(key)"), "9");
  EXPECT_TRUE(has(node1->enter("rpc.call(\"node2@localhost\", \"no.such\", {})"), "error: undef: "))
      << node1->screen_text();
  EXPECT_TRUE(has(node1->enter("rpc.call(\"node2@localhost\", \"sleep\", {60000}, 100)"), "error: timeout: "))
      << node1->screen_text();
  EXPECT_TRUE(has(node1->screen_text(), "(it may have run)")) << node1->screen_text();
  EXPECT_TRUE(has(node1->enter("rpc.call(\"node9@localhost\", \"math.abs\", {-1})"), "error: noconnection: "))
      << node1->screen_text();
}

// -- `me` and `you`, who share a cookie

class SharedCookie : public SessionTest {
 protected:
  std::unique_ptr<shell_window> with_cookie(const std::string& name, const std::string& cookie) {
    return shell(name, {"--cookie", cookie});
  }
};

TEST_F(SharedCookie, SpawnLinkAndReply) {
  auto me = with_cookie("me@localhost", "secret-token");
  auto you = with_cookie("you@localhost", "secret-token");
  EXPECT_TRUE(has(you->enter("rpid = spawn_link(\"me@localhost\", function() print(os.date(\"%Y-%m\")) end)"), ""));
  const std::string today = run_program({"date", "+%Y-%m"}).out;
  EXPECT_TRUE(you->shows("\n" + today)) << you->screen_text();
  // The function is known to me alone: it travels with what uses it.
  EXPECT_EQ(me->enter("Remote = {}"), "");
  EXPECT_EQ(me->enter("function Remote.chat() local m = receive{\"hi\"} send(m[2], \"sup?\") end"), "");
  EXPECT_EQ(me->enter("rpid = spawn_link(\"you@localhost\", function() Remote.chat() end)"), "");
  EXPECT_TRUE(has(me->enter("rpid"), "pid(\"<you@localhost#")) << me->screen_text();
  EXPECT_TRUE(has(me->enter("send(rpid, {\"hi\", self()})"), "{\"hi\", pid(\"<me@localhost#")) << me->screen_text();
  EXPECT_TRUE(wait_until([&] { return me->enter("flush()") == "\"sup?\"\n\"ok\""; })) << me->screen_text();
  // What goes wrong there is told here.
  EXPECT_EQ(me->enter("trap_exit(true)"), "false");
  EXPECT_EQ(me->enter("rpid = spawn_link(\"you@localhost\", function() error(\"no such day\", 0) end)"), "");
  EXPECT_TRUE(has(me->enter("receive{\"EXIT\", rpid}[3]"), "no such day")) << me->screen_text();
  EXPECT_TRUE(me->tty().transcript().find("--cookie shows the cookie") != std::string::npos);
}

TEST_F(SharedCookie, AnotherCookieIsRefused) {
  auto me = with_cookie("me@localhost", "secret-token");
  auto eve = with_cookie("eve@localhost", "another-token");
  EXPECT_TRUE(has(eve->enter("connect(\"me@localhost\")"), "nil, \"bad_cookie: ")) << eve->screen_text();
  EXPECT_EQ(eve->enter("nodes()"), "{}");
  EXPECT_TRUE(me->shows("eve@localhost")) << me->screen_text();
  EXPECT_EQ(me->enter("nodes()"), "{}");
  static_cast<void>(eve->enter("p, r = spawn_monitor(\"me@localhost\", function() end)"));
  EXPECT_TRUE(eve->shows("bad_cookie")) << eve->screen_text();  // a line of the log, which the prompt does not wait for
  EXPECT_TRUE(has(eve->enter("receive({\"DOWN\", r}, 30000)[5]"), "\"noconnection\"")) << eve->screen_text();
  // Nobody finds it in the list of processes.
  EXPECT_FALSE(has(read_file("/proc/" + std::to_string(me->tty().pid()) + "/cmdline"), "secret-token"));
}

}  // namespace
}  // namespace troupe::test
