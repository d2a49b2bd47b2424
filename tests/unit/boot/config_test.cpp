#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>

#include <troupe/config.hpp>

#include "support/temp_dir.hpp"

namespace {

using namespace std::chrono_literals;
using troupe::config_loader;
using troupe::config_schema;
using troupe::errc;

config_schema keys() {
  config_schema out;
  out.time("exercise.tick", 500ms, "how often the user acts").between(1ms, 1h);
  out.integer("exercise.depth", 100, "longest stack").between(1, 1000);
  out.number("exercise.chance", 0.75, "of a push").between(0, 1);
  out.boolean("exercise.verbose", false, "talk more");
  out.text("exercise.greeting", "hello", "what it says");
  out.text("log.level", "info", "least level").one_of({"info", "debug"});
  out.texts("cluster.peers", {}, "nodes to connect to");
  out.text("exercise.password", "", "of the store").hide();
  return out;
}

std::string complaint(std::string_view toml) {
  config_loader loader(keys());
  auto made = loader.toml(toml, "config/config.toml").finish();
  if (made) return "accepted";
  EXPECT_EQ(made.error().code(), errc::bad_config);
  return made.error().text();
}

std::string complaint_of(std::string_view assignment) {
  config_loader loader(keys());
  auto made = loader.assignment(assignment).finish();
  return made ? "accepted" : made.error().text();
}

TEST(Config, DefaultsOfTheSchema) {
  config_loader loader(keys());
  auto made = loader.finish();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->get<std::chrono::milliseconds>("exercise.tick").value(), 500ms);
  EXPECT_EQ(made->get<int>("exercise.depth").value(), 100);
  EXPECT_EQ(made->get<double>("exercise.chance").value(), 0.75);
  EXPECT_EQ(made->get<double>("exercise.depth").value(), 100.0);  // an integer is a number too
  EXPECT_FALSE(made->get<bool>("exercise.verbose").value());
  EXPECT_EQ(made->get<std::string>("exercise.greeting").value(), "hello");
  EXPECT_TRUE(made->get<std::vector<std::string>>("cluster.peers")->empty());
}

TEST(Config, EveryTypeFromAFile) {
  troupe::test::temp_dir dir;
  auto file = dir.write("config.toml", R"(
[exercise]
tick = "5ms"      # a comment with "quotes" and = signs
depth = 7
chance = 1        # an integer where a number is wanted
verbose = true
greeting = "a # b"

[cluster]
peers = [
  "a@x",
  "b@y",
]
)");
  config_loader loader(keys());
  auto made = loader.file(file.string()).finish();
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(made->get<troupe::duration>("exercise.tick").value(), 5ms);
  EXPECT_EQ(made->get<int>("exercise.depth").value(), 7);
  EXPECT_EQ(made->get<double>("exercise.chance").value(), 1.0);
  EXPECT_TRUE(made->get<bool>("exercise.verbose").value());
  EXPECT_EQ(made->get<std::string>("exercise.greeting").value(), "a # b");
  EXPECT_EQ(made->get<std::vector<std::string>>("cluster.peers").value(), (std::vector<std::string>{"a@x", "b@y"}));
}

TEST(Config, LaterSourcesWin) {
  config_loader loader(keys());
  auto made = loader.toml("exercise.tick = \"5ms\"\nexercise.depth = 5", "a.toml")
                  .toml("[exercise]\ntick = \"6ms\"", "b.toml")
                  .assignment("exercise.tick=7ms")
                  .finish();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->get<troupe::duration>("exercise.tick").value(), 7ms);
  EXPECT_EQ(made->get<int>("exercise.depth").value(), 5);
}

TEST(Config, ExplainShowsValueSourceAndDefault) {
  config_loader loader(keys());
  auto made = loader.toml("\n[exercise]\n\ndepth = 5\npassword = \"x\"", "config/config.toml")
                  .assignment("exercise.tick=7ms")
                  .finish();
  ASSERT_TRUE(made);
  auto lines = made->explain();
  ASSERT_EQ(lines.size(), 8u);
  EXPECT_TRUE(std::is_sorted(lines.begin(), lines.end(), [](auto& a, auto& b) { return a.path < b.path; }));
  auto line = [&](std::string_view path) {
    return *std::find_if(lines.begin(), lines.end(), [&](auto& l) { return l.path == path; });
  };
  EXPECT_EQ(line("exercise.tick").shown, "\"7ms\"");
  EXPECT_EQ(line("exercise.tick").source, "--set");
  EXPECT_EQ(line("exercise.tick").standard, "\"500ms\"");
  EXPECT_EQ(line("exercise.tick").doc, "how often the user acts");
  EXPECT_EQ(line("exercise.depth").source, "config/config.toml:4");
  EXPECT_EQ(line("exercise.greeting").source, "default");
  EXPECT_EQ(line("cluster.peers").shown, "[]");
  EXPECT_EQ(line("exercise.password").shown, "…");
  EXPECT_TRUE(line("exercise.password").current.is_nil());
}

TEST(ConfigBadInput, UnknownKeyNamesFileLineAndNearOnes) {
  EXPECT_EQ(complaint("\n\n[exercise]\ntik = \"5ms\""),
            "config/config.toml:4: exercise.tik: no such key; did you mean exercise.tick?");
  EXPECT_EQ(complaint("depth = 5"), "config/config.toml:1: depth: no such key; did you mean exercise.depth?");
  EXPECT_EQ(complaint("zzzzzzzzzzz = 5"), "config/config.toml:1: zzzzzzzzzzz: no such key");
  EXPECT_EQ(complaint("[nothing]"), "config/config.toml:1: nothing: no such key");
  EXPECT_EQ(complaint("[exercise]"), "accepted");
}

TEST(ConfigBadInput, WrongTypes) {
  EXPECT_EQ(complaint("exercise.tick = 500"),
            "config/config.toml:1: exercise.tick: a time such as \"500ms\" expected, integer found");
  EXPECT_EQ(complaint("exercise.depth = \"5\""), "config/config.toml:1: exercise.depth: integer expected, text found");
  EXPECT_EQ(complaint("exercise.depth = 5.5"), "config/config.toml:1: exercise.depth: integer expected, number found");
  EXPECT_EQ(complaint("exercise.chance = true"),
            "config/config.toml:1: exercise.chance: number expected, boolean found");
  EXPECT_EQ(complaint("exercise.verbose = 1"),
            "config/config.toml:1: exercise.verbose: boolean expected, integer found");
  EXPECT_EQ(complaint("exercise.greeting = [1]"), "config/config.toml:1: exercise.greeting: text expected, list found");
  EXPECT_EQ(complaint("cluster.peers = \"a\""),
            "config/config.toml:1: cluster.peers: list of texts expected, text found");
  EXPECT_EQ(complaint("cluster.peers = [\"a\", 1]"),
            "config/config.toml:1: cluster.peers: list of texts expected, a list with integer found");
  EXPECT_EQ(complaint("exercise.tick = \"5 parsecs\""),
            "config/config.toml:1: exercise.tick: \"5 parsecs\": \" parsecs\" is no unit: a time such as \"500ms\" or "
            "\"5s\" (units: ns us "
            "ms s m h)");
}

TEST(ConfigBadInput, OutOfRange) {
  EXPECT_EQ(complaint("exercise.depth = 0"),
            "config/config.toml:1: exercise.depth: 0 is out of range: from 1 to 1000 is allowed");
  EXPECT_EQ(complaint("exercise.tick = \"2h\""),
            "config/config.toml:1: exercise.tick: \"2h\" is out of range: from 1ms to 1h is allowed");
  EXPECT_EQ(complaint("exercise.chance = 1.5"),
            "config/config.toml:1: exercise.chance: 1.5 is out of range: from 0 to 1 is allowed");
  EXPECT_EQ(complaint("log.level = \"loud\""), "config/config.toml:1: log.level: \"loud\" is none of info, debug");
}

TEST(ConfigBadInput, AllIsSaidAtOnce) {
  EXPECT_EQ(complaint("exercise.depth = 0\nexercise.verbose = 3"),
            "config/config.toml:1: exercise.depth: 0 is out of range: from 1 to 1000 is allowed\n"
            "config/config.toml:2: exercise.verbose: boolean expected, integer found");
}

TEST(ConfigBadInput, SyntaxNamesTheLine) {
  EXPECT_TRUE(complaint("exercise.depth = 5\nwhat is this").starts_with("config/config.toml:2: "));
  EXPECT_TRUE(complaint("exercise.depth = 5\nexercise.depth = 6").starts_with("config/config.toml:2: "));
  EXPECT_TRUE(complaint("exercise.greeting = \"open").starts_with("config/config.toml:1: "));
  EXPECT_NE(complaint("exercise.greeting = 2024-01-01").find("dates and times are not used here"), std::string::npos);
  EXPECT_NE(complaint("\"a.b\" = 1").find("is no key"), std::string::npos);
}

TEST(ConfigBadInput, MissingFile) {
  config_loader loader(keys());
  auto made = loader.file("/nonexistent/config.toml").finish();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().text(), "/nonexistent/config.toml: No such file or directory");
}

TEST(ConfigBadInput, Assignments) {
  EXPECT_EQ(complaint_of("exercise.tick=5ms"), "accepted");
  EXPECT_EQ(complaint_of("cluster.peers=a@x,b@y"), "accepted");
  EXPECT_EQ(complaint_of("exercise.greeting="), "accepted");
  EXPECT_EQ(complaint_of("exercise.greeting=a=b"), "accepted");
  EXPECT_EQ(complaint_of("exercise.tick"), "--set exercise.tick: key=value expected");
  EXPECT_EQ(complaint_of("=5"), "--set =5: key=value expected");
  EXPECT_EQ(complaint_of("exercise.tock=5ms"), "--set: exercise.tock: no such key; did you mean exercise.tick?");
  EXPECT_EQ(complaint_of("exercise.depth=5x"), "--set: exercise.depth: integer expected, \"5x\" found");
  EXPECT_EQ(complaint_of("exercise.depth=99999999999999999999"),
            "--set: exercise.depth: integer expected, \"99999999999999999999\" found");
  EXPECT_EQ(complaint_of("exercise.depth="), "--set: exercise.depth: integer expected, \"\" found");
  EXPECT_EQ(complaint_of("exercise.chance=nan"), "--set: exercise.chance: number expected, \"nan\" found");
  EXPECT_EQ(complaint_of("exercise.verbose=yes"), "--set: exercise.verbose: boolean expected, \"yes\" found");
  EXPECT_NE(complaint_of("exercise.tick=5").find("a unit is missing"), std::string::npos);
}

// In a variable or an option a list may be written in either way.
TEST(Config, ListsAreReadAsTomlAndWithCommas) {
  const std::vector<std::string> both = {"bad@*", "b"};
  for (const char* text :
       {"bad@*,b", "bad@*, b", " bad@* ,\tb ", "[\"bad@*\", \"b\"]", "['bad@*','b']", " [ \"bad@*\" , \" b \" , ] "}) {
    config_loader loader(troupe::node_config_schema());
    auto got = loader.set("node.deny", text, "test").finish();
    ASSERT_TRUE(got) << text << got.error().text();
    EXPECT_EQ(got->get<std::vector<std::string>>("node.deny").value(), both) << text;
  }
  for (const char* text : {"", "  ", "[]"}) {
    config_loader loader(troupe::node_config_schema());
    auto got = loader.set("node.deny", text, "test").finish();
    ASSERT_TRUE(got) << text << got.error().text();
    EXPECT_TRUE(got->get<std::vector<std::string>>("node.deny")->empty()) << text;
  }
  for (const char* text : {"a,,b", "a,", ",", "[\"a\", 5]", "[\"a\"", "[ab]*@host", "[\"a\"]\nb = 5", "[\"\"]"}) {
    config_loader loader(troupe::node_config_schema());
    auto got = loader.set("node.deny", text, "test").finish();
    ASSERT_FALSE(got) << text;
    EXPECT_NE(got.error().text().find("test: node.deny: "), std::string::npos) << got.error().text();
  }
}

TEST(Config, AskingWrongly) {
  config_loader loader(keys());
  auto made = loader.finish();
  auto missing = made->get<int>("exercise.dept");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), errc::not_found);
  EXPECT_EQ(missing.error().text(), "exercise.dept: no such key; did you mean exercise.depth?");
  auto mistyped = made->get<int>("exercise.tick");
  ASSERT_FALSE(mistyped);
  EXPECT_EQ(mistyped.error().code(), errc::bad_argument);
  troupe::config none;
  EXPECT_EQ(none.get<int>("exercise.depth").error().code(), errc::not_found);
}

TEST(Config, ChangesAtRunTimeReachEveryCopy) {
  config_loader loader(keys());
  auto made = loader.finish();
  troupe::config copy = *made;
  ASSERT_TRUE(made->set("exercise.tick", "9ms"));
  EXPECT_EQ(copy.get<troupe::duration>("exercise.tick").value(), 9ms);
  EXPECT_EQ(copy.set("exercise.tick", "2h").error().code(), errc::bad_config);
  EXPECT_EQ(copy.set("exercise.tik", "2s").error().code(), errc::not_found);
  EXPECT_EQ(copy.get<troupe::duration>("exercise.tick").value(), 9ms);
}

TEST(Config, ASchemaRefusesBadPathsAndRepeats) {
  config_schema schema;
  schema.integer("a.b", 1, "");
  EXPECT_THROW(schema.integer("a.b", 1, ""), std::invalid_argument);
  EXPECT_THROW(schema.integer("A.b", 1, ""), std::invalid_argument);
  EXPECT_THROW(schema.integer("a..b", 1, ""), std::invalid_argument);
  EXPECT_THROW(schema.integer("", 1, ""), std::invalid_argument);
  EXPECT_THROW(schema.integer("a.", 1, ""), std::invalid_argument);
}

TEST(ConfigTime, ParsesAndPrints) {
  EXPECT_EQ(troupe::parse_time("500ms").value(), 500ms);
  EXPECT_EQ(troupe::parse_time("1.5s").value(), 1500ms);
  EXPECT_EQ(troupe::parse_time("2m").value(), 2min);
  EXPECT_EQ(troupe::parse_time("1h").value(), 1h);
  EXPECT_EQ(troupe::parse_time("250us").value(), 250us);
  EXPECT_EQ(troupe::parse_time("0").value(), 0s);
  for (const char* bad : {"", "s", "5", "5 s", "-5s", "1.2.3s", "5x", "99999999h"})
    EXPECT_FALSE(troupe::parse_time(bad)) << bad;
  EXPECT_EQ(troupe::print_time(500ms), "500ms");
  EXPECT_EQ(troupe::print_time(1500ms), "1500ms");
  EXPECT_EQ(troupe::print_time(2min), "2m");
  EXPECT_EQ(troupe::print_time(0s), "0s");
}

TEST(Config, TheNodesOwnKeysAreASchema) {
  const config_schema& schema = troupe::node_config_schema();
  for (const char* path : {"node.name", "node.listen", "node.advertise", "node.cookie_file", "node.workers",
                           "node.max_processes", "log.level", "log.file", "log.console"}) {
    EXPECT_TRUE(schema.find(path)) << path;
  }
}

}  // namespace
