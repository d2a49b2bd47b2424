// Tasks, timeouts, a chat of three, and the hunt for a bug, typed into real terminals.
#include "shell_window.hpp"

#include <signal.h>

namespace troupe::test {
namespace {

// -- alice, bob and eve, each on a node of her or his own

class Chat : public SessionTest {
 protected:
  void begin() {
    for (const char* name : {"alice", "bob", "eve"}) {
      people_.push_back(std::make_unique<program>(std::vector<std::string>{build_dir() + "/bin/chat", "--name", name},
                                                  environment()));
      ASSERT_TRUE(people_.back()->wait_output("ready")) << people_.back()->out() << people_.back()->err();
    }
  }
  program& person(std::size_t number) { return *people_[number]; }
  std::vector<std::unique_ptr<program>> people_;
};

TEST_F(Chat, MessagesAreTasksUnderTheRecipientsSupervisor) {
  begin();
  auto alice = remote("alice");
  auto bob = remote("bob");
  EXPECT_EQ(alice->enter("chat.send_message(\"bob@localhost\", \"hey\")"), "\"ok\"");
  EXPECT_TRUE(person(1).wait_output("\nhey\n")) << person(1).out();
  EXPECT_EQ(bob->enter("chat.send_message(\"alice@localhost\", \"heyyy\")"), "\"ok\"");
  EXPECT_TRUE(person(0).wait_output("\nheyyy\n")) << person(0).out();
  EXPECT_EQ(alice->enter("chat.send_message(\"eve@localhost\", \"wassup\")"), "\"ok\"");
  EXPECT_TRUE(person(0).wait_output("\nstay quiet for a while\n")) << person(0).out();
  EXPECT_FALSE(has(person(2).out(), "wassup")) << person(2).out();
  EXPECT_TRUE(has(alice->enter("chat.send_message(\"carol@localhost\", \"hey\")"), "noconnection"));
  EXPECT_TRUE(has(alice->enter("chat.send_message(\"bob@localhost\")"),
                  "chat.send_message(text, text): 2 argument(s) expected, 1 given"))
      << alice->screen_text();
}

// The module itself, typed: nothing of it is known to the other nodes.
TEST_F(Chat, TypedIntoAShell) {
  begin();
  auto alice = remote("alice");
  EXPECT_EQ(alice->enter("P24Chat = {}"), "");
  EXPECT_EQ(alice->enter("function P24Chat.receive_message(message) print(message) end"), "");
  EXPECT_EQ(alice->enter("function P24Chat.remote_supervisor(recipient) return {\"chat.tasks\", recipient} end"), "");
  EXPECT_EQ(alice->enter("function P24Chat.spawn_task(fun, recipient, args) return "
                         "task.await(task.async(P24Chat.remote_supervisor(recipient), fun, args)) end"),
            "");
  EXPECT_EQ(alice->enter("function P24Chat.send_message(recipient, message) "
                         "P24Chat.spawn_task(P24Chat.receive_message, recipient, {message}) return \"ok\" end"),
            "");
  EXPECT_EQ(alice->enter("P24Chat.send_message(\"bob@localhost\", \"hey\")"), "\"ok\"");
  EXPECT_TRUE(person(1).wait_output("\nhey\n")) << person(1).out();
  EXPECT_EQ(alice->enter("P24Chat.spawn_task(function() return node() end, \"eve@localhost\")"), "\"eve@localhost\"");
  // All of them at once.
  EXPECT_EQ(alice->enter("for status, who in task.async_stream({\"alice@localhost\", \"bob@localhost\", "
                         "\"eve@localhost\"}, function(name) return rpc.call(name, \"node\") end, "
                         "{max_concurrency = 2}) do print(status .. \" \" .. who) end"),
            "ok alice@localhost\nok bob@localhost\nok eve@localhost");
  EXPECT_TRUE(has(alice->enter("P24Chat.send_message(\"carol@localhost\", \"hey\")"), "noconnection"));
}

// -- nothing waits for ever

class Timeouts : public SessionTest {};

TEST_F(Timeouts, OfCallsAndTasks) {
  auto sample = start_sample();
  auto console = remote("sample");
  EXPECT_EQ(console->enter("server.call(\"sample.counter\", {\"add\", {amount = 1}}, 5000)"), "1");
  EXPECT_EQ(console->enter("expensive_operation = function() sleep(math.huge) end"), "");
  EXPECT_EQ(console->enter("t = task.async(expensive_operation)"), "");
  EXPECT_TRUE(has(console->enter("task.await(t, 20)"), "error: timeout: ")) << console->screen_text();
  EXPECT_EQ(console->enter("task.yield(t, 20) or task.shutdown(t)"), "nil");
  EXPECT_EQ(console->enter("task.yield_or_shutdown(task.async(expensive_operation), 20)"), "nil");
  EXPECT_EQ(console->enter("task.yield_or_shutdown(task.async(function() return 6 * 7 end), 5000)"), "\"ok\", 42");
  EXPECT_EQ(console->enter("task.shutdown(task.async(expensive_operation), \"brutal_kill\")"), "nil");
  EXPECT_EQ(
      console->enter("for status, why in task.async_stream(\"sample.tasks\", {1, math.huge, 2}, sleep, {timeout = "
                     "20, on_timeout = \"kill_task\", max_concurrency = 1}) do print(status .. \" \" .. "
                     "why:match(\"^%a+\")) end"),
      "ok ok\nexit timeout\nok ok");
  EXPECT_EQ(console->enter("#task.children(\"sample.tasks\")"), "0");
  EXPECT_TRUE(has(console->enter("sys.suspend(\"sample.counter\") server.call(\"sample.counter\", {\"add\", {amount = "
                                 "1}}, 20)"),
                  "error: "))
      << console->screen_text();
  EXPECT_TRUE(has(console->screen_text(), "timeout: ")) << console->screen_text();
  EXPECT_EQ(console->enter("sys.resume(\"sample.counter\")"), "\"ok\"");
  EXPECT_EQ(console->enter("sys.get_state(\"sample.counter\").total"), "2");  // it was worked on all the same
}

// A process that looks after the others: who has too many messages, or ends.
TEST_F(Timeouts, AHealthMonitor) {
  auto sample = start_sample();
  auto console = remote("sample");
  EXPECT_EQ(
      console->enter("function suspicious() local found = {} for _, p in ipairs(processes()) do local info = "
                     "process_info(p) if info and info.queue > 20 then found[#found + 1] = p end end return found "
                     "end"),
      "");
  EXPECT_EQ(console->enter("function check_health(report) timer.send_interval(10, \"check_health\") while true do "
                           "receive(\"check_health\") local found = suspicious() if #found > 0 then send(report, "
                           "{\"suspicious\", found}) return end end end"),
            "");
  EXPECT_EQ(console->enter("sys.suspend(\"sample.counter\")"), "\"ok\"");
  EXPECT_EQ(console->enter("for i = 1, 30 do server.cast(\"sample.counter\", {\"add\", {amount = 1}}) end"), "");
  EXPECT_EQ(console->enter("monitoring = spawn(check_health, self())"), "");
  EXPECT_EQ(console->enter("found = receive({\"suspicious\"}, 30000)[2]"), "");
  EXPECT_EQ(console->enter("process_info(found[1], {\"queue\", \"entry\"}).queue > 20"), "true");
  EXPECT_TRUE(has(console->enter("process_info(found[1], {\"at\", \"messages\", \"queue\", \"status\"})"),
                  "{\"add\", {amount = 1}}"))
      << console->screen_text();
  EXPECT_EQ(console->enter("#found, found[1] == whereis(\"sample.counter\")"), "1, true");
  EXPECT_EQ(console->enter("sys.resume(\"sample.counter\")"), "\"ok\"");
  EXPECT_TRUE(console->enter_until("#suspicious()", "0")) << console->screen_text();
}

// -- the program that crashes now and then

class BugHunt : public SessionTest {
 protected:
  void SetUp() override {
    SessionTest::SetUp();
    if (IsSkipped()) return;
    exercise_ = std::make_unique<program>(
        std::vector<std::string>{exercise_path(), "--name", "exercise", "--set", "exercise.tick=5ms"}, environment());
    ASSERT_TRUE(exercise_->wait_output("ready")) << exercise_->out() << exercise_->err();
  }
  std::unique_ptr<program> exercise_;
};

TEST_F(BugHunt, FindProcessesMessagesBugsAndCalls) {
  auto console = remote("exercise");
  EXPECT_TRUE(has(console->enter("registered()"), "\"exercise.calculator\", \"exercise.supervisor\"") ||
              has(console->screen_text(), "\"exercise.supervisor\""))
      << console->screen_text();
  EXPECT_TRUE(has(console->enter("supervisor.which_children(\"exercise.supervisor\")"), "\"exercise.calculator\""))
      << console->screen_text();
  // Find messages.
  EXPECT_EQ(console->enter("device = group_leader()"), "");
  EXPECT_TRUE(has(console->enter("dbg.tracer(\"process\", {function(msg, _state) print(device, msg) return _state end, "
                                 "\"initial_state\"})"),
                  "pid(\"<exercise@localhost#"))
      << console->screen_text();
  console->tty().type_line("dbg.p(\"exercise.calculator\", {\"r\"})");
  EXPECT_TRUE(console->shows("\"receive\"")) << console->screen_text();
  console->tty().type_line("dbg.stop_clear()");
  EXPECT_TRUE(console->shows("\n\"ok\"\n")) << console->screen_text();
  // Find bugs: the reasons, one after the other; the loop is left by Ctrl-C.
  console->tty().type_line("Crash = {}");
  console->tty().type_line("function Crash.show()");
  console->tty().type_line("  local ref = monitor(\"exercise.calculator\")");
  console->tty().type_line("  local msg = receive({\"DOWN\", ref})");
  console->tty().type_line("  if msg[5] ~= \"noproc\" then print(msg[5]) end");
  console->tty().type_line("  return Crash.show()");
  console->tty().type_line("end");
  console->tty().type_line("Crash.show()");
  EXPECT_TRUE(console->tty().wait_screen([](const screen& s) {
    const std::string text = s.text();
    return has(text, "\ndivision by zero") || has(text, "operator needs") || has(text, "no handler accepts") ||
           has(text, "push refused");
  })) << console->screen_text();
  console->tty().type("\x03");
  EXPECT_TRUE(console->shows("interrupted")) << console->screen_text();
  // Show functions called.
  EXPECT_TRUE(has(console->enter("dbg.tracer(function(msg) print(device, msg) end)"), "pid(\"<exercise@localhost#"))
      << console->screen_text();
  console->tty().type_line("dbg.p(\"exercise.user\", {\"call\"})");
  console->tty().type_line("dbg.tp(\"exercise.calculator\")");
  EXPECT_TRUE(console->shows("\"call\", \"exercise.calculator.")) << console->screen_text();
  console->tty().type_line("dbg.stop_clear()");
  EXPECT_TRUE(console->shows("\n\"ok\"\n")) << console->screen_text();
  EXPECT_EQ(console->enter("1 + 1"), "2");
}

}  // namespace
}  // namespace troupe::test
