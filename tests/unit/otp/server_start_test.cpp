// The four arms of a start, and every way in which init can go wrong.
#include "otp_test.hpp"

namespace troupe::test {
namespace {

struct Ask {
  TROUPE_MESSAGE(Ask, "ask")
};

struct Starter {
  using messages = handles<Ask>;
  std::string how;
  explicit Starter(std::string how_given) : how(std::move(how_given)) {
    if (how == "constructor throws") throw std::runtime_error("no state");
  }
  task<init_result> init(process& self) {
    co_await self.yield();
    if (how == "ignore") co_return init_result::ignore();
    if (how == "stop") co_return init_result::stop(exit_reason("not today"));
    if (how == "throw") throw std::runtime_error("init broke");
    if (how == "exit") self.exit(exit_reason("init left"));
    if (how == "hang") co_await self.sleep(wait_forever);
    co_return init_result::ok();
  }
  std::string on(const Ask&) { return how; }
};

struct Plain {  // init that is no coroutine
  using messages = handles<Ask>;
  bool good;
  explicit Plain(bool good_given) : good(good_given) {}
  result<void> init(process&) {
    if (!good) return error(errc::io, "disk");
    return {};
  }
  void on(const Ask&) {}
};

// What start_link told the process that asked, whether that traps exits, and what was left in its mailbox.
std::string outcome_of(handle& here, std::string how, bool traps, bool linked = true) {
  auto told = here.run(20s, [how, traps, linked](process& self) -> task<std::string> {
    self.trap_exits(traps);
    server_options options{.name = "starter", .start_within = how == "hang" ? duration(20ms) : duration(20s)};
    auto starting = linked ? start_link<Starter>(self, options, how) : start_server<Starter>(self, options, how);
    started outcome = co_await std::move(starting);
    auto left = co_await self.receive(duration::zero());
    std::string text = outcome.what() == started::kind::ok ? "ok" : outcome.text();
    co_return text + (left ? " left " + left->to_value().print() : "");
  });
  return told ? *told : "died: " + told.error().message();
}

using ServerStart = OtpTest;

TEST_F(ServerStart, OkIsSynchronous) { EXPECT_EQ(outcome_of(*here, "fine", true), "ok"); }

TEST_F(ServerStart, IgnoreLeavesNothingBehind) {
  EXPECT_EQ(outcome_of(*here, "ignore", true), "ignore");
  EXPECT_EQ(outcome_of(*here, "ignore", false), "ignore");
  EXPECT_FALSE(node->whereis("starter"));
}

TEST_F(ServerStart, FailuresAreReasons) {
  EXPECT_EQ(outcome_of(*here, "stop", true), "failed: \"not today\"");
  EXPECT_EQ(outcome_of(*here, "exit", true), "failed: \"init left\"");
  EXPECT_NE(outcome_of(*here, "throw", true).find("init broke"), std::string::npos);
  EXPECT_NE(outcome_of(*here, "constructor throws", true).find("no state"), std::string::npos);
  EXPECT_FALSE(node->whereis("starter"));
}

TEST_F(ServerStart, UnlinkedFailureDoesNotHurtTheStarter) {
  EXPECT_EQ(outcome_of(*here, "stop", false, false), "failed: \"not today\"");
}

TEST_F(ServerStart, LinkedFailureEndsAStarterThatDoesNotTrap) {
  EXPECT_NE(outcome_of(*here, "stop", false).find("not today"), std::string::npos);
}

TEST_F(ServerStart, InitThatHangsIsKilledAtItsDeadline) {
  std::string told = outcome_of(*here, "hang", true);
  EXPECT_NE(told.find("timeout"), std::string::npos) << told;
  EXPECT_EQ(told.find("left"), std::string::npos) << told;
  EXPECT_TRUE(wait_until([&] { return !node->whereis("starter"); }));
}

TEST_F(ServerStart, TakenNameTellsTheHolder) {
  pid first = start_server<Starter>(*node, {.name = "starter"}, std::string("first")).or_exit();
  started second = start_server<Starter>(*node, {.name = "starter"}, std::string("second"));
  EXPECT_EQ(second.what(), started::kind::already_started);
  EXPECT_EQ(second.process(), first);
  EXPECT_EQ(outcome_of(*here, "third", true), "already_started " + first.text());
  EXPECT_EQ(here->call<std::string>("starter", Ask()).value_or("?"), "first");
  EXPECT_THROW((void)second.or_exit(), exit_reason);
}

// What a server tells its starter stays inside the node, and its tag is no secret: anybody may send that.
TEST(EncodedServerStart, ATagIsNoAnswer) {
  detail::bare_node_options options;
  options.workers = 2;
  options.node.encode_always = true;
  const auto node = detail::make_bare_node(std::move(options));
  auto here = node->make_handle().or_exit();
  const auto told = here->run(20s, [](process& self) -> task<std::string> {
    self.send(self.id(), value("troupe.started"));
    self.send(self.id(), value(list{value("troupe.started")}));
    self.send(self.id(), list_of({"troupe.started", 7}));
    const server_options how;
    auto starting = start_server<Starter>(self, how, std::string("fine"));
    const started outcome = co_await std::move(starting);
    co_return outcome.what() == started::kind::ok ? "ok" : outcome.text();
  });
  EXPECT_EQ(told.value_or("died"), "ok");
  here.reset();
  EXPECT_TRUE(node->stop(20s));
}

TEST_F(ServerStart, BadNameFails) {
  started bad = start_server<Starter>(*node, {.name = "not a name\n"}, std::string("x"));
  EXPECT_EQ(bad.what(), started::kind::failed);
  EXPECT_TRUE(bad.reason().is("bad_name")) << bad.text();
}

TEST_F(ServerStart, FromAThread) {
  EXPECT_EQ(start_server<Starter>(*node, {}, std::string("ignore")).what(), started::kind::ignore);
  started stopped = start_server<Starter>(*node, {}, std::string("stop"));
  EXPECT_EQ(stopped.reason(), exit_reason("not today"));
  started late = start_server<Starter>(*node, {.start_within = 20ms}, std::string("hang"));
  EXPECT_TRUE(late.reason().is("timeout")) << late.text();
  EXPECT_TRUE(start_server<Plain>(*node, {}, true));
  started disk = start_server<Plain>(*node, {}, false);
  EXPECT_TRUE(disk.reason().is("io")) << disk.text();
}

TEST_F(ServerStart, ServeDoesNotWait) {
  pid served = serve<Starter>(*node, {.name = "starter"}, std::string("served")).or_exit();
  EXPECT_EQ(here->call<std::string>(served, Ask()).value_or("?"), "served");
  auto taken = serve<Starter>(*node, {.name = "starter"}, std::string("again"));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), errc::name_taken);
  pid failing = serve<Starter>(*node, {}, std::string("hang")).or_exit();
  node->exit(failing, exit_reason("enough"));
  EXPECT_TRUE(wait_until([&] { return !node->exists(failing); }));
}

TEST_F(ServerStart, MailboxLimitHolds) {
  pid served = start_server<Starter>(*node, {.name = "small", .mailbox_limit = 3}, std::string("s")).or_exit();
  ASSERT_TRUE(here->call(served, sys_suspend()));
  for (int i = 0; i < 10; ++i) here->send(served, value(i));
  EXPECT_TRUE(wait_until([&] { return node->core().counters().mailbox_refused.load() == 7; }));
}

}  // namespace
}  // namespace troupe::test
