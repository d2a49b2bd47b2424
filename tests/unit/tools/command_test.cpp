#include "tools/troupe/command.hpp"

#include <gtest/gtest.h>

#include <set>

namespace {

using namespace troupe;
using namespace troupe::tool;

std::vector<command> pair() {
  command one, two;
  one.table.name = "make";
  one.table.summary = "Makes.";
  one.table.arguments = {{"WHAT", "what to make"}};
  one.run = [](const parsed_options& given) { return given.text("WHAT") == "it" ? 0 : 1; };
  two.table.name = "make twice";
  two.table.summary = "Makes two.";
  two.run = [](const parsed_options&) { return 22; };
  std::vector<command> out;
  out.push_back(std::move(one));
  out.push_back(std::move(two));
  return out;
}

TEST(Dispatch, RunsTheCommandAndGivesItsExitCode) {
  EXPECT_EQ(dispatch(pair(), {"make", "it"}), 0);
  EXPECT_EQ(dispatch(pair(), {"make", "that"}), 1);
}

TEST(Dispatch, TwoWordsWinOverOne) { EXPECT_EQ(dispatch(pair(), {"make", "twice"}), 22); }

TEST(Dispatch, BadInputIsUsage) {
  EXPECT_EQ(dispatch(pair(), {}), internal::exit_usage);
  EXPECT_EQ(dispatch(pair(), {"unmake"}), internal::exit_usage);
  EXPECT_EQ(dispatch(pair(), {"make"}), internal::exit_usage);
  EXPECT_EQ(dispatch(pair(), {"make", "it", "--now"}), internal::exit_usage);
  EXPECT_EQ(dispatch(pair(), {"make", "it", "here"}), internal::exit_usage);
}

TEST(Dispatch, HelpIsNoFailure) {
  EXPECT_EQ(dispatch(pair(), {"--help"}), 0);
  EXPECT_EQ(dispatch(pair(), {"help"}), 0);
  EXPECT_EQ(dispatch(pair(), {"make", "--help"}), 0);
}

// What a dispatch writes, both streams.
std::pair<int, std::string> told(std::vector<std::string> words) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = dispatch(commands(), std::move(words));
  return {code, testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr()};
}

TEST(Dispatch, HelpOfACommandIsHelp) {
  for (const command& each : commands()) {
    std::vector<std::string> words{"help"};
    for (std::size_t at = 0; at < each.table.name.size();) {
      const std::size_t end = std::min(each.table.name.find(' ', at), each.table.name.size());
      words.push_back(each.table.name.substr(at, end - at));
      at = end + 1;
    }
    const auto [code, text] = told(words);
    EXPECT_EQ(code, 0) << each.table.name;
    EXPECT_EQ(text.find("usage: troupe " + each.table.name) == std::string::npos, false) << text;
  }
}

TEST(Dispatch, AFamilyHasHelp) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"release", "--help"}, {"release", "-h"}, {"release", "help"}, {"help", "release"}}) {
    const auto [code, text] = told(words);
    EXPECT_EQ(code, 0);
    EXPECT_NE(text.find("release build "), std::string::npos) << text;
    EXPECT_EQ(text.find("registry"), std::string::npos) << text;
  }
  EXPECT_EQ(told({"release"}).first, internal::exit_usage);
  EXPECT_EQ(told({"help", "nosuch"}).first, internal::exit_usage);
}

TEST(Dispatch, AnUnknownCommandSuggestsANearOne) {
  const auto told_of = [](std::vector<std::string> words) { return told(std::move(words)).second; };
  EXPECT_TRUE(told_of({"pnig"}).starts_with("troupe: unknown command \"pnig\": did you mean ping?\n"));
  EXPECT_TRUE(told_of({"stat", "x"}).starts_with("troupe: unknown command \"stat\": did you mean state?\n"));
  EXPECT_TRUE(told_of({"release", "biuld"})
                  .starts_with("troupe: unknown command \"release biuld\": did you mean release build?\n"));
  EXPECT_TRUE(told_of({"help", "tracee"}).starts_with("troupe: unknown command \"tracee\": did you mean trace?\n"));
  EXPECT_TRUE(told_of({"xyzzy"}).starts_with("troupe: unknown command \"xyzzy\"\n\nusage:"));
}

TEST(Commands, EachHasSummaryExampleAndHelp) {
  std::set<std::string> names;
  for (const command& each : commands()) {
    SCOPED_TRACE(each.table.name);
    EXPECT_TRUE(names.insert(each.table.name).second);
    EXPECT_FALSE(each.table.summary.empty());
    EXPECT_NE(each.table.example.find("troupe " + each.table.name), std::string::npos);
    EXPECT_TRUE(each.run);
    EXPECT_FALSE(internal::help_text(each.table).empty());
  }
  for (const char* name : {"names", "ping", "ps", "info", "tree", "registry", "functions", "state", "rpc", "watch",
                           "trace", "send", "exit", "stop", "log", "version", "shell", "remote"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(Commands, EveryQuestionToANodeHasJsonAndADeadline) {
  for (const char* name :
       {"ping", "ps", "info", "tree", "registry", "functions", "state", "rpc", "watch", "trace", "log", "config"}) {
    SCOPED_TRACE(name);
    for (const command& each : commands()) {
      if (each.table.name != name) continue;
      std::set<std::string> options;
      for (const auto& row : each.table.options) options.insert(row.name);
      EXPECT_TRUE(options.contains("--json"));
      EXPECT_TRUE(options.contains("--timeout"));
    }
  }
}

}  // namespace
