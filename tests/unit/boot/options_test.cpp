#include "boot/options.hpp"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using namespace troupe::internal;
using troupe::errc;

const command_table& table() {
  static const command_table made{.name = "troupe try",
                                  .summary = "Tries things.",
                                  .arguments = {{"NODE", "which node"}, {"ARGS", "what to give it", false, true}},
                                  .options = {{"-n,--limit", takes::count, "N", "how many"},
                                              {"--timeout", takes::time, "TIME", "how long"},
                                              {"--set", takes::text, "KEY=VALUE", "a value", true},
                                              {"--json", takes::nothing, "", "machine-readable"}},
                                  .example = "troupe try exercise --limit 5",
                                  .notes = {}};
  return made;
}

parsed_options good(std::vector<std::string> words) {
  auto got = parse_command(table(), std::move(words));
  EXPECT_TRUE(got.values) << got.text;
  return got.values.value_or(parsed_options());
}

std::string bad(std::vector<std::string> words) {
  auto got = parse_command(table(), std::move(words));
  EXPECT_FALSE(got.values);
  EXPECT_EQ(got.status, exit_usage);
  return got.text;
}

TEST(Options, ValuesOfEveryKind) {
  auto got = good({"exercise", "--limit", "5", "--timeout=2s", "--json"});
  EXPECT_EQ(got.text("NODE"), "exercise");
  EXPECT_EQ(got.count("limit"), 5);
  EXPECT_EQ(got.time("timeout", 0s), 2s);
  EXPECT_TRUE(got.has("json"));
}

TEST(Options, MissingOnesHaveDefaults) {
  auto got = good({"exercise"});
  EXPECT_FALSE(got.has("limit"));
  EXPECT_FALSE(got.has("json"));
  EXPECT_EQ(got.count("limit", 7), 7);
  EXPECT_EQ(got.time("timeout", 5s), 5s);
  EXPECT_TRUE(got.all("set").empty());
  EXPECT_TRUE(got.all("ARGS").empty());
}

TEST(Options, ShortNameAndOrder) {
  auto got = good({"-n", "5", "exercise"});
  EXPECT_EQ(got.count("limit"), 5);
  EXPECT_EQ(got.text("NODE"), "exercise");
}

TEST(Options, RepeatedOnesDoNotSwallowArguments) {
  auto got = good({"--set", "a=1", "--set", "b=2", "exercise", "x"});
  EXPECT_EQ(got.all("set"), (std::vector<std::string>{"a=1", "b=2"}));
  EXPECT_EQ(got.text("NODE"), "exercise");
  EXPECT_EQ(got.all("ARGS"), (std::vector<std::string>{"x"}));
}

TEST(Options, NegativeNumbersAreArguments) {
  auto got = good({"exercise", "-5", "-1.5", "-.5", "--limit", "3"});
  EXPECT_EQ(got.all("ARGS"), (std::vector<std::string>{"-5", "-1.5", "-.5"}));
  EXPECT_EQ(got.count("limit"), 3);
}

TEST(Options, AfterTwoDashesAllAreArguments) {
  auto got = good({"exercise", "--", "--limit", "-x", "-5"});
  EXPECT_EQ(got.all("ARGS"), (std::vector<std::string>{"--limit", "-x", "-5"}));
  EXPECT_FALSE(got.has("limit"));
}

TEST(Options, JsonIsAnArgumentLikeAnyOther) {
  auto got = good({"exercise", "[1,2]", "{\"a\": [1]}", "", "a b"});
  EXPECT_EQ(got.all("ARGS"), (std::vector<std::string>{"[1,2]", "{\"a\": [1]}", "", "a b"}));
}

TEST(OptionsBadInput, SaysWhatAndHowAndExitsTwo) {
  EXPECT_NE(bad({"exercise", "--lmit", "5"}).find("--lmit"), std::string::npos);
  EXPECT_NE(bad({"exercise", "--lmit", "5"}).find("usage: troupe try [OPTIONS] NODE [ARGS...]"), std::string::npos);
  EXPECT_NE(bad({}).find("NODE is missing"), std::string::npos);
  EXPECT_NE(bad({"exercise", "--limit", "many"}).find("--limit: a whole number expected, not \"many\""),
            std::string::npos);
  EXPECT_NE(bad({"exercise", "--limit", "-5"}).find("--limit: a whole number expected"), std::string::npos);
  EXPECT_NE(bad({"exercise", "--timeout", "5"}).find("--timeout: a unit is missing"), std::string::npos);
  EXPECT_FALSE(bad({"exercise", "--limit"}).empty());

  EXPECT_FALSE(bad({"exercise", "-z"}).empty());
}

TEST(Options, HelpHasEveryRowAndTheExample) {
  for (const char* word : {"--help", "-h"}) {
    auto got = parse_command(table(), {word});
    EXPECT_FALSE(got.values);
    EXPECT_EQ(got.status, exit_ok);
    for (const char* part : {"Tries things.", "usage: troupe try", "NODE", "-n, --limit N", "--timeout TIME",
                             "may be given again", "Example:\n  troupe try exercise --limit 5"}) {
      EXPECT_NE(got.text.find(part), std::string::npos) << part << "\n" << got.text;
    }
  }
}

TEST(Options, HelpWorksWithoutTheRequiredArguments) {
  EXPECT_EQ(parse_command(table(), {"--help", "exercise"}).status, exit_ok);
}

TEST(ExitCode, OneTable) {
  EXPECT_EQ(exit_code({}), 0);
  EXPECT_EQ(exit_code(errc::noconnection), 3);
  EXPECT_EQ(exit_code(errc::timeout), 4);
  EXPECT_EQ(exit_code(errc::not_allowed), 5);
  EXPECT_EQ(exit_code(errc::bad_cookie), 5);
  EXPECT_EQ(exit_code(errc::name_taken), 5);
  EXPECT_EQ(exit_code(errc::undef), 1);
  EXPECT_EQ(exit_code(errc::exception), 1);
  EXPECT_EQ(exit_code(errc::noproc), 1);
}

}  // namespace
