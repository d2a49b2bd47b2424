// A peer that makes a node keep and do as much as it can: what the node keeps of it is bounded, and it goes on
// answering others meanwhile. In virtual time, under a seed.
#include <gtest/gtest.h>

#include <map>

#include <troupe/bus/simulation.hpp>
#include <troupe/rpc.hpp>

#include "sim/run_hosts.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

constexpr int flood = 30'000;  // of each kind

struct host {
  std::unique_ptr<node> machine;
  internal::distribution* network = nullptr;
};

class Flood : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"busy", "peer", "other"}) start(name);
    run_for(1s);
  }
  void start(const std::string& name) {
    detail::bare_node_options options = options_on(*sim_, name);
    options.node.mesh = mesh_policy::explicit_only;
    options.node.offers.function("sleep", [](process& self) -> task<> { co_await self.sleep(1s); });
    options.node.offers.function("answer", [] { return 1; });
    options.node.offers.process("sleeper", [](process& self) -> task<> { co_await self.sleep(wait_forever); });
    host made;
    made.machine = detail::make_bare_node(std::move(options));
    internal::distribution_options network = network_on(*sim_, name);
    network.spawns_at_once = network.monitors_at_once = network.links_at_once = bound;
    for (const std::string other : {"busy", "peer", "other"}) {
      if (other == name) continue;
      network.peers[other + "@sim"] = {place_of(other)};
      network.wanted.push_back(other + "@sim");
    }
    made.network = internal::attach_distribution(made.machine->core(), std::move(network)).or_exit();
    made.network->open().or_exit();
    hosts_[name] = std::move(made);
  }
  void run_for(duration time) { run_hosts(*sim_, hosts_, times_, time); }

  // Another node's question, asked while the flood is under way.
  static task<> ask(process& self, int* answered) {
    for (int i = 0; i < 20; ++i) {
      auto got = co_await rpc::call<int>(self, "busy@sim", "answer").within(1s);
      *answered += got.has_value();
      co_await self.sleep(50ms);
    }
  }
  static task<> watch(process& self, pid target, int* refused) {
    self.trap_exits(true);
    for (int i = 0; i < flood; ++i) self.monitor(target);
    for (;;) {
      auto got = co_await self.receive<down>(5s);
      if (!got) co_return;
      *refused += got->reason.is("overloaded");
    }
  }
  static task<> order(process& self) {
    for (int i = 0; i < flood; ++i) rpc::cast(self, "busy@sim", "sleep");
    co_await self.sleep(5s);
  }
  static task<> call(process& self, int* refused) {
    auto got = co_await rpc::call<value>(self, "busy@sim", "sleep").within(10s);
    *refused += !got && got.error() == errc::overloaded;
  }
  static task<> breed(process& self, int* refused) {
    for (int i = 0; i < 20; ++i) {
      auto got = co_await spawn_on(self, "busy@sim", "sleeper").within(10s);
      *refused += !got && got.error() == errc::overloaded;
    }
  }

  static constexpr std::size_t bound = 5'000;
  std::unique_ptr<bus::simulator> sim_ = bus::make_simulator({.seed = 7});
  std::map<std::string, host> hosts_;
  host_times times_;
};

TEST_F(Flood, OfOnePeerIsBoundedAndOthersAreAnswered) {
  node& peer = *hosts_["peer"].machine;
  const pid target =
      spawn(*hosts_["busy"].machine, [](process& self) -> task<> { co_await self.sleep(wait_forever); }).or_exit();
  int answered = 0, monitors = 0, calls = 0, spawns = 0;
  spawn(peer, &Flood::watch, target, &monitors).or_exit();
  spawn(peer, &Flood::order).or_exit();
  for (int i = 0; i < flood; ++i) spawn(peer, &Flood::call, &calls).or_exit();
  for (int i = 0; i < flood / 20; ++i) spawn(peer, &Flood::breed, &spawns).or_exit();
  spawn(*hosts_["other"].machine, &Flood::ask, &answered).or_exit();
  run_for(20s);
  EXPECT_EQ(answered, 20);
  EXPECT_EQ(monitors, flood - static_cast<int>(bound));
  EXPECT_EQ(spawns, flood - static_cast<int>(bound));
  EXPECT_GT(calls, 0);
  const auto& counters = hosts_["busy"].network->counters();
  EXPECT_EQ(counters.monitors_refused.load(), flood - bound);
  EXPECT_EQ(counters.spawns_refused.load(), flood - bound);
  EXPECT_GE(counters.rpc_refused.load(), static_cast<std::uint64_t>(calls));
  EXPECT_LE(hosts_["busy"].machine->core().process_count(), bound + 20);
}

}  // namespace
}  // namespace troupe::test
