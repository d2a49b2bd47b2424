// Encrypted tcp, ours and libzmq's: who gets through, who does not and hears why, and what others can see.
#include "unit/bus/curve_fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

INSTANTIATE_TEST_SUITE_P(Pairings, Curve, testing::ValuesIn(pairings),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(Curve, CarriesFramesBothWays) {
  test_node a(listening("a@host"));
  test_node b(dialling("b@host"));
  b.hub->dial(a.listen(world_.address()));
  ASSERT_TRUE(until([&] { return a.events.first() != 0 && b.events.first() != 0; }));
  EXPECT_TRUE(a.events.ups()[0].encrypted);
  EXPECT_TRUE(b.events.ups()[0].encrypted);
  EXPECT_TRUE(a.hub->counters().peers.at(0).encrypted);
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(a.hub->send(a.events.first(), bytes_of(std::to_string(i)), bus::delivery::must));
    ASSERT_TRUE(b.hub->send(b.events.first(), bytes_of(std::to_string(i)), bus::delivery::must));
  }
  const std::string large(a.events.ups()[0].theirs.frame_bytes, 'x');  // the longest that is allowed
  ASSERT_TRUE(a.hub->send(a.events.first(), bytes_of(large), bus::delivery::must));
  ASSERT_TRUE(b.hub->send(b.events.first(), bytes_of(large), bus::delivery::must));
  ASSERT_TRUE(until([&] { return a.events.frame_count() == 501 && b.events.frame_count() == 501; }));
  for (std::size_t i = 0; i < 500; ++i) {
    ASSERT_EQ(a.events.frames()[i].second, std::to_string(i));
    ASSERT_EQ(b.events.frames()[i].second, std::to_string(i));
  }
  EXPECT_EQ(a.events.frames()[500].second, large);
  b.hub->close(b.events.first());
  ASSERT_TRUE(until([&] { return !a.events.downs().empty(); }));
  EXPECT_EQ(a.events.downs()[0].reason, errc::closed);
  EXPECT_EQ(turned_away(a), 0u);
}

TEST_P(Curve, OffLoopbackItIsTheDefault) {
  test_node a(listening("a@host", plain_text::on_loopback));
  const auto open = a.listen("tcp://0.0.0.0:*");  // a name of this host that is no loopback address
  EXPECT_TRUE(a.log.has("an endpoint is encrypted"));
  test_node b(dialling("b@host", plain_text::on_loopback));
  b.hub->dial(open);
  ASSERT_TRUE(until([&] { return b.events.first() != 0; }));
  EXPECT_TRUE(b.events.ups()[0].encrypted);
}

TEST_P(Curve, PlainEndpointsStandBesideEncryptedOnes) {
  test_node a(listening("a@host"));
  temp_dir folder;
  const auto here = a.listen("ipc://" + (folder / "a").string());
  const auto wide = a.listen(world_.address());
  const auto also = a.listen("ipc://" + (folder / "b").string());
  test_node b(dialling("b@host"));
  test_node c(dialling("c@host"));
  test_node d(dialling("d@host"));
  b.hub->dial(here);
  c.hub->dial(wide);
  d.hub->dial(also);
  ASSERT_TRUE(until([&] { return a.events.ups().size() == 3; }));
  for (const auto& peer : a.events.ups()) EXPECT_EQ(peer.encrypted, peer.who.name == "c@host");
  a.hub->unlisten(wide);
  if (acceptor_of(GetParam()) == transport_kind::zeromq) {
    ASSERT_TRUE(until([&] { return !c.events.downs().empty(); }));
  } else {
    EXPECT_EQ(failure(d, wide), errc::noconnection);
    EXPECT_TRUE(c.events.downs().empty());
  }
  EXPECT_TRUE(b.events.downs().empty());
  for (const auto& peer : a.events.ups()) {
    if (peer.encrypted) continue;
    ASSERT_TRUE(a.hub->send(peer.id, bytes_of("still there")));
  }
  ASSERT_TRUE(until([&] { return b.events.frame_count() == 1 && d.events.frame_count() == 1; }));
}

TEST_P(Curve, AWeakCookieStaysOnThisHost) {
  test_node a(listening("a@host", plain_text::on_loopback, "secret-token"));
  test_node b(dialling("b@host", plain_text::on_loopback, "secret-token"));
  for (const plain_text allowed : {plain_text::on_loopback, plain_text::anywhere, plain_text::nowhere}) {
    a.hub->set_security({.cookie = "secret-token", .plain_text_allowed = allowed});
    const auto refused = a.hub->listen(bus::endpoint::parse("tcp://0.0.0.0:*").value());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), errc::not_allowed);
    EXPECT_TRUE(refused.error().text().contains("troupe keygen")) << refused.error().text();
    const error undialled = failure(a, bus::endpoint::parse("tcp://192.0.2.1:4370").value());
    EXPECT_EQ(undialled, errc::not_allowed);
    EXPECT_TRUE(undialled.text().contains("troupe keygen")) << undialled.text();
  }
  // `nowhere`, as it is now, is good for loopback.
  b.hub->set_security({.cookie = "secret-token", .plain_text_allowed = plain_text::nowhere});
  b.hub->dial(a.listen(world_.address()));
  ASSERT_TRUE(until([&] { return b.events.first() != 0; }));
  EXPECT_TRUE(b.events.ups()[0].encrypted);
}

// Each of the three is told apart in every round, although what libzmq sees depends on who is quicker.
TEST_P(Curve, MixedConfigurationsAreTypedErrors) {
  test_node encrypted(listening("encrypted@host"));
  test_node plain(listening("plain@host", plain_text::on_loopback));
  test_node encrypting(dialling("e@host"));
  test_node plain_dialler(dialling("p@host", plain_text::on_loopback));
  test_node other(dialling("o@host", plain_text::nowhere, "z9y8x7w6v5u4t3s2r1q0p9o8n7m6l5k4"));
  const auto wide = encrypted.listen(world_.address());
  const auto bare = plain.listen(world_.address());
  for (int round = 0; round < 40; ++round) {
    const error no_encryption_there = failure(encrypting, bare);
    ASSERT_EQ(no_encryption_there, errc::not_allowed) << no_encryption_there.message();
    EXPECT_TRUE(no_encryption_there.text().contains("speaks plain text")) << no_encryption_there.text();
    const error encryption_there = failure(plain_dialler, wide);
    ASSERT_EQ(encryption_there, errc::unsupported) << encryption_there.message();
    EXPECT_TRUE(encryption_there.text().contains("node.encryption")) << encryption_there.text();
    const error another_cookie = failure(other, wide);
    ASSERT_EQ(another_cookie, errc::bad_cookie) << another_cookie.message();
  }
  EXPECT_TRUE(until([&] { return turned_away(encrypted) >= 80 && turned_away(plain) >= 40; }));
  EXPECT_GE(encrypted.drops("wrong_key"), 40u);
  EXPECT_TRUE(encrypted.log.has("wrong_key"));
  EXPECT_TRUE(plain.log.has("a stranger was turned away"));
  EXPECT_EQ(encrypted.hub->counters().half_handshakes, 0u);
  EXPECT_TRUE(encrypted.events.ups().empty() && plain.events.ups().empty());
  EXPECT_TRUE(serves(encrypted, wide));
  EXPECT_TRUE(serves(plain, bare, plain_text::on_loopback));
}

TEST_P(Curve, WhereNobodyOrNoNodeListensThatIsSaid) {
  test_node a(listening("a@host"));
  test_node b(dialling("b@host", plain_text::on_loopback));
  tcp_socket once;
  bus::endpoint where = bus::endpoint::parse("tcp://127.0.0.1:1").value();
  EXPECT_EQ(failure(a, where), errc::noconnection);
  where.port = once.listen();
  std::thread web([&] {  // hangs up on whoever comes: twice for each dial
    for (int i = 0; i < 4; ++i) {
      const tcp_socket in = once.accept();
      static_cast<void>(in.receive());
      in.send("HTTP/1.0 400 Bad Request\r\n\r\n");
      ::shutdown(in.fd(), SHUT_WR);
      static_cast<void>(in.receive_all());  // closed over what lies unread, it would reset the connection
    }
  });
  for (test_node* each : {&a, &b}) {
    const error why = failure(*each, where);
    EXPECT_EQ(why, errc::noconnection);
    EXPECT_TRUE(why.text().contains("no ZMTP")) << why.text();
  }
  for (int i = 0; i < 4; ++i) static_cast<void>(tcp_socket().connect(where.port));  // should one not have been asked
  web.join();
}

TEST_P(Curve, AListenerThatSaysNothingIsGivenUp) {
  auto patient = listening("a@host");
  patient.limits.handshake = 300ms;
  test_node a(std::move(patient));
  tcp_socket silent;
  bus::endpoint where = bus::endpoint::parse("tcp://127.0.0.1:1").value();
  where.port = silent.listen();
  EXPECT_EQ(failure(a, where), errc::timeout);
}

// -- what others see -------------------------------------------------------------------------------------------------

constexpr std::string_view known_text = "the treasure lies under the old oak";

// What a wire-tap sees of a connection that carries `known_text` both ways.
std::string recorded(world& in, test_node& a, test_node& b, const bus::endpoint& where) {
  tcp_tap tap(where.port);
  b.hub->dial(bus::endpoint::parse(tap.endpoint()).value());
  EXPECT_TRUE(in.until([&] { return a.events.first() != 0 && b.events.first() != 0; }));
  EXPECT_TRUE(a.hub->send(a.events.first(), bytes_of(known_text)));
  EXPECT_TRUE(b.hub->send(b.events.first(), bytes_of(known_text)));
  EXPECT_TRUE(in.until([&] { return a.events.frame_count() == 1 && b.events.frame_count() == 1; }));
  return tap.seen();
}

TEST_P(Curve, ARecordedStreamShowsNothing) {
  test_node a(listening("alice@host"));
  test_node b(dialling("bob@host"));
  const std::string seen = recorded(world_, a, b, a.listen(world_.address()));
  EXPECT_GT(seen.size(), 1000u);
  EXPECT_TRUE(seen.contains("CURVE"));
  for (const std::string_view secret :
       {known_text, std::string_view("alice"), std::string_view("bob"), std::string_view("hello"), strong_cookie}) {
    EXPECT_FALSE(seen.contains(secret)) << secret;
  }
  // The same tap does see it where plain text is spoken.
  test_node c(listening("carol@host", plain_text::on_loopback));
  test_node d(dialling("dave@host", plain_text::on_loopback));
  const std::string open = recorded(world_, c, d, c.listen(world_.address()));
  EXPECT_TRUE(open.contains(known_text));
  EXPECT_TRUE(open.contains("carol@host"));
  EXPECT_FALSE(open.contains(strong_cookie));
}

}  // namespace
}  // namespace troupe::test
