// Who comes to an encrypted endpoint and is none of the cluster's.
#include <zmq.h>

#include "crypto/key_pair.hpp"
#include "support/memory.hpp"
#include "system_loop.hpp"
#include "unit/bus/curve_fixture.hpp"
#include "zmq/zap.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

class CurveStrangers : public Curve {};

INSTANTIATE_TEST_SUITE_P(Pairings, CurveStrangers, testing::ValuesIn(pairings),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(CurveStrangers, ADiallerIsNotTalkedOutOfIt) {
  test_node a(listening("alice@host"));
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

TEST_P(CurveStrangers, AListenerIsNotTalkedOutOfIt) {
  test_node a(listening("alice@host"));
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

TEST_P(CurveStrangers, AStrangerGetsNoFurtherThanTheCheckOfKeys) {
  test_node a(listening("a@host"));
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

TEST_P(CurveStrangers, WithoutTheCheckOfKeysNobodyGetsIn) {
  if (acceptor_of(GetParam()) == transport_kind::direct) return;  // which asks nobody
  test_node a(listening("a@host"));
  const auto where = a.listen(world_.address());
  EXPECT_TRUE(serves(a, where));
  const std::size_t before = a.events.ups().size();
  auto& loop = dynamic_cast<bus::internal::system_loop&>(world_.loop());
  loop.run([&] {  // libzmq finds nobody to ask, and lets everybody finish its handshake
    const auto context = std::static_pointer_cast<bus::internal::zmq_context>(loop.shared_context());
    context->zap().lock()->shut();
  });
  auto hurried = dialling("b@host");
  hurried.limits.handshake = 500ms;
  test_node b(std::move(hurried));
  EXPECT_EQ(failure(b, where), errc::timeout);  // even who has the right key
  EXPECT_GE(a.drops("wrong_key"), 1u);
  EXPECT_TRUE(a.log.has("whose key nobody has checked"));
  EXPECT_EQ(a.events.ups().size(), before);
  EXPECT_EQ(a.hub->counters().half_handshakes, 0u);
}

TEST_P(CurveStrangers, HubsOfOneLoopKeepTheirCookiesApart) {
  constexpr std::string_view second = "z9y8x7w6v5u4t3s2r1q0p9o8n7m6l5k4";
  test_node a(listening("a@host"));
  test_node b(listening("b@host", plain_text::nowhere, second));
  const auto at_a = a.listen(world_.address());
  auto at_b = b.listen(world_.address());
  test_node c(dialling("c@host"));
  test_node d(dialling("d@host", plain_text::nowhere, second));
  EXPECT_EQ(failure(c, at_b), errc::bad_cookie);
  EXPECT_EQ(failure(d, at_a), errc::bad_cookie);
  c.hub->dial(at_a);
  d.hub->dial(at_b);
  EXPECT_TRUE(until([&] { return c.events.first() != 0 && d.events.first() != 0; }));
  a.hub->stop();  // one of two goes: the other still has its keys checked
  EXPECT_TRUE(until([&] { return !c.events.downs().empty(); }));
  EXPECT_EQ(failure(c, at_b), errc::bad_cookie);
  test_node e(dialling("e@host", plain_text::nowhere, second));
  e.hub->dial(at_b);
  EXPECT_TRUE(until([&] { return e.events.first() != 0; }));
  b.hub->stop();
  EXPECT_EQ(failure(e, at_b), errc::noconnection);
  test_node f(listening("f@host"));  // and when all were gone, it is there for the next
  EXPECT_TRUE(serves(f, f.listen(world_.address())));
}

TEST_P(CurveStrangers, AnEndpointKeepsItsKeysUntilItIsListenedToAnew) {
  constexpr std::string_view next = "z9y8x7w6v5u4t3s2r1q0p9o8n7m6l5k4";
  test_node a(listening("a@host"));
  auto where = a.listen(world_.address());
  a.hub->set_security({.cookie = std::string(next), .plain_text_allowed = plain_text::nowhere});
  test_node b(dialling("b@host", plain_text::nowhere, next));
  EXPECT_EQ(failure(b, where), errc::bad_cookie);
  test_node c(dialling("c@host"));  // the old key opens the channel, the old cookie nothing
  EXPECT_EQ(failure(c, where), errc::bad_cookie);
  a.hub->unlisten(where);
  where = a.listen(world_.address());
  b.hub->dial(where);
  EXPECT_TRUE(until([&] { return b.events.first() != 0; }));
}

TEST_P(CurveStrangers, ThousandsOfStrangersCostNoMemory) {
  test_node a(listening("a@host"));
  const auto where = a.listen(world_.address());
  test_node b(dialling("b@host"));
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
