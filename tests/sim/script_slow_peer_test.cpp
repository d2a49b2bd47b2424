// Lua that sends more than the other side takes: it is parked inside its sends, nothing is lost, little lies here.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include <troupe/script.hpp>
#include <troupe/spawn.hpp>

#include "sim/run_hosts.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct slow_pair {
  struct host {
    std::unique_ptr<node> machine;
    internal::distribution* network = nullptr;
  };
  std::unique_ptr<bus::simulator> sim;
  std::map<std::string, host> hosts;
  host_times times;
  std::vector<std::int64_t> numbers;
  std::size_t bytes = 0;
  std::int64_t most_unsent = 0;
  std::string outcome;

  explicit slow_pair(std::uint64_t seed) : sim(bus::make_simulator({.seed = seed})) {
    for (const char* name : {"a", "b"}) {
      detail::bare_node_options options = options_on(*sim, name);
      options.creation = 1;
      options.node.wire.credit_bytes = 64u << 10;  // the slow side lets so much be on its way
      options.node.wire.frame_bytes = 64u << 10;
      options.node.mesh = mesh_policy::explicit_only;
      host made;
      made.machine = detail::make_bare_node(std::move(options));
      internal::distribution_options network = network_on(*sim, name);
      for (const char* other : {"a", "b"}) network.peers[std::string(other) + "@sim"] = {place_of(other)};
      made.network = internal::attach_distribution(made.machine->core(), std::move(network)).or_exit();
      made.network->open().or_exit();
      hosts[name] = std::move(made);
    }
    spawn_options named;
    named.name = "sink";
    spawn(*hosts["b"].machine, std::move(named), &slow_pair::sink, this).or_exit();
  }
  ~slow_pair() {
    for (auto& [name, one] : hosts) sim->kill(name);
    hosts.clear();
  }

  void look() {
    const value info = hosts["a"].network->info();
    for (const value& peer : *info.find("peers")->items())
      most_unsent = std::max(most_unsent, peer.integer_at("queued_bytes"));
  }
  static task<> sink(process& self, slow_pair* at) {
    for (;;) {
      auto got = co_await self.receive(wait_forever);
      const value content = got->to_value();
      at->numbers.push_back(*content.items()->front().integer());
      at->bytes += content.items()->back().text()->size();
      at->look();
    }
  }
  static task<> lua(process& self, slow_pair* at, std::string source) {
    auto running = script::evaluate(self, std::move(source), {}, {.time = wait_forever});
    auto done = co_await std::move(running);
    at->outcome = done ? done->print() : done.error().message();
  }
  void run(std::string source, std::size_t messages) {
    spawn(*hosts["a"].machine, &slow_pair::lua, this, std::move(source)).or_exit();
    for (int i = 0; i < 100'000 && (numbers.size() < messages || outcome.empty()); ++i) {
      run_hosts(*sim, hosts, times, 1ms);
      look();
    }
  }
};

class LuaSlowPeer : public testing::TestWithParam<std::uint64_t> {};

TEST_P(LuaSlowPeer, SendsAreParked) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  slow_pair both(GetParam());
  both.run(
      "to = {'sink', 'b@sim'} "
      "for i = 1, 30 do send(to, {i, ('x'):rep(1 << 20)}) end "
      "for i = 31, 3030 do send(to, {i, ('x'):rep(8 << 10)}) end return 'all sent'",
      3030);
  EXPECT_EQ(both.outcome, "\"all sent\"");
  ASSERT_EQ(both.numbers.size(), 3030u);
  for (std::size_t i = 0; i < both.numbers.size(); ++i) ASSERT_EQ(both.numbers[i], static_cast<std::int64_t>(i + 1));
  EXPECT_EQ(both.bytes, 30u * (1u << 20) + 3000u * (8u << 10));
  EXPECT_GT(both.most_unsent, 1 << 20);
  EXPECT_LT(both.most_unsent, 8 << 20) << "queue_bytes is 4 MiB";
  const auto& counters = both.hosts["a"].network->counters();
  EXPECT_GT(counters.parked.load(), 0u);
  EXPECT_EQ(counters.refused_overloaded.load() + counters.ended_overloaded.load(), 0u);
}

// A message, a pcall and a coroutine of Lua's own between the loop and the send make no difference.
TEST_P(LuaSlowPeer, SoAreThoseInsideOfCoroutines) {
  slow_pair both(GetParam());
  both.run(
      "to = {'sink', 'b@sim'} "
      "each = coroutine.wrap(function() for i = 1, 40 do "
      "  assert(pcall(server.cast, to, {i, ('x'):rep(1 << 20)})) coroutine.yield(i) end return 'over' end) "
      "while each() ~= 'over' do end return 'all sent'",
      40);
  EXPECT_EQ(both.outcome, "\"all sent\"");
  EXPECT_EQ(both.numbers.size(), 40u);
  EXPECT_LT(both.most_unsent, 8 << 20);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LuaSlowPeer, testing::Values(1, 2, 3));

}  // namespace
}  // namespace troupe::test
