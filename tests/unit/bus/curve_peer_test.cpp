// Encrypted connections of ours byte by byte: what a stranger may put on the socket, and what comes back.
#include <gtest/gtest.h>

#include "support/memory.hpp"
#include "system_loop.hpp"
#include "unit/bus/raw_zmtp.hpp"

namespace troupe::test {
namespace {

namespace zmtp = bus::internal::zmtp;

class CurvePeer : public testing::Test {
 protected:
  tcp_socket connect() {
    tcp_socket out;
    EXPECT_TRUE(out.connect(where_.port));
    return out;
  }
  raw_zmtp friendly(std::string_view cookie = good_cookie) { return {connect(), bus::derive_channel_keys(cookie)}; }
  bool counted(std::string_view cause, std::uint64_t at_least) {
    return here_.until([&] { return a_.drops(cause) >= at_least; });
  }
  world here_{form::curve};
  test_node a_{here_.options("a@host")};
  bus::endpoint where_ = a_.listen(here_.address());
};

TEST_F(CurvePeer, NeedsNothingOfLibzmq) {
  test_node b(here_.options("b@host"));
  b.hub->dial(where_);
  ASSERT_TRUE(here_.until([&] { return b.events.first() != 0; }));
  EXPECT_TRUE(b.events.ups()[0].encrypted);
  EXPECT_FALSE(dynamic_cast<bus::internal::system_loop&>(here_.loop()).shared_context());
}

TEST_F(CurvePeer, HearsItsHandshakeInSingleBytes) {
  const auto socket = connect();
  const auto keys = bus::derive_channel_keys(good_cookie);
  const auto random = system_random();
  const auto side = zmtp::curve_of_dialler(bus::internal::keep(keys), *random);
  const auto say = [&](std::string_view words) {
    for (const char one : words) ASSERT_TRUE(socket.send({&one, 1}));
  };
  std::string got;
  const auto next = [&](std::size_t size) {
    while (got.size() < size) {
      const std::string more = socket.receive();
      if (more.empty()) throw std::runtime_error("hung up on");
      got += more;
    }
    const std::string out = got.substr(0, size);
    got.erase(0, size);
    return out;
  };
  say(zmtp_greeting(3, "CURVE") + side->begin());
  const std::string greeting = next(64);
  EXPECT_EQ(greeting.substr(12, 5), "CURVE");
  EXPECT_EQ(greeting[32], 1);  // as the server of the two
  const auto command = [&](std::size_t size) {
    const std::string body = next(size).substr(2);
    return side->take(zmtp::parse_command(std::as_bytes(std::span(body))).value());
  };
  say(command(170).say);
  EXPECT_EQ(command(67).theirs, zmtp::socket_type::router);
}

TEST_F(CurvePeer, GetsAPongWithItsContext) {
  raw_zmtp one = friendly();
  ASSERT_TRUE(one.greet());
  ASSERT_TRUE(one.socket().send(one.sealed(std::string("\4PING\0\1", 7) + "context", 4)));
  EXPECT_EQ(one.frame(), "\4PONGcontext");
}

TEST_F(CurvePeer, IsHungUpOnForWhatMeansNothing) {
  const std::string greeting = zmtp_greeting(3, "CURVE");
  const std::string noise(400, 'x');
  const std::string bad[] = {
      "GET / HTTP/1.1\r\n\r\n",
      zmtp_greeting(1, ""),
      zmtp_greeting(3, "PLAIN"),
      greeting + zmtp_frame("a message"),
      greeting + "\2" + zmtp_length(300),  // one that is announced
      greeting + "\2" + zmtp_length(1ull << 40),
      greeting + "\6" + zmtp_length(1025),  // a command longer than any
      greeting + zmtp_ready(),
      greeting + zmtp_command("WELCOME", noise.substr(0, 160)),
      greeting + zmtp_command("INITIATE", noise),
      greeting + zmtp_command("MESSAGE", noise.substr(0, 100)),
      greeting + zmtp_command("HELLO", std::string("\2\0", 2) + noise.substr(0, 192)),
      greeting + zmtp_command("HELLO", noise.substr(0, 100)),
      greeting + zmtp_command("ERROR", "\4none"),
  };
  std::uint64_t thrown = 0;
  for (const std::string& words : bad) {
    const auto socket = connect();
    ASSERT_TRUE(socket.send(words));
    EXPECT_LE(socket.receive_all().size(), 64u);
    EXPECT_TRUE(counted("stranger", ++thrown)) << words;
  }
  EXPECT_EQ(a_.drops("wrong_key"), 0u);
}

TEST_F(CurvePeer, IsToldThatItsKeysAreOthers) {
  const auto plain = connect();
  ASSERT_TRUE(plain.send(zmtp_greeting(3, "NULL")));
  EXPECT_EQ(plain.receive_all().size(), 64u);  // so that it sees what is spoken here
  EXPECT_TRUE(counted("wrong_key", 1));
  EXPECT_TRUE(a_.log.has("a dialler that does not encrypt at " + where_.text()));
  raw_zmtp other = friendly("another-cookie");
  EXPECT_FALSE(other.greet());
  EXPECT_TRUE(counted("wrong_key", 2));
  EXPECT_TRUE(a_.log.has("a dialler that has another cookie at " + where_.text()));
  const auto refused = connect();
  ASSERT_TRUE(
      refused.send(zmtp_greeting(3, "CURVE") + zmtp_command("HELLO", std::string("\1\0", 2) + std::string(192, 'x'))));
  EXPECT_TRUE(refused.receive_all().ends_with(zmtp_command("ERROR",
                                                           "\3"
                                                           "400")));
  EXPECT_TRUE(counted("wrong_key", 3));
  EXPECT_EQ(a_.drops("stranger"), 0u);
}

// Once it is encrypted, whatever is not ends the connection, and so does what was sent before.
TEST_F(CurvePeer, IsHungUpOnForWhatIsNotEncrypted) {
  raw_zmtp sample = friendly();
  ASSERT_TRUE(sample.greet());
  const std::string of_another = sample.sealed("of another connection");
  std::uint64_t refused = 0;
  const auto expect_end = [&](const std::function<std::string(raw_zmtp&)>& words) {
    raw_zmtp one = friendly();
    ASSERT_TRUE(one.greet());
    ASSERT_TRUE(one.socket().send(words(one)));
    EXPECT_TRUE(one.socket().receive_all().empty());
    EXPECT_TRUE(counted("stranger", ++refused));
  };
  expect_end([](raw_zmtp& by) { return by.sealed("no hello"); });  // the only one of which anything is told
  EXPECT_EQ(a_.log.count("a stranger's bytes were dropped"), 1u);
  expect_end([](raw_zmtp&) { return zmtp_frame("plain"); });
  expect_end([](raw_zmtp&) { return zmtp_command("PING", std::string("\0\1", 2)); });
  expect_end([](raw_zmtp&) { return zmtp_frame(std::string(33, 'x')); });
  expect_end([](raw_zmtp& by) { return zmtp_frame(by.sealed("x").substr(2), 1); });  // a part of more
  expect_end([](raw_zmtp& by) { return zmtp_frame(by.sealed("x").substr(2), 4); });  // as a command
  expect_end([](raw_zmtp& by) { return by.sealed("\4PING", 4); });                   // without its two bytes
  expect_end([&](raw_zmtp&) { return of_another; });
  EXPECT_EQ(a_.log.count("a stranger's bytes were dropped"), 1u);
}

TEST_F(CurvePeer, AMessageThatComesTwiceEndsItsConnection) {
  raw_zmtp one = friendly();
  const auto id = one.join("p@host", 1);
  ASSERT_TRUE(id);
  ASSERT_TRUE(here_.until([&] { return a_.events.ups().size() == 1; }));
  const std::string once = one.sealed(text_of(data_frame(*id, "once")));
  ASSERT_TRUE(one.socket().send(once + once));
  ASSERT_TRUE(here_.until([&] { return !a_.events.downs().empty(); }));
  EXPECT_EQ(a_.events.downs()[0].reason, errc::noconnection);
  EXPECT_EQ(a_.events.frame_count(), 1u);
}

TEST_F(CurvePeer, IsNotHeldForEverWhenItSaysNothing) {
  const auto silent = connect();
  const auto half = connect();
  raw_zmtp whole = friendly();
  ASSERT_TRUE(half.send(zmtp_greeting(3, "CURVE")));
  ASSERT_TRUE(whole.greet());
  EXPECT_EQ(silent.receive_all().size(), 64u);  // our greeting, and then it is hung up on
  EXPECT_EQ(half.receive_all().size(), 64u);
  EXPECT_TRUE(whole.socket().receive_all().empty());
  EXPECT_TRUE(counted("stranger", 3));
}

// Half of INITIATE is all that one can leave here before it has proved its key.
TEST_F(CurvePeer, CostsLittleBeforeItsVouch) {
  const std::string half = "\6" + zmtp_length(1024) + std::string("\10INITIATE") + std::string(1000, 'x');
  const auto keys = bus::derive_channel_keys(good_cookie);
  const auto random = system_random();
  std::vector<tcp_socket> held;
  const auto wave = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const auto side = zmtp::curve_of_dialler(bus::internal::keep(keys), *random);
      held.push_back(connect());
      ASSERT_TRUE(held.back().send(zmtp_greeting(3, "CURVE") + side->begin()));
      std::string got;
      while (got.size() < 64 + 170) {
        const std::string more = held.back().receive();
        ASSERT_FALSE(more.empty());
        got += more;
      }
      ASSERT_TRUE(held.back().send(half));
    }
  };
  wave(50);  // warm
  const std::int64_t before = memory_in_use();
  wave(400);
  test_node b(here_.options("b@host"));
  b.hub->dial(where_);
  ASSERT_TRUE(here_.until([&] { return b.events.first() != 0; }));
  EXPECT_LT(memory_in_use() - before, 400 * (8 << 10));
}

// A listener as libzmq's, which hangs up on other keys without a word, once or always; and one as ours, which never
// does.
TEST_F(CurvePeer, WhoHangsUpWithoutAWordTwiceHasAnotherCookieUnlessItIsOurs) {
  struct {
    bool ours;
    int times;
    errc why;
  } const cases[] = {{false, 2, errc::bad_cookie}, {false, 1, errc::noconnection}, {true, 1, errc::noconnection}};
  for (const auto& [ours, times, why] : cases) {
    auto door = std::make_optional<tcp_socket>();
    bus::endpoint where = where_;
    where.port = door->listen();
    test_node b(here_.options("b@host"));
    b.hub->dial(where);
    for (int i = 1; i <= times; ++i) {
      const tcp_socket in = door->accept();
      if (i == times) door.reset();
      std::string greeting = zmtp_greeting(3, "CURVE");
      greeting[32] = ours ? 1 : 0;
      ASSERT_TRUE(in.send(greeting));
      std::string hello;
      while (hello.size() < 64 + 202) {
        const std::string more = in.receive();
        ASSERT_FALSE(more.empty());
        hello += more;
      }
    }
    ASSERT_TRUE(here_.until([&] { return !b.events.failed().empty(); }));
    EXPECT_EQ(b.events.failed()[0].reason, why) << b.events.failed()[0].reason.message();
  }
}

}  // namespace
}  // namespace troupe::test
