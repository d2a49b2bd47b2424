// print: whose terminal, and what bounds it.
#include "cluster.hpp"

#include <mutex>

namespace troupe::test {
namespace {

class kept_log final : public log_sink {
 public:
  bool enabled(log_level) const noexcept override { return true; }
  void log(log_level, std::string_view message, map) noexcept override {
    std::lock_guard guard(mutex_);
    text_ += std::string(message) + "\n";
  }
  std::string text() const {
    std::lock_guard guard(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

TEST_F(LuaCluster, APrinterIsParkedWhileNobodyReads) {
  const std::string shown = eval(
      "me = self() return spawn('two@test', function() receive('go') "
      "for i = 1, 20000 do print(('x'):rep(90), i) end send(me, 'done') end)");
  console_->terminal->send(pid::parse(shown.substr(5, shown.size() - 7)).or_exit(), value("go"));
  // The console does not read now: what is on its way stays within the credit, 2 MB are to come.
  EXPECT_TRUE(wait_until([&] { return console_->terminal->self().waiting_messages() > 20; }));
  for (int i = 0; i < 20; ++i) {
    one_.run([](process& self) -> task<> { co_await self.sleep(std::chrono::milliseconds(5)); });
    EXPECT_LT(console_->terminal->self().waiting_messages(), 400u);
  }
  EXPECT_TRUE(console_->printed("\t20000\n"));
  EXPECT_EQ(eval("receive()"), "\"done\"");
  // In order, and each once.
  int line = 0;
  for (std::size_t at = 0; (at = console_->output.find('\t', at)) != std::string::npos; ++at)
    EXPECT_EQ(std::atoi(console_->output.c_str() + at + 1), ++line);
  EXPECT_EQ(line, 20000);
  EXPECT_EQ(two_.core().counters().print_dropped.load(), 0u);
}

TEST_F(LuaCluster, FlushIsUnderCreditToo) {
  EXPECT_EQ(eval("for i = 1, 5000 do send(self(), {'number', i}) end return flush()"), "\"ok\"");
  EXPECT_TRUE(has(console_->output, "{\"number\", 5000}\n"));
}

TEST_F(LuaCluster, WhatADeviceDoesNotTakeInTimeIsDroppedAndCounted) {
  // A device that reads nothing for longer than a print waits.
  auto deaf = one_.machine->make_handle().or_exit();
  const std::string device = "pid(\"" + deaf->id().text() + "\")";
  EXPECT_EQ(eval("d, me = " + device +
                 ", self() spawn('two@test', function() group_leader(d) for i = 1, 2 do print(('x'):rep(10000), i) end "
                 "send(me, 'over') end) return receive('over')"),
            "\"over\"");  // after the 5 s of the second print
  EXPECT_EQ(two_.core().counters().print_dropped.load(), 1u);
}

TEST_F(LuaCluster, AProcessOfTheShellMayBeTheDevice) {
  EXPECT_EQ(eval("me = self() spawn('two@test', function() for i = 1, 3 do print(me, 'line', i) sleep(600) end "
                 "print(me, 'end') end) return nil"),
            "nil");
  // The shell waits for its next line and still takes them.
  EXPECT_TRUE(wait_until([&] { return eval("receive({any, {text = 'end\\n'}}, 100)") != "nil, \"timeout\""; }));
  EXPECT_EQ(eval("receive()[2].text, receive()[2].text, receive()[2].text"),
            R"("line\t1\n", "line\t2\n", "line\t3\n")");
  EXPECT_EQ(two_.core().counters().print_dropped.load(), 0u);
}

TEST(Output, OfALeaderThatIsGoneGoesToTheLog) {
  auto log = std::make_shared<kept_log>();
  shell s({}, log);
  auto other = s.node->make_handle().or_exit();
  const std::string device = "pid(\"" + other->id().text() + "\")";
  s.eval("p = spawn(function() group_leader(" + device + ") receive() print('nobody reads this') end)");
  other.reset();
  s.eval("send(p, 1)");
  EXPECT_TRUE(wait_until([&] { return has(log->text(), "nobody reads this"); }));
}

TEST(Output, ALuaProcessMayBeALeader) {
  shell s;
  EXPECT_EQ(s.eval("me = self() spawn(function() group_leader(me) for i = 1, 5000 do print('line', i) end "
                   "send(me, 'end') end) local n = 0 while true do local m = receive() if m == 'end' then return n end "
                   "n = n + 1 end"),
            "5000");
}

}  // namespace
}  // namespace troupe::test
