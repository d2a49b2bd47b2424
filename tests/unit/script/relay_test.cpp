// A session whose terminal only its own node reaches: what runs on a third node prints there all the same.
#include "cluster.hpp"

namespace troupe::test {
namespace {

// The terminal is on one, as that of a tool; the session on two. Three knows nothing of one.
class Relay : public LuaCluster {
 protected:
  void SetUp() override {
    LuaCluster::SetUp();
    member_options options;
    options.offers = offers();
    offer_script(options.offers);
    options.knows_all = false;
    options.address_book = {"two@test"};
    three_ = start("three@test", std::move(options));
    console_.reset();
    console_.emplace(*two_.machine, *one_.machine);
  }
  void TearDown() override {
    LuaCluster::TearDown();
    three_.end();
  }
  catalogue offers() override {
    catalogue all;
    all.function("note", [](process& self, std::string text) { self.print(text); });
    return all;
  }

  member three_;
};

TEST_F(Relay, WhatAThirdNodePrintsComesToTheTerminal) {
  EXPECT_TRUE(starts(eval("spawn('three@test', function() print('hello from ' .. node()) end)"), "pid(\"<three@test"));
  EXPECT_TRUE(console_->printed("hello from three@test\n")) << console_->output;
  // The terminal's own node is not met for it.
  EXPECT_EQ(nodes(*three_.machine, node_class::connected), std::vector<std::string>{"two@test"});
  EXPECT_EQ(eval("node(group_leader())"), "\"two@test\"");
}

TEST_F(Relay, WhatIsPrintedStandsBeforeTheAnswer) {
  for (int i = 0; i < 50; ++i) {
    const std::string text = std::to_string(i);
    EXPECT_EQ(eval("rpc.call('three@test', 'note', {'far " + text + "'}) print('near " + text + "') return " + text),
              text);
    EXPECT_EQ(console_->take_output(), "far " + text + "\nnear " + text + "\n");
  }
}

TEST_F(Relay, APrinterWaitsForTheTerminal) {
  const std::string shown = eval(
      "me = self() return spawn('three@test', function() receive('go') "
      "for i = 1, 5000 do print(('x'):rep(90), i) end send(me, 'done') end)");
  console_->terminal->send(console_->session, script::lua_eval(++console_->asked, "send(" + shown + ", 'go')"));
  EXPECT_TRUE(wait_until([&] { return console_->terminal->self().waiting_messages() > 20; }));
  for (int i = 0; i < 20; ++i) {
    one_.run([](process& self) -> task<> { co_await self.sleep(std::chrono::milliseconds(5)); });
    EXPECT_LT(console_->terminal->self().waiting_messages(), 400u);
  }
  EXPECT_EQ(console_->finish().text, "\"go\"");
  EXPECT_TRUE(console_->printed("\t5000\n"));
  EXPECT_EQ(eval("receive()"), "\"done\"");
  int line = 0;
  for (std::size_t at = 0; (at = console_->output.find('\t', at)) != std::string::npos; ++at)
    EXPECT_EQ(std::atoi(console_->output.c_str() + at + 1), ++line);
  EXPECT_EQ(line, 5000);
  EXPECT_EQ(three_.core().counters().print_dropped.load(), 0u);
}

TEST_F(Relay, ItEndsWithItsSessionAndForNobodysMistake) {
  EXPECT_EQ(eval("relay = group_leader() send(relay, 'nonsense') send(relay, {'io.put', {text = {}}})"), "");
  EXPECT_EQ(eval("pcall(server.call, relay, 'nonsense')").substr(0, 5), "false");
  EXPECT_EQ(eval("print('still here')"), "");
  EXPECT_EQ(console_->take_output(), "still here\n");
  EXPECT_TRUE(starts(eval("exit(self(), 'boom')"), "error: the evaluating process ended"));
  EXPECT_EQ(eval("print('and now') return group_leader() == relay"), "true");
  EXPECT_EQ(console_->take_output(), "and now\n");
  const std::size_t before = two_.machine->process_count();
  console_->terminal.reset();
  EXPECT_TRUE(wait_until([&] { return two_.machine->process_count() == before - 3; }));
}

}  // namespace
}  // namespace troupe::test
