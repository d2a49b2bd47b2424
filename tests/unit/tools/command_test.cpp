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
