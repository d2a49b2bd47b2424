// External programs as children of a supervisor, and run to their end.
#include "program_support.hpp"

#include "support/temp_dir.hpp"

namespace troupe::test {
namespace {

std::optional<log_line> line_of(const log_catcher& log, std::string_view text) {
  for (const log_line& each : log.lines()) {
    if (each.text == text) return each;
  }
  return std::nullopt;
}

class ProgramChildTest : public ProgramTest {
 protected:
  pid child_of(const pid& tree) {
    const auto all = here->call<std::vector<child_info>>(tree, ask_which_children()).or_exit();
    return all.empty() || !all.front().pid ? pid() : *all.front().pid;
  }
  std::string shut_down(const pid& tree) {
    return end_after(tree, [&] { node->exit(tree, exit_reason::shutdown()); });
  }
  std::string end_after(const pid& who, const std::function<void()>& act) {
    const ref watch = here->self().monitor(who);
    act();
    for (;;) {
      auto got = here->receive(20s);
      if (!got) return "it lives";
      if (auto* gone = got->get<down>(); gone && gone->monitor == watch) return gone->reason.text();
    }
  }
  std::int64_t os_pid_of(const pid& child) {
    auto about = here->call<program_info>(child, ask_program());
    return about ? about->os_pid : 0;
  }
};

TEST_F(ProgramChildTest, ItsOutputGoesToTheLog) {
  const pid tree =
      start_supervisor(*node,
                       supervise("top").child(program_child("edge", sh("echo hello; echo oops >&2; exec sleep 1000"))))
          .or_exit();
  ASSERT_TRUE(wait_until([&] { return line_of(*log, "hello") && line_of(*log, "oops"); }));
  EXPECT_EQ(line_of(*log, "hello")->level, log_level::info);
  EXPECT_EQ(line_of(*log, "hello")->fields.text_at("program"), "edge");
  EXPECT_EQ(line_of(*log, "hello")->fields.text_at("stream"), "stdout");
  EXPECT_EQ(line_of(*log, "oops")->level, log_level::warning);
  EXPECT_EQ(line_of(*log, "oops")->fields.text_at("stream"), "stderr");
  const std::int64_t os_pid = os_pid_of(child_of(tree));
  EXPECT_FALSE(has_ended(os_pid));
  const auto connected = here->call<void>(child_of(tree), program_connect(here->id()));
  EXPECT_EQ(connected.error().text(), "connect: only a program with an owner can get another one");
  EXPECT_EQ(shut_down(tree), "\"shutdown\"");
  EXPECT_TRUE(has_ended(os_pid));  // not a moment later
  EXPECT_EQ(log->count("shutdown_error"), 0u);
}

TEST_F(ProgramChildTest, ATransientOneIsRestartedAfterAFailureAlone) {
  temp_dir folder;
  const std::string count = folder / "count";
  // Fails twice, then ends well.
  command what("sh", "-c", "echo x >> \"$1\"; n=$(wc -l < \"$1\"); [ $n -ge 3 ] || exit 7", "sh", count);
  const pid tree = start_supervisor(*node, supervise("top").child(program_child("job", what, transient))).or_exit();
  ASSERT_TRUE(
      wait_until([&] { return std::filesystem::exists(count) && read_file(count) == "x\nx\nx\n" && !child_of(tree); }));
  EXPECT_EQ(log->count("{\"exit_status\", 7}"), 2u);
  EXPECT_TRUE(node->exists(tree));
}

TEST_F(ProgramChildTest, ASignalIsAFailureAndAPermanentOneComesBack) {
  const pid tree =
      start_supervisor(*node, supervise("top").child(program_child("edge", command("sleep", "1000")))).or_exit();
  const pid first = child_of(tree);
  auto shoot = [os_pid = static_cast<pid_t>(os_pid_of(first))] { ASSERT_EQ(::kill(os_pid, SIGKILL), 0); };
  EXPECT_EQ(end_after(first, shoot), "{\"exit_signal\", \"SIGKILL\"}");
  ASSERT_TRUE(wait_until([&] { return child_of(tree) && child_of(tree) != first; }));
  EXPECT_FALSE(has_ended(os_pid_of(child_of(tree))));
}

TEST_F(ProgramChildTest, SilenceIsAFailureToo) {
  command what = sh("echo x; exec sleep 1000");
  what.idle(50ms);
  auto plan = supervise("top").at_most(2, 60s).child(program_child("quiet", what, transient));
  const pid tree = start_supervisor(*node, plan).or_exit();
  EXPECT_TRUE(wait_until([&] { return !node->exists(tree); }));  // restarted twice, and then no more
  EXPECT_GE(log->count("nothing was written for 50 ms"), 3u);
}

TEST_F(ProgramChildTest, AHandlerGetsItsLines) {
  const pid to = here->id();
  command what = sh("echo one; echo two >&2; printf three; exec sleep 1000");
  what.handle([to](process& self, const program_output& line) {
    self.send(to, value((line.errors ? "err " : "out ") + line.data));
  });
  start_supervisor(*node, supervise("top").child(program_child("edge", what))).or_exit();
  std::set<value, decltype([](const value& a, const value& b) { return *a.text() < *b.text(); })> got;
  while (got.size() < 2) got.insert(here->receive(20s).or_exit().to_value());
  EXPECT_TRUE(got.contains(value("out one")) && got.contains(value("err two")));
  EXPECT_EQ(log->count("one"), 0u);
}

TEST_F(ProgramChildTest, AStartThatFailsSaysWhy) {
  const started outcome =
      start_supervisor(*node, supervise("top").child(program_child("edge", command("no-such-program"))));
  EXPECT_EQ(outcome.what(), started::kind::failed);
  EXPECT_NE(outcome.text().find("not_found"), std::string::npos) << outcome.text();
  EXPECT_NE(outcome.text().find("no-such-program"), std::string::npos) << outcome.text();
}

TEST_F(ProgramChildTest, OneThatIgnoresTermIsKilledInTime) {
  command what = sh("trap '' TERM; echo ready; while :; do sleep 1000; done");
  what.stop_within(100ms);
  const pid tree = start_supervisor(*node, supervise("top").child(program_child("edge", what))).or_exit();
  ASSERT_TRUE(wait_until([&] { return line_of(*log, "ready"); }));
  const std::int64_t os_pid = os_pid_of(child_of(tree));
  EXPECT_EQ(shut_down(tree), "\"shutdown\"");
  EXPECT_TRUE(has_ended(os_pid));
  EXPECT_EQ(log->count("shutdown_error"), 0u);
}

TEST_F(ProgramChildTest, OptionsOfTheOtherKindAreRefused) {
  command owned("true");
  owned.owner(here->id());
  const started child = start_supervisor(*node, supervise("top").child(program_child("edge", owned)));
  EXPECT_NE(child.text().find("owner: a child's output"), std::string::npos) << child.text();
  command handled("true");
  handled.handle([](process&, const program_output&) {});
  EXPECT_EQ(refusal(handled).find("bad_argument: handle: only a child"), 0u);
}

// -- run_program

TEST_F(ProgramChildTest, RunCollectsOutputAndStatus) {
  run([](process& self) -> task<> {
    auto all = co_await run_program(self, sh("echo out; echo err >&2; exit 3"), 20s);
    const program_result got = std::move(all).or_exit();
    EXPECT_EQ(got.output, "out\n");
    EXPECT_EQ(got.errors, "err\n");
    EXPECT_EQ(got.status, 3);
    EXPECT_FALSE(got.ok());
    const std::string big(500'000, 'x');
    all = co_await run_program(self, command("cat"), 20s, big);
    EXPECT_TRUE(all && all->ok() && all->output == big);
    all = co_await run_program(self, command("true"), 20s, big);  // reads nothing of it
    EXPECT_TRUE(all && all->ok());
    all = co_await run_program(self, sh("kill -9 $$"), 20s);
    EXPECT_TRUE(all && all->signal == SIGKILL && !all->ok());
    all = co_await run_program(self, command("no-such-program"), 20s);
    EXPECT_EQ(all.error(), errc::not_found);
    EXPECT_EQ(self.waiting_messages(), 0u);
  });
}

TEST_F(ProgramChildTest, RunHasBounds) {
  run([](process& self) -> task<> {
    temp_dir folder;
    const std::string place = folder / "pid";
    command what("sh", "-c", "echo $$ > \"$1.new\"; mv \"$1.new\" \"$1\"; exec sleep 1000", "sh", place);
    auto late = co_await run_program(self, what, 300ms);
    EXPECT_EQ(late.error(), errc::timeout);
    EXPECT_NE(late.error().text().find("\"sh\" did not end within 300 ms"), std::string::npos);
    if (std::filesystem::exists(place)) {  // a slow machine may not have come so far
      const std::int64_t os_pid = std::strtoll(read_file(place).c_str(), nullptr, 10);
      EXPECT_TRUE(wait_until([os_pid] { return has_ended(os_pid); }));
    }
    auto much = co_await run_program(self, command("yes"), 20s, {}, 100'000);
    EXPECT_EQ(much.error(), errc::too_large);
    EXPECT_EQ(self.waiting_messages(), 0u);
  });
}

TEST_F(ProgramChildTest, ARunEndsWithWhoeverAskedForIt) {
  temp_dir folder;
  const std::string place = folder / "pid";
  const pid asking =
      spawn(*node, [place](process& self) -> task<> {
        command what("sh", "-c", "echo $$ > \"$1.new\"; mv \"$1.new\" \"$1\"; exec sleep 1000", "sh", place);
        (void)co_await run_program(self, what, wait_forever);
      }).or_exit();
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(place); }));
  const std::int64_t os_pid = std::strtoll(read_file(place).c_str(), nullptr, 10);
  EXPECT_FALSE(has_ended(os_pid));
  node->exit(asking, exit_reason::kill());
  EXPECT_TRUE(wait_until([os_pid] { return has_ended(os_pid); }));
}

}  // namespace
}  // namespace troupe::test
