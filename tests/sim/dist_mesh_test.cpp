// Nodes that know one member alone and join at about the same time: each must come to see each. TROUPE_SEED=n runs that
// seed alone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include <troupe/bus/simulation.hpp>
#include <troupe/cluster.hpp>

#include "dist/distribution.hpp"
#include "runtime/core.hpp"
#include "sim/run_hosts.hpp"
#include "support/seeds.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct joining_world {
  explicit joining_world(std::uint64_t seed) : sim(bus::make_simulator({.seed = seed})) {}

  struct host {
    std::unique_ptr<node> machine;
  };
  std::unique_ptr<bus::simulator> sim;
  std::map<std::string, host> hosts;
  host_times times;

  void start(const std::string& name, bool joins) {
    detail::bare_node_options options = options_on(*sim, name);
    options.node.mesh = mesh_policy::automatic;
    host made;
    made.machine = detail::make_bare_node(std::move(options));
    internal::distribution_options network = network_on(*sim, name);
    if (joins) {
      network.peers["first@sim"] = {place_of("first")};
      network.wanted = {"first@sim"};
    }
    internal::attach_distribution(made.machine->core(), std::move(network)).or_exit()->open().or_exit();
    hosts[name] = std::move(made);
  }
};

class SimultaneousJoins : public testing::TestWithParam<std::uint64_t> {};

// A member that has just come up is told of before it has told where it can be dialled.
TEST_P(SimultaneousJoins, MakeAFullMesh) {
  const std::uint64_t seed = GetParam();
  joining_world all(seed);
  constexpr std::size_t count = 10;
  all.start("first", false);
  for (std::size_t i = 1; i < count; ++i) {
    all.start("node" + std::to_string(i), true);
    run_hosts(*all.sim, all.hosts, all.times, std::chrono::microseconds(all.sim->random()->below(3000)));
  }
  run_hosts(*all.sim, all.hosts, all.times, 60s);
  for (auto& [name, one] : all.hosts) {
    EXPECT_EQ(nodes(*one.machine).size(), count - 1) << name << ", seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimultaneousJoins,
                         testing::ValuesIn(troupe::test::seeds(15, {93, 107, 125, 163, 173})));

}  // namespace
}  // namespace troupe::test
