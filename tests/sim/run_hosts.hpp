#pragma once
// Nodes on a simulator, in its virtual time: how they are made, and who drives their schedulers, which have no threads.
#include <memory>
#include <set>
#include <string>

#include <troupe/bus/simulation.hpp>

#include "dist/distribution.hpp"
#include "runtime/core.hpp"
#include "sched/scheduler.hpp"

namespace troupe::test {

inline detail::bare_node_options options_on(bus::simulator& sim, const std::string& host) {
  detail::bare_node_options out;
  out.name = host + "@sim";
  out.workers = 0;
  out.clock = sim.time();
  out.random = sim.random();
  return out;
}
inline bus::endpoint place_of(const std::string& host) { return {bus::endpoint::scheme::sim, host, 0}; }
inline internal::distribution_options network_on(bus::simulator& sim, const std::string& host) {
  internal::distribution_options out;
  out.loop = std::shared_ptr<bus::loop>(std::shared_ptr<void>(), &sim.on(host));
  out.transport = sim.attach(host);
  out.cookie = "a-cookie-for-these-tests";
  out.listen = {place_of(host)};
  return out;
}

// What a simulated cluster keeps for `run_hosts`: hosts that are stopped (SIGSTOP), and timers that it has been told
// of.
struct host_times {
  std::set<std::string> asleep;
  std::set<time_point> alarms;
};

// Runs processes and the network until so much virtual time has passed. `hosts`: from name to what has a `machine`, a
// node without worker threads.
template <class Hosts>
void run_hosts(bus::simulator& sim, Hosts& hosts, host_times& times, duration time) {
  const time_point end = sim.time()->now() + time;
  sim.on("timer").at(end, [] {});
  while (sim.time()->now() < end) {
    bool ran = false;
    for (auto& [name, each] : hosts) {
      if (times.asleep.contains(name)) continue;
      internal::scheduler& workers = each.machine->core().scheduler();
      while (workers.run_one()) ran = true;
      if (workers.fire_due() > 0) ran = true;
      const time_point due = workers.next_due();
      if (due != time_point::max() && due > sim.time()->now() && times.alarms.insert(due).second) {
        sim.on("timer").at(due, [&times, due] { times.alarms.erase(due); });
      }
    }
    if (!ran && !sim.step()) break;
  }
}

}  // namespace troupe::test
