// A real program that encrypts, and who comes to it over tcp.
#include <troupe/bus/run_directory.hpp>

#include "tools_support.hpp"
#include "unit/bus/hub_fixture.hpp"

namespace {

using namespace troupe;
using namespace troupe::test;

class EncryptedProgram : public ToolTest {
 protected:
  void SetUp() override {
    ToolTest::SetUp();
    if (IsSkipped()) return;
    std::filesystem::create_directory(home_ / ".troupe");
    ASSERT_EQ(tool({"keygen", "--file", cookie_file()}).exit_code, 0);
    cookie_ = bus::load_cookie({.file = cookie_file()}).or_exit().value;
  }
  [[nodiscard]] std::string cookie_file() const { return (home_ / ".troupe/cookie").string(); }
  // Where the sample listens over tcp, as it announces it.
  [[nodiscard]] bus::endpoint address() const {
    const auto entry = bus::run_directory::open(run_.str()).or_exit().lookup("sample@localhost").or_exit();
    for (const bus::endpoint& where : entry.endpoints) {
      if (where.kind == bus::endpoint::scheme::tcp) return where;
    }
    return {};
  }
  std::unique_ptr<test_node> peer(std::string_view name, std::string cookie, plain_text allowed) {
    auto options = world_.options(name);
    options.self.features = {"signals", "chunks"};
    options.security.cookie = std::move(cookie);
    options.security.plain_text_allowed = allowed;
    return std::make_unique<test_node>(std::move(options));
  }
  error failure(test_node& from, const bus::endpoint& where) {
    from.hub->dial(where);
    EXPECT_TRUE(world_.until([&] { return !from.events.failed().empty(); }));
    return from.events.failed().empty() ? error() : from.events.failed()[0].reason;
  }

  world world_{form::tcp};
  std::string cookie_;
};

TEST_F(EncryptedProgram, LetsInWhoHasTheCookieOfKeygen) {
  auto node = start_sample({"--listen", "tcp://127.0.0.1:*", "--set", "node.encryption=always"});
  EXPECT_NE(node->out().find("an endpoint is encrypted"), std::string::npos) << node->out();
  const auto where = address();
  ASSERT_NE(where.port, 0);
  auto good = peer("good@host", cookie_, plain_text::nowhere);
  good->hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return good->events.first() != 0; }));
  EXPECT_TRUE(good->events.ups()[0].encrypted);
  EXPECT_EQ(good->events.ups()[0].who.name, "sample@localhost");

  auto other = peer("other@host", "another-cookie-altogether", plain_text::nowhere);
  EXPECT_EQ(failure(*other, where), errc::bad_cookie);
  EXPECT_TRUE(node->wait_output("a stranger was turned away")) << node->out();
  EXPECT_TRUE(node->wait_output("wrong_key")) << node->out();
  auto plain = peer("plain@host", cookie_, plain_text::on_loopback);
  EXPECT_EQ(failure(*plain, where), errc::unsupported);
  EXPECT_EQ(tool({"ping", "sample"}).exit_code, 0);  // by ipc, as before
  EXPECT_EQ(node->out().find(cookie_), std::string::npos);
  node->signal(SIGTERM);
  EXPECT_EQ(node->wait_exit(), 0);
  EXPECT_TRUE(world_.until([&] { return !good->events.downs().empty(); }));
  EXPECT_EQ(good->events.downs()[0].reason, errc::shutting_down);
}

TEST_F(EncryptedProgram, OffLoopbackItEncryptsByItself) {
  auto node = start_sample({"--listen", "tcp://0.0.0.0:*"});
  auto good = peer("good@host", cookie_, plain_text::on_loopback);
  good->hub->dial(address());
  ASSERT_TRUE(world_.until([&] { return good->events.first() != 0; }));
  EXPECT_TRUE(good->events.ups()[0].encrypted);
}

TEST_F(EncryptedProgram, PlainTextIsSpokenWhereItIsAskedFor) {
  auto node = start_sample({"--listen", "tcp://0.0.0.0:*", "--plain-text"});
  EXPECT_NE(node->out().find("off loopback is not encrypted"), std::string::npos) << node->out();
  auto plain = peer("plain@host", cookie_, plain_text::anywhere);
  plain->hub->dial(address());
  ASSERT_TRUE(world_.until([&] { return plain->events.first() != 0; }));
  EXPECT_FALSE(plain->events.ups()[0].encrypted);
  auto strict = peer("strict@host", cookie_, plain_text::on_loopback);
  EXPECT_EQ(failure(*strict, address()), errc::not_allowed);
}

TEST_F(EncryptedProgram, AShortCookieIsGoodForOneHost) {
  auto node = start_sample({"--cookie", "secret-token", "--listen", "tcp://127.0.0.1:*"});
  auto same = peer("same@host", "secret-token", plain_text::on_loopback);
  same->hub->dial(address());
  ASSERT_TRUE(world_.until([&] { return same->events.first() != 0; }));
  EXPECT_FALSE(same->events.ups()[0].encrypted);
}

}  // namespace
