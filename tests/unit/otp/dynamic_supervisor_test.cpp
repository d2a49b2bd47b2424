// Supervisors beyond the static tree: children at run time, partitions, significant children, backoff, specifications.
#include <troupe/dynamic_supervisor.hpp>

#include "otp_test.hpp"

#include <atomic>

namespace troupe::test {
namespace {

struct Crash {
  std::string reason;
  TROUPE_MESSAGE(Crash, "crash", reason)
};
struct Who {
  TROUPE_MESSAGE(Who, "who")
};

struct Worker {
  using messages = handles<Crash, Who>;
  void on(process& self, Crash crash) { self.exit(exit_reason(crash.reason.c_str())); }
  pid on(process& self, const Who&) { return self.id(); }
};

task<> patient(process& self) { (void)co_await self.receive(wait_forever); }
task<> named(process& self, std::string name) {
  self.register_name(name).or_exit();
  (void)co_await self.receive(wait_forever);
}
task<> deaf_child(process& self) {
  self.trap_exits(true);
  for (;;) (void)co_await self.receive(wait_forever);
}

class DynamicSupervisorTest : public OtpTest {
 protected:
  DynamicSupervisorTest() {
    here.reset();
    EXPECT_TRUE(node->stop(20s));
    detail::bare_node_options options;
    options.workers = 2;
    options.log = log;
    options.node.offers.process("test.named", named);
    node = detail::make_bare_node(std::move(options));
    here = node->make_handle().or_exit();
  }
  template <class F>
  auto run(F body) {
    return here->run(20s, std::move(body)).or_exit();
  }
  result<std::optional<pid>> add(const std::string& to, child_spec spec) {
    return run([&](process& self) -> task<result<std::optional<pid>>> {
      auto got = co_await start_child(self, to, spec);
      co_return got;
    });
  }
  std::vector<child_info> children(const std::string& of) {
    return here->call<std::vector<child_info>>(of, ask_which_children()).or_exit();
  }
  static child_spec plain(restart_type restart = permanent) {
    return {.id = "same", .start = [](process& up) { return spawn_link(up, patient); }, .restart = restart};
  }
};

TEST_F(DynamicSupervisorTest, ChildrenComeAndGoAtRunTime) {
  start_supervisor(*node, supervise("top").child(dynamic_supervisor("many").max_children(2).spec())).or_exit();
  const pid a = *add("many", plain()).or_exit(), b = *add("many", plain(temporary)).or_exit();
  EXPECT_NE(a, b) << "ids are ignored";
  EXPECT_EQ(add("many", plain()).error().code(), errc::system_limit);
  auto counts = here->call<child_counts>("many", ask_count_children()).or_exit();
  EXPECT_EQ(counts.active, 2u);
  EXPECT_EQ(counts.workers, 2u);
  EXPECT_TRUE(here->call<void>("many", ask_terminate_process(a)));
  EXPECT_FALSE(node->exists(a));
  EXPECT_EQ(children("many").size(), 1u);
  EXPECT_EQ(here->call<void>("many", ask_terminate_process(a)).error().code(), errc::not_found);

  auto ignoring = plain();
  ignoring.start = [](process&) { return started::ignore(); };
  auto ignored = add("many", ignoring);
  EXPECT_TRUE(ignored && !*ignored);
  auto failing = plain();
  failing.start = [](process&) -> started { throw std::runtime_error("boom"); };
  EXPECT_EQ(add("many", failing).error().code(), errc::exited);
  EXPECT_EQ(children("many").size(), 1u) << "neither leaves anything";
  auto state = here->call(address("many"), sys_get_state()).or_exit();
  EXPECT_EQ(*state.find("max_children")->integer(), 2);
}

TEST_F(DynamicSupervisorTest, RestartsAsEachChildSays) {
  start_supervisor(*node, dynamic_supervisor("many").at_most(2, 10s)).or_exit();
  auto spec = plain();
  spec.start = [](process& up) { return start_link<Worker>(up, "worker"); };
  (void)*add("many", spec).or_exit();
  spec.restart = transient;
  spec.start = [](process& up) { return start_link<Worker>(up, "calm"); };
  (void)*add("many", spec).or_exit();
  const pid before = pid_of("worker");
  here->send("worker", Crash("boom"));
  ASSERT_TRUE(wait_until([&] { return pid_of("worker") && pid_of("worker") != before; }));
  here->send("calm", Crash("shutdown"));
  ASSERT_TRUE(wait_until([&] { return children("many").size() == 1; }));
  const pid whole = pid_of("many");
  const ref watch = here->self().monitor(whole);
  for (int i = 0; i < 2; ++i) {
    const pid now = pid_of("worker");
    here->send(now, Crash("boom"));
    const bool last = i == 1;
    ASSERT_TRUE(wait_until([&] { return pid_of("worker") != now && (last || pid_of("worker") != pid()); }));
  }
  auto got = here->receive(10s);
  ASSERT_TRUE(got && got->get<down>() && got->get<down>()->monitor == watch);
  EXPECT_EQ(got->get<down>()->reason.text(), "\"shutdown\"") << "the third restart was one too many";
  EXPECT_EQ(log->count("reached_max_restart_intensity"), 1u);
}

TEST_F(DynamicSupervisorTest, ChildrenOfTheCatalogueAndAllStopAtOnce) {
  const pid top = start_supervisor(*node, dynamic_supervisor("many")).or_exit();
  const auto got = run([](process& self) -> task<std::string> {
    auto made = co_await start_child_from(self, "many", "test.named", "fred");
    auto unknown = co_await start_child_from(self, "many", "test.none");
    auto wrong = co_await start_child_from(self, "many", "test.named");
    co_return (made ? "pid " : made.error().message()) + unknown.error().name() + " " + wrong.error().name();
  });
  EXPECT_EQ(got, "pid undef exited");
  EXPECT_TRUE(wait_until([&] { return pid_of("fred") != pid(); }));
  auto deaf = plain();
  deaf.start = [](process& up) { return spawn_link(up, deaf_child); };
  deaf.stop_within = 300ms;
  for (int i = 0; i < 10; ++i) (void)*add("many", deaf).or_exit();
  const auto began = std::chrono::steady_clock::now();
  node->exit(top, exit_reason::shutdown());
  (void)end_of(top);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2500ms) << "one after the other takes 3 s";
  EXPECT_EQ(pid_of("fred"), pid());
}

TEST_F(DynamicSupervisorTest, PartitionsAreStable) {
  const partitions parts("cache", 4);
  start_supervisor(*node, supervise("top").child("cache", parts.supervisor<Worker>())).or_exit();
  EXPECT_EQ(parts.index(7), 3u);
  EXPECT_EQ(parts.index(-7), 3u);
  EXPECT_EQ(parts.index(std::numeric_limits<std::int64_t>::min()), 0u);
  // What a text hashes to is part of the promise: the same in every run, on every node.
  EXPECT_EQ(parts.index("apples"), partitions("other", 4).index("apples"));
  EXPECT_EQ(partitions("x", 1'000'000).index("apples"), 220772u);
  std::set<pid> seen;
  for (std::int64_t key = 0; key < 8; ++key) {
    const pid holder = here->call<pid>(parts.at(key), Who()).or_exit();
    EXPECT_EQ(holder, here->call<pid>(parts.at(key), Who()).or_exit());
    seen.insert(holder);
  }
  EXPECT_EQ(seen.size(), 4u);
  EXPECT_GE(partitions("cores").count(), 1u);
}

TEST_F(DynamicSupervisorTest, SignificantChildrenEndTheirSupervisor) {
  auto tree = [](auto_shutdown_type when) {
    return supervise("top")
        .auto_shutdown(when)
        .server<Worker>("a")
        .restart(transient)
        .significant()
        .server<Worker>("b")
        .restart(temporary)
        .significant()
        .server<Worker>("c");
  };
  {
    const pid top = start_supervisor(*node, tree(any_significant)).or_exit();
    const ref watch = here->self().monitor(top);
    const pid a = pid_of("a");
    here->send("a", Crash("boom"));  // restarted, so it has not ended
    ASSERT_TRUE(wait_until([&] { return pid_of("a") && pid_of("a") != a; }));
    here->send("a", Crash("normal"));
    auto got = here->receive(10s);
    ASSERT_TRUE(got && got->get<down>() && got->get<down>()->monitor == watch);
    EXPECT_EQ(got->get<down>()->reason.text(), "\"shutdown\"");
    EXPECT_EQ(pid_of("c"), pid());
  }
  {
    const pid top = start_supervisor(*node, tree(all_significant)).or_exit();
    const ref watch = here->self().monitor(top);
    EXPECT_TRUE(here->call<void>("top", ask_terminate_child("b"))) << "by hand does not count";
    here->send("a", Crash("normal"));
    auto got = here->receive(10s);
    ASSERT_TRUE(got && got->get<down>() && got->get<down>()->monitor == watch);
  }
}

TEST_F(DynamicSupervisorTest, SpecificationsAreCheckedAndShown) {
  EXPECT_FALSE(check(supervise("x").child("a", [](process& up) { return spawn_link(up, patient); }).significant()));
  auto wrong = supervise("x").auto_shutdown(any_significant).server<Worker>("a").significant();
  EXPECT_NE(check(wrong).error().text().find("\"a\""), std::string::npos) << check(wrong).error().text();
  auto refused = start_supervisor(*node, wrong);
  EXPECT_EQ(refused.what(), started::kind::failed);
  EXPECT_NE(refused.text().find("bad_argument"), std::string::npos) << refused.text();
  EXPECT_FALSE(check(child_spec{.id = "none"}));

  start_supervisor(*node, supervise("top").server<Worker>("a").restart(transient).stop_within(2s).backoff(10ms))
      .or_exit();
  const auto got = run([](process& self) -> task<std::string> {
    auto spec = co_await get_childspec(self, "top", "a");
    auto none = co_await get_childspec(self, "top", "b");
    co_return spec.or_exit().restart + " " + std::to_string(spec->stop_within_ms) + " " +
        std::to_string(spec->backoff_ms) + " " + none.error().name();
  });
  EXPECT_EQ(got, "transient 2000 10 not_found");
}

// Without a pause a child that cannot start burns 3 restarts in microseconds (erlang/otp #1287).
TEST_F(DynamicSupervisorTest, ABackoffOutlivesWhatWouldBurnTheIntensity) {
  for (const bool dynamic : {false, true}) {
    std::atomic<int> starts{0};
    child_spec flaky;
    flaky.id = "flaky";
    flaky.backoff = {40ms, 200ms};
    flaky.start = [&starts](process& up) -> started {
      const int n = ++starts;
      if (n > 1 && n < 6) return started::failed(exit_reason("not yet"));
      return started(spawn_link(up, patient));
    };
    const pid top = dynamic ? start_supervisor(*node, dynamic_supervisor("top").at_most(3, 100ms)).or_exit()
                            : start_supervisor(*node, supervise("top").at_most(3, 100ms).child(flaky)).or_exit();
    if (dynamic) (void)*add("top", flaky).or_exit();
    const pid first = *children("top").at(0).pid;
    const auto began = std::chrono::steady_clock::now();
    node->exit(first, exit_reason("boom"));
    ASSERT_TRUE(wait_until([&] { return starts >= 6 && children("top").at(0).status == "running"; }));
    EXPECT_GE(std::chrono::steady_clock::now() - began, 40ms + 80ms + 160ms) << "each pause twice the last";
    EXPECT_EQ(pid_of("top"), top);
    node->exit(top, exit_reason::shutdown());
    (void)end_of(top);
    ASSERT_TRUE(wait_until([&] { return pid_of("top") == pid(); }));
  }
}

}  // namespace
}  // namespace troupe::test
