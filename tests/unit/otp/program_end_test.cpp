// External programs: what ends them, and that nothing of them is left.
#include "program_support.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include "support/temp_dir.hpp"

#include <iostream>
#include <sstream>

namespace troupe::test {
namespace {

// Ignores SIGTERM, as does a grandchild in its group; tells both pids.
constexpr const char* stubborn =
    "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & echo $$; wait";

std::int64_t number(const std::string& line) { return std::strtoll(line.c_str(), nullptr, 10); }

TEST_F(ProgramTest, CloseEndsTheGroupAndIsTheLastWord) {
  run([](process& self) -> task<> {
    command what = sh("sleep 1000 & echo $!; while :; do echo line; sleep 0.01; done");
    auto made = co_await start_program(self, what);
    const program noisy = std::move(made).or_exit();
    auto first = next_line(self);
    const std::string first_text = co_await std::move(first);
    const std::int64_t grandchild = number(first_text);
    self.monitor(noisy.id());
    co_await noisy.close(self).or_exit();
    EXPECT_TRUE(has_ended(noisy.os_pid()));
    EXPECT_TRUE(wait_until([&] { return has_ended(grandchild); }));
    auto gone = co_await self.receive<down>(20s);
    EXPECT_TRUE(gone.or_exit().reason.is_normal());
    self.send(self.id(), value("last"));
    // What came before the request was taken may wait here; no end does.
    for (;;) {
      auto got = co_await self.receive(20s);
      if (got && got->get<program_output>()) continue;
      EXPECT_TRUE(got && got->to_value() == value("last"));
      break;
    }
    auto again = co_await noisy.close(self);
    EXPECT_EQ(again.error(), errc::noproc);
  });
}

TEST_F(ProgramTest, WhatIgnoresTermIsKilledWithItsGroup) {
  run([](process& self) -> task<> {
    command what = sh(stubborn);
    what.stop_within(100ms);
    auto made = co_await start_program(self, what);
    const program two = std::move(made).or_exit();
    auto a = next_line(self);
    const std::string a_line = co_await std::move(a);
    const std::int64_t one = number(a_line);
    auto b = next_line(self);
    const std::string b_line = co_await std::move(b);
    const std::int64_t other = number(b_line);
    EXPECT_FALSE(has_ended(one));
    EXPECT_FALSE(has_ended(other));
    const time_point before = self.now();
    co_await two.close(self).or_exit();
    EXPECT_GE(self.now() - before, 100ms);
    EXPECT_TRUE(has_ended(one) && has_ended(other));
  });
}

TEST_F(ProgramTest, ATermIsTimeToTidyUp) {
  run([](process& self) -> task<> {
    command what = sh("trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.01; done");
    auto made = co_await start_program(self, what);
    const program polite = std::move(made).or_exit();
    auto ready = next_line(self);
    const std::string ready_line = co_await std::move(ready);
    EXPECT_EQ(ready_line, "ready");
    self.monitor(polite.id());
    self.exit(polite.id(), exit_reason("enough"));  // unlike close, its owner hears the rest
    auto listening = listen(self, polite.id());
    const heard rest = co_await std::move(listening);
    EXPECT_EQ(rest.output, "bye");
    EXPECT_EQ(rest.end, "status 4");
    auto gone = co_await self.receive<down>(20s);
    EXPECT_EQ(gone.or_exit().reason.text(), "{\"shutdown\", \"enough\"}");
  });
}

TEST_F(ProgramTest, SilenceEndsIt) {
  run([](process& self) -> task<> {
    command what = sh("for n in 1 2 3 4 5 6 7 8; do echo $n; sleep 0.2; done; exec sleep 1000");
    what.idle(1s);
    auto made = co_await start_program(self, what);
    const program quiet = std::move(made).or_exit();
    self.monitor(quiet.id());
    auto listening = listen(self, quiet.id());
    const heard got = co_await std::move(listening);
    EXPECT_EQ(got.output, "12345678");  // longer in all than the idle time
    EXPECT_EQ(got.end, "SIGTERM");
    auto gone = co_await self.receive<down>(20s);
    EXPECT_EQ(gone.or_exit().reason.text(), "{\"shutdown\", {\"timeout\", \"nothing was written for 1000 ms\"}}");
    // A program that waits for its owner is not silent by itself.
    command waiting("yes");
    waiting.idle(1s).most_waiting(5);
    auto other = co_await start_program(self, waiting);
    const program yes = std::move(other).or_exit();
    auto pausing = wait_paused(self, yes);
    EXPECT_TRUE(co_await std::move(pausing));
    const time_point longer = self.now() + 1'100ms;
    while (self.now() < longer) {
      const program_info still = co_await yes.info(self).or_exit();
      EXPECT_TRUE(still.paused);
      co_await self.sleep(20ms);
    }
    co_await yes.close(self).or_exit();
  });
}

// Without a limit a DOWN would wait for whoever waits for it.
TEST_F(ProgramTest, AStoppedOneDoesNotWaitForItsOwner) {
  run([](process& self) -> task<> {
    for (auto full : {program_full::pause, program_full::drop_oldest}) {
      command what("yes");
      what.most_waiting(10).when_full(full).stop_within(50ms);
      auto made = co_await start_program(self, what);
      const program yes = std::move(made).or_exit();
      for (program_info now; now.events < 10;) {
        co_await self.sleep(1ms);
        now = co_await yes.info(self).or_exit();
      }
      self.monitor(yes.id());
      self.exit(yes.id(), exit_reason("enough"));
      auto gone = co_await self.receive<down>(20s);
      EXPECT_EQ(gone.or_exit().reason.text(), "{\"shutdown\", \"enough\"}");
      EXPECT_TRUE(has_ended(yes.os_pid()));
      EXPECT_EQ(self.waiting_messages(), 11u);  // and its end
      auto listening = listen(self, yes.id());
      const heard rest = co_await std::move(listening);
      EXPECT_EQ(rest.lines.size(), 10u);
      EXPECT_EQ(rest.end, "SIGTERM");
    }
  });
  EXPECT_EQ(log->count("its owner did not take the rest of its output"), 2u);
}

TEST_F(ProgramTest, ItEndsWithItsOwner) {
  run([](process& self) -> task<> {
    auto start_and = [](process& me, pid tell, std::int64_t how) -> task<> {
      auto made = co_await start_program(me, command("sleep", "1000"));
      me.send(tell, value(std::move(made).or_exit().os_pid()));
      if (how == 0) co_return;
      if (how == 1) throw std::runtime_error("boom");
      co_await me.receive(wait_forever);
    };
    for (std::int64_t how = 0; how < 3; ++how) {
      const pid owner = spawn(self, start_and, self.id(), how);
      auto told = co_await self.receive<value>(20s);
      const std::int64_t os_pid = *told.or_exit().integer();
      if (how == 2) self.exit(owner, exit_reason::kill());
      EXPECT_TRUE(wait_until([os_pid] { return has_ended(os_pid); })) << how;
    }
    // And one whose owner was gone before it began.
    const pid nobody = spawn(self, [](process&) -> task<> { co_return; });
    command late("sleep", "1000");
    late.owner(nobody);
    auto made = co_await start_program(self, late);
    const std::int64_t os_pid = std::move(made).or_exit().os_pid();
    EXPECT_TRUE(wait_until([os_pid] { return has_ended(os_pid); }));
  });
}

TEST_F(ProgramTest, ItEndsWithItsProcess) {
  run([](process& self) -> task<> {
    command what = sh(stubborn);
    what.stop_within(100ms);
    auto made = co_await start_program(self, what);
    const program two = std::move(made).or_exit();
    auto a = next_line(self);
    const std::string a_line = co_await std::move(a);
    const std::int64_t one = number(a_line);
    auto b = next_line(self);
    const std::string b_line = co_await std::move(b);
    const std::int64_t other = number(b_line);
    self.monitor(two.id());
    self.exit(two.id(), exit_reason::kill());
    auto gone = co_await self.receive<down>(20s);
    EXPECT_EQ(gone.or_exit().reason.text(), "\"killed\"");
    EXPECT_TRUE(wait_until([&] { return has_ended(one) && has_ended(other); }));
  });
}

TEST_F(ProgramTest, WhatItLeavesBehindIsEnded) {
  std::int64_t left = 0, apart = 0;
  run([&](process& self) -> task<> {
    auto made = co_await start_program(self, sh("sleep 1000 & echo $!; exit 5"));
    auto listening = listen(self, std::move(made).or_exit().id());
    heard got = co_await std::move(listening);
    left = number(got.output);
    EXPECT_EQ(got.end, "status 5");
    EXPECT_TRUE(has_ended(left));
    // Out of the group, with the pipe in its hands: nobody waits for that.
    temp_dir folder;
    command what("sh", "-c",
                 "setsid sh -c 'echo $$; touch \"$1\"; exec sleep 1000' sh \"$1\" & "
                 "while ! [ -e \"$1\" ]; do sleep 0.01; done; exit 6",
                 "sh", (folder / "begun").string());
    what.stop_within(100ms);
    made = co_await start_program(self, what);
    listening = listen(self, std::move(made).or_exit().id());
    got = co_await std::move(listening);
    apart = number(got.output);
    EXPECT_EQ(got.end, "status 6");
  });
  ASSERT_GT(apart, 1);
  EXPECT_FALSE(has_ended(apart));
  ::kill(static_cast<pid_t>(apart), SIGKILL);
}

// As above, and it writes on: several at once, faster than its owner takes it, so that the pipe is never empty.
TEST_F(ProgramTest, WhoeverHasLeftCannotHoldItsEndUp) {
  temp_dir folder;
  const std::string place = folder / "pids";
  command what("sh", "-c",
               "setsid sh -c 'for n in 1 2 3 4 5 6 7 8; do yes & echo $! >> \"$1.new\"; done; mv \"$1.new\" \"$1\"' "
               "sh \"$1\" & while ! [ -e \"$1\" ]; do sleep 0.01; done; exit 6",
               "sh", place);
  what.stop_within(100ms).chunks().most_waiting(1);
  auto end_of_yes = [&place] {
    bool ended = true;
    std::istringstream pids(read_file(place));
    for (std::int64_t apart = 0; pids >> apart;) {
      // Nobody reads from it any more.
      if (wait_until([apart] { return has_ended(apart); })) continue;
      ::kill(static_cast<pid_t>(apart), SIGKILL);
      ended = false;
    }
    std::filesystem::remove(place);
    return ended;
  };
  run([&](process& self) -> task<> {
    auto made = co_await start_program(self, what);
    EXPECT_TRUE(made);
    std::int64_t status = -1;
    for (bool over = false; !over;) {
      auto got = co_await self.receive(20s);
      auto* end = got ? got->get<program_ended>() : nullptr;
      if (end) status = end->status;
      over = !got || end;
      if (!over) co_await self.sleep(2ms);
    }
    EXPECT_EQ(status, 6);
  });
  EXPECT_TRUE(end_of_yes());
  // Nor the node's end.
  auto other = detail::make_bare_node({.workers = 2});
  auto door = other->make_handle().or_exit();
  door->run(20s,
            [&](process& self) -> task<> {
              what.owner(spawn(self, [](process& me) -> task<> { (void)co_await me.receive<down>(wait_forever); }));
              auto made = co_await start_program(self, what);
              EXPECT_TRUE(made);
            })
      .or_exit();
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(place); }));
  door.reset();
  EXPECT_TRUE(other->stop(20s));
  other.reset();
  EXPECT_TRUE(end_of_yes());
}

// What a shell that does not keep up has no room for is told to it later.
TEST_F(ProgramTest, TheShellThatGuardsMayBeSlow) {
  run([](process& self) -> task<> {
    command what("cat");
    what.input();
    auto made = co_await start_program(self, what);
    const program cat = std::move(made).or_exit();
    pid_t guard = -1;  // it has its name a moment after its start
    EXPECT_TRUE(wait_until([&guard] { return (guard = child_named("troupe-programs")) > 1; }));
    if (guard <= 1) co_return;
    ::kill(guard, SIGSTOP);
    EXPECT_TRUE(wait_until([guard] { return state_of(guard) == 'T'; }));
    for (int i = 0; i < 200; ++i) {  // two lines each, of which its socket takes fewer than 300
      auto each = co_await run_program(self, command("true"), 20s);
      EXPECT_TRUE(each && each->ok());
    }
    ::kill(guard, SIGCONT);
    // It has read all there is, or sleeps between TERM and KILL.
    EXPECT_TRUE(wait_until([guard] { return state_of(guard) == 'S'; }));
    co_await cat.write(self, "alive\n").or_exit();
    auto line = next_line(self);
    const std::string text = co_await std::move(line);
    EXPECT_EQ(text, "alive");
    EXPECT_EQ(child_named("troupe-programs"), guard);
    co_await cat.close(self).or_exit();
  });
  EXPECT_EQ(log->count("will outlive it"), 0u);
}

TEST_F(ProgramTest, ASignalReachesIt) {
  run([](process& self) -> task<> {
    command what = sh("trap 'echo usr1' USR1; echo ready; while :; do sleep 0.01; done");
    auto made = co_await start_program(self, what);
    const program it = std::move(made).or_exit();
    auto ready = next_line(self);
    const std::string ready_line = co_await std::move(ready);
    EXPECT_EQ(ready_line, "ready");
    co_await it.signal(self, SIGUSR1).or_exit();
    auto told = next_line(self);
    const std::string told_line = co_await std::move(told);
    EXPECT_EQ(told_line, "usr1");
    auto wrong = co_await it.signal(self, 1'000);
    EXPECT_EQ(wrong.error(), errc::bad_argument);
    EXPECT_EQ(wrong.error().text(), "signal: 1 to 64 expected, 1000 given");
    // A stopped one hears that it is to end.
    co_await it.signal(self, SIGSTOP).or_exit();
    co_await it.signal(self, SIGKILL).or_exit();
    auto listening = listen(self, it.id());
    const heard rest = co_await std::move(listening);
    EXPECT_EQ(rest.end, "SIGKILL");
  });
}

TEST_F(ProgramTest, AHundredAtOnceLeaveNothing) {
  hear(command("true"));  // the watch, and the shell that guards
  const std::size_t before = open_descriptors();
  const time_point begin = here->self().now();
  run([](process& self) -> task<> {
    std::vector<program> all;
    for (int i = 0; i < 100; ++i) {
      command what = sh("echo $0; exec cat");
      what.input();
      auto made = co_await start_program(self, what);
      all.push_back(std::move(made).or_exit());
      self.monitor(all.back().id());
    }
    for (const program& each : all) co_await each.end_input(self).or_exit();
    int lines = 0, ends = 0, downs = 0;
    while (downs < 100) {
      auto got = co_await self.receive(20s);
      if (!got) break;
      if (got->get<program_output>()) ++lines;
      else if (got->get<program_ended>()) ++ends;
      else if (got->get<down>()) ++downs;
    }
    EXPECT_EQ(lines, 100);
    EXPECT_EQ(ends, 100);
    EXPECT_EQ(downs, 100);
    for (const program& each : all) EXPECT_TRUE(has_ended(each.os_pid()));
    siginfo_t zombie{};
    EXPECT_EQ(::waitid(P_ALL, 0, &zombie, WEXITED | WNOHANG | WNOWAIT), 0);  // the shell that guards is left
    EXPECT_EQ(zombie.si_pid, 0);
  });
  EXPECT_EQ(open_descriptors(), before);
  // Those that cannot start leave nothing either.
  for (int i = 0; i < 10; ++i) refusal(command("echo").directory("/nowhere"));
  EXPECT_EQ(open_descriptors(), before);
  RecordProperty("ms", static_cast<int>((here->self().now() - begin) / 1ms));
}

TEST_F(ProgramTest, TheNodesEndIsTheirs) {
  const std::size_t before = open_descriptors();
  std::vector<std::int64_t> all;
  {
    auto other = detail::make_bare_node({.workers = 2});
    auto door = other->make_handle().or_exit();
    // Owned by a process that lives as long as the node.
    const pid owner = spawn(*other, [](process& self) -> task<> {
                        for (;;) (void)co_await self.receive(wait_forever);
                      }).or_exit();
    all = door->run(20s,
                    [owner](process& self) -> task<std::vector<std::int64_t>> {
                      std::vector<std::int64_t> out;
                      for (int i = 0; i < 3; ++i) {
                        command what = i == 0 ? sh(stubborn) : command("sleep", "1000");
                        what.owner(owner).stop_within(50ms);
                        auto made = co_await start_program(self, what);
                        out.push_back(std::move(made).or_exit().os_pid());
                      }
                      co_return out;
                    })
              .or_exit();
    for (const std::int64_t each : all) EXPECT_FALSE(has_ended(each));
    door.reset();
    EXPECT_TRUE(other->stop(20s));
    for (const std::int64_t each : all) EXPECT_TRUE(has_ended(each));
  }
  EXPECT_EQ(open_descriptors(), before);
}

// What the test below runs and kills: a node with a program, and a grandchild of it, that tell their pids.
TEST_F(ProgramTest, DISABLED_Victim) {
  run([](process& self) -> task<> {
    auto made = co_await start_program(self, sh("sleep 1000 & echo $!; echo $$; wait"));
    (void)std::move(made).or_exit();
    for (;;) {
      auto line = next_line(self);
      const std::string text = co_await std::move(line);
      std::cout << "pid " << text << '\n' << std::flush;
    }
  });
}

TEST_F(ProgramTest, AKilledNodeTakesThemAlong) {
  run([](process& self) -> task<> {
    command what("/proc/self/exe", "--gtest_filter=ProgramTest.DISABLED_Victim", "--gtest_also_run_disabled_tests");
    auto made = co_await start_program(self, what);
    const program node_process = std::move(made).or_exit();
    std::vector<std::int64_t> pids;
    while (pids.size() < 2) {
      auto line = co_await self.receive<program_output>(20s);
      if (!line) break;
      if (line->data.starts_with("pid ")) pids.push_back(number(line->data.substr(4)));
    }
    EXPECT_EQ(pids.size(), 2u);
    for (const std::int64_t each : pids) EXPECT_FALSE(has_ended(each));
    co_await node_process.signal(self, SIGKILL).or_exit();
    auto listening = listen(self, node_process.id());
    const heard rest = co_await std::move(listening);
    EXPECT_EQ(rest.end, "SIGKILL");
    for (const std::int64_t each : pids) EXPECT_TRUE(wait_until([each] { return has_ended(each); }));
  });
}

}  // namespace
}  // namespace troupe::test
