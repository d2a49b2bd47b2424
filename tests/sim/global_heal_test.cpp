// What a partition leaves when it heals: a mesh without a gap, and no dials of who is gone. In virtual time, under a
// seed.
#include <gtest/gtest.h>

#include <map>

#include <troupe/bus/simulation.hpp>
#include <troupe/cluster.hpp>
#include <troupe/global.hpp>

#include "global/service.hpp"
#include "sim/run_hosts.hpp"
#include "support/seeds.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

// From the healing on: a minute and a quarter between two tries, and what a dial takes.
constexpr duration closes_within = 90s;

class dial_log final : public log_sink {
 public:
  bool enabled(log_level) const noexcept override { return true; }
  void log(log_level, std::string_view text, map) noexcept override { not_reached += text == "node not reached"; }
  int not_reached = 0;
};

struct host {
  std::unique_ptr<node> machine;
  internal::global_service* service = nullptr;
  std::shared_ptr<dial_log> log = std::make_shared<dial_log>();
};

// `hub` is what the others are told at their start; of each other they know by it alone.
class Heal : public testing::TestWithParam<std::uint64_t> {
 protected:
  void SetUp() override {
    for (const char* name : {"hub", "a", "b"}) start(name);
    run_for(5s);
    ASSERT_TRUE(all_see(3));
  }
  void start(const std::string& name) {
    host made;
    detail::bare_node_options options = options_on(*sim_, name);
    options.log = made.log;
    options.node.mesh = mesh_policy::automatic;
    made.machine = detail::make_bare_node(std::move(options));
    internal::distribution_options network = network_on(*sim_, name);
    network.features = {internal::global_feature};
    if (name != "hub") {
      network.peers["hub@sim"] = {place_of("hub")};
      network.wanted = {"hub@sim"};
    }
    auto* attached = internal::attach_distribution(made.machine->core(), std::move(network)).or_exit();
    made.service = internal::start_global(*made.machine).or_exit();
    attached->open().or_exit();
    hosts_[name] = std::move(made);
  }
  void run_for(duration time) { run_hosts(*sim_, hosts_, times_, time); }
  bool all_see(std::size_t count) {
    return std::ranges::all_of(hosts_, [count](const auto& one) {
      return nodes(*one.second.machine).size() == count - 1 && one.second.service->members().size() == count;
    });
  }

  std::unique_ptr<bus::simulator> sim_ = bus::make_simulator({.seed = GetParam()});
  std::map<std::string, host> hosts_;
  host_times times_;
};

TEST_P(Heal, WhoAThirdSeesIsConnectedAgain) {
  sim_->cut("a", "b");
  run_for(10min);  // longer than the mesh tries by itself
  EXPECT_EQ(nodes(*hosts_["a"].machine), std::vector<std::string>{"hub@sim"});
  sim_->heal("a", "b");
  run_for(closes_within);
  EXPECT_TRUE(all_see(3));
  for (const auto& [name, one] : hosts_) EXPECT_TRUE(one.service->agreed()) << name;
}

TEST_P(Heal, WhoIsGoneIsDialledByNobody) {
  sim_->kill("b");
  hosts_.erase("b");
  run_for(5min);
  EXPECT_TRUE(all_see(2));
  std::map<std::string, int> before;
  for (const auto& [name, one] : hosts_) before[name] = one.log->not_reached;
  run_for(20min);
  for (const auto& [name, one] : hosts_) EXPECT_EQ(one.log->not_reached, before[name]) << name;
}

TEST_P(Heal, WhoWasSentAwayStaysAway) {
  EXPECT_TRUE(disconnect(*hosts_["a"].machine, "b@sim"));
  run_for(10min);
  EXPECT_EQ(nodes(*hosts_["a"].machine), std::vector<std::string>{"hub@sim"});
  EXPECT_EQ(nodes(*hosts_["b"].machine), std::vector<std::string>{"hub@sim"});
}

INSTANTIATE_TEST_SUITE_P(Seeds, Heal, testing::ValuesIn(seeds(10)));

}  // namespace
}  // namespace troupe::test
