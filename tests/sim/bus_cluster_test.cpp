// Whole clusters of hubs in one thread, driven by a seed. TROUPE_SEED=n runs that seed alone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>

#include "unit/bus/hub_fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct cluster {
  explicit cluster(std::uint64_t seed) : sim(bus::make_simulator({.seed = seed})) {}

  std::unique_ptr<bus::simulator> sim;
  std::map<std::string, std::unique_ptr<test_node>> nodes;
  std::map<std::string, std::uint64_t> lives;

  test_node& start(const std::string& name) {
    bus::hub_options options = options_for(name + "@host", ++lives[name]);
    options.transport = sim->attach(name);
    options.random = sim->random();
    options.limits.tick = 500ms;
    auto& node = nodes[name];
    node = std::make_unique<test_node>(std::move(options));
    node->listen("sim://" + name);
    return *node;
  }
  void dial(const std::string& from, const std::string& to) {
    nodes[from]->hub->dial(bus::endpoint::parse("sim://" + to).value(), {.expected_name = to + "@host"});
  }
  void kill(const std::string& name) {
    sim->kill(name);
    nodes.erase(name);
  }
};

// Random dials, frames, breaks, cuts, pauses and restarts; the events of all nodes and the simulator's log as text.
std::string turmoil(std::uint64_t seed) {
  cluster all(seed);
  const std::vector<std::string> names{"a", "b", "c", "d"};
  for (const auto& name : names) all.start(name);
  auto random = seeded_random(seed * 77);
  const auto any = [&] { return names[random->below(names.size())]; };
  for (int step = 0; step < 200; ++step) {
    const std::string one = any();
    const std::string two = any();
    if (one == two) continue;
    switch (random->below(10)) {
      case 0:
      case 1:
      case 2: all.dial(one, two); break;
      case 3: all.sim->break_pipes(one, two); break;
      case 4: all.sim->cut(one, two); break;
      case 5: all.sim->heal(one, two); break;
      case 6: all.sim->pause(one); break;
      case 7: all.sim->resume(one); break;
      case 8:
        if (random->below(4) == 0) {
          all.kill(one);
          all.start(one);
        }
        break;
      default:
        for (const auto& up : all.nodes[one]->events.ups()) {
          static_cast<void>(all.nodes[one]->hub->send(up.id, bytes_of("m" + std::to_string(step))));
        }
    }
    all.sim->run_for(duration(static_cast<std::int64_t>(random->below(800'000'000))));
  }
  all.sim->heal_all();
  for (const auto& name : names) all.sim->resume(name);
  all.sim->run_for(30s);

  std::string out;
  for (const auto& line : all.sim->log()) out += line + "\n";
  for (const auto& [name, node] : all.nodes) {
    // In order for each connection: up, frames, one down, nothing.
    std::map<bus::connection_id, int> state;
    for (const auto& up : node->events.ups()) EXPECT_EQ(state[up.id]++, 0);
    std::map<bus::connection_id, int> downs;
    for (const auto& down : node->events.downs()) EXPECT_EQ(++downs[down.id], 1) << "seed " << seed;
    for (const auto& line : node->events.lines()) out += name + " " + line + "\n";
    // Every dial has ended, no handshake hangs, and both ends of each connection agree.
    const auto counters = node->hub->counters();
    EXPECT_EQ(counters.dials, 0u) << "seed " << seed;
    EXPECT_EQ(counters.half_handshakes, 0u) << "seed " << seed;
    for (const auto& peer : counters.peers) {
      const auto other = all.nodes[peer.name.substr(0, 1)]->hub->counters();
      EXPECT_EQ(std::ranges::count(other.peers, name + "@host", &bus::connection_counters::name), 1)
          << "seed " << seed << ": " << name << " is connected to " << peer.name << ", which is not to it";
    }
  }
  return out;
}

// TROUPE_SEED=n: that one alone.
std::vector<std::uint64_t> seeds() {
  if (const char* one = std::getenv("TROUPE_SEED")) return {std::strtoull(one, nullptr, 10)};
  std::vector<std::uint64_t> out(20);
  std::iota(out.begin(), out.end(), 1);
  return out;
}

TEST(SimulatedBus, TheSameSeedGivesTheSameEvents) {
  for (const std::uint64_t seed : seeds()) {
    const std::string first = turmoil(seed);
    ASSERT_EQ(first, turmoil(seed)) << "seed " << seed;
    ASSERT_GT(first.size(), 1000u);
  }
  EXPECT_NE(turmoil(1), turmoil(2));
}

TEST(SimulatedBus, AStoppedPeerIsGivenUpAndBothAgreeWhenItWakes) {
  cluster all(1);
  auto& a = all.start("a");
  auto& b = all.start("b");
  all.dial("b", "a");
  ASSERT_TRUE(all.sim->run_until([&] { return a.events.first() != 0 && b.events.first() != 0; }));
  all.sim->pause("b");
  const auto stopped = all.sim->time()->now();
  ASSERT_TRUE(all.sim->run_until([&] { return !a.events.downs().empty(); }));
  EXPECT_EQ(a.events.downs()[0].reason, errc::noconnection);
  const auto took = all.sim->time()->now() - stopped;
  EXPECT_GE(took, 1500ms);
  EXPECT_LE(took, 2500ms);  // 1.25 x (4 x 500 ms)
  EXPECT_TRUE(b.events.downs().empty());
  all.sim->resume("b");
  ASSERT_TRUE(all.sim->run_until([&] { return !b.events.downs().empty(); }));
  EXPECT_EQ(b.events.downs()[0].reason, errc::noconnection);
}

TEST(SimulatedBus, APartitionIsSeenByBothSidesAndHealed) {
  cluster all(2);
  auto& a = all.start("a");
  auto& b = all.start("b");
  all.dial("b", "a");
  ASSERT_TRUE(all.sim->run_until([&] { return a.events.first() != 0 && b.events.first() != 0; }));
  all.sim->cut("a", "b");
  ASSERT_TRUE(all.sim->run_until([&] { return !a.events.downs().empty() && !b.events.downs().empty(); }));
  all.dial("b", "a");
  ASSERT_TRUE(all.sim->run_until([&] { return !b.events.failed().empty(); }));
  EXPECT_EQ(b.events.failed()[0].reason, errc::timeout);
  all.sim->heal("a", "b");
  all.sim->run_for(5s);
  all.dial("b", "a");
  ASSERT_TRUE(all.sim->run_until([&] { return a.events.ups().size() == 2 && b.events.ups().size() == 2; }));
  EXPECT_EQ(a.events.downs().size(), 1u);
  EXPECT_EQ(b.events.downs().size(), 1u);
}

TEST(SimulatedBus, AKilledNodeComesBackAsANewLife) {
  cluster all(3);
  auto& a = all.start("a");
  all.start("b");
  all.dial("b", "a");
  ASSERT_TRUE(all.sim->run_until([&] { return a.events.ups().size() == 1; }));
  all.kill("b");
  ASSERT_TRUE(all.sim->run_until([&] { return a.events.downs().size() == 1; }));
  all.start("b");
  all.dial("b", "a");
  ASSERT_TRUE(all.sim->run_until([&] { return a.events.ups().size() == 2; }));
  EXPECT_EQ(a.events.ups()[1].who.creation, 2u);
}

}  // namespace
}  // namespace troupe::test
