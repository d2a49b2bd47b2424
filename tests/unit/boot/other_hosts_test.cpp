#include "boot/other_hosts.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "support/temp_dir.hpp"

namespace troupe::internal {
namespace {

// A home and a run directory without nodes.
class OtherHosts : public testing::Test {
 protected:
  OtherHosts() {
    ::setenv("HOME", folder_.str().c_str(), 1);
    ::setenv("TROUPE_RUN_DIR", run_.str().c_str(), 1);
    folder_.write(".troupe/peers", "node.peers = [\"c@hostc=tcp://hostc:4370\", \"d@localhost\"]\n");
  }
  ~OtherHosts() override {
    ::unsetenv("HOME");
    ::unsetenv("TROUPE_RUN_DIR");
  }
  result<other_hosts> find(std::vector<std::string> options, const std::string& target,
                           std::vector<const char*> variables = {}) {
    command_table table{.name = "ping", .summary = "asks", .arguments = {}, .options = {}, .example = {}, .notes = {}};
    table.options = {{"--peer", takes::text, "NODE=ENDPOINT", "where", true},
                     {"--config", takes::text, "FILE", "a file", true}};
    variables.push_back(nullptr);
    return find_other_hosts(parse_command(table, std::move(options)).values.value(), target, variables.data());
  }
  using texts = std::vector<std::string>;

  test::temp_dir folder_, run_;
};

TEST_F(OtherHosts, APeerIsReadAsANodeReadsIt) {
  const auto whole = parse_peer("b=tcp://[::1]:4370").or_exit();
  EXPECT_EQ(whole.name, "b@localhost");
  EXPECT_EQ(whole.where->text(), "tcp://[::1]:4370");
  EXPECT_FALSE(parse_peer("b@hostb").or_exit().where);
  for (const char* text : {"", "=tcp://a:1", "b@c@d=tcp://a:1", "b@hostb=", "b@hostb=a:1", "b@hostb=tcp://a", "b c"})
    EXPECT_EQ(parse_peer(text).error(), errc::bad_config) << text;
}

TEST_F(OtherHosts, WhatIsSaidIsAllThatIsNeeded) {
  folder_.write(".troupe/peers", "node.peers = 5\n");  // not looked at
  const auto said = find({"--peer", "b@hostb=tcp://hostb:4370,b@hostb=tcp://hostb:4371"}, "b@hostb");
  ASSERT_TRUE(said) << said.error().message();
  EXPECT_EQ(said->peers, (texts{"b@hostb=tcp://hostb:4370", "b@hostb=tcp://hostb:4371"}));
  EXPECT_TRUE(said->elsewhere);
  EXPECT_EQ(said->speech, plain_text::on_loopback);
  for (const char* wrong : {"b@hostb", "b@hostb=hostb:4370", "b b=tcp://b:1", "["}) {
    const auto bad = find({"--peer", wrong}, "b@hostb");
    ASSERT_FALSE(bad) << wrong;
    EXPECT_EQ(bad.error(), errc::bad_argument) << wrong;
    EXPECT_NE(bad.error().text().find("--peer"), std::string::npos) << bad.error().text();
  }
}

TEST_F(OtherHosts, ElseTheFileOfTheUser) {
  const auto known = find({}, "c@hostc");
  ASSERT_TRUE(known) << known.error().message();
  EXPECT_EQ(known->peers, texts{"c@hostc=tcp://hostc:4370"});
  EXPECT_TRUE(known->elsewhere);
  EXPECT_FALSE(find({}, "d@localhost")->elsewhere);
  EXPECT_FALSE(find({"--peer", "b@hostb=tcp://hostb:4370"}, "e@hoste")->elsewhere);
  EXPECT_EQ(find({}, "e@hoste", {"TROUPE__NODE__PEERS=e@hoste=tcp://e:1", "TROUPE__CHAT__TASKS=5"})->peers,
            texts{"e@hoste=tcp://e:1"});
  folder_.write(".troupe/peers", "[node]\npears = []\n");
  const auto wrong = find({}, "c@hostc");
  EXPECT_EQ(wrong.error(), errc::bad_config);
  EXPECT_NE(wrong.error().text().find("/.troupe/peers:2: node.pears: no such key; did you mean node.peers?"),
            std::string::npos)
      << wrong.error().text();
}

TEST_F(OtherHosts, OrTheConfigurationOfAProgram) {
  folder_.write("config.toml",
                "[node]\npeers = [\"b@hostb=tcp://hostb:4370\"]\nencryption = \"always\"\n"
                "[chat]\ntasks = \"local\"\n");
  folder_.write("test.toml", "[node]\npeers = [\"b@hostb=tcp://hostb:1\"]\n");
  const std::string file = (folder_.path() / "config.toml").string();
  const auto known = find({"--config", file}, "b@hostb");
  ASSERT_TRUE(known) << known.error().message();
  EXPECT_EQ(known->peers, texts{"b@hostb=tcp://hostb:4370"});
  EXPECT_EQ(known->speech, plain_text::nowhere);
  EXPECT_EQ(find({"--config", file}, "b@hostb", {"TROUPE_ENV=test"})->peers, texts{"b@hostb=tcp://hostb:1"});
  EXPECT_FALSE(find({"--config", file}, "c@hostc")->elsewhere) << "it stands for the file of the user";
  const auto both = find({"--config", file, "--peer", "b@hostb=tcp://hostb:2"}, "b@hostb");
  EXPECT_EQ(both->peers, texts{"b@hostb=tcp://hostb:2"});
  EXPECT_EQ(both->speech, plain_text::nowhere);
  EXPECT_EQ(find({"--config", file + ".gone"}, "b@hostb").error(), errc::bad_config);
}

}  // namespace
}  // namespace troupe::internal
