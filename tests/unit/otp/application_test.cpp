#include <troupe/application.hpp>

#include "otp_test.hpp"

namespace troupe::test {
namespace {

using Application = OtpTest;

TEST_F(Application, StartInOrderStopInReverse) {
  const pid observer = here->id();
  for (std::string name : {"first", "second"}) {
    application app{.name = name, .start = [observer, name] {
                      return supervise(name).server<Noting>(name + ".worker", observer, name);
                    }};
    started root = start_application(*node, app);
    ASSERT_TRUE(root) << root.text();
  }
  EXPECT_EQ(node->roots().size(), 2u);
  EXPECT_TRUE(node->whereis("first.worker"));
  // The handle's mailbox outlives the processes that stop() ends.
  EXPECT_TRUE(node->stop(20s));
  EXPECT_EQ(here->receive(0s)->to_value(), value("second \"shutdown\""));
  EXPECT_EQ(here->receive(0s)->to_value(), value("first \"shutdown\""));
}

TEST_F(Application, PlanMayReadTheNode) {
  application app{.name = "reader",
                  .start = [](troupe::node& n) { return supervise("tree_of_" + std::string(n.name().substr(0, 6))); }};
  ASSERT_TRUE(start_application(*node, app));
  EXPECT_TRUE(node->whereis("tree_of_nonode"));
}

TEST_F(Application, WithoutProcessesItJustStarts) {
  EXPECT_TRUE(start_application(*node, {.name = "library"}));
  EXPECT_TRUE(node->roots().empty());
}

TEST_F(Application, WhatItsStartFunctionThrowsIsTheReason) {
  auto asks = [](troupe::node&) {
    const std::string name = result<std::string>(errc::not_found, "app.missing: no such key").or_exit();
    return supervise(name);
  };
  started failed = start_application(*node, {.name = "asks", .start = asks});
  EXPECT_EQ(failed.what(), started::kind::failed);
  EXPECT_TRUE(failed.reason().is("not_found")) << failed.text();
  EXPECT_NE(failed.text().find("app.missing"), std::string::npos) << failed.text();
  EXPECT_NE(failed.text().find("application_test.cpp:"), std::string::npos) << failed.text();
  auto exits = [](troupe::node&) -> supervisor { throw exit_reason("not today"); };
  EXPECT_EQ(start_application(*node, {.name = "exits", .start = exits}).text(), R"(failed: "not today")");
  auto odd = [](troupe::node&) -> supervisor { throw 5; };
  EXPECT_EQ(start_application(*node, {.name = "odd", .start = odd}).text(),
            R"(failed: {"exception", {type = "int", text = ""}})");
  EXPECT_TRUE(node->roots().empty());
}

TEST_F(Application, FailedStartLeavesNoRoot) {
  application app{.name = "bad", .start = [] {
                    return supervise("bad").child("x", [](process&) { return started::failed(exit_reason("no")); });
                  }};
  started root = start_application(*node, app);
  EXPECT_FALSE(root);
  EXPECT_TRUE(node->roots().empty());
}

}  // namespace
}  // namespace troupe::test
