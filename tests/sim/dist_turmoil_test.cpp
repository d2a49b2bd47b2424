// Whole nodes in one thread under a seed: processes that send, call, monitor, spawn and link while connections break,
// cables are pulled and nodes stop, sleep, die and come back. TROUPE_SEED=n runs that seed alone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include <troupe/bus/simulation.hpp>
#include <troupe/codec.hpp>
#include <troupe/rpc.hpp>

#include "dist/distribution.hpp"
#include "runtime/core.hpp"
#include "sim/run_hosts.hpp"
#include "support/seeds.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct Numbered {
  std::string from;
  std::int64_t number = 0;
  std::string pad;
  TROUPE_MESSAGE(Numbered, "test.numbered", from, number, pad)
};

struct world {
  explicit world(std::uint64_t seed) : sim(bus::make_simulator({.seed = seed})) {}

  struct host {
    std::unique_ptr<node> machine;
    internal::distribution* network = nullptr;
  };
  std::unique_ptr<bus::simulator> sim;
  std::map<std::string, host> hosts;
  std::map<std::string, std::uint64_t> lives;
  host_times times;
  bool ending = false;
  std::vector<std::string> log;
  std::map<std::string, std::int64_t> last;  // by sender's life and receiver's: the greatest number seen
  std::map<std::string, int> downs;          // by monitor
  std::map<std::string, int> exits;          // by linked child

  void note(std::string line) {
    log.push_back(std::to_string(sim->time()->now().time_since_epoch().count()) + " " + std::move(line));
  }

  void start(const std::string& name) {
    detail::bare_node_options options = options_on(*sim, name);
    options.creation = ++lives[name];
    options.node.wire.tick = 500ms;
    options.node.wire.frame_bytes = 4096;
    options.node.wire.credit_bytes = 8192;
    options.node.mesh = mesh_policy::explicit_only;
    options.node.offers.process("test.mortal", &world::mortal);
    options.node.offers.function("test.twice", [](std::int64_t n) { return 2 * n; });
    host made;
    made.machine = detail::make_bare_node(std::move(options));
    internal::distribution_options network = network_on(*sim, name);
    network.queue_bytes = 32u << 10;
    for (const char* other : {"a", "b", "c"}) {
      if (other != name) network.peers[std::string(other) + "@sim"] = {place_of(other)};
    }
    made.network = internal::attach_distribution(made.machine->core(), std::move(network)).or_exit();
    made.network->open().or_exit();
    spawn_options named;
    named.name = "sink";
    spawn(*made.machine, std::move(named), &world::sink, this).or_exit();
    for (const char* other : {"a", "b", "c"}) {
      if (other == name) continue;
      spawn(*made.machine, &world::talker, this, std::string(other) + "@sim").or_exit();
      spawn(*made.machine, &world::parent, this, std::string(other) + "@sim").or_exit();
    }
    hosts[name] = std::move(made);
  }
  void kill(const std::string& name) {
    times.asleep.erase(name);
    sim->kill(name);
    hosts.erase(name);
  }

  static task<> sink(process& self, world* all) {
    const std::string me = self.id().text();
    for (;;) {
      auto got = co_await self.receive(wait_forever);
      if (got->is_call()) {
        self.reply(*got, got->to_value());
        continue;
      }
      const Numbered* one = got->get<Numbered>();
      if (!one) continue;
      auto& before = all->last[one->from + " > " + me];
      EXPECT_GT(one->number, before) << one->from << " > " << me;
      before = one->number;
    }
  }

  static task<> mortal(process& self) {
    co_await self.sleep(200ms);
    self.exit(exit_reason("old"));
  }

  // Spawns linked children elsewhere. Each one's end is told once, and not at all after an unlink.
  static task<> parent(process& self, world* all, std::string peer) {
    self.trap_exits(true);
    const std::string me = self.id().text();
    for (std::int64_t round = 1; !all->ending; ++round) {
      auto child = co_await spawn_on(self, peer, "test.mortal").linked().within(700ms);
      all->note(me + " spawn " + peer + " " + (child ? "ok" : child.error().name()));
      const bool unlinked = child && round % 3 == 0;
      if (unlinked) self.unlink(*child);
      bool told = false;
      const time_point until = self.now() + (child && !unlinked ? duration(20s) : duration(250ms));
      while (!told) {
        auto ended = co_await self.receive<exit_message>(std::max(until - self.now(), duration(0)));
        if (!ended) break;
        EXPECT_EQ(++all->exits[ended->from.text()], 1);
        all->note(me + " exit " + ended->reason.text());
        told = child && ended->from == *child;
        EXPECT_FALSE(told && unlinked) << "told after an unlink";
      }
      EXPECT_TRUE(!child || unlinked || told) << me << " was never told of " << child->text();
    }
  }

  static task<> talker(process& self, world* all, std::string peer) {
    const std::string me = self.id().text();
    const address there("sink", peer);
    ref watch;
    std::int64_t number = 0;
    for (std::int64_t round = 1; !all->ending; ++round) {
      if (!watch) watch = self.monitor(there);
      for (int i = 0; i < 5; ++i) {
        const bool heavy = round % 5 == 0 && i == 2;
        self.send(there, Numbered{me, ++number, std::string(heavy ? 30'000 : 10, 'x')});
      }
      if (round % 3 == 0) {
        auto got = co_await call<value>(self, there, value(round)).within(700ms);
        all->note(me + " call " + peer + " " + (got ? "ok" : got.error().name()));
        if (got) {
          EXPECT_EQ(*got, value(round));
        }
      } else if (round % 3 == 1) {
        auto got = co_await rpc::call<std::int64_t>(self, peer, "test.twice", round).within(700ms);
        all->note(me + " rpc " + peer + " " + (got ? "ok" : got.error().name()));
        if (got) {
          EXPECT_EQ(*got, 2 * round);
        }
      }
      co_await self.sleep(20ms);  // virtual: while the peer is out of reach, everything is refused at once
      auto told = co_await self.receive<down>(50ms);
      if (!told) continue;
      EXPECT_EQ(told->monitor, watch);
      EXPECT_EQ(++all->downs[told->monitor.text()], 1);
      all->note(me + " down " + peer + " " + told->reason.text());
      watch = {};
    }
    if (watch) self.demonitor(watch);
  }

  void run_for(duration time) { run_hosts(*sim, hosts, times, time); }
};

std::vector<std::string> turmoil(std::uint64_t seed) {
  world all(seed);
  const std::vector<std::string> names{"a", "b", "c"};
  for (const auto& name : names) all.start(name);
  auto random = seeded_random(seed * 31 + 7);
  auto any = [&] { return names[random->below(names.size())]; };
  for (int step = 0; step < 60; ++step) {
    const std::string one = any(), two = any();
    switch (random->below(10)) {
      case 0: all.sim->break_pipes(one, two); break;
      case 1: all.sim->cut(one, two); break;
      case 2:
      case 3: all.sim->heal(one, two); break;
      case 4:
        if (all.hosts.contains(one)) disconnect(*all.hosts[one].machine, two + "@sim");
        break;
      case 5:
        if (random->below(3) == 0) {
          all.kill(one);
          all.run_for(duration(static_cast<std::int64_t>(random->below(500'000'000))));
          all.start(one);
        }
        break;
      case 6:
        if (!all.hosts.contains(one)) break;
        all.times.asleep.insert(one);
        all.sim->pause(one);
        break;
      case 7:
      case 8:
        all.times.asleep.erase(one);
        all.sim->resume(one);
        break;
      default: break;
    }
    all.run_for(duration(static_cast<std::int64_t>(random->below(600'000'000))));
  }
  all.sim->heal_all();
  for (const auto& name : names) {
    all.times.asleep.erase(name);
    all.sim->resume(name);
  }
  all.run_for(40s);
  // All find each other again.
  for (const auto& name : names) EXPECT_EQ(nodes(*all.hosts[name].machine).size(), 2u) << name << " seed " << seed;
  all.ending = true;
  all.run_for(40s);
  // Nobody waits for ever and nothing is held for anybody.
  for (const auto& name : names) {
    EXPECT_EQ(all.hosts[name].machine->process_count(), 1u) << name << " seed " << seed;
    const value info = all.hosts[name].network->info();
    for (const value& peer : *info.find("peers")->items()) {
      for (const char* owed :
           {"calls", "monitors", "monitored_by", "links", "queued_bytes", "waiting_senders", "arriving_bytes"}) {
        EXPECT_EQ(peer.integer_at(owed), 0) << owed << " at " << name << " seed " << seed << " " << peer.print();
      }
    }
  }
  while (!all.hosts.empty()) all.kill(all.hosts.begin()->first);
  return all.log;
}

class DistTurmoil : public testing::TestWithParam<std::uint64_t> {};

TEST_P(DistTurmoil, HoldsAndReplays) {
  const std::vector<std::string> first = turmoil(GetParam());
  EXPECT_GT(first.size(), 100u);
  if (GetParam() <= 20 || std::getenv("TROUPE_SEED")) {
    EXPECT_EQ(first, turmoil(GetParam()));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, DistTurmoil, testing::ValuesIn(troupe::test::seeds(50)));

}  // namespace
}  // namespace troupe::test
