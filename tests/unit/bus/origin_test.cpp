// Where an accepted connection comes from: the endpoint of ours that was dialled, and by tcp the address of their side.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "unit/bus/hub_fixture.hpp"

namespace troupe::test {
namespace {

constexpr std::string_view strong_cookie = "a7b2c6d3e5f4g2h3i4j5k6l7m2n3o4p5";

bool has_v6() {
  const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 at{};
  at.sin6_family = AF_INET6;
  at.sin6_addr = in6addr_loopback;
  const bool out = fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
  if (fd >= 0) ::close(fd);
  return out;
}

class Origin : public testing::TestWithParam<channel_case> {
 protected:
  bus::hub_options options(std::string_view name, transport_kind carrier) {
    auto out = world_.options(name, 1, carrier);
    out.security.cookie = std::string(strong_cookie);
    out.security.plain_text_allowed = GetParam().encrypted ? plain_text::nowhere : plain_text::anywhere;
    return out;
  }
  // What the acceptor knows of who dialled `at`, and what the dialler knows.
  std::pair<bus::peer_info, bus::peer_info> dial(test_node& acceptor, const bus::endpoint& at) {
    const std::string name = "dialler" + std::to_string(dialled_++) + "@host";
    test_node& from = *diallers_.emplace_back(std::make_unique<test_node>(options(name, dialler_of(GetParam()))));
    from.hub->dial(at);
    const auto up = [&](const test_node& one, const std::string& who) -> std::optional<bus::peer_info> {
      for (const bus::peer_info& each : one.events.ups()) {
        if (each.who.name == who) return each;
      }
      return std::nullopt;
    };
    if (!world_.until([&] { return up(acceptor, name) && up(from, acceptor.hub->self().name); })) return {};
    return {*up(acceptor, name), *up(from, acceptor.hub->self().name)};
  }
  void expect_tcp(const bus::peer_info& seen, const bus::endpoint& at, const std::string& host) {
    EXPECT_EQ(seen.via.text(), at.text());
    ASSERT_TRUE(seen.from) << at.text();
    EXPECT_EQ(seen.from->kind, bus::endpoint::scheme::tcp);
    EXPECT_EQ(seen.from->host, host);
    EXPECT_NE(seen.from->port, 0);
    EXPECT_NE(seen.from->port, at.port);
    EXPECT_EQ(seen.encrypted, GetParam().encrypted);
    for (const auto& one : diallers_) {
      for (const auto& other : one->events.ups()) EXPECT_FALSE(other.from) << "it dialled";
    }
  }

  world world_{form::tcp};
  temp_dir folder_;
  std::vector<std::unique_ptr<test_node>> diallers_;
  int dialled_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Channels, Origin, testing::ValuesIn(channel_cases),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(Origin, IsTheEndpointThatWasDialledAndTheirAddress) {
  test_node acceptor(options("acceptor@host", acceptor_of(GetParam())));
  const auto ipc = acceptor.listen("ipc://" + (folder_ / "socket").string());
  const auto first = acceptor.listen("tcp://127.0.0.1:*");
  const auto second = acceptor.listen("tcp://127.0.0.2:*");
  const auto named = acceptor.listen("tcp://localhost:*");

  const auto [by_second, at_dialler] = dial(acceptor, second);
  expect_tcp(by_second, second, "127.0.0.1");
  EXPECT_EQ(at_dialler.via, second);
  const auto [by_first, unused] = dial(acceptor, first);
  expect_tcp(by_first, first, "127.0.0.1");
  EXPECT_NE(by_first.from->port, by_second.from->port);
  expect_tcp(dial(acceptor, named).first, named, "127.0.0.1");
  const auto by_ipc = dial(acceptor, ipc).first;
  EXPECT_EQ(by_ipc.via, ipc);
  EXPECT_FALSE(by_ipc.from) << "of this host";
}

TEST_P(Origin, OfAWildcardIsTheWildcard) {
  test_node acceptor(options("acceptor@host", acceptor_of(GetParam())));
  static_cast<void>(acceptor.listen("tcp://127.0.0.1:*"));
  const auto v4 = acceptor.listen("tcp://0.0.0.0:*");
  expect_tcp(dial(acceptor, {bus::endpoint::scheme::tcp, "127.0.0.1", v4.port}).first, v4, "127.0.0.1");
  if (!has_v6()) return;  // a container without IPv6: what it has is tried
  const auto v6 = acceptor.listen("tcp://[::]:*");
  expect_tcp(dial(acceptor, {bus::endpoint::scheme::tcp, "127.0.0.1", v6.port}).first, v6, "127.0.0.1");
  expect_tcp(dial(acceptor, {bus::endpoint::scheme::tcp, "::1", v6.port}).first, v6, "::1");
}

TEST_P(Origin, AWildcardTakesItsPortAlone) {
  const auto with_port = [](std::string_view host, std::uint16_t port) {
    return bus::endpoint{bus::endpoint::scheme::tcp, std::string(host), port};
  };
  const bool v6 = has_v6();
  for (const auto& [first, second] : {std::pair("0.0.0.0", "::"), std::pair("::", "0.0.0.0"), std::pair("::", "*"),
                                      std::pair("0.0.0.0", "0.0.0.0"), std::pair("127.0.0.1", "0.0.0.0")}) {
    if (!v6 && (*first == ':' || *second == ':')) continue;
    test_node node(options("one@host", acceptor_of(GetParam())));
    const auto has = node.hub->listen(with_port(first, 0));
    ASSERT_TRUE(has) << has.error().message();
    const auto refused = node.hub->listen(with_port(second, has->port));
    ASSERT_FALSE(refused) << first << " " << second;
    EXPECT_TRUE(refused.error().text().contains("this node listens at " + has->text())) << refused.error().message();
    EXPECT_TRUE(refused.error().text().contains("[::], which is for IPv4 too")) << refused.error().message();
  }
  test_node node(options("two@host", acceptor_of(GetParam())));
  const auto one = node.listen("tcp://127.0.0.1:*");
  EXPECT_TRUE(node.hub->listen(with_port("127.0.0.2", one.port)));
  EXPECT_TRUE(!v6 || node.hub->listen(with_port("::1", one.port)));
}

TEST_P(Origin, WhatLeadsHereIsFoundOut) {
  test_node node(options("one@host", acceptor_of(GetParam())));
  const auto own = node.listen("tcp://127.0.0.1:*");
  for (std::size_t times = 1; times <= 2; ++times) {
    node.hub->dial(own);
    ASSERT_TRUE(world_.until([&] { return node.events.failed().size() == times; }));
    EXPECT_EQ(node.events.failed().back().reason.code(), errc::not_allowed);
  }
  EXPECT_TRUE(node.events.failed().back().reason.text().contains("leads to this node itself"));
  EXPECT_EQ(node.log.count("an endpoint leads to this node itself"), 1u);
}

}  // namespace
}  // namespace troupe::test
