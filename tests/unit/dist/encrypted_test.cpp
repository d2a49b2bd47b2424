// Two nodes over encrypted tcp: everything as elsewhere, and nothing of it to be read on the way.
#include "fixture.hpp"

#include "unit/bus/tcp_tap.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

struct secrets {
  std::string cookie = "a-cookie-for-these-tests";
  plain_text allowed = plain_text::nowhere;
  bool tool = false;
};

class Encrypted : public testing::Test {
 protected:
  // Listens on a free port; knows "one@test" at `other` if that is given.
  member start(const std::string& name, const std::string& other = {}, const secrets& with = {},
               catalogue offers = {}) {
    detail::bare_node_options options;
    options.name = name;
    options.creation = system_random()->next() | 1;
    options.node.offers = std::move(offers);
    options.node.plain_text = with.allowed;
    options.node.tool = options.node.hidden = with.tool;
    member out;
    out.machine = detail::make_bare_node(std::move(options));
    internal::distribution_options network;
    network.loop = loop_;
    network.transport = bus::zmtp_transport(*loop_).or_exit();
    network.cookie = with.cookie;
    if (!with.tool) network.listen = {bus::endpoint::parse("tcp://127.0.0.1:*").or_exit()};
    if (!other.empty()) network.peers["one@test"] = {bus::endpoint::parse(other).or_exit()};
    out.network = internal::attach_distribution(out.core(), std::move(network)).or_exit();
    out.network->open().or_exit();
    out.door = out.machine->make_handle().or_exit();
    return out;
  }
  static std::string address(member& of) { return of.network->endpoints().at(0).text(); }
  static std::uint16_t port(member& of) { return of.network->endpoints().at(0).port; }
  static errc failure(member& from) {
    const expected_failure why = from.run([](process& self) -> task<expected_failure> {
      auto tried = co_await connect(self, "one@test").within(10s);
      if (tried) co_return std::nullopt;
      co_return tried.error();
    });
    return why ? why->code() : errc::none;
  }

  std::shared_ptr<bus::loop> loop_ = bus::make_loop();
};

TEST_F(Encrypted, SendsCallsLinksAndMonitorsAsUsual) {
  catalogue offers;
  offers.function("math.add", [](std::int64_t a, std::int64_t b) { return a + b; });
  member one = start("one@test", {}, {}, std::move(offers));
  const tcp_tap tap(port(one));
  member two = start("two@test", tap.endpoint());
  const pid far = start_echo(one, "librarian");
  const std::string bulk(300'000, 'q');
  two.run([&](process& self) -> task<> {
    auto got = co_await call<value>(self, troupe::address("librarian", "one@test"), value("a most secret question"));
    EXPECT_EQ(got.or_exit(), list_of({"echo", "a most secret question"}));
    auto large = co_await call<value>(self, far, value(bulk));
    EXPECT_EQ(large.or_exit(), list_of({"echo", value(bulk)}));
    auto sum = co_await rpc::call<std::int64_t>(self, "one@test", "math.add", 20, 22);
    EXPECT_EQ(sum.or_exit(), 42);
    for (std::int64_t i = 0; i < 2000; ++i) self.send(far, value(list{value(i), value(self.id())}));
    for (std::int64_t i = 0; i < 2000; ++i) {
      auto answer = co_await self.receive(patience);
      const value content = answer.or_exit().to_value();
      EXPECT_EQ(content.items()->front(), value(i));
    }
    self.trap_exits(true);
    self.link(far);
    self.monitor(far);
    list order{value("die"), value("enough")};
    self.send(far, value(std::move(order)));
    for (int i = 0; i < 2; ++i) {
      auto told = co_await self.receive(patience);
      EXPECT_TRUE(told);
    }
  });
  EXPECT_EQ(nodes(*one.machine), std::vector<std::string>{"two@test"});
  EXPECT_TRUE(one.network->hub().counters().peers.at(0).encrypted);
  const std::string seen = tap.seen();
  EXPECT_GT(seen.size(), 600'000u);
  for (const char* readable : {"secret", "librarian", "math.add", "one@test", "two@test", "enough", "qqqqqqqq"}) {
    EXPECT_FALSE(seen.contains(readable)) << readable;
  }
}

TEST_F(Encrypted, ALossIsTold) {
  member one = start("one@test");
  auto tap = std::make_unique<tcp_tap>(port(one));
  member two = start("two@test", tap->endpoint());
  const pid far = start_echo(one, "far");
  two.run([&](process& self) -> task<> {
    self.monitor(far);
    monitor_nodes(self, true);
    auto there = co_await call<value>(self, far, value("are you there"));
    EXPECT_TRUE(there);
    auto up = co_await self.receive(patience);
    EXPECT_EQ(up.or_exit().to_value().items()->front(), value("nodeup"));
    tap.reset();  // the cable is cut
    auto told = co_await self.receive(patience);
    EXPECT_EQ(told.or_exit().as<down>().reason, exit_reason("noconnection"));
    auto gone = co_await self.receive(patience);
    EXPECT_EQ(gone.or_exit().to_value().items()->front(), value("nodedown"));
  });
  EXPECT_TRUE(wait_until([&] { return nodes(*one.machine).empty(); }));
}

TEST_F(Encrypted, WhoIsConfiguredOtherwiseHearsWhy) {
  member one = start("one@test");
  member bare = start("one@test", {}, {.allowed = plain_text::on_loopback});
  member wrong = start("two@test", address(one), {.cookie = "another-cookie-altogether"});
  member open = start("three@test", address(one), {.allowed = plain_text::on_loopback});
  member closed = start("four@test", address(bare));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(failure(wrong), errc::bad_cookie);
    EXPECT_EQ(failure(open), errc::unsupported);
    EXPECT_EQ(failure(closed), errc::not_allowed);
  }
  member right = start("five@test", address(one));
  EXPECT_EQ(failure(right), errc::none);
}

// The near end of a tunnel is on loopback, and who listens at its far end encrypts. Never the other way round.
TEST_F(Encrypted, AToolEncryptsWhereTheOtherSideAsksForIt) {
  member one = start("one@test");
  member tool = start("tool-1@test", address(one), {.allowed = plain_text::on_loopback, .tool = true});
  EXPECT_EQ(failure(tool), errc::none);
  EXPECT_TRUE(one.network->hub().counters().peers.at(0).encrypted);
  member stranger = start("tool-2@test", address(one),
                          {.cookie = "another-cookie-altogether", .allowed = plain_text::on_loopback, .tool = true});
  EXPECT_EQ(failure(stranger), errc::bad_cookie);
  member bare = start("one@test", {}, {.allowed = plain_text::on_loopback});
  member strict = start("tool-3@test", address(bare), {.tool = true});
  EXPECT_EQ(failure(strict), errc::not_allowed);
}

}  // namespace troupe::test
