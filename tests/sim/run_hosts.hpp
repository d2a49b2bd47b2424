#pragma once
// Virtual time for nodes on a simulator: who drives their schedulers, which have no threads.
#include <set>
#include <string>

#include <troupe/bus/simulation.hpp>

#include "runtime/core.hpp"
#include "sched/scheduler.hpp"

namespace troupe::test {

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
