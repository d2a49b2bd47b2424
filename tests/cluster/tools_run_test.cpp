// troupe::run: names, signals, exit codes, the daemon; and `troupe stop`.
#include "tools_support.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "observe/json.hpp"

namespace {

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

class Run : public ToolTest {
 protected:
  outcome sample(std::vector<std::string> words) {
    words.insert(words.begin(), sample_path());
    return run_program(words, environment());
  }
  // The os pid of the node in the run directory, 0 when none.
  pid_t holder() {
    auto shown = internal::from_json(tool({"names", "--json"}).out);
    return shown && shown->items() && !shown->items()->empty()
               ? static_cast<pid_t>(shown->items()->front().integer_at("pid"))
               : 0;
  }
};

TEST_F(Run, StartLineSaysWhatAndWhere) {
  auto node = start_sample({"--name", "other"});
  EXPECT_NE(node->out().find("starting"), std::string::npos) << node->out();
  EXPECT_NE(node->out().find("other@localhost"), std::string::npos);
  EXPECT_NE(node->out().find("os_pid"), std::string::npos);
  EXPECT_NE(node->out().find(std::to_string(node->pid())), std::string::npos);
  EXPECT_NE(node->out().find("1.2.3"), std::string::npos);
  EXPECT_NE(node->out().find("ipc://"), std::string::npos) << node->out();
}

TEST_F(Run, SigtermStopsInReverseOrderAndExitsZero) {
  for (int number : {SIGTERM, SIGINT, SIGHUP}) {
    auto node = start_sample();
    node->signal(number);
    EXPECT_EQ(node->wait_exit(), 0) << node->out() << node->err();
    std::string log = node->out();
    std::size_t second = log.find("sample.second", log.find("stopping"));
    std::size_t first = log.find("sample.first", log.find("stopping"));
    EXPECT_LT(second, first) << log;
    EXPECT_NE(log.find("stopped"), std::string::npos) << log;
  }
}

TEST_F(Run, ASecondSignalStopsNow) {
  auto node = start_sample({"--set", "sample.slow_stop=1h"});
  node->signal(SIGTERM);
  ASSERT_TRUE(node->wait_output("sample.first")) << node->out();
  EXPECT_FALSE(node->wait_exit(2100ms));  // sooner it would be the same wish
  node->signal(SIGTERM);
  EXPECT_EQ(node->wait_exit(), 1);
  EXPECT_NE(node->out().find("stopping now"), std::string::npos) << node->out();
}

TEST_F(Run, WhatDoesNotEndInTimeIsKilledAndSaid) {
  auto node = start_sample({"--set", "sample.slow_stop=1h", "--set", "node.stop_within=100ms"});
  node->signal(SIGTERM);
  EXPECT_EQ(node->wait_exit(), 1);
  EXPECT_NE(node->out().find("not everything ended in time"), std::string::npos) << node->out();
}

TEST_F(Run, AToolStopsItAndWaits) {
  auto node = start_sample();
  outcome got = tool({"stop", "sample"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out, "sample@localhost: stopped\n");
  EXPECT_EQ(node->wait_exit(), 0);
  EXPECT_EQ(tool({"stop", "sample"}).out, "sample@localhost: was not running\n");
  EXPECT_EQ(tool({"stop", "sample"}).exit_code, 0);
}

TEST_F(Run, AStopThatTakesTooLong) {
  auto node = start_sample({"--set", "sample.slow_stop=1h"});
  outcome late = tool({"stop", "sample", "--timeout", "2s"});
  EXPECT_EQ(late.exit_code, 4);
  EXPECT_NE(late.err.find("still runs"), std::string::npos) << late.err;
  outcome killed = tool({"stop", "sample", "--timeout", "2s", "--kill"});
  EXPECT_EQ(killed.exit_code, 0) << killed.err;
  EXPECT_EQ(killed.out, "sample@localhost: killed\n");
  EXPECT_EQ(node->wait_exit(), 137);
}

TEST_F(Run, ATakenNameNamesTheHolder) {
  auto node = start_sample();
  outcome got = sample({});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_NE(got.err.find("name_taken"), std::string::npos) << got.err;
  EXPECT_NE(got.err.find(std::to_string(node->pid())), std::string::npos) << got.err;
}

TEST_F(Run, AKilledNodeFreesItsNameAtOnce) {
  auto node = start_sample();
  node->signal(SIGKILL);
  EXPECT_EQ(node->wait_exit(), 137);
  auto next = start_sample();
  EXPECT_EQ(tool({"ping", "sample"}).exit_code, 0);
}

TEST_F(Run, TheRootSupervisorsEndIsAFailure) {
  auto node = start_sample();
  for (int i = 0; i < 3; ++i) {
    // More restarts than it allows.
    EXPECT_TRUE(wait_until([&] {
      outcome got = tool({"exit", "sample", "sample.counter"});
      return got.exit_code == 0 || got.exit_code == 3;
    }));
  }
  EXPECT_EQ(node->wait_exit(), 1);
  EXPECT_NE(node->err().find("its root supervisor ended"), std::string::npos) << node->err();
}

TEST_F(Run, FailuresToStartSayWhy) {
  struct fault {
    std::vector<std::string> words;
    const char* says;
  };
  const fault faults[] = {
      {{"--set", "sample.fail_start=true"}, "the disk is full"},
      {{"--set", "sample.throw_at_start=true"}, "this start throws"},
      {{"--set", "sample.slow_stp=5s"}, "did you mean sample.slow_stop?"},
      {{"--set", "sample.slow_stop=5"}, "a unit is missing"},
      {{"--config", "/nonexistent.toml"}, "/nonexistent.toml: No such file or directory"},
      {{"--name", "not a name"}, "bad_name"},
      {{"--listen", "nonsense"}, "nonsense"},
      {{"--cookie-file", "/nonexistent"}, "/nonexistent"},
      {{"--cookie", "two words"}, "--cookie: a cookie is printable ASCII"},
      {{"--cookie", ""}, "--cookie: a cookie has 1 to 255"},
      {{"--cookie", "secret-token", "--listen", "tcp://0.0.0.0:0"}, "`troupe keygen` makes one"},
      {{"--plain-text", "--set", "node.encryption=always"}, "choose one"},
      {{"--set", "node.encryption=never"}, "\"never\" is none of"},
      {{"--transport", "pigeon"}, "--transport: node.transport: \"pigeon\" is none of"},
      {{"--log-level", "loud"}, "\"loud\" is none of"},
  };
  for (const fault& each : faults) {
    outcome got = sample(each.words);
    EXPECT_EQ(got.exit_code, 1) << testing::PrintToString(each.words);
    EXPECT_NE(got.err.find(each.says), std::string::npos) << testing::PrintToString(each.words) << got.err;
  }
}

TEST_F(Run, ABadConfigFileNamesItsLine) {
  auto file = home_.write("config/config.toml", "[sample]\nslow_stop = 5\n");
  outcome got = sample({});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_NE(got.err.find("config/config.toml:2: sample.slow_stop: a time such as \"500ms\" expected"),
            std::string::npos)
      << got.err;
}

TEST_F(Run, UsageVersionHelpAndExplain) {
  EXPECT_EQ(sample({"--nonsense"}).exit_code, 2);
  EXPECT_EQ(sample({"word"}).exit_code, 2);
  EXPECT_EQ(sample({"--version"}).out, "sample 1.2.3\n");
  EXPECT_NE(sample({"--help"}).out.find("Example:"), std::string::npos);
  outcome explained = sample({"--explain-config", "--set", "sample.slow_stop=3s"});
  // The tool has the program say the same.
  home_.write("test.toml", "[sample]\nslow_stop = \"2s\"\n");
  home_.write("all.toml", "");
  EXPECT_EQ(tool({"config", "explain", sample_path(), "--set", "sample.slow_stop=3s"}).out, explained.out);
  const outcome of_test = tool({"config", "explain", sample_path(), "--env", "test", "--config", "all.toml"});
  EXPECT_EQ(of_test.exit_code, 0) << of_test.err;
  EXPECT_NE(of_test.out.find("sample.slow_stop = \"2s\""), std::string::npos) << of_test.out;
  const outcome nothing = tool({"config", "explain", "no/such/program"});
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_NE(nothing.err.find("no/such/program: No such file or directory"), std::string::npos) << nothing.err;
  const outcome folder = tool({"config", "explain", home_.str()});
  EXPECT_EQ(folder.exit_code, 1);
  EXPECT_NE(folder.err.find("is no release"), std::string::npos) << folder.err;
  // A release: its launcher knows where everything is.
  home_.write("release/bin/app", "#!/bin/sh\necho \"$@\"\n");
  std::filesystem::permissions(home_ / "release" / "bin" / "app", std::filesystem::perms(0700));
  std::filesystem::create_directory(home_ / "release" / "releases");
  EXPECT_EQ(tool({"config", "explain", (home_ / "release").string(), "--env", "test"}).out,
            "config explain --env test\n");
  EXPECT_EQ(explained.exit_code, 0);
  const outcome carried = sample({"--explain-config", "--transport", "zeromq"});
  EXPECT_NE(carried.out.find("node.transport = \"zeromq\"   # --transport; default \"direct\""), std::string::npos)
      << carried.out;
  EXPECT_NE(explained.out.find("sample.slow_stop = \"3s\"   # --set; default \"0s\""), std::string::npos)
      << explained.out;
}

TEST_F(Run, ACookieOnTheCommandLineIsWipedAndWarnedOf) {
  auto node = start_sample({"--cookie", "abcdefghijklmnopqrstuvwxyz"});
  EXPECT_NE(node->out().find("--cookie shows the cookie"), std::string::npos) << node->out();
  std::string line = read_file("/proc/" + std::to_string(node->pid()) + "/cmdline");
  EXPECT_EQ(line.find("abcdefgh"), std::string::npos);
  EXPECT_NE(line.find("xxxxxxxx"), std::string::npos);
  EXPECT_EQ(node->out().find("abcdefgh"), std::string::npos);
}

TEST_F(Run, SystemdIsTold) {
  std::string path = run_.str() + "/notify";
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), at.sun_path);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  timeval limit{30, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  program_options how = environment();
  how.environment["NOTIFY_SOCKET"] = path;
  program node({sample_path()}, how);
  char text[512];
  ssize_t count = recv(fd, text, sizeof text, 0);
  ASSERT_GT(count, 0);
  EXPECT_TRUE(std::string(text, static_cast<std::size_t>(count)).starts_with("READY=1\n"));
  node.signal(SIGTERM);
  count = recv(fd, text, sizeof text, 0);
  ASSERT_GT(count, 0);
  EXPECT_EQ(std::string(text, static_cast<std::size_t>(count)), "STOPPING=1");
  EXPECT_EQ(node.wait_exit(), 0);
  close(fd);
}

TEST_F(Run, DaemonReturnsWhenReady) {
  std::string log = home_.str() + "/sample.log";
  outcome got = sample({"--daemon", "--log-file", log});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_NE(got.out.find("sample@localhost is ready (os pid "), std::string::npos) << got.out;
  EXPECT_EQ(tool({"ping", "sample"}).exit_code, 0);
  pid_t os_pid = holder();
  ASSERT_GT(os_pid, 0);
  EXPECT_EQ(getsid(os_pid), os_pid);
  kill(os_pid, SIGHUP);  // no terminal to lose: it lives on
  EXPECT_TRUE(wait_until([&] { return read_file(log).find("SIGHUP: the log goes on here") != std::string::npos; }));
  EXPECT_EQ(tool({"stop", "sample"}).exit_code, 0);
  EXPECT_NE(read_file(log).find("stopped"), std::string::npos);
}

TEST_F(Run, DaemonThatCannotStartSaysWhy) {
  std::string log = home_.str() + "/sample.log";
  outcome failed = sample({"--daemon", "--log-file", log, "--set", "sample.fail_start=true"});
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_NE(failed.err.find("did not start: "), std::string::npos) << failed.err;
  EXPECT_NE(failed.err.find("the disk is full"), std::string::npos) << failed.err;
  EXPECT_NE(failed.err.find("the end of " + log), std::string::npos) << failed.err;
  outcome crashed = sample({"--daemon", "--log-file", log, "--set", "sample.crash_at_start=true"});
  EXPECT_EQ(crashed.exit_code, 1);
  EXPECT_NE(crashed.err.find("signal 6"), std::string::npos) << crashed.err;
  outcome late =
      sample({"--daemon", "--log-file", log, "--ready-within", "500ms", "--set", "sample.hang_at_start=true"});
  EXPECT_EQ(late.exit_code, 4);
  EXPECT_NE(late.err.find("not ready in time"), std::string::npos) << late.err;
  EXPECT_EQ(holder(), 0);
  EXPECT_EQ(sample({"--daemon"}).exit_code, 2);
  EXPECT_EQ(sample({"--daemon", "--log-file", "/nonexistent/x.log"}).exit_code, 1);
  EXPECT_EQ(sample({"--daemon", "--log-file", log, "--set", "sample.slow_stp=1s"}).exit_code, 1);
}

TEST_F(Run, ASecondDaemonShowsNoneOfTheFirstOnesLog) {
  const std::string log = home_.str() + "/sample.log";
  ASSERT_EQ(sample({"--daemon", "--log-file", log}).exit_code, 0);
  for (int i = 0; i < 3; ++i) {  // it writes while the second starts, and after each
    program second({sample_path(), "--daemon", "--log-file", log}, environment());
    EXPECT_TRUE(wait_until([&, pid = holder()] {
      kill(pid, SIGHUP);
      return second.wait_exit(10ms).has_value();
    }));
    EXPECT_NE(second.err().find("name_taken"), std::string::npos) << second.err();
    EXPECT_EQ(second.err().find("SIGHUP"), std::string::npos) << second.err();
  }
  EXPECT_EQ(tool({"stop", "sample"}).exit_code, 0);
}

TEST_F(Run, DaemonOfATakenName) {
  auto node = start_sample();
  outcome got = sample({"--daemon", "--log-file", home_.str() + "/sample.log"});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_NE(got.err.find("name_taken"), std::string::npos) << got.err;
}

}  // namespace
