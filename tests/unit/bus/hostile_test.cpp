// A million frames and half handshakes of strangers at the tcp port, while a proper peer is served and others come:
// memory stays flat. TROUPE_HOSTILE=n: n for each kind of endpoint (a tenth of a million under a sanitizer).
#include <sys/socket.h>

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "support/memory.hpp"
#include "unit/bus/raw_zmtp.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
namespace wire = bus::internal;

constexpr std::string_view strong_cookie = "a7b2c6d3e5f4g2h3i4j5k6l7m2n3o4p5";
constexpr std::size_t frames_each = 500;  // on a connection of those that send many

// Counts its events and keeps none of them: what a test remembers would look like growth. It sends back what it gets.
class echo_node final : public bus::hub_events {
 public:
  echo_node(bus::hub_options options, bool answers) : answers_(answers) {
    options.log = &log;
    hub = bus::hub::make(std::move(options), *this).value();
  }
  void up(const bus::peer_info& peer) override {
    connection = peer.id;
    ++ups;
  }
  void frame(bus::connection_id from, std::span<const std::byte> data) override {
    if (answers_) static_cast<void>(hub->send(from, bytes(data.begin(), data.end()), bus::delivery::must));
    hub->consumed(from, data.size());
    ++frames;
  }
  void down(bus::connection_id, const error&) override { ++downs; }
  void dial_failed(bus::dial_id, const error&) override { ++failures; }

  std::uint64_t drops() const {
    std::uint64_t out = 0;
    for (const auto& [cause, count] : hub->counters().drops) out += count;
    return out;
  }

  line_log log;
  std::atomic<std::uint64_t> ups = 0, downs = 0, frames = 0, failures = 0;
  std::atomic<bus::connection_id> connection = 0;
  std::unique_ptr<bus::hub> hub;

 private:
  bool answers_;
};

// Throws what is forbidden at a port. Owner: a thread of the test.
class stranger {
 public:
  stranger(std::uint16_t port, bool at_encrypted, unsigned seed)
      : port_(port), at_encrypted_(at_encrypted), random_(seed) {}

  void throw_frames(std::size_t count) {
    for (const std::size_t until = thrown + count; thrown < until && refused < 100;) {
      tcp_socket one;
      if (!one.connect(port_)) {
        ++refused;
        continue;
      }
      ++connections;
      if (at_encrypted_) at_encrypted(one, connections % 10);
      else at_plain(std::move(one), connections % 13);
    }
  }

  std::size_t thrown = 0;  // frames, and handshakes that were left half way
  std::size_t connections = 0;
  std::size_t refused = 0;  // by the kernel

 private:
  void at_plain(tcp_socket to, std::size_t kind) {
    const std::string open = zmtp_greeting(3, "NULL") + zmtp_ready();
    const std::string curve = zmtp_greeting(3, random_() % 2 == 0 ? "CURVE" : "PLAIN");
    const auto rubbish = [this] { return zmtp_frame(noise(1 + random_() % 100)); };
    const auto of_nothing = [this] { return zmtp_frame(of_no_connection()); };
    const auto wrong_steps = [this, i = 0]() mutable { return zmtp_frame(++i % 2 != 0 ? hello() : step()); };
    const auto parts = [this] { return zmtp_command("PING", noise(9)) + zmtp_frame(noise(20), 1) + zmtp_frame("end"); };
    switch (kind) {
      case 0: return leave(to, zmtp_greeting(3, "NULL").substr(0, random_() % 64));
      case 1: return leave(to, "GET / HTTP/1.1\r\n\r\n" + noise(200));
      case 2: return leave(to, curve + zmtp_command("HELLO", noise(192)));
      case 3: return leave(to, open);
      case 4: return leave(to, open + "\2" + zmtp_length(random_() % 2 == 0 ? ~0ull >> 1 : 1ull << 40) + noise(100));
      case 5: return leave(to, open + "\2" + zmtp_length(1u << 20) + noise(5000));
      case 6: return leave(to, zmtp_greeting(3, "NULL") + zmtp_frame("before READY") + zmtp_ready());
      case 7: return flood(to, open, rubbish);  // does not wait for our READY
      case 8: return begin(std::move(to));
      case 9: return greet_and_flood(std::move(to), rubbish);
      case 10: return greet_and_flood(std::move(to), of_nothing);
      case 11: return greet_and_flood(std::move(to), wrong_steps);
      default: return greet_and_flood(std::move(to), parts);
    }
  }

  void at_encrypted(const tcp_socket& to, std::size_t kind) {
    const std::string open = zmtp_greeting(3, "CURVE");
    switch (kind) {
      case 0: return leave(to, open.substr(0, random_() % 64));
      case 1: return leave(to, noise(300));
      case 2: return leave(to, open);
      case 3: return leave(to, open + zmtp_command("HELLO", std::string("\1\0", 2) + noise(198)));  // opens no box
      case 4: return leave(to, open + zmtp_command("HELLO", noise(random_() % 250)));
      case 5: return leave(to, open + zmtp_command("INITIATE", noise(400)));  // its turn has not come
      case 6: return leave(to, open + "\6" + zmtp_length(~0ull >> 1) + noise(100));
      case 7: return leave(to, zmtp_greeting(1, "") + zmtp_frame(hello()));
      case 8: return flood(to, open, [this] { return zmtp_command("MESSAGE", noise(40)); });
      default: return flood(to, zmtp_greeting(3, "NULL") + zmtp_ready(), [] { return zmtp_frame(hello()); });
    }
  }

  // Our handshake, left half way or with a frame that is announced and never comes.
  void begin(tcp_socket to) {
    raw_zmtp one(std::move(to));
    const std::string more = random_() % 2 == 0 ? "\2" + zmtp_length(1u << 20) + noise(5000) : std::string();
    if (one.greet()) leave(one.socket(), zmtp_frame(hello()) + more);
  }
  // Half way, by a reset or in order.
  void leave(const tcp_socket& to, const std::string& data) {
    ++thrown;
    to.send(data);
    if (random_() % 2 != 0) return;
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(to.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }

  // Many on one connection, then until the other side has hung up: at the first of them, or when it has read them all.
  void flood(const tcp_socket& to, const std::string& open, const std::function<std::string()>& next) {
    std::string data = open;
    for (std::size_t i = 0; i < frames_each; ++i) data += next();
    thrown += frames_each;
    if (!to.send(data)) return;
    ::shutdown(to.fd(), SHUT_WR);
    static_cast<void>(to.receive_all());
  }
  // The same by one who does what ZeroMQ wants, so that the hub gets them.
  void greet_and_flood(tcp_socket to, const std::function<std::string()>& next) {
    raw_zmtp one(std::move(to));
    if (one.greet()) flood(one.socket(), {}, next);
  }

  std::string noise(std::size_t size) {
    std::string out(size, '\0');
    for (char& one : out) one = static_cast<char>(random_());
    return out;
  }
  static std::string hello() { return text_of(wire::encode_step("hello", hello_of("stranger@host", 7))); }
  std::string step() { return "\x93\xa6troupe\xa5" + noise(20); }
  std::string of_no_connection() {
    wire::wire_id id{};
    for (std::byte& one : id) one = static_cast<std::byte>(random_());
    return text_of(data_frame(id, noise(random_() % 60)));
  }

  std::uint16_t port_;
  bool at_encrypted_;
  std::minstd_rand random_;
};

std::size_t how_many() {
#ifdef TROUPE_SANITIZED
  constexpr std::size_t usual = 100'000;
#else
  constexpr std::size_t usual = 1'000'000;
#endif
  const char* said = std::getenv("TROUPE_HOSTILE");
  return said == nullptr ? usual : std::strtoull(said, nullptr, 10);
}

class Hostile : public testing::TestWithParam<channel_case> {
 protected:
  bus::hub_options options(std::string_view name, transport_kind carrier) {
    auto out = world_.options(name, ++creations_, carrier);
    out.limits.tick = 10min;  // which would hide a frame that lies unread while the loop sleeps
    out.security.cookie = std::string(strong_cookie);
    out.security.plain_text_allowed = GetParam().encrypted ? plain_text::nowhere : plain_text::on_loopback;
    return out;
  }
  world world_{form::tcp};
  std::uint64_t creations_ = 0;
};

// Not plain text by libzmq: what it reads for strangers waits in its own queues, which the hub neither sees nor bounds.
INSTANTIATE_TEST_SUITE_P(Endpoints, Hostile,
                         testing::Values(channel_case{false, pairing::direct}, channel_case{true, pairing::direct},
                                         channel_case{true, pairing::zeromq}),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(Hostile, FloodsLeaveMemoryFlatAndTheNodeServes) {
  echo_node a(options("a@host", acceptor_of(GetParam())), true);
  const auto where = a.hub->listen(bus::endpoint::parse(world_.address()).value()).value();
  echo_node b(options("b@host", dialler_of(GetParam())), false);
  b.hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return b.ups == 1; }));

  std::array<std::unique_ptr<stranger>, 2> strangers;
  for (unsigned i = 0; i < 2; ++i) {
    strangers[i] = std::make_unique<stranger>(where.port, GetParam().encrypted, i + 1);
  }
  duration slowest{};
  std::uint64_t asked = 0;
  std::uint64_t newcomers = 0;
  // While the strangers throw, the peer asks one question after the other, and new peers come.
  const auto wave = [&](std::size_t count) {
    std::atomic<int> busy = 2;
    std::array<std::thread, 2> threads;
    for (std::size_t i = 0; i < 2; ++i) {
      threads[i] = std::thread([&, i] {
        strangers[i]->throw_frames(count / 2);
        --busy;
      });
    }
    bool served = true;
    for (std::uint64_t turn = 0; served && (busy > 0 || turn == 0); ++turn) {
      const auto before = std::chrono::steady_clock::now();
      served = b.hub->send(b.connection, bytes_of("are you there?")).has_value() &&
               wait_until([&] { return b.frames > asked; });
      ++asked;
      slowest = std::max<duration>(slowest, std::chrono::steady_clock::now() - before);
      if (turn % 64 != 0 || !served) continue;
      echo_node newcomer(options("new" + std::to_string(creations_) + "@host", dialler_of(GetParam())), false);
      newcomer.hub->dial(where);
      served = wait_until([&] { return newcomer.ups == 1 || newcomer.failures == 1; }) && newcomer.ups == 1;
      ++newcomers;
    }
    for (std::thread& one : threads) one.join();
    EXPECT_TRUE(served) << "after " << asked << " questions and " << newcomers << " newcomers";
    EXPECT_TRUE(world_.until([&] { return a.hub->counters().half_handshakes == 0; }));
  };
  wave(std::max<std::size_t>(how_many() / 4, 12'000));  // warm: pools of libzmq and of the allocator
  const std::int64_t warm = memory_in_use();
  const auto began = std::chrono::steady_clock::now();
  wave(how_many());
  const std::int64_t grown = memory_in_use() - warm;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;

  const std::size_t thrown = strangers[0]->thrown + strangers[1]->thrown;
  const std::size_t connections = strangers[0]->connections + strangers[1]->connections;
  std::cout << thrown << " frames and half handshakes on " << connections << " connections (the last " << how_many()
            << " in " << took.count() << " s): " << warm / 1024 << " KiB, then " << grown / 1024 << " KiB more; "
            << asked << " questions answered, the slowest in "
            << std::chrono::duration<double, std::milli>(slowest).count() << " ms; " << newcomers << " newcomers\n";
  EXPECT_EQ(strangers[0]->refused + strangers[1]->refused, 0u);
  EXPECT_LT(grown, 8 << 20);
  EXPECT_LT(slowest, 10s);
  EXPECT_TRUE(world_.until([&] { return a.drops() >= connections / 4; }));
  EXPECT_EQ(a.ups, 1 + newcomers);
  EXPECT_TRUE(world_.until([&] { return a.downs == newcomers; }));
  EXPECT_EQ(b.downs, 0u);
  EXPECT_LT(a.log.count("stranger"), 50 * 5 + static_cast<std::size_t>(took.count()) * 50);  // nor does the log grow
}

// A wrong step is answered, and then whoever sent it is hung up on: who goes on sending and reads nothing must not fill
// our memory with answers, nor hold the connection.
TEST(HostileReader, WhoGoesOnAfterARefusalIsHungUpOn) {
  world here(form::tcp);
  echo_node a(here.options("a@host"), true);
  const auto where = a.hub->listen(bus::endpoint::parse(here.address()).value()).value();
  tcp_socket one;
  const int little = 4096;
  ::setsockopt(one.fd(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
  ASSERT_TRUE(one.connect(where.port));
  raw_zmtp reader(std::move(one));
  ASSERT_TRUE(reader.greet());
  const std::string three = zmtp_frame(text_of(wire::encode_step("hello", hello_of("stranger@host", 7)))) +
                            zmtp_frame("\x93\xa6troupe\xa5zzzzz\1") + zmtp_frame(text_of(data_frame({}, "of nothing")));
  std::string some;
  for (int i = 0; i < 100; ++i) some += three;
  const std::int64_t before = memory_in_use();
  EXPECT_TRUE(here.until([&] { return !reader.socket().send(some); }));
  EXPECT_GE(a.drops(), 1u);
  EXPECT_LT(memory_in_use() - before, 4 << 20);
  echo_node b(here.options("b@host"), false);
  b.hub->dial(where);
  EXPECT_TRUE(here.until([&] { return b.ups == 1; }));
}

}  // namespace
}  // namespace troupe::test
