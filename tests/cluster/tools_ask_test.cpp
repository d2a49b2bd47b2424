// Each subcommand against a node that runs, and what each says of bad input.
#include "tools_support.hpp"

#include <sys/stat.h>

#include "observe/json.hpp"

namespace {

using namespace troupe;
using namespace troupe::test;

class ToolAsks : public ToolTest {
 protected:
  value json(std::vector<std::string> words) {
    words.emplace_back("--json");
    outcome got = tool(words);
    EXPECT_EQ(got.exit_code, 0) << got.err;
    auto out = internal::from_json(got.out);
    EXPECT_TRUE(out) << got.out;
    return out ? *out : value();
  }
};

TEST_F(ToolAsks, Names) {
  EXPECT_NE(tool({"names"}).out.find("no node runs here"), std::string::npos);
  auto node = start_sample();
  outcome got = tool({"names"});
  EXPECT_EQ(got.exit_code, 0);
  EXPECT_NE(got.out.find("sample@localhost"), std::string::npos) << got.out;
  value shown = json({"names"});
  ASSERT_EQ(shown.items()->size(), 1u);
  const value& entry = shown.items()->front();
  EXPECT_EQ(entry.text_at("name"), "sample@localhost");
  EXPECT_EQ(entry.integer_at("pid"), node->pid());
  EXPECT_EQ(entry.text_at("application"), "sample");
  EXPECT_EQ(entry.text_at("version"), "1.2.3");
}

TEST_F(ToolAsks, Ping) {
  auto node = start_sample();
  outcome got = tool({"ping", "sample"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_TRUE(got.out.starts_with("sample@localhost answers in ")) << got.out;
  EXPECT_EQ(tool({"ping", "sample@localhost"}).exit_code, 0);
  EXPECT_EQ(json({"ping", "sample"}).integer_at("pid"), node->pid());
}

TEST_F(ToolAsks, PsInfoRegistryTree) {
  auto node = start_sample();
  outcome ps = tool({"ps", "sample"});
  EXPECT_TRUE(ps.out.starts_with("PID")) << ps.out << ps.err;
  EXPECT_NE(ps.out.find("sample.counter"), std::string::npos);
  EXPECT_EQ(json({"ps", "sample", "--limit", "1", "--sort", "memory"}).items()->size(), 1u);
  EXPECT_EQ(json({"ps", "sample", "--name", "sample.*"}).items()->size(), 5u);

  outcome info = tool({"info", "sample"});
  EXPECT_NE(info.out.find("application"), std::string::npos) << info.out << info.err;
  EXPECT_EQ(json({"info", "sample"}).text_at("version"), "1.2.3");
  EXPECT_EQ(json({"info", "sample", "sample.counter"}).text_at("name"), "sample.counter");

  EXPECT_NE(tool({"registry", "sample"}).out.find("sample.supervisor"), std::string::npos);
  bool listed = false;
  value names = json({"registry", "sample"});
  for (const value& each : *names.items()) listed = listed || each.text_at("name") == "sample.counter";
  EXPECT_TRUE(listed);

  outcome tree = tool({"tree", "sample"});
  EXPECT_NE(tree.out.find("sample.supervisor"), std::string::npos) << tree.out << tree.err;
  EXPECT_NE(tree.out.find("├─ sample.counter"), std::string::npos) << tree.out;
  EXPECT_EQ(json({"tree", "sample"}).items()->front().find("children")->items()->size(), 5u);
}

// Two nodes of one user need nothing but each other's name: the first makes the user's cookie.
TEST_F(ToolAsks, NodesOfAnotherNodeAndWhyNot) {
  auto node = start_sample();
  auto other = start_sample({"--name", "other", "--peer", "sample", "--peer", "nobody", "--peer", "far@elsewhere"});
  EXPECT_TRUE(wait_until([&] { return tool({"nodes", "sample"}).out.find("other@localhost") != std::string::npos; }));
  const std::string seen = tool({"nodes", "other"}).out;
  const auto line_of = [&seen](const std::string& name) {
    const auto at = seen.find("\n" + name);
    return at == std::string::npos ? std::string() : seen.substr(at + 1, seen.find('\n', at + 1) - at - 1);
  };
  EXPECT_NE(line_of("sample@localhost").find(" up "), std::string::npos) << seen;
  EXPECT_NE(line_of("sample@localhost").find("visible"), std::string::npos) << seen;
  EXPECT_NE(line_of("nobody@localhost").find("nobody@localhost does not run here"), std::string::npos) << seen;
  EXPECT_NE(line_of("far@elsewhere").find("far@elsewhere=tcp://HOST:PORT"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("tool-"), std::string::npos) << seen;
  struct stat about{};
  ASSERT_EQ(::stat((home_.str() + "/.troupe/cookie").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
}

TEST_F(ToolAsks, FunctionsStateConfigLog) {
  auto node = start_sample({"--log-level", "notice"});
  outcome functions = tool({"functions", "sample", "sample."});
  EXPECT_NE(functions.out.find("sample.add_one(integer)"), std::string::npos) << functions.out << functions.err;
  EXPECT_EQ(json({"functions", "sample", "sample.add"}).items()->size(), 2u);

  EXPECT_EQ(tool({"state", "sample", "sample.counter"}).out, "{total = 0}\n");
  EXPECT_EQ(json({"state", "sample", "sample.counter"}).integer_at("total", -1), 0);

  EXPECT_NE(tool({"config", "sample"}).out.find("sample.slow_stop"), std::string::npos);
  EXPECT_EQ(tool({"config", "sample", "sample.slow_stop", "5ms"}).exit_code, 0);
  EXPECT_EQ(tool({"config", "sample", "sample.slow_stop", "soon"}).exit_code, 1);
  value keys = json({"config", "sample"});
  for (const value& line : *keys.items()) {
    if (line.text_at("key") == "sample.slow_stop") {
      EXPECT_EQ(line.text_at("shown"), "\"5ms\"");
      EXPECT_EQ(line.text_at("source"), "set at run time");
    }
    if (line.text_at("key") == "log.level") {
      EXPECT_EQ(line.text_at("source"), "--log-level");
    }
  }
  EXPECT_NE(tool({"log", "sample", "-n", "50"}).out.find("starting"), std::string::npos);
}

TEST_F(ToolAsks, AKeyOfTheConfigurationIsShownAndNotChanged) {
  auto node = start_sample({"--set", "sample.slow_stop=5ms"});
  outcome got = tool({"config", "sample", "sample.slow_stop"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_NE(got.out.find("sample.slow_stop  \"5ms\"  --set"), std::string::npos) << got.out;
  EXPECT_EQ(std::count(got.out.begin(), got.out.end(), '\n'), 2) << got.out;
  value shown = json({"config", "sample", "sample.slow_stop"});
  EXPECT_EQ(shown.text_at("shown"), "\"5ms\"");
  EXPECT_EQ(shown.text_at("source"), "--set");
  // Texts too: an empty value is one that was given.
  EXPECT_EQ(tool({"config", "sample", "node.cookie_file"}).exit_code, 0);
  EXPECT_EQ(tool({"config", "sample", "sample.slow_stop", ""}).exit_code, 1);
  EXPECT_EQ(json({"config", "sample", "sample.slow_stop"}).text_at("shown"), "\"5ms\"");
  outcome unknown = tool({"config", "sample", "sample.nothing"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_NE(unknown.err.find("no key \"sample.nothing\""), std::string::npos) << unknown.err;
}

TEST_F(ToolAsks, RpcGivesResultOutputAndExitCode) {
  auto node = start_sample();
  outcome got = tool({"rpc", "sample", "sample.add_one", "41"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(got.out, "42\n");
  EXPECT_EQ(tool({"rpc", "sample", "sample.echo", "{\"a\": [1, -2.5, \"x\"]}"}).out, "{a = {1, -2.5, \"x\"}}\n");
  EXPECT_EQ(tool({"rpc", "sample", "sample.echo", "bare text", "--json"}).out, "\"bare text\"\n");
  EXPECT_EQ(tool({"rpc", "sample", "sample.echo", "-5"}).out, "-5\n");

  // Its output comes to our terminal, all of it, before the result.
  outcome said = tool({"rpc", "sample", "sample.say", "hello", "200"});
  EXPECT_EQ(said.exit_code, 0) << said.err;
  EXPECT_EQ(std::count(said.out.begin(), said.out.end(), '\n'), 200);

  outcome refused = tool({"rpc", "sample", "sample.add_one", "-1"});
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_NE(refused.err.find("negative numbers are not served"), std::string::npos) << refused.err;
  outcome thrown = tool({"rpc", "sample", "sample.throw", "because"});
  EXPECT_EQ(thrown.exit_code, 1);
  EXPECT_NE(thrown.err.find("because"), std::string::npos) << thrown.err;
  outcome undefined = tool({"rpc", "sample", "sample.nothing"});
  EXPECT_EQ(undefined.exit_code, 1);
  EXPECT_NE(undefined.err.find("undef"), std::string::npos) << undefined.err;
  outcome mistyped = tool({"rpc", "sample", "sample.add_one", "many"});
  EXPECT_EQ(mistyped.exit_code, 1);
  EXPECT_NE(mistyped.err.find("argument 1"), std::string::npos) << mistyped.err;
  outcome few = tool({"rpc", "sample", "sample.add_one"});
  EXPECT_EQ(few.exit_code, 1);
  EXPECT_EQ(few.err, "troupe rpc: bad_argument: sample.add_one(integer): 1 argument(s) expected, 0 given\n");
  outcome late = tool({"rpc", "sample", "sample.wait", "--timeout", "200ms"});
  EXPECT_EQ(late.exit_code, 4);
  EXPECT_EQ(late.err, "troupe rpc: timeout: sample@localhost did not answer within 200ms (--timeout)\n");
}

TEST_F(ToolAsks, SendAndExit) {
  auto node = start_sample();
  EXPECT_EQ(tool({"send", "sample", "sample.counter", R"(["add", {"amount": 7}])"}).exit_code, 0);
  EXPECT_EQ(tool({"state", "sample", "sample.counter"}).out, "{total = 7}\n");
  std::string before = tool({"rpc", "sample", "troupe.whereis", "sample.counter"}).out;
  EXPECT_EQ(tool({"exit", "sample", "sample.counter"}).exit_code, 0);
  EXPECT_TRUE(wait_until([&] {
    outcome now = tool({"rpc", "sample", "troupe.whereis", "sample.counter"});
    return now.exit_code == 0 && now.out != before;
  }));
  EXPECT_EQ(tool({"exit", "sample", "sample.nobody"}).exit_code, 1);
}

TEST_F(ToolAsks, AnUnknownOrderIsUsage) {
  const outcome got = tool({"ps", "sample", "--sort", "mem"});
  EXPECT_EQ(got.exit_code, 2);
  EXPECT_EQ(got.err, "troupe ps: --sort: id, queue, memory or reductions expected, not \"mem\"\n");
}

TEST_F(ToolAsks, AFullDeviceIsSaid) {
  auto node = start_sample();
  for (const char* words : {"ps sample", "--help", "help ps", "ping sample --json"}) {
    const outcome got =
        run_program({"sh", "-c", "exec " + tool_path() + " " + std::string(words) + " > /dev/full"}, environment());
    EXPECT_EQ(got.exit_code, 1) << words;
    EXPECT_EQ(got.err, "troupe: standard output: No space left on device\n") << words;
  }
}

TEST_F(ToolAsks, UnknownProcessIsAFailure) {
  auto node = start_sample();
  outcome got = tool({"state", "sample", "sample.nobody"});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_NE(got.err.find("noproc"), std::string::npos) << got.err;
}

TEST_F(ToolAsks, UnreachableIsThreeWithTheReason) {
  outcome got = tool({"ping", "sample"});
  EXPECT_EQ(got.exit_code, 3);
  EXPECT_NE(got.err.find("sample@localhost"), std::string::npos) << got.err;
  EXPECT_EQ(tool({"ps", "nobody@elsewhere"}).exit_code, 3);
  auto node = start_sample();
  node->signal(SIGKILL);
  (void)node->wait_exit();
  EXPECT_EQ(tool({"ping", "sample"}).exit_code, 3);
}

TEST_F(ToolAsks, ANodeThatDoesNotAnswerIsNotInTime) {
  auto node = start_sample();
  node->signal(SIGSTOP);
  outcome got = tool({"ping", "sample", "--timeout", "300ms"});
  node->signal(SIGCONT);
  EXPECT_EQ(got.exit_code, 4) << got.err;
  EXPECT_NE(got.err.find("sample@localhost did not answer within 300ms"), std::string::npos) << got.err;
}

// What is wrong here is not that the node cannot be reached.
TEST_F(ToolAsks, ALocalMistakeIsNoUnreachableNode) {
  auto node = start_sample();
  outcome missing = tool({"ping", "sample", "--cookie-file", "/nonexistent"});
  EXPECT_EQ(missing.exit_code, 1) << missing.err;
  EXPECT_NE(missing.err.find("/nonexistent"), std::string::npos) << missing.err;
  auto file = home_.write("open", "abcdefghijklmnopqrstuvwxyz\n");
  chmod(file.c_str(), 0644);
  outcome open = tool({"ping", "sample", "--cookie-file", file.string()});
  EXPECT_NE(open.exit_code, 3) << open.err;
  EXPECT_NE(open.err.find("chmod 600"), std::string::npos) << open.err;
}

TEST_F(ToolAsks, AnUnusableCookieOfTheUserStandsInNobodysWay) {
  auto file = home_.write(".troupe/cookie", "abcdefghijklmnopqrstuvwxyz\n");
  chmod(file.c_str(), 0644);
  std::vector<std::string> words{sample_path()};
  outcome refused = run_program(words, environment());
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("chmod 600"), std::string::npos) << refused.err;
  auto node = start_sample({"--no-distribution"});
  EXPECT_EQ(tool({"ping", "sample"}).exit_code, 0);
  // Where the node's own key says nothing, it is what is wrong.
  run_.write("sample@localhost.key", "");
  outcome keyless = tool({"ping", "sample"});
  EXPECT_EQ(keyless.exit_code, 5) << keyless.err;
  EXPECT_NE(keyless.err.find("chmod 600"), std::string::npos) << keyless.err;
}

TEST_F(ToolAsks, UsageIsTwo) {
  for (std::vector<std::string> words : std::vector<std::vector<std::string>>{{},
                                                                              {"nonsense"},
                                                                              {"ping"},
                                                                              {"ping", "a", "b"},
                                                                              {"ping", "sample", "--nonsense"},
                                                                              {"ping", "sample", "--timeout", "5"},
                                                                              {"ping", "not a name"},
                                                                              {"trace", "sample"},
                                                                              {"trace", "sample", "--process", "x"},
                                                                              {"trace", "sample", "--receive"},
                                                                              {"trace", "sample", "--stop", "--utc"}}) {
    outcome got = tool(words);
    EXPECT_EQ(got.exit_code, 2) << testing::PrintToString(words) << got.err;
    EXPECT_FALSE(got.err.empty());
    EXPECT_TRUE(got.out.empty());
  }
}

TEST_F(ToolAsks, AWrongControlKeyIsRefused) {
  auto node = start_sample();
  // The key is a file of the run directory: another one in its place is what a stale copy would be.
  bool replaced = false;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(run_.path())) {
    if (!entry.is_regular_file() || entry.path().extension() != ".key") continue;
    std::string text = read_file(entry.path());
    for (char& c : text) {
      if (c >= 'a' && c <= 'y') ++c;
    }
    run_.write(std::filesystem::relative(entry.path(), run_.path()).string(), text);
    replaced = true;
  }
  ASSERT_TRUE(replaced);
  outcome got = tool({"ping", "sample"});
  EXPECT_EQ(got.exit_code, 5) << got.err;
  EXPECT_NE(got.err.find("bad_cookie"), std::string::npos) << got.err;
  EXPECT_TRUE(node->wait_output("bad_cookie")) << node->out();
}

TEST_F(ToolAsks, Version) { EXPECT_TRUE(tool({"version"}).out.starts_with("troupe ")); }

}  // namespace
