// Restarts, intensity, shutdown, the questions and orders at run time, and the reports.
#include "otp_test.hpp"

#include <atomic>

namespace troupe::test {
namespace {

struct Crash {
  std::string reason;
  TROUPE_MESSAGE(Crash, "crash", reason)
};
struct Ping {
  TROUPE_MESSAGE(Ping, "ping")
};

struct Worker {
  using messages = handles<Crash, Ping>;
  void on(process& self, Crash crash) { self.exit(exit_reason(crash.reason.c_str())); }
  bool on(const Ping&) { return true; }
};

// Traps exits and does not listen.
task<> stubborn(process& self) {
  self.trap_exits(true);
  for (;;) (void)co_await self.receive(wait_forever);
}

class SupervisorTest : public OtpTest {
 protected:
  pid start(supervisor plan) { return start_supervisor(*node, std::move(plan)).or_exit(); }
  std::vector<child_info> children(const std::string& of = "top") {
    return here->call<std::vector<child_info>>(of, ask_which_children()).value_or(std::vector<child_info>());
  }
  // "a=running b=undefined"
  std::string shape(const std::string& of = "top") {
    std::string out;
    for (const child_info& c : children(of)) out += (out.empty() ? "" : " ") + c.id + "=" + c.status;
    return out;
  }
  // Crashes a registered worker and waits until another process has its name.
  void crash(const std::string& name, std::string reason = "boom") {
    const pid before = pid_of(name);
    here->send(name, Crash(std::move(reason)));
    ASSERT_TRUE(wait_until([&] { return pid_of(name) && pid_of(name) != before; })) << name;
  }
  template <class R>
  std::string ask(const char* what, std::string id) {
    auto told = here->call<R>("top", list_of({what, map_of({{"id", std::move(id)}})}));
    if constexpr (std::is_void_v<R>) return told ? "ok" : told.error().name();
    else return told ? (told->has_value() ? "pid" : "undefined") : told.error().name();
  }
};

TEST_F(SupervisorTest, StartsInOrderAndTells) {
  start(supervise("top").server<Worker>("a").server<Worker>("b").restart(transient));
  EXPECT_EQ(shape(), "a=running b=running");
  auto told = children();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].pid, pid_of("a"));
  EXPECT_EQ(told[0].restart, "permanent");
  EXPECT_EQ(told[1].restart, "transient");
  EXPECT_EQ(told[1].type, "worker");
  auto counts = here->call<child_counts>("top", ask_count_children());
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->specs, 2u);
  EXPECT_EQ(counts->active, 2u);
  EXPECT_EQ(counts->workers, 2u);
  EXPECT_EQ(log->count("progress"), 2u);
  auto state = here->call(address("top"), sys_get_state());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->text_at("strategy"), "one_for_one");
}

TEST_F(SupervisorTest, OneForOneRestartsOnlyTheOneThatEnded) {
  start(supervise("top").server<Worker>("a").server<Worker>("b"));
  const pid b = pid_of("b");
  crash("a");
  EXPECT_EQ(pid_of("b"), b);
  EXPECT_EQ(shape(), "a=running b=running");
  EXPECT_EQ(log->count("child_terminated"), 1u);
}

TEST_F(SupervisorTest, OneForAllRestartsAll) {
  start(supervise("top")
            .strategy(one_for_all)
            .server<Worker>("a")
            .server<Worker>("b")
            .server<Worker>("c")
            .restart(temporary));
  const pid a = pid_of("a");
  crash("b");
  EXPECT_EQ(shape(), "a=running b=running");  // a temporary one does not come back
  EXPECT_NE(pid_of("a"), a);
}

TEST_F(SupervisorTest, RestForOneRestartsThoseBehind) {
  start(supervise("top").strategy(rest_for_one).server<Worker>("a").server<Worker>("b").server<Worker>("c"));
  const pid a = pid_of("a"), c = pid_of("c");
  crash("b");
  EXPECT_EQ(shape(), "a=running b=running c=running");
  EXPECT_EQ(pid_of("a"), a);
  EXPECT_NE(pid_of("c"), c);
}

TEST_F(SupervisorTest, RestartTypes) {
  start(supervise("top")
            .at_most(10, 10s)
            .server<Worker>("permanent")
            .server<Worker>("transient")
            .restart(transient)
            .server<Worker>("temporary")
            .restart(temporary));
  crash("permanent", "normal");
  crash("transient", "boom");
  here->send("transient", Crash("shutdown"));
  EXPECT_TRUE(wait_until([&] { return shape() == "permanent=running transient=undefined temporary=running"; }))
      << shape();
  here->send("temporary", Crash("boom"));
  EXPECT_TRUE(wait_until([&] { return shape() == "permanent=running transient=undefined"; })) << shape();
}

TEST_F(SupervisorTest, TooManyRestartsEndItWithShutdown) {
  const pid top = start(supervise("top").at_most(2, 60s).server<Worker>("a").server<Worker>("b"));
  const ref watch = here->self().monitor(top);
  crash("b");
  crash("b");
  here->send("b", Crash("third"));
  auto got = here->receive(10s);
  ASSERT_TRUE(got);
  auto* ended = got->get<down>();
  ASSERT_TRUE(ended && ended->monitor == watch);
  EXPECT_TRUE(ended->reason.is("shutdown"));
  EXPECT_FALSE(node->whereis("a"));  // stopped before
  EXPECT_EQ(log->count("reached_max_restart_intensity"), 1u);
}

TEST_F(SupervisorTest, RestartsOutsideThePeriodAreForgotten) {
  start(supervise("top").at_most(1, 1ms).server<Worker>("a"));
  for (int i = 0; i < 4; ++i) {
    crash("a");
    const time_point then = node->clock().now();
    ASSERT_TRUE(wait_until([&] { return node->clock().now() - then > 2ms; }));
  }
  EXPECT_EQ(shape(), "a=running");
}

TEST_F(SupervisorTest, StartThatFailsStopsThoseBeforeAndNamesTheChild) {
  started outcome = start_supervisor(*node, supervise("top").server<Worker>("a").child("bad", [](process&) -> started {
    return started::failed(exit_reason("no disk"));
  }));
  EXPECT_EQ(outcome.what(), started::kind::failed);
  EXPECT_EQ(outcome.reason().text(), R"({"shutdown", {"failed_to_start_child", "bad", "no disk"}})");
  EXPECT_FALSE(node->whereis("a"));
  EXPECT_FALSE(node->whereis("top"));
  EXPECT_EQ(log->count("start_error"), 1u);
}

TEST_F(SupervisorTest, StartFunctionThatThrowsIsAFailedStart) {
  started outcome = start_supervisor(
      *node, supervise("top").child("bad", [](process&) -> started { throw std::runtime_error("oops"); }));
  EXPECT_NE(outcome.reason().text().find("oops"), std::string::npos) << outcome.text();
}

TEST_F(SupervisorTest, IgnoreKeepsTheSpecification) {
  auto ignores = std::make_shared<std::atomic<bool>>(true);  // outlives this body: teardown restarts too
  start(supervise("top").server<Worker>("a").child(
      "shy", [ignores](process& up) { return *ignores ? started::ignore() : started(serve<Worker>(up)); }));
  EXPECT_EQ(shape(), "a=running shy=undefined");
  EXPECT_EQ(ask<std::optional<pid>>("supervisor.restart_child", "shy"), "undefined");
  *ignores = false;
  EXPECT_EQ(ask<std::optional<pid>>("supervisor.restart_child", "shy"), "pid");
  EXPECT_EQ(shape(), "a=running shy=running");
}

TEST_F(SupervisorTest, OrdersAtRunTimeHaveOtpsArms) {
  start(supervise("top")
            .server<Worker>("a")
            .child("other", [](process& up) { return serve<Worker>(up); })
            .restart(temporary));
  EXPECT_EQ(ask<std::optional<pid>>("supervisor.restart_child", "a"), "running");
  EXPECT_EQ(ask<std::optional<pid>>("supervisor.restart_child", "nobody"), "not_found");
  EXPECT_EQ(ask<void>("supervisor.delete_child", "a"), "running");
  EXPECT_EQ(ask<void>("supervisor.delete_child", "nobody"), "not_found");
  EXPECT_EQ(ask<void>("supervisor.terminate_child", "nobody"), "not_found");
  EXPECT_EQ(ask<void>("supervisor.terminate_child", "a"), "ok");
  EXPECT_EQ(ask<void>("supervisor.terminate_child", "other"), "ok");
  EXPECT_EQ(shape(), "a=undefined");  // the temporary one's specification went with it
  EXPECT_EQ(ask<void>("supervisor.terminate_child", "a"), "ok");
  EXPECT_EQ(ask<std::optional<pid>>("supervisor.restart_child", "a"), "pid");
  EXPECT_EQ(shape(), "a=running");
  EXPECT_EQ(ask<void>("supervisor.terminate_child", "a"), "ok");
  EXPECT_EQ(ask<void>("supervisor.delete_child", "a"), "ok");
  EXPECT_EQ(shape(), "");
}

TEST_F(SupervisorTest, RestartChildTellsWhyItFailed) {
  auto works = std::make_shared<std::atomic<bool>>(true);  // outlives this body: teardown restarts too
  start(supervise("top").child("moody", [works](process& up) {
    return *works ? started(serve<Worker>(up)) : started::failed(exit_reason("moody today"));
  }));
  EXPECT_EQ(ask<void>("supervisor.terminate_child", "moody"), "ok");
  *works = false;
  auto told = here->call<std::optional<pid>>("top", ask_restart_child("moody"));
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code(), errc::exited);
  EXPECT_EQ(told.error().text(), "\"moody today\"");
  EXPECT_EQ(shape(), "moody=undefined");
}

TEST_F(SupervisorTest, RestartThatFailsIsTriedAgainUntilItWorks) {
  auto failures = std::make_shared<std::atomic<int>>(0);  // outlives this body: teardown restarts too
  start(supervise("top").at_most(10, 60s).child("moody", [failures](process& up) -> task<started> {
    if ((*failures)-- > 0) return detail::start_done(started::failed(exit_reason("not yet")));
    return start_link<Worker>(up, "moody");
  }));
  *failures = 4;
  crash("moody");
  EXPECT_EQ(shape(), "moody=running");
  EXPECT_EQ(log->count("start_error"), 4u);
}

TEST_F(SupervisorTest, AwaitableFunctionsAddAndRemove) {
  start(supervise("top"));
  auto told = here->run(20s, [](process& self) -> task<std::string> {
    child_spec spec{.id = "late", .start = [](process& up) { return start_link<Worker>(up, "late"); }};
    auto added = co_await start_child(self, "top", spec);
    auto again = co_await start_child(self, "top", spec);
    auto stopped = co_await terminate_child(self, "top", "late");
    auto known = co_await start_child(self, "top", spec);
    auto back = co_await restart_child(self, "top", "late");
    auto listed = co_await which_children(self, "top").or_exit();
    auto counted = co_await count_children(self, "top").or_exit();
    (void)co_await terminate_child(self, "top", "late");
    auto gone = co_await delete_child(self, "top", "late");
    co_return std::string(added && *added ? "added " : "? ") + again.error().name() + (stopped ? " stopped " : " ? ") +
        known.error().name() + (back && *back ? " back " : " ? ") + listed.at(0).id + " " +
        std::to_string(counted.active) + (gone ? " gone" : " ?");
  });
  EXPECT_EQ(told.value_or("died"), "added already_started stopped name_taken back late 1 gone");
  // Over the wire a start function cannot come.
  EXPECT_EQ(ask<std::optional<pid>>("supervisor.start_child", "x"), "unsupported");
}

TEST_F(SupervisorTest, StubbornChildIsKilledAndReported) {
  start(supervise("top")
            .child("stubborn", [](process& up) { return spawn_link(up, stubborn); })
            .stop_within(20ms)
            .child("brutal", [](process& up) { return spawn_link(up, stubborn); })
            .stop_within(0s));
  EXPECT_EQ(ask<void>("supervisor.terminate_child", "brutal"), "ok");
  EXPECT_EQ(log->count("shutdown_error"), 0u);  // a kill is what was asked for
  EXPECT_EQ(ask<void>("supervisor.terminate_child", "stubborn"), "ok");
  EXPECT_EQ(log->count("shutdown_error"), 1u);
}

TEST_F(SupervisorTest, ChildrenStopInReverseOrder) {
  const pid top = start(supervise("top")
                            .server<Noting>("a", here->id(), std::string("a"))
                            .server<Noting>("b", here->id(), std::string("b")));
  node->exit(top, exit_reason::shutdown());
  EXPECT_EQ(here->receive(10s)->to_value(), value("b \"shutdown\""));
  EXPECT_EQ(here->receive(10s)->to_value(), value("a \"shutdown\""));
}

TEST_F(SupervisorTest, NestedTreeEndsWithItsParent) {
  auto inner = supervise("inner").server<Worker>("leaf");
  const pid top = start(supervise("top").server<Worker>("a").child("inner", inner));
  EXPECT_EQ(shape(), "a=running inner=running");
  EXPECT_EQ(shape("inner"), "leaf=running");
  EXPECT_EQ(children()[1].type, "supervisor");
  // The inner one gives up after four crashes; the outer starts it anew.
  const pid before = pid_of("inner");
  for (int i = 0; i < 3; ++i) crash("leaf");
  here->send("leaf", Crash("boom"));
  ASSERT_TRUE(wait_until([&] { return pid_of("inner") && pid_of("inner") != before && pid_of("leaf"); }));
  node->exit(top, exit_reason::shutdown());
  EXPECT_TRUE(wait_until([&] { return !node->whereis("leaf") && !node->whereis("top"); }));
}

TEST_F(SupervisorTest, KilledSupervisorTakesItsChildrenAlong) {
  const pid top = start(supervise("top").server<Worker>("a"));
  node->exit(top, exit_reason::kill());
  EXPECT_TRUE(wait_until([&] { return !node->whereis("a"); }));
}

TEST_F(SupervisorTest, ChildFromANodeFunctionIsLinked) {
  start(supervise("top").child("a", [](troupe::node& n) { return serve<Worker>(n, {.name = "a"}); }));
  crash("a");
  EXPECT_EQ(shape(), "a=running");
}

// Temporary children go when they are stopped: the one that failed is still the one that is named.
TEST_F(SupervisorTest, AFailedStartAmongTemporaryChildrenNamesTheRightOne) {
  auto fails = [](process&) { return started::failed(exit_reason("no")); };
  started top = start_supervisor(*node, supervise("top")
                                            .server<Worker>("a")
                                            .restart(temporary)
                                            .server<Worker>("b")
                                            .restart(temporary)
                                            .child("bad", fails)
                                            .child("after", fails));
  EXPECT_EQ(top.text(), R"(failed: {"shutdown", {"failed_to_start_child", "bad", "no"}})");
  EXPECT_FALSE(node->whereis("a") || node->whereis("b"));
}

TEST_F(SupervisorTest, APlainChildDoesNotPassForItsSupervisor) {
  pid child;
  start(supervise("top")
            .child("plain",
                   [&child](process& up) {
                     child = spawn_link(up, stubborn);
                     return child;
                   })
            .stop_within(0s));
  const auto of_child = node->core().summary(child);
  ASSERT_TRUE(of_child);
  EXPECT_EQ(of_child->entry, "process");
  EXPECT_FALSE(of_child->supervisor || of_child->server);
  const auto of_top = node->core().summary(pid_of("top"));
  ASSERT_TRUE(of_top);
  EXPECT_TRUE(of_top->supervisor && of_top->server);
}

TEST_F(SupervisorTest, IdGivenTwiceAndRestartWithoutChildAreProgrammingErrors) {
  EXPECT_THROW((void)supervise("x").server<Worker>("a").server<Worker>("a"), std::invalid_argument);
  EXPECT_THROW((void)supervise("x").restart(temporary), std::invalid_argument);
}

TEST_F(SupervisorTest, TakenNameIsAlreadyStarted) {
  const pid top = start(supervise("top"));
  started second = start_supervisor(*node, supervise("top"));
  EXPECT_EQ(second.what(), started::kind::already_started);
  EXPECT_EQ(second.process(), top);
}

}  // namespace
}  // namespace troupe::test
