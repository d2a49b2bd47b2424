// Plain connections byte by byte: what a stranger that is no libzmq may put on the socket, and what comes back.
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "unit/bus/raw_zmtp.hpp"
#include "zmtp/codec.hpp"
#include "zmtp/unsent.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
namespace zmtp = bus::internal::zmtp;

std::span<const std::byte> bytes_in(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(ZmtpCodec, OurGreetingIsThatOfTheStandard) {
  const auto ours = zmtp::greeting(zmtp::mechanism::null, false);
  std::string expected = zmtp_greeting(3, "NULL");
  expected[11] = 1;  // the minor version
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(ours.data()), ours.size()), expected);
  EXPECT_EQ(zmtp::mechanism_of(ours), zmtp::mechanism::null);
  const std::string curve = zmtp_greeting(3, "CURVE");
  EXPECT_EQ(zmtp::mechanism_of(bytes_in(curve).first<zmtp::greeting_bytes>()), zmtp::mechanism::curve);
}

TEST(ZmtpCodec, SeesEarlyThatSomethingIsNoGreeting) {
  const std::string good = zmtp_greeting(3, "NULL");
  for (std::size_t seen = 0; seen <= good.size(); ++seen)
    EXPECT_TRUE(zmtp::may_be_greeting(bytes_in(good).first(seen)));
  EXPECT_FALSE(zmtp::may_be_greeting(bytes_in("G")));
  EXPECT_FALSE(zmtp::may_be_greeting(bytes_in(zmtp_greeting(1, ""))));  // a version without any security
}

TEST(ZmtpCodec, CutsFramesAndSaysHowLongTheyWillBe) {
  const std::string two = zmtp_frame("hello") + zmtp_frame(std::string(300, 'x'), 1);
  auto first = zmtp::cut_frame(bytes_in(two), 1000);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->used, 7u);
  EXPECT_FALSE(first->what.more);
  auto second = zmtp::cut_frame(bytes_in(two).subspan(7), 1000);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->used, 309u);
  EXPECT_TRUE(second->what.more);
  auto part = zmtp::cut_frame(bytes_in(two).subspan(7, 20), 1000);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->used, 0u);
  EXPECT_EQ(part->wanted, 309u);
  auto head = zmtp::cut_frame(bytes_in(two).subspan(7, 8), 1000);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->wanted, 0u);
  EXPECT_EQ(zmtp::cut_frame(bytes_in(two).subspan(7), 299).error(), errc::too_large);
  EXPECT_EQ(zmtp::cut_frame(bytes_in("\x08\x01x"), 1000).error(), errc::bad_message);
  EXPECT_EQ(zmtp::cut_frame(bytes_in("\x05\x01x"), 1000).error(), errc::bad_message);  // commands have one part
}

TEST(ZmtpCodec, ReadsWhatReadySays) {
  const auto of = [](std::string_view type) {
    return zmtp::parse_ready("\13Socket-Type" + std::string(3, '\0') + static_cast<char>(type.size()) +
                             std::string(type));
  };
  EXPECT_EQ(of("DEALER").value(), zmtp::socket_type::dealer);
  EXPECT_EQ(of("ROUTER").value(), zmtp::socket_type::router);
  EXPECT_EQ(of("SUB").value(), zmtp::socket_type::other);
  EXPECT_FALSE(zmtp::parse_ready(""));
  EXPECT_FALSE(
      zmtp::parse_ready("\13Socket-Type\0\0\0\x7f"
                        "DEALER"));
}

// A node that listens, and a socket to it.
class ZmtpPeer : public testing::Test {
 protected:
  tcp_socket connect() {
    tcp_socket out;
    EXPECT_TRUE(out.connect(where_.port));
    return out;
  }
  bool counted(std::string_view cause, std::uint64_t at_least) {
    return here_.until([&] { return a_.drops(cause) >= at_least; });
  }
  world here_{form::tcp};
  test_node a_{here_.options("a@host")};
  bus::endpoint where_ = a_.listen(here_.address());
};

TEST_F(ZmtpPeer, HearsItsHandshakeInSingleBytes) {
  auto socket = connect();
  for (const char one : zmtp_greeting(3, "NULL") + zmtp_ready()) ASSERT_TRUE(socket.send({&one, 1}));
  std::string got;
  while (got.size() < 64 + 20) {
    const std::string more = socket.receive();
    ASSERT_FALSE(more.empty());
    got += more;
  }
  EXPECT_TRUE(got.substr(64).contains("ROUTER"));
}

TEST_F(ZmtpPeer, GetsAPongWithItsContext) {
  raw_zmtp one(connect());
  ASSERT_TRUE(one.greet());
  ASSERT_TRUE(one.socket().send(zmtp_command("PING", std::string("\0\1", 2) + "context")));
  EXPECT_EQ(one.frame(), "\4PONGcontext");
}

TEST_F(ZmtpPeer, IsHungUpOnForWhatMeansNothing) {
  const std::string open = zmtp_greeting(3, "NULL") + zmtp_ready();
  const std::string bad[] = {
      "GET / HTTP/1.1\r\n\r\n",
      zmtp_greeting(1, ""),
      zmtp_greeting(3, "PLAIN"),
      zmtp_greeting(3, "NULL") + zmtp_frame("a message before READY"),
      zmtp_greeting(3, "NULL") + zmtp_command("READY", "x"),
      zmtp_greeting(3, "NULL") + zmtp_command("ERROR", "\4none"),
      zmtp_greeting(3, "NULL") + zmtp_command("READY", std::string("\13Socket-Type\0\0\0\3SUB", 19)),
      open + "\x10\1x",                  // a flag that nobody knows
      open + zmtp_command("PING", "x"),  // without its two bytes
      open + "\2" + zmtp_length(1ull << 40),
      open + "\6" + zmtp_length(1u << 20),  // a command of a megabyte
  };
  std::uint64_t thrown = 0;
  for (const std::string& words : bad) {
    auto socket = connect();
    ASSERT_TRUE(socket.send(words));
    static_cast<void>(socket.receive_all());
    EXPECT_TRUE(counted("stranger", ++thrown)) << words.substr(64);
  }
  auto curve = connect();
  ASSERT_TRUE(curve.send(zmtp_greeting(3, "CURVE")));
  EXPECT_EQ(curve.receive_all().size(), 64u);  // so that it sees what is spoken here
  EXPECT_TRUE(counted("encrypted", 1));
}

TEST_F(ZmtpPeer, IsNotHeldForEverWhenItSaysNothing) {
  auto silent = connect();
  auto half = connect();
  ASSERT_TRUE(half.send(zmtp_greeting(3, "NULL") + zmtp_ready()));
  EXPECT_TRUE(silent.receive_all().size() <= 64);  // our greeting, and then it is hung up on
  static_cast<void>(half.receive_all());
  EXPECT_TRUE(counted("stranger", 2));
}

#ifndef TROUPE_SANITIZED  // where no descriptor is free UBSan calls every object bad: it looks at one through a pipe
TEST_F(ZmtpPeer, WaitsInTheKernelWhileNoDescriptorIsFree) {
  tcp_socket socket;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = ::dup(socket.fd());
  ::close(lowest_free);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(lowest_free);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_TRUE(socket.connect(where_.port));
  EXPECT_TRUE(here_.until([&] { return a_.log.count("no descriptor is free") >= 1; }));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(raw_zmtp(std::move(socket)).greet());
}
#endif

// What is copied and what is kept, with and without a shared part, taken away in steps of any length.
TEST(ZmtpUnsent, KeepsEveryByteInOrder) {
  auto random = seeded_random(11);
  const auto whole = std::make_shared<const bytes>(bytes_of(std::string(50'000, 's')));
  bus::internal::zmtp::unsent queue;
  std::string put, got;
  const auto take = [&](std::size_t most) {
    std::array<iovec, 3> parts{};
    std::size_t taken = 0;
    for (const iovec& one : std::span(parts).first(queue.front(parts))) {
      const std::size_t now = std::min(one.iov_len, most - taken);
      got.append(static_cast<const char*>(one.iov_base), now);
      taken += now;
    }
    queue.drop_front(taken);
  };
  while (put.size() < 4'000'000) {
    const std::string text(random->below(random->below(2) == 0 ? 200 : 20'000),
                           static_cast<char>('a' + put.size() % 15));
    if (random->below(3) == 0) {
      queue.append(std::as_bytes(std::span(text)));
      put += text;
    } else {
      const auto part = std::span(*whole).first(random->below(2) == 0 ? 0 : random->below(whole->size()));
      const std::size_t gone = random->below(text.size() + part.size() + 1);
      queue.append({bytes_of(text), whole, part}, gone);
      put += (text + std::string(part.size(), 's')).substr(gone);
    }
    if (random->below(2) == 0) take(random->below(60'000));
  }
  while (!queue.empty()) take(1 + random->below(60'000));
  EXPECT_TRUE(got == put);
  EXPECT_EQ(whole.use_count(), 1);
}

// Frames of all lengths, cut anywhere on their way, in both directions.
TEST(ZmtpStream, KeepsEveryByteOfEveryFrame) {
  for (const form which : {form::ipc, form::tcp}) {
    world here(which);
    auto options = here.options("a@host");
    options.limits.credit_bytes = 16u << 20;
    test_node a(std::move(options));
    test_node b(here.options("b@host"));
    a.events.on_frame = [&](bus::connection_id id, std::span<const std::byte> data) {
      static_cast<void>(a.hub->send(id, bytes(data.begin(), data.end()), bus::delivery::must));
    };
    b.hub->dial(a.listen(here.address()));
    ASSERT_TRUE(here.until([&] { return b.events.first() != 0; }));
    auto random = seeded_random(7);
    std::vector<std::string> sent;
    for (int i = 0; i < 400; ++i) {
      const std::size_t size = random->below(i % 20 == 0 ? 900'000 : i % 3 == 0 ? 70'000 : 300);
      std::string text(size + 1, static_cast<char>('a' + i % 26));
      text += std::to_string(i);
      ASSERT_TRUE(here.until([&] { return b.hub->send(b.events.first(), bytes_of(text)).has_value(); }));
      sent.push_back(std::move(text));
      ASSERT_TRUE(here.until([&] { return b.events.frame_count() + 8 >= sent.size(); }));
    }
    ASSERT_TRUE(here.until([&] { return b.events.frame_count() == sent.size(); }));
    const auto got = b.events.frames();
    for (std::size_t i = 0; i < sent.size(); ++i) ASSERT_TRUE(got[i].second == sent[i]) << i;
  }
}

}  // namespace
}  // namespace troupe::test
