// CURVE as bytes: the commands of a known connection, and everything that a stranger may make of them.
#include <gtest/gtest.h>

#include <set>

#include "unit/bus/raw_zmtp.hpp"
#include "zmtp/curve.hpp"

namespace troupe::test {
namespace {

namespace zmtp = bus::internal::zmtp;
using zmtp::curve;

constexpr std::string_view cookie = "an-example-of-a-cookie";

// 00 01 02 …
class counted_random final : public random_source {
 public:
  void fill(std::span<std::byte> out) override {
    for (std::byte& one : out) one = static_cast<std::byte>(next_++);
  }

 private:
  unsigned next_ = 0;
};

bus::channel_keys keys_of(std::string_view of) { return bus::derive_channel_keys(of); }

// The body of the one frame that `whole` is.
std::string body_of(std::string_view whole) {
  const auto one = zmtp::cut_frame(std::as_bytes(std::span(whole)), 1u << 20);
  if (!one || one->used != whole.size()) throw std::runtime_error("not one frame");
  return text_of(one->what.body);
}

curve::progress give(curve& to, std::string_view body) {
  const auto what = zmtp::parse_command(std::as_bytes(std::span(body)));
  return what ? to.take(*what) : curve::progress{.say = {}, .why = what.error()};
}

std::string seal(curve& by, std::string_view text, bool is_command = false) {
  zmtp::raw_bytes out;
  by.seal(is_command, std::array{std::as_bytes(std::span(text))}, out);
  return text_of(out.span());
}

std::optional<std::string> open(curve& by, std::string_view body) {
  zmtp::raw_bytes room;
  const auto one = by.open(std::as_bytes(std::span(body)), room);
  if (!one) {
    EXPECT_EQ(one.error(), errc::noconnection);  // a loss, whatever it was
  }
  return one ? std::optional(text_of(one->body)) : std::nullopt;
}

// Two sides and what they have said so far.
struct meeting {
  counted_random at_dialler, at_acceptor;
  std::unique_ptr<curve> dialler, acceptor;
  std::string hello, welcome, initiate, ready;  // whole frames

  explicit meeting(const bus::channel_keys& of_dialler = keys_of(cookie),
                   const bus::channel_keys& of_acceptor = keys_of(cookie))
      : dialler(zmtp::curve_of_dialler(bus::internal::keep(of_dialler), at_dialler)),
        acceptor(zmtp::curve_of_acceptor(bus::internal::keep(of_acceptor), at_acceptor)) {}

  meeting& greet() {
    hello = dialler->begin();
    return *this;
  }
  meeting& welcomed() {
    greet();
    welcome = give(*acceptor, body_of(hello)).say;
    return *this;
  }
  meeting& initiated() {
    welcomed();
    initiate = give(*dialler, body_of(welcome)).say;
    return *this;
  }
  meeting& over() {
    initiated();
    const auto at_end = give(*acceptor, body_of(initiate));
    EXPECT_EQ(at_end.theirs, zmtp::socket_type::dealer);
    ready = at_end.say;
    EXPECT_EQ(give(*dialler, body_of(ready)).theirs, zmtp::socket_type::router);
    return *this;
  }
};

void expect_refused(const curve::progress& now, errc why = errc::bad_message) {
  EXPECT_EQ(now.why, why) << now.why.message();
  EXPECT_FALSE(now.theirs);
  EXPECT_EQ(now.say, why == errc::bad_cookie ? zmtp_command("ERROR",
                                                            "\3"
                                                            "400")
                                             : "");
}

// What tests/fuzz/curve_vectors.py makes from the standard's words.
TEST(CurveVectors, AreTheBytesThatTheStandardSays) {
  const auto expect = [](std::string_view name, std::string_view frame, std::size_t size, std::string_view wanted) {
    EXPECT_EQ(frame.size(), size) << name;
    const auto made = troupe::internal::prove("vector", name, std::array{std::as_bytes(std::span(frame))});
    std::string hex;
    for (const std::byte one : made) {
      for (const unsigned digit : {std::to_integer<unsigned>(one) >> 4, std::to_integer<unsigned>(one) & 15})
        hex += "0123456789abcdef"[digit];
    }
    EXPECT_EQ(hex, wanted) << name;
  };
  meeting all;
  all.over();
  expect("hello", all.hello, 202, "a0b63a0f7ddfd76882718b3a927e922387bb6e3a51ba65711b481289a4cd8380");
  expect("welcome", all.welcome, 170, "2c958104bb5b76a9cacb7843ca3df8b4c1ce6bdf1670ed8c2f1f9dd893764301");
  expect("initiate", all.initiate, 301, "898ef32651e48b5045001b353b694992c1cd2295b8b07491f59902b25f230f39");
  expect("ready", all.ready, 67, "744e28fffc562fab600c109e36ab87bd2d6698526da97000e63fb18f1562f95e");
  expect("message of the dialler", seal(*all.dialler, "hello"), 40,
         "ede3e333d63dce5545bc16d4efc5b403dac0c89aaa5e48bb9e6188237ee89039");
  expect("message of the acceptor", seal(*all.acceptor, "\4PONG", true), 40,
         "07450327546860ced4b3b3cc6b6d19b7fe3f1e9db5f42dd242ac9c847f248da5");
}

TEST(CurveMessages, CarryEveryLengthBothWays) {
  meeting all;
  all.over();
  for (const std::size_t size : {0u, 1u, 222u, 223u, 255u, 256u, 65'000u}) {
    const std::string text(size, 'x');
    EXPECT_EQ(open(*all.acceptor, body_of(seal(*all.dialler, text))), text);
    EXPECT_EQ(open(*all.dialler, body_of(seal(*all.acceptor, text))), text);
    EXPECT_EQ(body_of(seal(*all.dialler, text)).size(), size + curve::overhead);
  }
}

TEST(CurveMessages, SayWhetherTheyAreCommands) {
  meeting all;
  all.over();
  zmtp::raw_bytes room;
  for (const bool is_command : {true, false}) {
    const std::string frame = seal(*all.dialler, "x", is_command);
    EXPECT_EQ(frame[0], 0);  // on the outside all are messages
    const std::string body = body_of(frame);
    const auto one = all.acceptor->open(std::as_bytes(std::span(body)), room);
    ASSERT_TRUE(one);
    EXPECT_EQ(one->command, is_command);
    EXPECT_FALSE(one->more);
  }
}

TEST(CurveMessages, AreTakenOnceAndInOrder) {
  meeting all;
  all.over();
  const std::string first = body_of(seal(*all.dialler, "1"));
  const std::string second = body_of(seal(*all.dialler, "2"));
  const std::string third = body_of(seal(*all.dialler, "3"));
  EXPECT_EQ(open(*all.acceptor, first), "1");
  EXPECT_FALSE(open(*all.acceptor, first));    // again
  EXPECT_EQ(open(*all.acceptor, third), "3");  // one is missing, and comes late
  EXPECT_FALSE(open(*all.acceptor, second));
  EXPECT_FALSE(open(*all.dialler, third));  // back to where it came from
  std::string forged = body_of(seal(*all.dialler, "4"));
  forged[8] = '\x7f';  // a great number
  EXPECT_FALSE(open(*all.acceptor, forged));
}

TEST(CurveMessages, HarmedAnywhereOrCutAnywhereAreNone) {
  meeting all;
  all.over();
  const std::string good = body_of(seal(*all.dialler, "of some length"));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= static_cast<char>(1 << i % 8);
    meeting fresh;
    fresh.over();
    EXPECT_FALSE(open(*fresh.acceptor, bad)) << i;
    EXPECT_FALSE(open(*fresh.acceptor, good.substr(0, i))) << i;
  }
  meeting fresh;
  fresh.over();
  EXPECT_FALSE(open(*fresh.acceptor, good + "x"));
}

// Each command of each side, with one bit changed, or cut, or too long.
TEST(CurveHandshake, HarmedAnywhereComesToNothing) {
  // Of HELLO nobody looks at the padding, nor at the highest bit of the key, which is no part of it.
  const std::set<std::size_t> padding = [] {
    std::set<std::size_t> out{111};
    for (std::size_t i = 8; i < 80; ++i) out.insert(i);
    return out;
  }();
  meeting good;
  good.over();
  const auto try_all = [](const std::string& command, const std::function<curve::progress(std::string_view)>& take,
                          const std::set<std::size_t>& but = {}) {
    for (std::size_t i = 0; i < command.size(); ++i) {
      if (but.contains(i)) continue;
      std::string bad = command;
      bad[i] ^= static_cast<char>(1 << i % 8);
      const auto harmed = take(bad);
      EXPECT_FALSE(harmed.theirs) << i;
      EXPECT_NE(harmed.why.code(), errc::none) << i;
      const auto short_of_it = take(command.substr(0, i));
      EXPECT_FALSE(short_of_it.theirs) << i;
      EXPECT_NE(short_of_it.why.code(), errc::none) << i;
    }
    EXPECT_NE(take(command + "x").why.code(), errc::none);
  };
  try_all(body_of(good.hello), [](std::string_view bad) { return give(*meeting().greet().acceptor, bad); }, padding);
  try_all(body_of(good.welcome), [](std::string_view bad) { return give(*meeting().welcomed().dialler, bad); });
  try_all(body_of(good.initiate), [](std::string_view bad) { return give(*meeting().initiated().acceptor, bad); });
  try_all(body_of(good.ready), [](std::string_view bad) {
    meeting one;
    one.initiated();
    return give(*one.dialler, bad);
  });
}

TEST(CurveHandshake, HasItsOrder) {
  meeting good;
  good.over();
  const std::string message = body_of(seal(*good.dialler, "x"));
  const std::string back = body_of(seal(*good.acceptor, "x"));
  for (const std::string& early : {body_of(good.welcome), body_of(good.initiate), body_of(good.ready), message, back})
    expect_refused(give(*meeting().greet().acceptor, early));
  for (const std::string& late : {body_of(good.hello), body_of(good.welcome), body_of(good.ready), message, back})
    expect_refused(give(*meeting().welcomed().acceptor, late));
  for (const std::string& early : {body_of(good.hello), body_of(good.initiate), body_of(good.ready), message, back})
    expect_refused(give(*meeting().greet().dialler, early));
  for (const std::string& late : {body_of(good.hello), body_of(good.welcome), body_of(good.initiate), message, back})
    expect_refused(give(*meeting().initiated().dialler, late));
}

TEST(CurveHandshake, OfAnotherConnectionIsOfNoUse) {
  meeting one, other;
  static_cast<void>(other.at_acceptor.next());  // it draws other keys
  one.initiated();
  other.initiated();
  expect_refused(give(*other.acceptor, body_of(one.initiate)));
}

TEST(CurveHandshake, WithAnotherCookieEndsAtTheFirstBox) {
  meeting apart(keys_of("another-cookie"), keys_of(cookie));
  apart.greet();
  const auto refused = give(*apart.acceptor, body_of(apart.hello));
  expect_refused(refused, errc::bad_cookie);
  EXPECT_EQ(give(*apart.dialler, body_of(refused.say)).why, errc::bad_cookie);
  // Who answers without the acceptor's key has no way to make a WELCOME.
  meeting good;
  good.welcomed();
  EXPECT_EQ(give(*apart.dialler, body_of(good.welcome)).why, errc::bad_cookie);
}

TEST(CurveHandshake, ByAKeyOfAnotherEndsAtTheVouch) {
  auto keys = keys_of(cookie);
  const auto others = keys_of("another-cookie");
  keys.dialler_public = others.dialler_public;
  keys.dialler_secret = others.dialler_secret;
  meeting stranger(keys, keys_of(cookie));  // which knows the acceptor's public key
  stranger.initiated();
  const auto refused = give(*stranger.acceptor, body_of(stranger.initiate));
  expect_refused(refused, errc::bad_cookie);
  EXPECT_EQ(refused.why.text(), "a dialler with a key that the cookie does not give");
  keys.dialler_public = keys_of(cookie).dialler_public;
  meeting thief(keys, keys_of(cookie));  // and the dialler's, but not its secret
  thief.initiated();
  expect_refused(give(*thief.acceptor, body_of(thief.initiate)));
}

TEST(CurveHandshake, WithAKeyThatIsNoneIsRefused) {
  meeting one;
  one.greet();
  std::string hello = body_of(one.hello);
  std::fill_n(hello.begin() + 80, 32, '\0');  // with that everybody shares the same
  expect_refused(give(*one.acceptor, hello), errc::bad_cookie);
}

TEST(CurveHandshake, SomethingElseThanOurRefusalIsNoWordAboutTheCookie) {
  for (const std::string_view reason : {"",
                                        "\3"
                                        "500",
                                        "\4none"}) {
    meeting one;
    one.greet();
    expect_refused(give(*one.dialler, body_of(zmtp_command("ERROR", reason))));
  }
  expect_refused(give(*meeting().greet().acceptor, body_of(zmtp_command("ERROR",
                                                                        "\3"
                                                                        "400"))));
}

}  // namespace
}  // namespace troupe::test
