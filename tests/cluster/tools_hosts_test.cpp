// Tools and nodes of other hosts. A host is a run directory here: in that of the tools nobody is found.
#include <troupe/bus/run_directory.hpp>

#include "shell_window.hpp"
#include "unit/bus/tcp_tap.hpp"

namespace {

using namespace troupe;
using namespace troupe::test;

class Elsewhere : public SessionTest {
 protected:
  void SetUp() override {
    SessionTest::SetUp();
    if (IsSkipped()) return;
    std::filesystem::create_directory(home_ / ".troupe");
    ASSERT_EQ(tool({"keygen", "--file", (home_ / ".troupe/cookie").string()}).exit_code, 0);
  }
  program_options there() const {
    program_options how = environment();
    how.environment["TROUPE_RUN_DIR"] = host_.str();
    return how;
  }
  std::unique_ptr<program> start(const std::string& name, std::vector<std::string> more = {}) const {
    std::vector<std::string> words{sample_path(), "--name", name, "--listen", "tcp://127.0.0.1:*"};
    words.insert(words.end(), more.begin(), more.end());
    auto made = std::make_unique<program>(words, there());
    EXPECT_TRUE(made->wait_output("ready")) << made->out() << made->err();
    return made;
  }
  std::uint16_t port(const std::string& name) const {
    const auto entry = bus::run_directory::open(host_.str()).or_exit().lookup(name).or_exit();
    for (const bus::endpoint& where : entry.endpoints) {
      if (where.kind == bus::endpoint::scheme::tcp) return where.port;
    }
    return 0;
  }
  std::string peer(const std::string& name) const { return peer(name, port(name)); }
  static std::string peer(const std::string& name, std::uint16_t at) {
    return name + "=tcp://127.0.0.1:" + std::to_string(at);
  }

  temp_dir host_;
};

TEST_F(Elsewhere, EachToolReachesThePeer) {
  auto node = start("b@elsewhere");
  const std::string at = peer("b@elsewhere");
  auto ask = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--peer", at});
    return tool(std::move(words));
  };
  EXPECT_TRUE(has(tool({"names"}).out, "no node runs here"));
  const outcome ping = ask({"ping", "b@elsewhere"});
  EXPECT_EQ(ping.exit_code, 0) << ping.err;
  EXPECT_TRUE(has(ping.out, "b@elsewhere answers in ")) << ping.out;
  const outcome called = ask({"rpc", "b@elsewhere", "sample.add_one", "41"});
  EXPECT_EQ(called.out, "42\n") << called.err;
  const outcome said = ask({"rpc", "b@elsewhere", "sample.say", "hello", "2"});
  EXPECT_EQ(said.out, "hello\nhello\n") << said.err;
  EXPECT_TRUE(has(ask({"ps", "b@elsewhere"}).out, "sample.counter"));
  EXPECT_TRUE(has(ask({"info", "b@elsewhere"}).out, "b@elsewhere"));
  EXPECT_TRUE(has(ask({"tree", "b@elsewhere"}).out, "sample.supervisor"));
  EXPECT_TRUE(has(ask({"registry", "b@elsewhere"}).out, "sample.counter"));
  EXPECT_TRUE(has(ask({"state", "b@elsewhere", "sample.counter"}).out, "total"));
  EXPECT_TRUE(has(ask({"functions", "b@elsewhere"}).out, "sample.add_one"));
  EXPECT_TRUE(has(ask({"config", "b@elsewhere", "node.listen"}).out, "tcp://127.0.0.1"));
  EXPECT_EQ(ask({"log", "b@elsewhere"}).exit_code, 0);
  EXPECT_EQ(ask({"nodes", "b@elsewhere"}).exit_code, 0);
  EXPECT_EQ(ask({"send", "b@elsewhere", "sample.counter", R"(["add", {"amount": 5}])"}).exit_code, 0);

  auto trace = tool_in_background(
      {"trace", "b@elsewhere", "--peer", at, "--process", "sample.counter", "--receive", "--limit", "1"});
  ASSERT_TRUE(trace->wait_output("tracing 1 process")) << trace->err();
  auto watch = tool_in_background({"watch", "b@elsewhere", "sample.counter", "--count", "1", "--peer", at});
  ASSERT_TRUE(watch->wait_output("watching")) << watch->err();
  EXPECT_EQ(ask({"rpc", "b@elsewhere", "sample.add", "-1"}).exit_code, 1);
  EXPECT_EQ(trace->wait_exit(), 0) << trace->err();
  EXPECT_TRUE(has(trace->out(), "amount")) << trace->out();
  EXPECT_EQ(watch->wait_exit(), 0) << watch->err();
  EXPECT_TRUE(has(watch->out(), "negative amount")) << watch->out();
  EXPECT_EQ(tool({"remote", "b@elsewhere", "--peer", at}, "node()\n").out, "\"b@elsewhere\"\n");
}

// Every way to fail has its exit code, and says what would help.
TEST_F(Elsewhere, WhoIsNotReachedIsToldWhy) {
  const outcome unknown = tool({"ping", "b@elsewhere"});
  EXPECT_EQ(unknown.exit_code, 3);
  EXPECT_TRUE(has(unknown.err, "--peer b@elsewhere=tcp://HOST:PORT")) << unknown.err;
  const outcome nowhere = tool({"ping", "b@elsewhere", "--peer", "b@elsewhere"});
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_TRUE(has(nowhere.err, "b@elsewhere=tcp://HOST:PORT")) << nowhere.err;
  EXPECT_EQ(tool({"ping", "b@elsewhere", "--peer", "b@elsewhere=127.0.0.1:1"}).exit_code, 2);

  std::uint16_t free = 0;
  {
    const tcp_socket closed;
    free = closed.listen();
  }
  const outcome nobody = tool({"ping", "b@elsewhere", "--peer", peer("b@elsewhere", free)});
  EXPECT_EQ(nobody.exit_code, 3);
  EXPECT_TRUE(has(nobody.err, "nobody answers at tcp://127.0.0.1:" + std::to_string(free))) << nobody.err;

  auto node = start("b@elsewhere");
  const std::string at = peer("b@elsewhere");
  home_.write("wrong", "another-cookie-altogether");
  std::filesystem::permissions(home_ / "wrong", std::filesystem::perms::owner_read);
  const outcome wrong = tool({"ping", "b@elsewhere", "--peer", at, "--cookie-file", (home_ / "wrong").string()});
  EXPECT_EQ(wrong.exit_code, 5);
  EXPECT_TRUE(has(wrong.err, "bad_cookie")) << wrong.err;
  const outcome misnamed = tool({"ping", "c@elsewhere", "--peer", peer("c@elsewhere", port("b@elsewhere"))});
  EXPECT_NE(misnamed.exit_code, 0);
  EXPECT_TRUE(has(misnamed.err, "b@elsewhere")) << misnamed.err;
  std::filesystem::remove(home_ / ".troupe/cookie");
  const outcome none = tool({"ping", "b@elsewhere", "--peer", at});
  EXPECT_EQ(none.exit_code, 5);
  EXPECT_TRUE(has(none.err, "no cookie")) << none.err;
}

TEST_F(Elsewhere, WhoNeverAnswersIsWaitedForUntilTheTimeout) {
  const tcp_socket deaf;
  const std::string at = peer("b@elsewhere", deaf.listen());
  for (const char* command : {"ping", "ps", "stop", "remote"}) {
    const outcome got = tool({command, "b@elsewhere", "--peer", at, "--timeout", "300ms"}, "1\n");
    EXPECT_EQ(got.exit_code, 4) << command << got.err;
    EXPECT_TRUE(has(got.err, "b@elsewhere did not answer within 300ms (--timeout)")) << got.err;
  }
}

TEST_F(Elsewhere, AFileKnowsThePeersToo) {
  auto node = start("b@elsewhere");
  home_.write(".troupe/peers", "[node]\npeers = [\"" + peer("b@elsewhere") + "\"]\n");
  EXPECT_EQ(tool({"ping", "b@elsewhere"}).exit_code, 0);
  home_.write("config.toml", "[node]\npeers = [\"" + peer("b@elsewhere") + "\"]\n[sample]\nslow_stop = \"1s\"\n");
  home_.write(".troupe/peers", "[node]\npears = []\n");
  EXPECT_EQ(tool({"ping", "b@elsewhere", "--config", "config.toml"}).exit_code, 0);
  const outcome wrong = tool({"ping", "b@elsewhere"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_TRUE(has(wrong.err, "/.troupe/peers:2: node.pears: no such key; did you mean node.peers?")) << wrong.err;
  // What is wrong there keeps nobody from a node of this host.
  auto here = start_sample();
  EXPECT_EQ(tool({"ping", "sample"}).exit_code, 0);
}

// A node may be told apart by its address alone: both hosts have one of that name.
TEST_F(Elsewhere, APeerIsMeantThoughItsNameIsTakenHere) {
  auto here = start_sample({"--name", "sample"});
  auto node = start("sample@localhost");
  const outcome got = tool({"info", "sample", "--json", "--peer", peer("sample@localhost")});
  EXPECT_TRUE(has(got.out, "\"pid\":" + std::to_string(node->pid()))) << got.out << got.err;
  EXPECT_TRUE(has(tool({"info", "sample", "--json"}).out, "\"pid\":" + std::to_string(here->pid())));
}

// As through a tunnel: loopback is what is dialled, and what listens is not for loopback alone.
TEST_F(Elsewhere, WhatEncryptsIsSpokenToInItsWay) {
  auto node = start("b@elsewhere", {"--set", "node.encryption=always"});
  const tcp_tap tap(port("b@elsewhere"));
  const outcome got =
      tool({"rpc", "b@elsewhere", "sample.echo", "most-secret", "--peer", "b@elsewhere=" + tap.endpoint()});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out, "\"most-secret\"\n");
  EXPECT_FALSE(tap.seen().contains("secret"));
  home_.write("wrong", "another-cookie-altogether");
  std::filesystem::permissions(home_ / "wrong", std::filesystem::perms::owner_read);
  const outcome wrong =
      tool({"ping", "b@elsewhere", "--peer", peer("b@elsewhere"), "--cookie-file", (home_ / "wrong").string()});
  EXPECT_EQ(wrong.exit_code, 5);
  EXPECT_TRUE(has(wrong.err, "has another cookie")) << wrong.err;
}

TEST_F(Elsewhere, StopWaitsUntilItIsGone) {
  auto slow = start("a@elsewhere", {"--set", "sample.slow_stop=1h"});
  const outcome late = tool({"stop", "a@elsewhere", "--peer", peer("a@elsewhere"), "--timeout", "1s"});
  EXPECT_EQ(late.exit_code, 4) << late.out << late.err;
  auto node = start("b@elsewhere");
  const std::string at = peer("b@elsewhere");
  const outcome forced = tool({"stop", "b@elsewhere", "--kill", "--peer", at});
  EXPECT_EQ(forced.exit_code, 2);
  EXPECT_TRUE(has(forced.err, "--kill")) << forced.err;
  const outcome stopped = tool({"stop", "b@elsewhere", "--peer", at});
  EXPECT_EQ(stopped.exit_code, 0) << stopped.err;
  EXPECT_EQ(stopped.out, "b@elsewhere: stopped\n");
  EXPECT_EQ(node->wait_exit(), 0);
  EXPECT_EQ(tool({"stop", "b@elsewhere", "--peer", at}).exit_code, 3);
  // It may run where nobody has looked.
  const outcome unknown = tool({"stop", "b@elsewhere"});
  EXPECT_EQ(unknown.exit_code, 3);
  EXPECT_TRUE(has(unknown.err, "--peer b@elsewhere=tcp://HOST:PORT")) << unknown.err;
  EXPECT_EQ(tool({"stop", "b"}).exit_code, 0);
}

// A third node cannot reach the terminal: the session's does.
TEST_F(Elsewhere, WhatAThirdNodePrintsComesToTheTerminal) {
  auto a = start("a@elsewhere");
  auto b = start("b@elsewhere");
  const std::string at = peer("a@elsewhere");
  shell_window console({tool_path(), "remote", "a@elsewhere", "--peer", at}, environment(), "a@elsewhere");
  ASSERT_TRUE(console.ready()) << console.tty().transcript();
  EXPECT_EQ(console.enter("connect(\"b@elsewhere\")"), "true");
  EXPECT_TRUE(has(console.enter("spawn(\"b@elsewhere\", function() print(\"Hello from \" .. node()) end)"),
                  "pid(\"<b@elsewhere#"));
  EXPECT_TRUE(console.shows("Hello from b@elsewhere\n")) << console.screen_text();
  EXPECT_EQ(console.enter("rpc.call(\"b@elsewhere\", \"sample.say\", {\"said there\", 2})"),
            "said there\nsaid there\nnil");
  EXPECT_EQ(console.enter("rpc.call(\"b@elsewhere\", \"print\", {\"printed there\"})"), "printed there");
  EXPECT_EQ(tool({"remote", "a@elsewhere", "--peer", at},
                 "rpc.call(\"b@elsewhere\", \"sample.say\", {\"from a pipe\", 1}) return 5\n")
                .out,
            "from a pipe\n5\n");
}

}  // namespace
