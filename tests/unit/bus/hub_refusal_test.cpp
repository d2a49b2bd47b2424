// Who is not let in, and what comes of bytes that nobody should have sent.
#include <gtest/gtest.h>

#include "unit/bus/raw_peer.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
namespace wire = bus::internal;

// A raw peer does not encrypt: what refusals are where all is encrypted, curve_test.cpp shows.
std::vector<form> plain_forms() {
  std::vector<form> out(forms.begin(), forms.end());
  std::erase_if(out, [](const form& one) { return one == form::curve; });
  return out;
}

class HubRefusal : public testing::TestWithParam<form> {
 protected:
  // `b` dials `a` and fails with `code` there; `a` logs it.
  void expect_failure(test_node& a, test_node& b, errc code, bus::dial_options how = {}) {
    const auto where = a.listen(world_.address());
    const auto dial = b.hub->dial(where, std::move(how));
    ASSERT_TRUE(world_.until([&] { return !b.events.failed().empty(); }));
    EXPECT_EQ(b.events.failed()[0].id, dial);
    EXPECT_EQ(b.events.failed()[0].reason, code) << b.events.failed()[0].reason.message();
    EXPECT_FALSE(b.events.failed()[0].reason.text().empty());
    EXPECT_TRUE(world_.until([&] { return a.hub->counters().half_handshakes == 0; }));
    EXPECT_TRUE(a.events.ups().empty());
    EXPECT_TRUE(b.events.ups().empty());
    EXPECT_TRUE(world_.until([&] { return b.log.has("a dial failed"); }));
  }

  world world_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Forms, HubRefusal, testing::ValuesIn(plain_forms()),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(HubRefusal, AWrongCookie) {
  test_node a(world_.options("a@host"));
  auto options = world_.options("b@host");
  options.security.cookie = "another-cookie-altogether";
  test_node b(std::move(options));
  expect_failure(a, b, errc::bad_cookie);
  EXPECT_EQ(a.drops("bad_cookie"), 1u);
  EXPECT_TRUE(a.log.has("bad_cookie"));
  EXPECT_FALSE(a.log.has("another-cookie") || b.log.has("another-cookie"));
}

TEST_P(HubRefusal, AnAcceptorWithoutTheCookieIsFoundOut) {
  // It cannot make the second proof, even if it takes every first one: here by hand.
  test_node b(world_.options("b@host"));
  wire::transcript frames;
  frames.hello = bytes_of("h");
  frames.challenge = bytes_of("c");
  frames.proof = bytes_of("p");
  const auto by_dialler = wire::prove_dialler(good_cookie, frames);
  EXPECT_NE(by_dialler, wire::prove_acceptor(good_cookie, frames));  // no echo of the first proof will do
  EXPECT_NE(wire::prove_acceptor("x", frames), wire::prove_acceptor(good_cookie, frames));
}

TEST_P(HubRefusal, NoCookieAtAllAdmitsNobody) {
  auto empty = world_.options("a@host");
  empty.security.cookie.clear();
  test_node a(std::move(empty));
  test_node b(world_.options("b@host"));
  expect_failure(a, b, errc::bad_cookie);
}

TEST_P(HubRefusal, AToolMayProveTheControlKey) {
  auto options = world_.options("a@host");
  options.security.control_key = "the-key-of-this-life";
  test_node a(std::move(options));
  auto tool = world_.options("tool-1@host");
  tool.self.tool = true;
  tool.security.cookie.clear();
  test_node b(std::move(tool));
  const auto where = a.listen(world_.address());
  b.hub->dial(where, {.prove = bus::secret::control_key, .control_key = "another"});
  ASSERT_TRUE(world_.until([&] { return b.events.failed().size() == 1; }));
  EXPECT_EQ(b.events.failed()[0].reason, errc::bad_cookie);
  b.hub->dial(where, {.prove = bus::secret::control_key, .control_key = "the-key-of-this-life"});
  ASSERT_TRUE(world_.until([&] { return a.events.first() != 0 && b.events.first() != 0; }));
  EXPECT_EQ(a.events.ups()[0].tick, 1s);
  EXPECT_EQ(a.events.ups()[0].silent_ticks, 3u);
  EXPECT_EQ(b.events.ups()[0].tick, 1s);
  EXPECT_TRUE(a.events.ups()[0].who.hidden);
  EXPECT_EQ(a.events.ups()[0].proved, bus::secret::control_key);
  EXPECT_EQ(b.hub->listen(bus::endpoint::parse(world_.address()).value()).error(), errc::not_allowed);
}

TEST_P(HubRefusal, AMemberMayNotProveTheControlKey) {
  auto options = world_.options("a@host");
  options.security.control_key = "the-key-of-this-life";
  test_node a(std::move(options));
  test_node b(world_.options("b@host"));
  expect_failure(a, b, errc::not_allowed, {.prove = bus::secret::control_key, .control_key = "the-key-of-this-life"});
}

TEST_P(HubRefusal, AnotherNameThanExpected) {
  test_node a(world_.options("a@host"));
  test_node b(world_.options("b@host"));
  expect_failure(a, b, errc::noconnection, {.expected_name = "c@host"});
}

TEST_P(HubRefusal, AFeatureThatOneSideNeeds) {
  test_node a(world_.options("a@host"));
  auto options = world_.options("b@host");
  options.self.needs = {"time-travel"};
  test_node b(std::move(options));
  expect_failure(a, b, errc::unsupported);
}

TEST_P(HubRefusal, TheNameOfTheAcceptorItself) {
  test_node a(world_.options("a@host", 1));
  test_node b(world_.options("a@host", 2));
  expect_failure(a, b, errc::name_taken);
}

TEST_P(HubRefusal, WhomTheNodeDoesNotAdmit) {
  test_node a(world_.options("a@host"));
  a.events.on_admit = [](const bus::peer_info& peer) -> result<void> {
    return error(errc::not_allowed, peer.who.name + " is on the deny list");
  };
  test_node b(world_.options("b@host"));
  expect_failure(a, b, errc::not_allowed);
}

TEST_P(HubRefusal, ADialToNobody) {
  test_node b(world_.options("b@host"));
  const auto where = bus::endpoint::parse(world_.dead_address()).value();
  b.hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return !b.events.failed().empty(); }));
  EXPECT_EQ(b.events.failed()[0].reason, errc::noconnection);
}

TEST_P(HubRefusal, ADialToOneselfAndWithoutASecret) {
  test_node a(world_.options("a@host"));
  const auto where = a.listen(world_.address());
  a.hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return a.events.failed().size() == 1; }));
  EXPECT_EQ(a.events.failed()[0].reason, errc::not_allowed);
  a.hub->set_security({});
  a.hub->dial(bus::endpoint::parse(world_.dead_address()).value());
  ASSERT_TRUE(world_.until([&] { return a.events.failed().size() == 2; }));
  EXPECT_EQ(a.events.failed()[1].reason, errc::bad_cookie);
}

TEST_P(HubRefusal, AProtocolTooFar) {
  test_node a(world_.options("a@host"));
  raw_peer peer(world_.options("x@host").transport);
  auto hello = hello_of("x@host");
  hello.protocol_min = 7;
  hello.protocol_max = 9;
  const auto where = a.listen(world_.address());
  peer.send(peer.dial(where), wire::encode_step("hello", hello));
  ASSERT_TRUE(world_.until([&] { return peer.refusal().code() != errc::none; }));
  EXPECT_EQ(peer.refusal(), errc::unsupported);
  EXPECT_TRUE(peer.refusal().text().contains("7 to 9")) << peer.refusal().text();
  EXPECT_TRUE(a.log.has("unsupported"));
}

TEST_P(HubRefusal, BytesOfStrangers) {
  test_node a(world_.options("a@host"));
  raw_peer peer(world_.options("x@host").transport);
  const auto where = a.listen(world_.address());
  const bytes five{std::byte{0xdd}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
  const std::vector<bytes> nasty{bytes_of("GET / HTTP/1.1\r\n"),
                                 five,
                                 bytes(100'000),
                                 bytes_of("\x93\xa6troupe"),
                                 bytes_of("\x93\xa6troupe\xa5hello\xc0"),
                                 bytes_of("\x93\xa6troupe\xa5proof\x80"),
                                 wire::encode_step("hello", error(errc::timeout)),
                                 wire::encode_step("zzz", 5)};
  for (const bytes& data : nasty) peer.send(peer.dial(where), data);
  ASSERT_TRUE(world_.until([&] {
    return a.drops("stranger") + a.drops("bad_message") + a.drops("unsupported") + a.drops("bad_name") >=
               nasty.size() &&
           a.hub->counters().half_handshakes == 0;
  }));
  EXPECT_TRUE(a.log.has("a stranger's bytes were dropped"));
  test_node b(world_.options("b@host"));  // it still serves
  b.hub->dial(where);
  EXPECT_TRUE(world_.until([&] { return b.events.first() != 0; }));
}

TEST_P(HubRefusal, HalfHandshakesAreBounded) {
  auto options = world_.options("a@host");
  options.limits.half_handshakes = 8;
  test_node a(std::move(options));
  raw_peer peer(world_.options("x@host").transport);
  const auto where = a.listen(world_.address());
  for (int i = 0; i < 50; ++i) {
    peer.send(peer.dial(where), wire::encode_step("hello", hello_of("x" + std::to_string(i) + "@host")));
  }
  ASSERT_TRUE(world_.until([&] { return a.drops("half_handshake_limit") >= 42; }));
  EXPECT_LE(a.hub->counters().half_handshakes, 8u);
  test_node b(world_.options("b@host"));
  b.hub->dial(where);
  EXPECT_TRUE(world_.until([&] { return b.events.first() != 0; }));
}

TEST_P(HubRefusal, AHandshakeThatIsNotFinished) {
  auto options = world_.options("a@host");
  options.limits.handshake = 100ms;
  test_node a(std::move(options));
  raw_peer peer(world_.options("x@host").transport);
  const auto where = a.listen(world_.address());
  peer.send(peer.dial(where), wire::encode_step("hello", hello_of("x@host")));
  ASSERT_TRUE(world_.until([&] { return peer.refusal().code() != errc::none; }));
  EXPECT_EQ(peer.refusal(), errc::timeout);
}

TEST_P(HubRefusal, ManyWrongProofsAreAnsweredLate) {
  test_node a(world_.options("a@host"));
  auto options = world_.options("b@host");
  options.security.cookie = "another-cookie-altogether";
  test_node b(std::move(options));
  const auto where = a.listen(world_.address());
  for (int i = 0; i < 12; ++i) b.hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return b.events.failed().size() == 12; }));
  for (const auto& one : b.events.failed()) EXPECT_EQ(one.reason, errc::bad_cookie);
  EXPECT_GE(a.drops("rate_limit"), 1u);
}

TEST_P(HubRefusal, FramesWithoutAConnection) {
  test_node a(world_.options("a@host"));
  raw_peer peer(world_.options("x@host").transport);
  const auto where = a.listen(world_.address());
  const auto pipe = peer.dial(where);
  peer.send(pipe, data_frame({}, "\x91\x01"));
  // It is told that this connection has ended, so that an honest dialler closes.
  ASSERT_TRUE(world_.until([&] { return !peer.got().empty(); }));
  const bytes answer = peer.got()[0].second;
  const auto parsed = wire::parse_frame(answer);
  ASSERT_TRUE(parsed);
  const auto controls = wire::parse_control(parsed->payload);
  ASSERT_TRUE(controls);
  EXPECT_EQ(controls->at(0).kind, wire::control::what::ended);
  EXPECT_EQ(a.drops("ended_connection"), 1u);
}

TEST_P(HubRefusal, FramesUnderAnotherConnectionsId) {
  test_node a(world_.options("a@host"));
  raw_peer peer(world_.options("x@host").transport);
  const auto where = a.listen(world_.address());
  const auto mine = raw_connect(world_, peer, where, "x@host");
  ASSERT_TRUE(world_.until([&] { return a.events.first() != 0; }));
  wire::wire_id other = mine.wire;
  other[3] ^= std::byte{1};
  peer.send(mine.pipe, data_frame(other, "\x91\x01"));
  peer.send(mine.pipe, bytes_of("noise"));
  peer.send(mine.pipe, data_frame(mine.wire, "good"));
  ASSERT_TRUE(world_.until([&] { return a.events.frame_count() == 1; }));
  EXPECT_EQ(a.events.frames()[0].second, "good");
  EXPECT_EQ(a.drops("wrong_connection_id"), 2u);
  EXPECT_TRUE(a.events.downs().empty());
}

TEST_P(HubRefusal, APeerThatBreaksTheProtocol) {
  test_node a(world_.options("a@host"));
  raw_peer peer(world_.options("x@host").transport);
  const auto where = a.listen(world_.address());
  const auto bad_control = raw_connect(world_, peer, where, "x@host");
  peer.send(bad_control.pipe, data_frame(bad_control.wire, "\xdd\xff\xff\xff\xff", wire::frame_kind::control));
  ASSERT_TRUE(world_.until([&] { return a.events.downs().size() == 1; }));
  EXPECT_EQ(a.events.downs()[0].reason, errc::bad_message);
  const auto false_credit = raw_connect(world_, peer, where, "y@host");
  peer.send(false_credit.pipe, data_frame(false_credit.wire,
                                          "\x92\xa6"
                                          "credit\x05",
                                          wire::frame_kind::control));
  ASSERT_TRUE(world_.until([&] { return a.events.downs().size() == 2; }));
  EXPECT_EQ(a.events.downs()[1].reason, errc::bad_message);
}

TEST_P(HubRefusal, APeerThatIgnoresItsCredit) {
  auto options = world_.options("a@host");
  options.limits.credit_bytes = 4096;
  test_node a(std::move(options));
  a.events.consume = false;
  raw_peer peer(world_.options("x@host").transport);
  const auto mine = raw_connect(world_, peer, a.listen(world_.address()), "x@host");
  for (int i = 0; i < 20; ++i) peer.send(mine.pipe, data_frame(mine.wire, std::string(1000, 'x')));
  ASSERT_TRUE(world_.until([&] { return a.events.downs().size() == 1; }));
  EXPECT_EQ(a.events.downs()[0].reason, errc::bad_message);
  EXPECT_LE(a.events.frame_count(), 4u);
}

TEST_P(HubRefusal, AFrameOverTheLimit) {
  auto options = world_.options("a@host");
  options.limits.frame_bytes = 2000;
  test_node a(std::move(options));
  test_node b(world_.options("b@host"));
  const auto where = a.listen(world_.address());
  b.hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return b.events.first() != 0; }));
  const auto sent = b.hub->send(b.events.first(), bytes(2001));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error(), errc::too_large);
  EXPECT_TRUE(b.hub->send(b.events.first(), bytes(2000)));
  ASSERT_TRUE(world_.until([&] { return a.events.frame_count() == 1; }));

  raw_peer peer(world_.options("x@host").transport);  // and one that does not look
  const auto mine = raw_connect(world_, peer, where, "x@host");
  peer.send(mine.pipe, data_frame(mine.wire, std::string(2001, 'x')));
  ASSERT_TRUE(world_.until([&] { return a.events.downs().size() == 1; }));
  EXPECT_EQ(a.events.downs()[0].reason, errc::too_large);
  EXPECT_EQ(a.events.frame_count(), 1u);
}

}  // namespace
}  // namespace troupe::test
