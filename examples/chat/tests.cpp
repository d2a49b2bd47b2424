// The chat with a cluster, without one, and locally by configuration: seed of <troupe/testing.hpp>.
#include <troupe/config.hpp>
#include <troupe/handle.hpp>
#include <troupe/rpc.hpp>
#include <troupe/testing.hpp>

#include "chat.hpp"

namespace chat {
namespace {

using namespace std::chrono_literals;

class People : public testing::Test {
 protected:
  std::shared_ptr<troupe::testing::peer> start(const std::string& name, std::vector<std::string> more = {}) {
    return nodes.start(name, CHAT_PROGRAM, std::move(more)).or_exit();
  }
  // As `name` would send it from her shell.
  troupe::result<std::string> send(const troupe::testing::peer& from, const std::string& to, const std::string& text) {
    auto ask = [](troupe::process& self, std::string node, std::string whom,
                  std::string what) -> troupe::task<troupe::result<std::string>> {
      auto answer = co_await troupe::rpc::call<std::string>(self, node, "chat.send_message", whom, what);
      co_return answer;
    };
    auto asked = door->run(20s, [&](troupe::process& self) { return ask(self, from.name(), to, text); });
    return asked ? *asked : troupe::result<std::string>(asked.error());
  }

  troupe::testing::cluster nodes;
  std::unique_ptr<troupe::node> here = nodes.join("tester").or_exit();
  std::unique_ptr<troupe::handle> door = here->make_handle().or_exit();
};

TROUPE_TEST_F(People, ReceiveWhatIsSentToThem, "distributed", "people=3") {
  auto alice = start("alice"), bob = start("bob"), eve = start("eve");
  EXPECT_EQ(send(*alice, bob->name(), "hey").value(), "ok");
  EXPECT_TRUE(bob->wait_output("hey"));
  EXPECT_EQ(send(*bob, alice->name(), "heyyy").value(), "ok");
  EXPECT_TRUE(alice->wait_output("heyyy"));
  EXPECT_EQ(send(*alice, eve->name(), "wassup").value(), "ok");
  EXPECT_TRUE(alice->wait_output("stay quiet for a while"));
  EXPECT_FALSE(eve->output().contains("wassup"));
  EXPECT_EQ(bob->stop().value(), 0);
}

TROUPE_TEST_F(People, WhoAreNotThereCannot, "distributed") {
  auto alice = start("alice");
  auto bob = start("bob");
  bob->kill();
  const auto sent = send(*alice, bob->name(), "hey");
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error(), troupe::errc::noconnection) << sent.error().message();
}

TROUPE_TEST_F(People, AreNotNeededInTheTestEnvironment, "distributed") {
  auto alice = start("alice", {"--config", CHAT_CONFIG, "--env", "test"});
  EXPECT_EQ(send(*alice, "bob@localhost", "hey").value(), "ok");
  EXPECT_TRUE(alice->wait_output("hey"));
}

// In this program itself, which is no node.
TEST(SendMessage, RunsHereWhenTheConfigurationSaysSo) {
  auto app = program();
  troupe::node_options options;
  options.offers = std::move(app.offers);
  auto here = troupe::node::start(std::move(options)).or_exit();
  troupe::config_loader loader(app.config);
  attach_config(*here, loader.set("chat.tasks", "local", "the test").finish().value());
  ASSERT_TRUE(start_application(*here, app));
  auto door = here->make_handle().or_exit();
  const auto sent = door->run(20s, [](troupe::process& self) { return send_message(self, "bob@localhost", "hey"); });
  ASSERT_TRUE(sent) << sent.error().message();
  EXPECT_EQ(sent->value(), "ok");
  door.reset();
  EXPECT_TRUE(here->stop(20s));
}

}  // namespace
}  // namespace chat

int main(int argc, char** argv) { return troupe::testing::run(argc, argv); }
