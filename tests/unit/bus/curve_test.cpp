// Encrypted tcp over the real libzmq: who gets through, who does not and hears why, and what others can see.
#include <gtest/gtest.h>
#include <zmq.h>

#include "crypto/key_pair.hpp"
#include "support/memory.hpp"
#include "system_loop.hpp"
#include "unit/bus/hub_fixture.hpp"
#include "unit/bus/raw_zmtp.hpp"
#include "zmq/zap.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view strong_cookie = "a7b2c6d3e5f4g2h3i4j5k6l7m2n3o4p5";

class Curve : public testing::Test {
 protected:
  // Encrypts on loopback too, unless another rule is given.
  bus::hub_options options(std::string_view name, plain_text allowed = plain_text::nowhere,
                           std::string_view cookie = strong_cookie) {
    auto out = world_.options(name, ++creations_);
    out.security.cookie = std::string(cookie);
    out.security.plain_text_allowed = allowed;
    return out;
  }
  [[nodiscard]] bool until(const std::function<bool()>& done) { return world_.until(done); }
  // The reason why `from` could not dial `where`; counts how many dials have failed before.
  error failure(test_node& from, const bus::endpoint& where) {
    const std::size_t before = from.events.failed().size();
    from.hub->dial(where);
    if (!until([&] { return from.events.failed().size() > before; })) return error(errc::none, "no failure at all");
    return from.events.failed().back().reason;
  }
  static std::uint64_t turned_away(const test_node& node) {
    std::uint64_t out = 0;
    for (const char* cause : {"wrong_key", "not_encrypted", "encrypted", "stranger"}) out += node.drops(cause);
    return out;
  }
  bool serves(test_node& node, const bus::endpoint& where, plain_text allowed = plain_text::nowhere) {
    test_node friendly(options("friend" + std::to_string(creations_) + "@host", allowed));
    const std::size_t before = node.events.ups().size();
    friendly.hub->dial(where);
    return until([&] { return friendly.events.first() != 0 && node.events.ups().size() > before; });
  }

  world world_{form::tcp};
  std::uint64_t creations_ = 0;
};

TEST_F(Curve, CarriesFramesBothWays) {
  test_node a(options("a@host"));
  test_node b(options("b@host"));
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

TEST_F(Curve, OffLoopbackItIsTheDefault) {
  test_node a(options("a@host", plain_text::on_loopback));
  const auto open = a.listen("tcp://0.0.0.0:*");  // a name of this host that is no loopback address
  EXPECT_TRUE(a.log.has("an endpoint is encrypted"));
  test_node b(options("b@host", plain_text::on_loopback));
  b.hub->dial(open);
  ASSERT_TRUE(until([&] { return b.events.first() != 0; }));
  EXPECT_TRUE(b.events.ups()[0].encrypted);
}

TEST_F(Curve, PlainEndpointsStandBesideEncryptedOnes) {
  test_node a(options("a@host"));
  temp_dir folder;
  const auto here = a.listen("ipc://" + (folder / "a").string());
  const auto wide = a.listen(world_.address());
  const auto also = a.listen("ipc://" + (folder / "b").string());
  test_node b(options("b@host"));
  test_node c(options("c@host"));
  test_node d(options("d@host"));
  b.hub->dial(here);
  c.hub->dial(wide);
  d.hub->dial(also);
  ASSERT_TRUE(until([&] { return a.events.ups().size() == 3; }));
  for (const auto& peer : a.events.ups()) EXPECT_EQ(peer.encrypted, peer.who.name == "c@host");
  a.hub->unlisten(wide);
  ASSERT_TRUE(until([&] { return !c.events.downs().empty(); }));
  EXPECT_TRUE(b.events.downs().empty());
  ASSERT_TRUE(a.hub->send(a.events.first(), bytes_of("still there")));
  ASSERT_TRUE(until([&] { return b.events.frame_count() + d.events.frame_count() == 1; }));
}

TEST_F(Curve, AWeakCookieStaysOnThisHost) {
  test_node a(options("a@host", plain_text::on_loopback, "secret-token"));
  test_node b(options("b@host", plain_text::on_loopback, "secret-token"));
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
TEST_F(Curve, MixedConfigurationsAreTypedErrors) {
  test_node encrypted(options("encrypted@host"));
  test_node plain(options("plain@host", plain_text::on_loopback));
  test_node encrypting(options("e@host"));
  test_node plain_dialler(options("p@host", plain_text::on_loopback));
  test_node other(options("o@host", plain_text::nowhere, "z9y8x7w6v5u4t3s2r1q0p9o8n7m6l5k4"));
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

TEST_F(Curve, WhereNobodyOrNoNodeListensThatIsSaid) {
  test_node a(options("a@host"));
  test_node b(options("b@host", plain_text::on_loopback));
  tcp_socket once;
  bus::endpoint where = bus::endpoint::parse("tcp://127.0.0.1:1").value();
  EXPECT_EQ(failure(a, where), errc::noconnection);
  where.port = once.listen();
  std::thread web([&] {  // hangs up on whoever comes: twice for each dial
    for (int i = 0; i < 4; ++i) {
      const tcp_socket in = once.accept();
      static_cast<void>(in.receive());
      in.send("HTTP/1.0 400 Bad Request\r\n\r\n");
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

TEST_F(Curve, AListenerThatSaysNothingIsGivenUp) {
  auto patient = options("a@host");
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

TEST_F(Curve, ARecordedStreamShowsNothing) {
  test_node a(options("alice@host"));
  test_node b(options("bob@host"));
  const std::string seen = recorded(world_, a, b, a.listen(world_.address()));
  EXPECT_GT(seen.size(), 1000u);
  EXPECT_TRUE(seen.contains("CURVE"));
  for (const std::string_view secret :
       {known_text, std::string_view("alice"), std::string_view("bob"), std::string_view("hello"), strong_cookie}) {
    EXPECT_FALSE(seen.contains(secret)) << secret;
  }
  // The same tap does see it where plain text is spoken.
  test_node c(options("carol@host", plain_text::on_loopback));
  test_node d(options("dave@host", plain_text::on_loopback));
  const std::string open = recorded(world_, c, d, c.listen(world_.address()));
  EXPECT_TRUE(open.contains(known_text));
  EXPECT_TRUE(open.contains("carol@host"));
  EXPECT_FALSE(open.contains(strong_cookie));
}

// -- strangers -------------------------------------------------------------------------------------------------------

TEST_F(Curve, ADiallerIsNotTalkedOutOfIt) {
  test_node a(options("alice@host"));
  for (const std::string& offer :
       {zmtp_greeting(0, ""), zmtp_greeting(1, ""), zmtp_greeting(3, "NULL"), std::string("\1\0", 2)}) {
    tcp_socket thief;
    bus::endpoint where = bus::endpoint::parse("tcp://127.0.0.1:1").value();
    where.port = thief.listen();
    const std::size_t before = a.events.failed().size();
    a.hub->dial(where);
    const tcp_socket in = thief.accept();
    in.send(offer);
    const std::string heard = in.receive_all(2000);  // to the end of the connection
    EXPECT_FALSE(heard.contains("alice"));
    EXPECT_LE(heard.size(), 64u);
    // It is asked once more what it speaks, and there says nothing of use.
    std::thread again([&] {
      const tcp_socket second = thief.accept();
      second.send("no");
    });
    EXPECT_TRUE(until([&] { return a.events.failed().size() > before; }));
    static_cast<void>(tcp_socket().connect(where.port));  // should it not have been asked
    again.join();
  }
  EXPECT_TRUE(a.events.ups().empty());
}

TEST_F(Curve, AListenerIsNotTalkedOutOfIt) {
  test_node a(options("alice@host"));
  const auto where = a.listen(world_.address());
  const std::string hello = std::string("\0\2hi", 4);
  for (const std::string& offer : {zmtp_greeting(0, "") + hello, zmtp_greeting(1, "") + hello,
                                   zmtp_greeting(3, "NULL") + hello, std::string("\1\0\3\0hi", 6)}) {
    tcp_socket thief;
    ASSERT_TRUE(thief.connect(where.port));
    thief.send(offer);
    const std::string heard = thief.receive_all();
    EXPECT_LE(heard.size(), 64u);
    EXPECT_FALSE(heard.contains("alice"));
  }
  EXPECT_EQ(a.hub->counters().half_handshakes, 0u);
  EXPECT_TRUE(serves(a, where));
}

// A DEALER of CURVE with keys of its own choice.
class curve_stranger {
 public:
  curve_stranger(void* context, const std::string& where, const bus::channel_key& server,
                 const troupe::internal::key_pair& own)
      : socket_(zmq_socket(context, ZMQ_DEALER)) {
    const int none = 0;
    const int hour = 3'600'000;
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket_, ZMQ_RECONNECT_IVL, &hour, sizeof hour);
    zmq_setsockopt(socket_, ZMQ_CURVE_SERVERKEY, server.data(), server.size());
    zmq_setsockopt(socket_, ZMQ_CURVE_PUBLICKEY, own.open.data(), own.open.size());
    zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, own.secret.data(), own.secret.size());
    zmq_connect(socket_, where.c_str());
    zmq_send(socket_, "let me in", 9, ZMQ_DONTWAIT);  // it may have been turned away by now
  }
  ~curve_stranger() { zmq_close(socket_); }

 private:
  void* socket_;
};

TEST_F(Curve, AStrangerGetsNoFurtherThanTheCheckOfKeys) {
  test_node a(options("a@host"));
  const auto where = a.listen(world_.address());
  const auto keys = bus::derive_channel_keys(strong_cookie);
  void* context = zmq_ctx_new();
  {
    // It knows the acceptor's public key, and has any pair of its own.
    curve_stranger one(context, where.text(), keys.acceptor_public, troupe::internal::derive_key_pair("x", "y"));
    EXPECT_TRUE(until([&] { return a.drops("wrong_key") == 1; }));
    EXPECT_TRUE(a.log.has("a key that the cookie does not give"));
    // It knows nothing.
    const auto nothing = troupe::internal::derive_key_pair("x", "z").open;
    curve_stranger two(context, where.text(), nothing, troupe::internal::derive_key_pair("x", "y"));
    EXPECT_TRUE(until([&] { return a.drops("wrong_key") == 2; }));
    // Only the pair of the cookie is let in, and then it is a stranger to the handshake.
    curve_stranger three(context, where.text(), keys.acceptor_public, {keys.dialler_public, keys.dialler_secret});
    EXPECT_TRUE(until([&] { return a.drops("stranger") == 1; }));
    EXPECT_TRUE(a.log.has("a stranger's bytes were dropped"));
  }
  zmq_ctx_term(context);
  EXPECT_EQ(a.hub->counters().half_handshakes, 0u);
}

TEST_F(Curve, WithoutTheCheckOfKeysNobodyGetsIn) {
  test_node a(options("a@host"));
  const auto where = a.listen(world_.address());
  EXPECT_TRUE(serves(a, where));
  const std::size_t before = a.events.ups().size();
  auto& loop = dynamic_cast<bus::internal::system_loop&>(world_.loop());
  loop.run([&] {  // libzmq finds nobody to ask, and lets everybody finish its handshake
    const auto context = std::static_pointer_cast<bus::internal::zmq_context>(loop.shared_context());
    context->zap().lock()->shut();
  });
  auto hurried = options("b@host");
  hurried.limits.handshake = 500ms;
  test_node b(std::move(hurried));
  EXPECT_EQ(failure(b, where), errc::timeout);  // even who has the right key
  EXPECT_GE(a.drops("wrong_key"), 1u);
  EXPECT_TRUE(a.log.has("whose key nobody has checked"));
  EXPECT_EQ(a.events.ups().size(), before);
  EXPECT_EQ(a.hub->counters().half_handshakes, 0u);
}

TEST_F(Curve, HubsOfOneLoopKeepTheirCookiesApart) {
  constexpr std::string_view second = "z9y8x7w6v5u4t3s2r1q0p9o8n7m6l5k4";
  test_node a(options("a@host"));
  test_node b(options("b@host", plain_text::nowhere, second));
  const auto at_a = a.listen(world_.address());
  auto at_b = b.listen(world_.address());
  test_node c(options("c@host"));
  test_node d(options("d@host", plain_text::nowhere, second));
  EXPECT_EQ(failure(c, at_b), errc::bad_cookie);
  EXPECT_EQ(failure(d, at_a), errc::bad_cookie);
  c.hub->dial(at_a);
  d.hub->dial(at_b);
  EXPECT_TRUE(until([&] { return c.events.first() != 0 && d.events.first() != 0; }));
  a.hub->stop();  // one of two goes: the other still has its keys checked
  EXPECT_TRUE(until([&] { return !c.events.downs().empty(); }));
  EXPECT_EQ(failure(c, at_b), errc::bad_cookie);
  test_node e(options("e@host", plain_text::nowhere, second));
  e.hub->dial(at_b);
  EXPECT_TRUE(until([&] { return e.events.first() != 0; }));
  b.hub->stop();
  EXPECT_EQ(failure(e, at_b), errc::noconnection);
  test_node f(options("f@host"));  // and when all were gone, it is there for the next
  EXPECT_TRUE(serves(f, f.listen(world_.address())));
}

TEST_F(Curve, AnEndpointKeepsItsKeysUntilItIsListenedToAnew) {
  constexpr std::string_view next = "z9y8x7w6v5u4t3s2r1q0p9o8n7m6l5k4";
  test_node a(options("a@host"));
  auto where = a.listen(world_.address());
  a.hub->set_security({.cookie = std::string(next), .plain_text_allowed = plain_text::nowhere});
  test_node b(options("b@host", plain_text::nowhere, next));
  EXPECT_EQ(failure(b, where), errc::bad_cookie);
  test_node c(options("c@host"));  // the old key opens the channel, the old cookie nothing
  EXPECT_EQ(failure(c, where), errc::bad_cookie);
  a.hub->unlisten(where);
  where = a.listen(world_.address());
  b.hub->dial(where);
  EXPECT_TRUE(until([&] { return b.events.first() != 0; }));
}

TEST_F(Curve, ThousandsOfStrangersCostNoMemory) {
  test_node a(options("a@host"));
  const auto where = a.listen(world_.address());
  test_node b(options("b@host"));
  b.hub->dial(where);
  ASSERT_TRUE(until([&] { return a.events.first() != 0 && b.events.first() != 0; }));
  const auto keys = bus::derive_channel_keys(strong_cookie);
  const auto own = troupe::internal::derive_key_pair("x", "y");
  const std::string curve = zmtp_greeting(3, "CURVE");
  const std::string hello = std::string("\4\xc8\5HELLO\1\0", 10) + std::string(192, 'x');  // a box that does not open
  void* context = zmq_ctx_new();
  std::size_t came = 0;
  const auto wave = [&](int count) {
    for (int i = 0; i < count; ++i) {
      tcp_socket one;
      ASSERT_TRUE(one.connect(where.port));
      one.send(i % 3 == 0 ? std::string(300, 'z') : i % 3 == 1 ? curve.substr(0, 30) : curve + hello);
      if (i % 3 != 0) ++came;  // libzmq says nothing of those who do not even greet as ZMTP 3 does
      if (i % 8 == 0) {
        const std::uint64_t before = a.drops("wrong_key");
        const bool knows = i % 16 == 0;  // the acceptor's public key, which then asks ZAP
        curve_stranger two(context, where.text(), knows ? keys.acceptor_public : own.open, own);
        ASSERT_TRUE(until([&] { return a.drops("wrong_key") > before; }));
        ++came;
      }
    }
    // One that was reset before it was accepted leaves no trace.
    ASSERT_TRUE(until([&] { return turned_away(a) >= came - came / 20; })) << turned_away(a) << " of " << came;
  };
  wave(1500);  // warm: pools of libzmq and of the allocator
  const std::int64_t before = memory_in_use();
  wave(4500);
  const std::int64_t grown = memory_in_use() - before;
  zmq_ctx_term(context);
  EXPECT_LT(grown, 4 << 20);
  EXPECT_EQ(a.hub->counters().half_handshakes, 0u);
  EXPECT_EQ(a.events.ups().size(), 1u);
  EXPECT_TRUE(a.events.downs().empty());
  ASSERT_TRUE(b.hub->send(b.events.first(), bytes_of("still here")));
  EXPECT_TRUE(until([&] { return a.events.frame_count() == 1; }));
  EXPECT_LT(a.log.count("a stranger was turned away"), 200u);  // nor does the log grow with them
}

}  // namespace
}  // namespace troupe::test
