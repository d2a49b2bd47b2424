// Credit, queues, goodbyes and silence.
#include <gtest/gtest.h>

#include "unit/bus/raw_peer.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

class HubFlow : public testing::TestWithParam<form> {
 protected:
  void connect(test_node& a, test_node& b) {
    b.hub->dial(a.listen(world_.address()));
    ASSERT_TRUE(world_.until([&] { return a.events.first() != 0 && b.events.first() != 0; }));
  }
  world world_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Forms, HubFlow, testing::ValuesIn(forms),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(HubFlow, ASlowConsumerBoundsTheSenderAndLosesNothing) {
  auto slow = world_.options("a@host");
  slow.limits.credit_bytes = 8192;
  test_node a(std::move(slow));
  a.events.consume = false;
  auto quick = world_.options("b@host");
  quick.queue_bytes = 20'000;
  test_node b(std::move(quick));
  connect(a, b);

  std::size_t sent = 0;
  for (;; ++sent) {
    const auto one = b.hub->send(b.events.first(), bytes(1000));
    if (one) continue;
    EXPECT_EQ(one.error(), errc::overloaded);
    world_.settle();
    if (!b.hub->send(b.events.first(), bytes(1000))) break;
    ASSERT_LT(sent, 1000u);
  }
  EXPECT_LE(sent, 30u);
  EXPECT_LE(a.events.frame_count(), 9u);  // the window, and one frame over
  EXPECT_LE(b.hub->queued(b.events.first()), 20'000u);
  ASSERT_TRUE(b.hub->send(b.events.first(), bytes_of("must"), bus::delivery::must));

  const auto arrived = a.events.frame_count();
  a.events.consume = true;
  for (std::size_t i = 0; i < arrived; ++i) a.hub->consumed(a.events.first(), 1000);
  ASSERT_TRUE(world_.until([&] { return a.events.frame_count() == sent + 1; }));
  EXPECT_EQ(a.events.frames().back().second, "must");
  EXPECT_TRUE(world_.until([&] { return b.events.relieved_count() >= 1; }));
  EXPECT_TRUE(world_.until([&] { return b.hub->queued(b.events.first()) == 0; }));
}

TEST_P(HubFlow, AnOverflowingReserveEndsTheConnection) {
  auto slow = world_.options("a@host");
  slow.limits.credit_bytes = 4096;
  test_node a(std::move(slow));
  a.events.consume = false;
  auto quick = world_.options("b@host");
  quick.queue_bytes = 8000;
  quick.reserve_bytes = 8000;
  test_node b(std::move(quick));
  connect(a, b);
  for (int i = 0; i < 100; ++i) {
    if (!b.hub->send(b.events.first(), bytes(1000), bus::delivery::must)) break;
    world_.settle();
  }
  ASSERT_TRUE(world_.until([&] { return !b.events.downs().empty() && !a.events.downs().empty(); }));
  EXPECT_EQ(b.events.downs()[0].reason, errc::overloaded);
  EXPECT_EQ(a.events.downs()[0].reason, errc::overloaded);
}

TEST_P(HubFlow, CloseFlushesAndTellsBothSides) {
  test_node a(world_.options("a@host"));
  test_node b(world_.options("b@host"));
  connect(a, b);
  const auto id = b.events.first();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(b.hub->send(id, bytes_of(std::to_string(i))));
  b.hub->close(id, error(errc::closed, "work is done"));
  ASSERT_TRUE(world_.until([&] { return !a.events.downs().empty() && !b.events.downs().empty(); }));
  EXPECT_EQ(a.events.frame_count(), 100u);
  EXPECT_EQ(a.events.downs()[0].reason, errc::closed);
  EXPECT_EQ(a.events.downs()[0].reason.text(), "work is done");
  EXPECT_EQ(b.events.downs()[0].reason.text(), "work is done");
  EXPECT_EQ(b.hub->send(id, bytes_of("late")).error(), errc::noconnection);
  EXPECT_TRUE(world_.until([&] { return a.hub->counters().connections == 0; }));
}

TEST_P(HubFlow, StopIsAPlannedLeave) {
  test_node a(world_.options("a@host"));
  test_node b(world_.options("b@host"));
  connect(a, b);
  a.hub->stop();
  ASSERT_TRUE(world_.until([&] { return a.hub->stopped() && !b.events.downs().empty(); }));
  EXPECT_EQ(a.events.downs()[0].reason, errc::shutting_down);
  EXPECT_EQ(b.events.downs()[0].reason, errc::shutting_down);
  EXPECT_EQ(b.events.downs().size(), 1u);
  EXPECT_EQ(a.events.lines().back(), "down " + a.events.downs()[0].reason.message());
}

TEST_P(HubFlow, AHubThatJustEndsIsALoss) {
  auto a = std::make_unique<test_node>(world_.options("a@host"));
  test_node b(world_.options("b@host"));
  connect(*a, b);
  a.reset();
  ASSERT_TRUE(world_.until([&] { return !b.events.downs().empty(); }));
  EXPECT_EQ(b.events.downs()[0].reason, errc::noconnection);

  test_node c(world_.options("c@host"));  // the same, seen by the acceptor
  auto d = std::make_unique<test_node>(world_.options("d@host"));
  connect(c, *d);
  d.reset();
  ASSERT_TRUE(world_.until([&] { return !c.events.downs().empty(); }));
  EXPECT_EQ(c.events.downs()[0].reason, errc::noconnection);
}

TEST_P(HubFlow, TicksMeasureAndCarryHealth) {
  auto options = world_.options("a@host");
  options.limits.tick = 500ms;  // four of them end the connection, which must outlive a machine that has no time for it
  test_node a(std::move(options));
  test_node b(world_.options("b@host"));
  a.hub->set_health(77);
  connect(a, b);
  ASSERT_TRUE(world_.until([&] {
    const auto all = b.hub->counters();
    return all.peers.size() == 1 && all.peers[0].rtt && all.peers[0].peer_health == 77;
  }));
  EXPECT_TRUE(a.events.downs().empty());
}

TEST_P(HubFlow, ASilentPeerIsDownAfterItsTicks) {
  auto options = world_.options("a@host");
  options.limits.tick = 100ms;  // libzmq gives up who does not answer its heartbeat within two of them
  test_node a(std::move(options));
  raw_peer peer(world_.options("x@host").transport);
  raw_connect(world_, peer, a.listen(world_.address()), "x@host");
  ASSERT_TRUE(world_.until([&] { return !a.events.downs().empty(); }));
  EXPECT_EQ(a.events.downs()[0].reason, errc::noconnection);
  EXPECT_TRUE(a.events.downs()[0].reason.text().contains("silent")) << a.events.downs()[0].reason.text();
}

TEST_P(HubFlow, AProbeFindsTheDeadAndSparesTheLiving) {
  test_node a(world_.options("a@host"));
  test_node b(world_.options("b@host"));
  connect(a, b);
  a.hub->probe(a.events.first(), 20s);
  ASSERT_TRUE(world_.until([&] { return a.hub->counters().peers.at(0).rtt.has_value(); }));
  raw_peer peer(world_.options("x@host").transport);
  raw_connect(world_, peer, a.listen(world_.address()), "x@host");
  ASSERT_TRUE(world_.until([&] { return a.events.ups().size() == 2; }));
  a.hub->probe(a.events.last(), 30ms);
  ASSERT_TRUE(world_.until([&] { return !a.events.downs().empty(); }));
  EXPECT_EQ(a.events.downs()[0].id, a.events.last());
}

TEST(HubEndpoints, PlainTextOffLoopbackIsSpokenWhenAskedFor) {
  world zmq(form::tcp);
  const auto outside = bus::endpoint::parse("tcp://0.0.0.0:0").value();
  auto options = zmq.options("b@host");
  options.security.cookie = "a-cookie-of-this-test-of-many-characters";
  options.security.plain_text_allowed = plain_text::anywhere;
  test_node b(std::move(options));
  const auto allowed = b.hub->listen(outside);
  ASSERT_TRUE(allowed) << allowed.error().message();
  EXPECT_NE(allowed->port, 0);
  EXPECT_TRUE(b.log.has("off loopback is not encrypted"));
  const auto twice = b.hub->listen(*allowed);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error(), errc::io);
}

}  // namespace
}  // namespace troupe::test
