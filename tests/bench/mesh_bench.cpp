// A node of a mesh, led through its standard input as mesh.erl is; or a hundred in this OS process.
// usage: mesh_bench NAME COUNT < "connect FIRST PEERS", then anything to end it
//        mesh_bench mesh_inproc_100 SCALE
#include <sys/resource.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <thread>

#include <troupe/cluster.hpp>
#include <troupe/node.hpp>

#include "dist/distribution.hpp"
#include "runtime/core.hpp"
#include "support.hpp"

using namespace std::chrono_literals;
using namespace troupe;

namespace {

// The first has the others come; the mesh makes itself full.
task<> meet(process& self, std::string first, std::size_t peers) {
  monitor_nodes(self, true);
  if (first != self.node().name()) (co_await connect(self, first).within(1min)).or_exit();
  while (nodes(self).size() < peers) (void)co_await self.receive(wait_forever);  // nodeup
}

int one_of_many(const std::string& name) {
  node_options options;
  options.name = name;
  options.cookie = "a-cookie-for-the-benchmarks-of-troupe";
  auto n = node::start(std::move(options)).or_exit();
  auto door = n->make_handle().or_exit();
  std::cout << "ready" << std::endl;
  std::string word, first, end;
  std::size_t peers = 0;
  if (!(std::cin >> word >> first >> peers)) return 1;
  first += "@localhost";
  door->run(2min, [=](process& self) { return meet(self, first, peers); }).or_exit();
  std::cout << "meshed" << std::endl;
  std::cin >> end;
  std::_Exit(0);
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

// Nodes that know the first alone, over the transport of one OS process. With a tick of its own: what that costs.
int all_in_one(double scale, std::optional<std::chrono::milliseconds> tick = {}) {
  const int count = bench::scaled(scale, 100, 3);
  std::shared_ptr<bus::loop> loop = bus::make_loop();
  auto network = bus::make_inproc_network();
  auto name = [](int i) { return "m" + std::to_string(i); };
  auto place = [](const std::string& where) { return bus::endpoint{bus::endpoint::scheme::inproc, where, 0}; };
  std::vector<std::unique_ptr<node>> all;
  const double before = bench::resident_bytes();
  auto start = bench::now();
  for (int i = 0; i < count; ++i) {
    detail::bare_node_options options;
    options.name = name(i) + "@test";
    options.workers = 1;
    options.node.mesh = mesh_policy::automatic;
    if (tick) options.node.wire.tick = *tick;
    all.push_back(detail::make_bare_node(std::move(options)));
    internal::distribution_options how;
    how.loop = loop;
    how.transport = bus::inproc_transport(*loop, network);
    how.cookie = "a-cookie-for-the-benchmarks-of-troupe";
    how.listen = {place(name(i))};
    if (i > 0) {
      how.peers["m0@test"] = {place(name(0))};
      how.wanted = {"m0@test"};
    }
    internal::attach_distribution(all.back()->core(), std::move(how)).or_exit()->open().or_exit();
  }
  const auto peers = static_cast<std::size_t>(count - 1);
  auto is_full = [&] {
    return std::all_of(all.begin(), all.end(), [&](auto& n) { return nodes(*n).size() == peers; });
  };
  while (!is_full()) std::this_thread::sleep_for(1ms);
  if (!tick) bench::emit("inproc_form", bench::seconds_since(start) * 1000, "ms");
  std::this_thread::sleep_for(std::min(1.0, scale * 5) * 1s);
  if (!tick) bench::emit("inproc_rss", (bench::resident_bytes() - before) / count / (1 << 20), "MiB");
  const double cpu = cpu_seconds();
  const auto idle = bench::now();
  std::this_thread::sleep_for(std::max(0.1, scale * 10) * 1s);
  const double share = (cpu_seconds() - cpu) / bench::seconds_since(idle);
  if (tick) {
    // Both ends of each connection ask once a tick and answer once.
    const double ticks_a_second = 1000.0 / static_cast<double>(tick->count()) * count * static_cast<double>(peers);
    bench::emit("tick_cost", 1e6 * share / ticks_a_second, "us");
  } else {
    bench::emit("inproc_cpu", 100 * share, "%");
  }
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: mesh_bench NAME COUNT | mesh_inproc_100 SCALE | mesh_ticks SCALE\n";
    return 2;
  }
  const std::string name = argv[1];
  if (name == "mesh_inproc_100") return all_in_one(std::stod(argv[2]));
  return name == "mesh_ticks" ? all_in_one(std::stod(argv[2]), 200ms) : one_of_many(name);
}
