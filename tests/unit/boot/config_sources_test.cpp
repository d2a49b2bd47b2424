#include "boot/config_sources.hpp"

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"

namespace troupe::internal {
namespace {

class ConfigSources : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) { folder_.write(name, text); }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  // As a start with these options and variables, the first file given by --config.
  result<config> load(std::vector<std::string> options, std::vector<const char*> variables = {}) {
    options.insert(options.begin(), {"--config", path("config.toml")});
    command_table table{.name = "chat", .summary = "talks", .arguments = {}, .options = {}, .example = {}, .notes = {}};
    table.options = {{"--config", takes::text, "FILE", "a file", true}, {"--env", takes::text, "ENV", "which"}};
    const auto parsed = parse_command(table, std::move(options)).values.value();
    variables.push_back(nullptr);
    config_schema schema = node_config_schema();
    schema.text("chat.tasks", "remote", "where tasks run").one_of({"remote", "local"});
    schema.integer("chat.most_talkers", 5, "at a time");
    config_loader loader(std::move(schema));
    read_config_sources(find_config_sources(parsed, variables.data()), loader);
    return loader.finish();
  }
  std::string tasks(const result<config>& values) { return values->get<std::string>("chat.tasks").value(); }
  std::string source(const result<config>& values, std::string_view key) {
    for (const config_line& line : values->explain()) {
      if (line.path == key) return line.source;
    }
    return {};
  }

  test::temp_dir folder_;
};

TEST_F(ConfigSources, AnEnvironmentOverlaysTheFileBesideIt) {
  write("config.toml", "[chat]\nmost_talkers = 7\n");
  write("test.toml", "[chat]\ntasks = \"local\"\n");
  const auto dev = load({});
  ASSERT_TRUE(dev) << dev.error().text();
  EXPECT_EQ(tasks(dev), "remote");
  EXPECT_EQ(dev->get<std::string>("node.environment").value(), "dev");
  for (const auto& test : {load({"--env", "test"}), load({}, {"HOME=/", "TROUPE_ENV=test"})}) {
    ASSERT_TRUE(test) << test.error().text();
    EXPECT_EQ(tasks(test), "local");
    EXPECT_EQ(test->get<int>("chat.most_talkers").value(), 7);
    EXPECT_EQ(test->get<std::string>("node.environment").value(), "test");
    EXPECT_EQ(source(test, "chat.tasks"), path("test.toml") + ":2");
  }
  const auto said_twice = load({"--env", "prod"}, {"TROUPE_ENV=test"});
  ASSERT_TRUE(said_twice);
  EXPECT_EQ(tasks(said_twice), "remote");
  EXPECT_EQ(source(said_twice, "node.environment"), "--env");
}

TEST_F(ConfigSources, ThenTheHostsFileThenVariables) {
  write("config.toml", "");
  write("prod.toml", "[chat]\ntasks = \"local\"\nmost_talkers = 1\n");
  write("host.toml", "[chat]\nmost_talkers = 2\n");
  const std::string file = "TROUPE_CONFIG=" + path("host.toml");
  auto values = load({"--env", "prod"}, {file.c_str()});
  ASSERT_TRUE(values) << values.error().text();
  EXPECT_EQ(values->get<int>("chat.most_talkers").value(), 2);
  EXPECT_EQ(tasks(values), "local");
  values = load({"--env", "prod"}, {file.c_str(), "TROUPE__CHAT__MOST_TALKERS=3", "TROUPE__CHAT__TASKS=remote"});
  ASSERT_TRUE(values) << values.error().text();
  EXPECT_EQ(values->get<int>("chat.most_talkers").value(), 3);
  EXPECT_EQ(tasks(values), "remote");
  EXPECT_EQ(source(values, "chat.tasks"), "TROUPE__CHAT__TASKS");
}

TEST_F(ConfigSources, AnotherEnvironmentMustBeDescribed) {
  write("config.toml", "");
  const auto missing = load({}, {"TROUPE_ENV=tset"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().text(), "TROUPE_ENV: no file describes the environment \"tset\" (" + path("tset.toml") +
                                        " is missing); dev, test and prod need none");
  write("staging.toml", "[chat]\ntasks = \"local\"\n");
  EXPECT_EQ(tasks(load({"--env", "staging"})), "local");
}

TEST_F(ConfigSources, BadInputNamesWhereItStands) {
  write("config.toml", "");
  write("test.toml", "[chat]\ntask = \"local\"\n");
  EXPECT_EQ(load({"--env", "test"}).error().text(),
            path("test.toml") + ":2: chat.task: no such key; did you mean chat.tasks?");
  EXPECT_EQ(load({}, {"TROUPE__CHAT__TASKS=anywhere"}).error().text(),
            "TROUPE__CHAT__TASKS: chat.tasks: \"anywhere\" is none of remote, local");
  EXPECT_EQ(load({}, {"TROUPE__CHAT__MOST_TALKER=2"}).error().text(),
            "TROUPE__CHAT__MOST_TALKER: chat.most_talker: no such key; did you mean chat.most_talkers?");
  EXPECT_TRUE(load({}, {"TROUPE_CONFIG=/nowhere/host.toml"}).error().text().contains("/nowhere/host.toml"));
  EXPECT_TRUE(load({"--env", "../etc"}).error().text().contains("\"../etc\" is no name of an environment"));
  write("config.toml", "[node]\nenvironment = \"prod\"\n");
  EXPECT_EQ(load({}).error().text(), path("config.toml") + ":2: node.environment cannot be set there");
}

}  // namespace
}  // namespace troupe::internal
