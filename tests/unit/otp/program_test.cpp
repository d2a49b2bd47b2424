// External programs: what they are given, and what comes of them.
#include "program_support.hpp"

#include "support/temp_dir.hpp"

namespace troupe::test {
namespace {

using Lines = std::vector<std::string>;

TEST_F(ProgramTest, LinesSayWhetherTheyAreComplete) {
  const heard got = hear(sh("printf 'one\\n\\n1234\\nabcdefghij\\nxyz'").lines(4));
  EXPECT_EQ(got.lines, (Lines{"eol one", "eol ", "eol 1234", "noeol abcd", "noeol efgh", "eol ij", "noeol xyz"}));
  EXPECT_EQ(got.end, "status 0");
  EXPECT_EQ(hear(sh("printf abc")).lines, Lines{"noeol abc"});
  EXPECT_EQ(hear(command("true")).lines, Lines{});
}

TEST_F(ProgramTest, LongLinesAreCutWhereverTheyArrive) {
  // Longer than a pipe and a chunk of ours, so that a line comes in many parts.
  const heard got = hear(sh("head -c 100000 /dev/zero | tr '\\0' x; echo; echo end").lines(30'000));
  ASSERT_EQ(got.lines.size(), 5u);
  EXPECT_EQ(got.lines[0], "noeol " + std::string(30'000, 'x'));
  EXPECT_EQ(got.lines[3], "eol " + std::string(10'000, 'x'));
  EXPECT_EQ(got.lines[4], "eol end");
}

TEST_F(ProgramTest, ChunksAreWhatWasWritten) {
  const heard got = hear(sh("printf 'a\\000\\377\\n\\nb'").chunks());
  EXPECT_EQ(got.output, std::string("a\0\xff\n\nb", 6));
  EXPECT_TRUE(got.lines.front().starts_with("chunk "));
  EXPECT_EQ(hear(command("head", "-c", "300000", "/dev/zero").chunks()).output, std::string(300'000, '\0'));
}

TEST_F(ProgramTest, ErrorsAreApartOrInOneStreamOrDropped) {
  command what = sh("echo out; echo err >&2; echo more");
  heard got = hear(what);
  EXPECT_EQ(got.output, "outmore");
  EXPECT_EQ(got.errors, "err");
  got = hear(what.errors(program_errors::with_output));
  EXPECT_EQ(got.lines, (Lines{"eol out", "eol err", "eol more"}));
  got = hear(what.errors(program_errors::dropped));
  EXPECT_EQ(got.lines, (Lines{"eol out", "eol more"}));
}

TEST_F(ProgramTest, TheEndNamesStatusOrSignal) {
  EXPECT_EQ(hear(sh("exit 3")).end, "status 3");
  EXPECT_EQ(hear(sh("exit 255")).end, "status 255");
  EXPECT_EQ(hear(sh("kill -9 $$")).end, "SIGKILL");
  EXPECT_EQ(hear(sh("kill -SEGV $$")).end, "SIGSEGV");
}

TEST_F(ProgramTest, OneDownWithTheReasonAfterAllElse) {
  auto reason = [this](const command& what) {
    return run([what](process& self) -> task<std::string> {
      auto made = co_await start_program(self, what);
      const pid id = std::move(made).or_exit().id();
      self.monitor(id);
      std::string order;
      int downs = 0;
      for (;;) {
        // After the DOWN nothing more may come: a message of our own shows that the mailbox is empty.
        auto got = co_await self.receive(20s);
        if (!got) co_return "timeout";
        if (got->get<program_output>()) order += "output ";
        else if (got->get<program_ended>()) order += "ended ";
        else if (auto* gone = got->get<down>()) {
          order += gone->reason.text() + " ";
          ++downs;
          self.send(self.id(), value("last"));
        } else {
          co_return order + std::to_string(downs);
        }
      }
    });
  };
  EXPECT_EQ(reason(sh("echo x")), "output ended \"normal\" 1");
  EXPECT_EQ(reason(sh("echo x; exit 3")), "output ended {\"shutdown\", {\"exit_status\", 3}} 1");
  EXPECT_EQ(reason(sh("kill -9 $$")), "ended {\"shutdown\", {\"exit_signal\", \"SIGKILL\"}} 1");
  EXPECT_EQ(log->count("crash report"), 0u);
}

TEST_F(ProgramTest, ItGetsItsArgumentsEnvironmentAndDirectory) {
  temp_dir folder;
  command what("sh", "-c", "printf '%s|' \"$@\"; printf '%s|%s|' \"$TROUPE_A\" \"${TROUPE_B-none}\"; pwd", "name");
  what.argument("two words").argument("$HOME").argument("").argument("*");
  what.variable("TROUPE_A", "a = b").without_variable("TROUPE_B").directory(folder.path());
  ::setenv("TROUPE_B", "set", 1);
  EXPECT_EQ(hear(what).output, "two words|$HOME||*|a = b|none|" + folder.str());
  ::unsetenv("TROUPE_B");
  // A path is the node's, wherever the program then works.
  const auto script = folder.write("here.sh", "#!/bin/sh\npwd\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  const auto relative = std::filesystem::relative(script).string();
  EXPECT_EQ(hear(command(relative).directory("/")).output, "/");
}

TEST_F(ProgramTest, ItInheritsNoDescriptorAndNoSignalState) {
  sigset_t some, before;
  sigemptyset(&some);
  sigaddset(&some, SIGUSR1);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &some, &before), 0);
  const auto old = ::signal(SIGUSR2, SIG_IGN);
  EXPECT_EQ(hear(sh("n=3; while [ $n -lt 100 ]; do [ -e /proc/$$/fd/$n ] && echo $n; n=$((n+1)); done")).output, "");
  const heard got = hear(command("grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"));
  ASSERT_EQ(got.lines.size(), 2u);
  EXPECT_EQ(got.lines[0], "eol SigBlk:\t0000000000000000");
  // But for 32 and 33, which the C library keeps for itself, and has ignored.
  EXPECT_EQ(std::stoull(got.lines[1].substr(12), nullptr, 16) & ~(std::uint64_t{3} << 31), 0u) << got.lines[1];
  ::signal(SIGUSR2, old);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(hear(sh("read a; echo \"$?\"")).output, "1");  // nothing to read, and no terminal
}

TEST_F(ProgramTest, ItReadsWhatIsWritten) {
  run([](process& self) -> task<> {
    command what("cat");
    what.input().lines(1 << 20);
    auto made = co_await start_program(self, what);
    const program cat = std::move(made).or_exit();
    co_await cat.write(self, "one\ntwo\n").or_exit();
    auto first = next_line(self);
    const std::string first_line = co_await std::move(first);
    EXPECT_EQ(first_line, "one");
    auto second = next_line(self);
    const std::string second_line = co_await std::move(second);
    EXPECT_EQ(second_line, "two");
    const std::string big(700'000, 'b');  // more than the pipes take at once
    co_await cat.write(self, big).within(20s).or_exit();
    co_await cat.write(self, "\nlast").or_exit();
    co_await cat.end_input(self).or_exit();
    auto listening = listen(self, cat.id());
    const heard rest = co_await std::move(listening);
    EXPECT_EQ(rest.lines.size(), 2u);
    EXPECT_EQ(rest.output, big + "last");
    EXPECT_EQ(rest.end, "status 0");
    const auto late = co_await cat.write(self, "x");
    EXPECT_EQ(late.error(), errc::noproc);
  });
}

TEST_F(ProgramTest, WritingToWhoReadsNoMoreIsAnError) {
  run([](process& self) -> task<> {
    command what = sh("exec 0<&-; echo ready; sleep 1000");
    what.input();
    auto made = co_await start_program(self, what);
    const program deaf = std::move(made).or_exit();
    auto ready = next_line(self);
    const std::string ready_line = co_await std::move(ready);
    EXPECT_EQ(ready_line, "ready");
    auto refused = co_await deaf.write(self, "x");
    EXPECT_EQ(refused.error(), errc::closed);
    auto again = co_await deaf.write(self, "x");
    EXPECT_EQ(again.error(), errc::closed);
    co_await deaf.close(self).or_exit();

    // One that does not read, and whose pipe is full: the writer waits, and hears of its end.
    command lazy("sleep", "1000");
    lazy.input();
    auto other = co_await start_program(self, lazy);
    const program sleeper = std::move(other).or_exit();
    const std::string big(1 << 20, 'b');
    auto late = co_await sleeper.write(self, big).within(20ms);
    EXPECT_EQ(late.error(), errc::timeout);
    co_await sleeper.close(self).or_exit();

    // So many may wait, and no more.
    lazy.most_waiting(3);
    auto bounded = co_await start_program(self, lazy);
    const program full = std::move(bounded).or_exit();
    for (int i = 0; i < 3; ++i) self.send(full.id(), program_write(value(big)));
    auto refusing = co_await full.write(self, "x");
    EXPECT_EQ(refusing.error(), errc::overloaded);
    EXPECT_EQ(refusing.error().text(), "3 writes wait for the program to read: most_waiting");
    co_await full.close(self).or_exit();

    command none("sleep", "1000");
    auto third = co_await start_program(self, none);
    const program mute = std::move(third).or_exit();
    auto no_input = co_await mute.write(self, "x");
    EXPECT_EQ(no_input.error(), errc::bad_argument);
    co_await mute.close(self).or_exit();
  });
}

// `yes` writes as fast as it is read: what its owner does not take stays where it is.
TEST_F(ProgramTest, AProgramWaitsForItsOwner) {
  run([](process& self) -> task<> {
    command what("yes");
    what.most_waiting(10);
    auto made = co_await start_program(self, what);
    const program yes = std::move(made).or_exit();
    program_info now;
    for (int i = 0; i < 2'000 && !now.paused; ++i) {
      now = co_await yes.info(self).or_exit();
      if (!now.paused) co_await self.sleep(1ms);
    }
    EXPECT_TRUE(now.paused);
    EXPECT_EQ(now.events, 10u);
    EXPECT_LE(now.bytes, 32u * 1024);
    EXPECT_EQ(self.waiting_messages(), 10u);
    for (int i = 0; i < 50'000; ++i) {
      auto line = co_await self.receive<program_output>(20s);
      if (!line || line->data != "y" || !line->eol) {
        ADD_FAILURE() << "line " << i;
        break;
      }
      EXPECT_LE(self.waiting_messages(), 10u);
    }
    // What is kept does not count: only what waits does.
    std::vector<program_output> kept;
    while (kept.size() < 1'000) {
      auto line = co_await self.receive<program_output>(20s);
      if (!line) break;
      kept.push_back(std::move(*line));
    }
    EXPECT_EQ(kept.size(), 1'000u);
    co_await yes.close(self).or_exit();
    EXPECT_TRUE(has_ended(yes.os_pid()));
  });
}

TEST_F(ProgramTest, TheNewestLinesAreKept) {
  temp_dir folder;
  const std::string done = folder / "done";
  const heard got = run([done](process& self) -> task<heard> {
    command what("sh", "-c", "seq 1 20000; touch \"$1\"", "sh", done);
    what.most_waiting(100).when_full(program_full::drop_oldest);
    auto made = co_await start_program(self, what);
    const program counting = std::move(made).or_exit();
    // It ends although nobody takes anything.
    bool finished = false;
    for (int i = 0; i < 10'000 && !finished; ++i) {
      co_await self.sleep(1ms);
      const program_info now = co_await counting.info(self).or_exit();
      finished = std::filesystem::exists(done) && now.events == 20'000;
    }
    EXPECT_TRUE(finished);
    auto listening = listen(self, counting.id());
    co_return co_await std::move(listening);
  });
  EXPECT_LE(got.lines.size(), 164u);
  EXPECT_EQ(got.lines.size() + got.dropped, 20'000u);
  EXPECT_EQ(got.lines.front(), "eol 1");
  EXPECT_EQ(got.lines[got.lines.size() - 100], "eol 19901");
  EXPECT_EQ(got.lines.back(), "eol 20000");
}

TEST_F(ProgramTest, EventsGoToTheOwner) {
  run([](process& self) -> task<> {
    auto gather = [](process& me, pid tell) -> task<> {
      auto line = co_await me.receive<program_output>(20s);
      me.send(tell, value("first " + line.or_exit().data));
      co_await me.receive(wait_forever);
    };
    auto gather_more = [](process& me, pid tell, std::int64_t) -> task<> {
      for (;;) {
        auto got = co_await me.receive(20s);
        if (auto* line = got ? got->get<program_output>() : nullptr) me.send(tell, value("second " + line->data));
        else me.exit();
      }
    };
    const pid first = spawn(self, gather, self.id());
    const pid second = spawn(self, gather_more, self.id(), std::int64_t{0});
    command what("cat");
    what.input().owner(first);
    auto made = co_await start_program(self, what);
    const program cat = std::move(made).or_exit();
    self.monitor(cat.id());
    co_await cat.write(self, "one\n").or_exit();
    auto told = co_await self.receive<value>(20s);
    EXPECT_EQ(told.or_exit(), value("first one"));
    co_await cat.connect(self, second).or_exit();
    self.exit(first, exit_reason::kill());  // which is nothing to the program any more
    co_await cat.write(self, "two\n").or_exit();
    told = co_await self.receive<value>(20s);
    EXPECT_EQ(told.or_exit(), value("second two"));
    co_await cat.end_input(self).or_exit();
    auto gone = co_await self.receive<down>(20s);
    EXPECT_TRUE(gone.or_exit().reason.is_normal());
  });
}

TEST_F(ProgramTest, ARequestThatIsWrongIsNamed) {
  run([](process& self) -> task<> {
    auto made = co_await start_program(self, command("sleep", "1000"));
    const program it = std::move(made).or_exit();
    auto texts = [](const result<value>& got) {
      return got ? std::string("done") : got.error() == errc::bad_argument ? got.error().text() : got.error().message();
    };
    const value zero = list_of({"program.signal", map_of({{"number", 0}})});
    auto got = co_await call<value>(self, it.id(), zero);
    EXPECT_EQ(texts(got), "signal: 1 to 64 expected, 0 given");
    const value word = list_of({"program.signal", map_of({{"number", "x"}})});
    got = co_await call<value>(self, it.id(), word);
    EXPECT_NE(texts(got).find("number"), std::string::npos) << texts(got);
    const value nobody = list_of({"program.connect", map_of({{"owner", value()}})});
    got = co_await call<value>(self, it.id(), nobody);
    EXPECT_NE(texts(got).find("owner"), std::string::npos) << texts(got);
    const value other = list_of({"program.other", map_of({{"a", 1}})});
    got = co_await call<value>(self, it.id(), other);
    EXPECT_EQ(got.error(), errc::bad_message);
    EXPECT_NE(got.error().text().find("program takes no such call: "), std::string::npos) << got.error().text();
    EXPECT_EQ(self.core().counters().not_understood.load(), 1u);
    EXPECT_FALSE(has_ended(it.os_pid()));
    co_await it.close(self).or_exit();
  });
}

// What a message of it is to Lua, a trace, another node; and what comes back of that.
TEST_F(ProgramTest, EventsAsValues) {
  run([](process& self) -> task<> {
    program_output line;
    line.program = self.id();
    line.eol = true;
    line.data = "hi";
    EXPECT_EQ(message(program_output(line)).to_value(),
              list_of({self.id(), list_of({"data", list_of({"eol", "hi"})})}));
    line.eol = false;
    line.errors = true;
    line.dropped = 7;
    line.data = "\xff";
    message far{message(program_output(line)).to_value()};
    EXPECT_EQ(far.to_value(), list_of({self.id(), list_of({"stderr", list_of({"noeol", bytes{std::byte{0xff}}}), 7})}));
    const auto* back = far.get<program_output>();
    EXPECT_TRUE(back && back->errors && !back->eol && back->dropped == 7 && back->data == "\xff");
    line = program_output();
    line.chunk = true;
    line.data = "c";
    message chunk{message(program_output(line)).to_value()};
    EXPECT_TRUE(chunk.get<program_output>() && chunk.get<program_output>()->chunk);
    program_ended end;
    end.program = self.id();
    end.signal = SIGTERM;
    message ended{message(program_ended(end)).to_value()};
    EXPECT_EQ(ended.to_value(), list_of({self.id(), list_of({"exit_status", 143, "SIGTERM"})}));
    const auto* read = ended.get<program_ended>();
    EXPECT_TRUE(read && read->signal == SIGTERM && read->status == 0);
    message other{value(list_of({self.id(), list_of({"exit_status", "x"})}))};
    EXPECT_EQ(other.get<program_ended>(), nullptr);
    EXPECT_EQ(other.get<program_output>(), nullptr);
    co_return;
  });
}

TEST_F(ProgramTest, BadInputIsNamed) {
  temp_dir folder;
  const std::string plain = folder.write("plain", "text");
  const std::string odd = folder.write("odd", "no program");
  std::filesystem::permissions(odd, std::filesystem::perms::owner_all);
  auto contains = [this](const command& what, std::initializer_list<std::string> parts) {
    const std::string got = refusal(what);
    for (const std::string& part : parts) EXPECT_NE(got.find(part), std::string::npos) << got << "\nwithout " << part;
  };
  contains(command("no-such-program"), {"not_found: ", "\"no-such-program\"", "PATH", ::getenv("PATH")});
  contains(command(folder / "none"), {"not_found: ", (folder / "none").string()});
  contains(command(plain), {"not_allowed: ", plain, "is not executable"});
  contains(command(odd), {"io: ", odd});
  contains(command(folder.str()), {"not_allowed: ", "is a directory"});
  contains(command(""), {"bad_argument: "});
  contains(command(std::vector<std::string>()), {"bad_argument: "});
  contains(command("echo", "a", std::string("b\0c", 3)), {"bad_argument: ", "argument 2", "NUL"});
  contains(command("echo").variable("A=B", "c"), {"bad_argument: ", "\"A=B\"", "'='"});
  contains(command("echo").variable("", "c"), {"bad_argument: "});
  contains(command("echo").variable("A", std::string("\0", 1)), {"bad_argument: ", "\"A\"", "NUL"});
  contains(command("echo").directory(folder / "nowhere"), {"not_found: ", "working directory", "nowhere"});
  contains(command("echo").directory(plain), {"not_found: ", "is not a directory"});
  contains(command("echo").lines(0), {"bad_argument: ", "lines"});
  contains(command("echo").most_waiting(0), {"bad_argument: ", "most_waiting"});
  contains(command("echo").idle(0s), {"bad_argument: ", "idle"});
  contains(command("echo", std::string(4 << 20, 'x')), {"too_large: "});
  EXPECT_EQ(check(command("sh")), result<void>());
  EXPECT_EQ(check(command("no-such-program")).error(), errc::not_found);
  EXPECT_EQ(find_executable("sh").or_exit().substr(0, 1), "/");
}

}  // namespace
}  // namespace troupe::test
