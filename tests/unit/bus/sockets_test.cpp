// What a transport of sockets can get wrong, and libzmq more than others: peers that are killed, strangers under
// another's id, edges that are eaten.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <zmq.h>

#include <condition_variable>

#include "support/program.hpp"
#include "unit/bus/raw_zmtp.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

// This very program plays the peer that dies: see ProgramPeer below.
std::string own_path() { return std::filesystem::read_symlink("/proc/self/exe").string(); }
constexpr const char* address_variable = "TROUPE_TEST_PEER_ADDRESS";
constexpr const char* channel_variable = "TROUPE_TEST_PEER_CHANNEL";
constexpr const char* carrier_variable = "TROUPE_TEST_PEER_CARRIER";

// Not a test by itself (suites named Program… are not registered): run in a child, it dials and sends numbered frames
// until it is killed.
TEST(ProgramPeer, SendsUntilItIsKilled) {
  const char* address = std::getenv(address_variable);
  if (address == nullptr) GTEST_SKIP() << "only run by KilledPeer";
  world here(form::ipc);
  const auto carrier =
      std::getenv(carrier_variable) == to_string(pairing::zeromq) ? transport_kind::zeromq : transport_kind::direct;
  auto options = here.options("child@host", static_cast<std::uint64_t>(::getpid()), carrier);
  if (std::getenv(channel_variable) == std::string_view("encrypted"))
    options.security.plain_text_allowed = plain_text::nowhere;
  test_node child(std::move(options));
  child.hub->dial(bus::endpoint::parse(address).value());
  ASSERT_TRUE(here.until([&] { return child.events.first() != 0; }));
  for (int i = 0;; ++i) {
    while (!child.hub->send(child.events.first(), bytes_of(std::to_string(i)))) {
      if (!child.events.downs().empty()) return;
      usleep(200);
    }
    // The reader's answer to its first frames: by then libzmq has long taken what was sent behind them.
    if (i == 2000 && here.until([&] { return child.events.frame_count() > 0; })) puts("SENT"), fflush(stdout);
    if (i > 2000) usleep(1000);
  }
}

// As above, but without libzmq: when a write has returned, the kernel has taken those frames, and of a socket of this
// host that means that they have arrived. Fifty at a time, until the socket is full because nobody reads.
constexpr int raw_frames = 20'000;
std::string raw_text(int number) { return std::to_string(number) + std::string(200, '.'); }

TEST(ProgramRawPeer, WritesUntilItIsKilled) {
  const char* address = std::getenv(address_variable);
  if (address == nullptr) GTEST_SKIP() << "only run by KilledPeer";
  auto peer = raw_zmtp::over(bus::endpoint::parse(address).value());
  const auto id = peer.join("child@host", static_cast<std::uint64_t>(::getpid()));
  ASSERT_TRUE(id.has_value());
  std::string fifty;
  for (int i = 0; i < raw_frames; ++i) {
    fifty += zmtp_frame(text_of(data_frame(*id, raw_text(i))));
    if (i % 50 != 49) continue;
    ASSERT_TRUE(peer.socket().send(std::exchange(fifty, {})));
    printf("took %d\n", i + 1), fflush(stdout);
  }
  for (;;) pause();
}

// The last number that it said, 0 for none.
std::size_t last_taken(const std::string& out) {
  const auto end = out.rfind('\n');  // the line behind it may be half of one
  const auto at = end == std::string::npos ? end : out.rfind("took ", end);
  return at == std::string::npos ? 0 : std::stoul(out.substr(at + 5));
}

// By who carries it, on both sides.
class Carried : public testing::TestWithParam<pairing> {};
class KilledPeer : public Carried {};
class Stranger : public Carried {};
class SocketLoop : public Carried {};
const auto either = testing::Values(pairing::direct, pairing::zeromq);
const auto either_name = [](const testing::TestParamInfo<pairing>& info) { return to_string(info.param); };
INSTANTIATE_TEST_SUITE_P(By, KilledPeer, either, either_name);
INSTANTIATE_TEST_SUITE_P(By, Stranger, either, either_name);
INSTANTIATE_TEST_SUITE_P(By, SocketLoop, either, either_name);

TEST_P(KilledPeer, AllThatHadArrivedComesBeforeTheDown) {
  for (const char* kill_at : {"took 100\n", "took 300\n", "took 500\n", "took 600\n"}) {
    world here({form::ipc, GetParam()});
    auto options = here.options("a@host");
    options.limits.credit_bytes = 16u << 20;  // for all of its frames
    test_node a(std::move(options));
    // A busy reader: from its hundredth frame on until the peer is dead, so that all others lie unread by then, in the
    // kernel, which takes that many.
    std::mutex mutex;
    std::condition_variable changed;
    bool dead = false;
    std::size_t count = 0;
    a.events.on_frame = [&](bus::connection_id, std::span<const std::byte>) {
      if (++count != 100) return;
      std::unique_lock lock(mutex);
      changed.wait_for(lock, default_deadline, [&] { return dead; });
    };
    const auto where = a.listen(here.address());
    program child({own_path(), "--gtest_filter=ProgramRawPeer.*"}, {.environment = {{address_variable, where.text()}}});
    const bool told = child.wait_output(kill_at);
    child.signal(SIGKILL);
    const auto ended = child.wait_exit();
    {
      std::lock_guard lock(mutex);
      dead = true;
    }
    changed.notify_one();
    ASSERT_TRUE(told) << child.out() << child.err();
    EXPECT_EQ(ended, 128 + SIGKILL);
    ASSERT_TRUE(here.until([&] { return !a.events.downs().empty(); }));
    EXPECT_EQ(a.events.downs()[0].reason, errc::noconnection);
    const auto frames = a.events.frames();
    for (std::size_t i = 0; i < frames.size(); ++i) ASSERT_EQ(frames[i].second, raw_text(static_cast<int>(i)));
    EXPECT_GE(frames.size(), last_taken(child.out()));
    EXPECT_GE(last_taken(child.out()), 100u);
    const auto lines = a.events.lines();
    EXPECT_TRUE(lines.back().starts_with("down ")) << lines.back();
  }
}

void expect_found_soon(const form& which) {
  world here(which);
  test_node a(here.options("a@host"));
  a.events.on_frame = [&, told = false](bus::connection_id id, std::span<const std::byte>) mutable {
    if (!std::exchange(told, true)) static_cast<void>(a.hub->send(id, bytes_of("go on")));
  };
  const auto where = a.listen(here.address());
  program child({own_path(), "--gtest_filter=ProgramPeer.*"},
                {.environment = {{address_variable, where.text()},
                                 {channel_variable, here.encrypts() ? "encrypted" : "plain"},
                                 {carrier_variable, to_string(which.by)}}});
  ASSERT_TRUE(child.wait_output("SENT"));
  const auto before = std::chrono::steady_clock::now();
  child.signal(SIGKILL);
  ASSERT_TRUE(here.until([&] { return !a.events.downs().empty(); }));
  // A tick would take a minute; generous for a loaded machine.
  EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
  EXPECT_EQ(a.events.ups().at(0).encrypted, here.encrypts());
}

TEST_P(KilledPeer, IsFoundWithinMilliseconds) { expect_found_soon({form::ipc, GetParam()}); }

TEST_P(KilledPeer, IsFoundAsSoonByTcp) { expect_found_soon({form::tcp, GetParam()}); }

TEST_P(KilledPeer, IsFoundAsSoonWhenItsFramesAreEncrypted) { expect_found_soon({form::curve, GetParam()}); }

// A plain client of libzmq, as a stranger writes one.
class zmq_stranger {
 public:
  explicit zmq_stranger(const std::string& where, std::string_view routing_id = {}) : context_(zmq_ctx_new()) {
    socket_ = zmq_socket(context_, ZMQ_DEALER);
    const int none = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
    if (!routing_id.empty()) zmq_setsockopt(socket_, ZMQ_ROUTING_ID, routing_id.data(), routing_id.size());
    zmq_connect(socket_, where.c_str());
  }
  ~zmq_stranger() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  void send(std::string_view data, bool more = false) {
    zmq_send(socket_, data.data(), data.size(), more ? ZMQ_SNDMORE : 0);
  }

 private:
  void* context_;
  void* socket_ = nullptr;
};

TEST(Listen, OnLocalhostIsOnLoopback) {
  world here(form::tcp);
  test_node a(here.options("a@host"));
  const auto where = a.listen("tcp://localhost:*");
  EXPECT_EQ(where.host, "localhost");
  test_node b(here.options("b@host"));
  b.hub->dial(where);
  EXPECT_TRUE(here.until([&] { return b.events.first() != 0; }));
}

TEST_P(SocketLoop, WhereItNoLongerListensNobodyComesUntilItDoesAgain) {
  for (const auto kind : {form::ipc, form::tcp}) {
    world here({kind, GetParam()});
    test_node a(here.options("a@host"));
    const auto where = a.listen(here.address());
    test_node b(here.options("b@host"));
    b.hub->dial(where);
    ASSERT_TRUE(here.until([&] { return a.events.first() != 0 && b.events.first() != 0; }));
    a.hub->unlisten(where);
    EXPECT_FALSE(kind == form::ipc && std::filesystem::exists(where.host));
    // libzmq closes its socket on a thread of its own, and its connections with it.
    test_node c(here.options("c@host"));
    ASSERT_TRUE(here.until([&] {
      const std::size_t before = c.events.failed().size();
      c.hub->dial(where, {.expected_name = "nobody@host"});
      return here.until([&] { return c.events.failed().size() > before; }) &&
             c.events.failed().back().reason.text().contains("nobody answers");
    }));
    if (GetParam() == pairing::zeromq) {
      EXPECT_TRUE(here.until([&] { return !a.events.downs().empty() && !b.events.downs().empty(); }));
    }
    ASSERT_EQ(a.listen(where.text()), where);
    c.hub->dial(where);
    EXPECT_TRUE(here.until([&] { return c.events.first() != 0; }));
  }
}

TEST_P(Stranger, UnderAGuessedRoutingIdAbortsNobody) {
  // libzmq numbers a ROUTER's peers from rand(), which nobody seeds: 00 6b8b4567 is the first of every program.
  world here({form::tcp, GetParam()});
  test_node a(here.options("a@host"));
  const auto where = a.listen(here.address());
  const std::string first("\0\x6b\x8b\x45\x67", 5);
  const std::string second("\0\x6b\x8b\x45\x68", 5);
  zmq_stranger one(where.text(), first);
  zmq_stranger two(where.text(), second);
  one.send("x");
  two.send("x");
  ASSERT_TRUE(here.until([&] { return a.drops("stranger") >= 2; }));
  zmq_stranger anonymous(where.text());
  anonymous.send("x");
  ASSERT_TRUE(here.until([&] { return a.drops("stranger") >= 3; }));
  test_node b(here.options("b@host"));
  b.hub->dial(where);
  EXPECT_TRUE(here.until([&] { return b.events.first() != 0; }));
}

TEST_P(Stranger, WithPartsFloodsAndOversizeHarmsNobody) {
  world here({form::tcp, GetParam()});
  auto options = here.options("a@host");
  options.limits.frame_bytes = 4096;
  test_node a(std::move(options));
  const auto where = a.listen(here.address());
  test_node b(here.options("b@host"));
  b.hub->dial(where);
  ASSERT_TRUE(here.until([&] { return a.events.first() != 0 && b.events.first() != 0; }));
  zmq_stranger parts(where.text());
  parts.send("one", true);
  parts.send("two");
  zmq_stranger big(where.text());
  big.send(std::string(1u << 20, 'x'));
  zmq_stranger flood(where.text());
  for (int i = 0; i < 20'000; ++i) flood.send("y");
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(b.hub->send(b.events.first(), bytes_of(std::to_string(i))));
  ASSERT_TRUE(here.until([&] { return a.events.frame_count() == 500; }));
  EXPECT_TRUE(here.until([&] { return a.drops("stranger") >= 3; }));  // each is hung up on at once
  EXPECT_EQ(a.hub->counters().half_handshakes, 0u);
  EXPECT_TRUE(a.events.downs().empty());
}

TEST_P(SocketLoop, EchoesNeverStall) {
  // Random sends and reads: an edge of ZMQ_FD that a send has eaten would stop this for ever.
  world here({form::ipc, GetParam()});
  test_node a(here.options("a@host"));
  test_node b(here.options("b@host"));
  constexpr std::size_t rounds = 20'000;
  a.events.on_frame = [&](bus::connection_id id, std::span<const std::byte> data) {
    static_cast<void>(a.hub->send(id, bytes(data.begin(), data.end()), bus::delivery::must));
  };
  b.hub->dial(a.listen(here.address()));
  ASSERT_TRUE(here.until([&] { return b.events.first() != 0; }));
  auto random = seeded_random(3);
  std::size_t sent = 0;
  while (sent < rounds) {
    const std::size_t burst = 1 + random->below(40);
    for (std::size_t i = 0; i < burst; ++i) {
      if (b.hub->send(b.events.first(), bytes_of(std::to_string(sent)))) ++sent;
    }
    const std::size_t at_most_behind = random->below(3) == 0 ? 0 : 200;
    ASSERT_TRUE(here.until([&] { return b.events.frame_count() + at_most_behind >= sent; })) << "stalled at " << sent;
  }
  ASSERT_TRUE(here.until([&] { return b.events.frame_count() == sent; }));
}

TEST_P(SocketLoop, ManyHubsShareOneLoop) {
  world here({form::ipc, GetParam()});
  test_node centre(here.options("centre@host"));
  const auto where = centre.listen(here.address());
  std::vector<std::unique_ptr<test_node>> others;
  for (int i = 0; i < 20; ++i) {
    others.push_back(std::make_unique<test_node>(here.options("n" + std::to_string(i) + "@host")));
    others.back()->hub->dial(where);
  }
  ASSERT_TRUE(here.until([&] { return centre.events.ups().size() == others.size(); }));
  others.clear();  // all at once
  ASSERT_TRUE(here.until([&] { return centre.events.downs().size() == 20; }));
}

}  // namespace
}  // namespace troupe::test
