// What strangers can make a node keep or do before they have proved anything, and who pays for it.
#include <sys/resource.h>

#include <new>
#include <set>

#include <gtest/gtest.h>

#include "crowd.hpp"
#include "support/memory.hpp"
#include "unit/bus/raw_zmtp.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
namespace wire = bus::internal;
using bus::internal::zmtp::curve;

TEST(Crowd, TurnsAwayTheSourceThatHasItsShareAndElseAnybody) {
  auto random = seeded_random(3);
  wire::crowd crowd(8, 6, *random);
  std::set<std::uint64_t> there;
  std::uint64_t last = 0;
  const auto come = [&](const std::string& source) {
    const std::uint64_t goes = crowd.must_go(source);
    if (goes != 0) {
      EXPECT_EQ(there.erase(goes), 1u);
      crowd.remove(goes);
    }
    crowd.add(++last, source);
    there.insert(last);
    return goes;
  };
  EXPECT_EQ(come("honest"), 0u);
  for (int i = 0; i < 500; ++i) EXPECT_NE(come("flood"), 1u);
  EXPECT_TRUE(there.contains(1));
  EXPECT_EQ(crowd.size(), 7u);
  for (int i = 0; i < 2000; ++i) {
    come(std::to_string(random->below(20)));
    ASSERT_EQ(crowd.size(), there.size());
    ASSERT_LE(crowd.size(), 8u);
    if (random->below(3) != 0) continue;
    const std::uint64_t leaves = crowd.any();
    crowd.remove(leaves);
    there.erase(leaves);
    crowd.remove(leaves);  // again: nothing
  }
  while (crowd.size() > 0) crowd.remove(crowd.any());
  EXPECT_EQ(crowd.any(), 0u);
}

// At plain endpoints and at encrypted ones, of ours; there the strangers know the key of the cluster and nothing else.
class Strangers : public testing::TestWithParam<form> {
 protected:
  raw_zmtp zmtp(tcp_socket socket) const {
    if (!here_.encrypts()) return raw_zmtp(std::move(socket));
    return {std::move(socket), bus::derive_channel_keys(good_cookie)};
  }
  bool serves(const bus::endpoint& where) {
    test_node friendly(here_.options("friend" + std::to_string(++friends_) + "@host"));
    friendly.hub->dial(where);
    return here_.until([&] { return friendly.events.first() != 0; });
  }
  bool counted(std::string_view cause, std::uint64_t at_least = 1) {
    return here_.until([&] { return a_.drops(cause) >= at_least; });
  }
  tcp_socket connect(const char* from = "127.0.0.1") {
    tcp_socket out;
    sockaddr_in at{};
    at.sin_family = AF_INET;
    ::inet_pton(AF_INET, from, &at.sin_addr);
    EXPECT_EQ(::bind(out.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    EXPECT_TRUE(out.connect(far_.port));
    return out;
  }

  world here_{GetParam()};
  temp_dir folder_;
  int friends_ = 0;
  test_node a_{here_.options("a@host")};
  bus::endpoint far_ = a_.listen(here_.address());
  bus::endpoint near_ = a_.listen("ipc://" + (folder_ / "a").string());
};

INSTANTIATE_TEST_SUITE_P(Endpoints, Strangers, testing::Values(form::tcp, form::curve),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(Strangers, SayNothingLongBeforeTheyHaveProvedAnything) {
  raw_zmtp one = zmtp(connect());
  ASSERT_TRUE(one.greet());
  ASSERT_TRUE(one.socket().send("\2" + zmtp_length(16 * 1024 + curve::overhead + 1)));
  EXPECT_TRUE(one.socket().receive_all().empty());
  EXPECT_TRUE(counted("stranger"));
  EXPECT_TRUE(a_.log.has("a frame of " + std::to_string(16 * 1024 + curve::overhead + 1) + " bytes"));
}

TEST_P(Strangers, TogetherMakeItKeepLittle) {
  const std::string most = "\2" + zmtp_length(16 * 1024) + std::string(16 * 1024 - 1, 'x');
  std::vector<raw_zmtp> strangers;
  const auto wave = [&](int count) {
    for (int i = 0; i < count; ++i) {
      strangers.push_back(zmtp(connect()));
      if (strangers.back().greet()) strangers.back().socket().send(most);
    }
  };
  wave(100);  // warm
  const std::int64_t before = memory_in_use();
  wave(600);
  EXPECT_TRUE(counted("stranger", 300)) << a_.drops("stranger");  // those that went over the budget of all
  EXPECT_TRUE(a_.log.has("strangers have sent too many"));
  EXPECT_LT(memory_in_use() - before, 12 << 20);
  EXPECT_TRUE(serves(far_));
}

TEST_P(Strangers, OfTheNetworkLeaveRoomForThisHost) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 6000) {
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 6000);
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  std::vector<tcp_socket> silent;
  for (int i = 0; i < 2100; ++i) silent.push_back(connect(i % 2 == 0 ? "127.0.0.2" : "127.0.0.3"));
  EXPECT_TRUE(counted("stranger_limit", 20));
  EXPECT_TRUE(serves(near_));
  EXPECT_TRUE(serves(far_));
}

TEST_P(Strangers, ThatFloodWithHellosTurnThemselvesAway) {
  raw_zmtp honest = zmtp(connect("127.0.0.9"));
  ASSERT_TRUE(honest.greet());
  wire::transcript frames;
  if (here_.encrypts()) frames.over = bus::channel::encrypted;
  frames.hello = wire::encode_step("hello", hello_of("honest@host", 1));
  ASSERT_TRUE(honest.send(frames.hello));
  const auto challenge = honest.frame();
  ASSERT_TRUE(challenge);
  std::vector<raw_zmtp> flood;
  const bytes hello = wire::encode_step("hello", hello_of("stranger@host", 7));
  for (int i = 0; i < 400; ++i) {
    flood.push_back(zmtp(connect("127.0.0.2")));
    ASSERT_TRUE(flood.back().greet());
    flood.back().send(hello);
  }
  EXPECT_TRUE(counted("half_handshake_limit", 100));
  frames.challenge = bytes_of(*challenge);
  const auto proof = wire::prove_dialler(good_cookie, frames);
  ASSERT_TRUE(honest.send(wire::encode_step("proof", wire::proof_message(bytes(proof.begin(), proof.end())))));
  const auto welcome = honest.frame();
  ASSERT_TRUE(welcome);
  EXPECT_TRUE(welcome->contains("welcome")) << *welcome;
}

TEST_P(Strangers, ThatPingAndDoNotReadAreHungUpOn) {
  tcp_socket socket;
  const int little = 4096;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
  ASSERT_TRUE(socket.connect(far_.port));
  raw_zmtp one = zmtp(std::move(socket));
  ASSERT_TRUE(one.greet());
  std::string pings;
  for (int i = 0; i < 4000; ++i) pings += one.sealed(std::string("\4PING\0\1", 7) + "0123456789abcdef", 4);
  const std::int64_t before = memory_in_use();
  EXPECT_TRUE(here_.until([&] { return !one.socket().send(pings); }));
  EXPECT_TRUE(counted("stranger"));
  EXPECT_LT(memory_in_use() - before, 8 << 20);
}

TEST_P(Strangers, APeerThatAsksForSignsOfLifeWithoutEndIsHungUpOn) {
  raw_zmtp one = zmtp(connect());
  const auto id = one.join("p@host", 1);
  ASSERT_TRUE(id);
  wire_buffer ping;
  wire::encode_control({.kind = wire::control::what::ping, .number = 1}, ping);
  const auto head = wire::make_header(wire::frame_kind::control, *id);
  bytes frame(head.begin(), head.end());
  frame.insert(frame.end(), ping.data().begin(), ping.data().end());
  EXPECT_TRUE(here_.until([&] {
    for (int i = 0; i < 100; ++i) one.send(frame);
    return a_.drops("unsent_answers") == 1;
  }));
  EXPECT_TRUE(here_.until([&] { return !a_.events.downs().empty(); }));
  EXPECT_EQ(a_.events.downs()[0].reason, errc::overloaded);
}

#ifndef TROUPE_SANITIZED  // where no descriptor is free UBSan calls every object bad: it looks at one through a pipe
TEST_P(Strangers, ThisHostGetsInWhereNoDescriptorIsFree) {
  tcp_socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = ::dup(socket.fd());
  ::close(lowest_free);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(lowest_free);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  near_.host.copy(at.sun_path, sizeof at.sun_path - 1);
  EXPECT_EQ(::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
  EXPECT_TRUE(raw_zmtp(std::move(socket)).greet());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}
#endif

TEST_P(Strangers, NoMemoryForWhatAPeerSendsEndsThatPeerAlone) {
  test_node b(here_.options("b@host"));
  test_node c(here_.options("c@host"));
  b.hub->dial(far_);
  c.hub->dial(far_);
  ASSERT_TRUE(
      here_.until([&] { return a_.events.ups().size() == 2 && b.events.first() != 0 && c.events.first() != 0; }));
  a_.events.on_frame = [](bus::connection_id, std::span<const std::byte> data) {
    if (text_of(data) == "too much") throw std::bad_alloc();
  };
  ASSERT_TRUE(b.hub->send(b.events.first(), bytes_of("too much")));
  ASSERT_TRUE(here_.until([&] { return !b.events.downs().empty(); }));
  EXPECT_EQ(b.events.downs()[0].reason, errc::system_limit);
  EXPECT_EQ(a_.drops("no_memory"), 1u);
  ASSERT_TRUE(c.hub->send(c.events.first(), bytes_of("a little")));
  EXPECT_TRUE(here_.until([&] { return a_.events.frame_count() == 2; }));
  EXPECT_TRUE(c.events.downs().empty());
}

}  // namespace
}  // namespace troupe::test
