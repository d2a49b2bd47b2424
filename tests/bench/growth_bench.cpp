// Does an operation cost the same in a node that holds much? Prints `OPERATION_at_SIZE value ns` for each size.
// usage: growth_bench growth_processes|growth_names|growth_peers SCALE
#include <iostream>
#include <random>
#include <thread>

#include <troupe/call.hpp>
#include <troupe/cluster.hpp>
#include <troupe/node.hpp>

#include "dist/distribution.hpp"
#include "runtime/core.hpp"
#include "support.hpp"

using namespace std::chrono_literals;
using namespace troupe;
using bench::now, bench::scaled, bench::seconds_since;

namespace {

struct Ball {
  pid from;
  TROUPE_MESSAGE(Ball, "ball", from)
};

task<> echo(process& self) {
  for (;;) {
    auto got = co_await self.receive<Ball>(wait_forever);
    if (got) self.send(got->from, Ball{self.id()});
  }
}
task<> nothing(process&) { co_return; }

void told(const std::string& what, int size, bench::time start, int count) {
  bench::emit(what + "_at_" + std::to_string(size), seconds_since(start) * 1e9 / count, "ns");
}

// Every one of them is spoken to in turn, in an order that no cache foresees.
task<> processes(process& self, double scale) {
  std::vector<pid> all;
  std::mt19937 random(1);
  for (int size : {1'000, 10'000, 100'000, 1'000'000}) {
    const int wanted = scaled(scale, size);
    while (std::ssize(all) < wanted) {
      all.push_back(spawn(self, echo));
      if (all.size() % 1000 == 0) co_await self.yield();
    }
    const pid one = all.front();
    const int count = scaled(scale, 300'000);
    auto start = now();
    for (int i = 0; i < count; ++i) {
      self.send(one, Ball{self.id()});
      (void)co_await self.receive<Ball>(wait_forever);
    }
    told("pingpong", size, start, count);
    start = now();
    for (int i = 0; i < count; ++i) {
      self.send(all[random() % all.size()], Ball{self.id()});
      (void)co_await self.receive<Ball>(wait_forever);
    }
    told("pingpong_any", size, start, count);
    start = now();
    for (int i = 1; i <= count; ++i) {
      spawn(self, nothing);
      if (i % 100 == 0) co_await self.yield();
    }
    told("spawn_exit", size, start, count);
  }
}

task<> named(process& self) { (void)co_await self.receive(wait_forever); }
task<> names(process& self, double scale) {
  std::vector<std::string> all;
  std::mt19937 random(1);
  for (int size : {100, 1'000, 10'000, 100'000}) {
    while (std::ssize(all) < scaled(scale, size)) {
      spawn_options options;
      options.name = "growth.name." + std::to_string(all.size());
      all.push_back(options.name);
      (void)try_spawn(self, std::move(options), named).or_exit();
      if (all.size() % 1000 == 0) co_await self.yield();
    }
    const int count = scaled(scale, 300'000);
    auto start = now();
    for (int i = 0; i < count; ++i) (void)self.node().whereis(all[random() % all.size()]).or_exit();
    told("whereis", size, start, count);
    start = now();
    for (int i = 0; i < count; ++i) {
      self.register_name("growth.mine").or_exit();
      self.unregister_name();
    }
    told("register_unregister", size, start, count);
  }
}

// Nodes of this OS process over its own transport: what one more connection costs the others.
int peers(double scale) {
  std::shared_ptr<bus::loop> loop = bus::make_loop();
  auto network = bus::make_inproc_network();
  std::vector<std::unique_ptr<node>> all;
  auto name = [](std::size_t i) { return "m" + std::to_string(i); };
  auto place = [](const std::string& where) { return bus::endpoint{bus::endpoint::scheme::inproc, where, 0}; };
  for (int size : {2, 5, 10, 20, 50, 100}) {
    while (std::ssize(all) <= scaled(scale, size)) {
      detail::bare_node_options options;
      options.name = name(all.size()) + "@test";
      options.workers = 1;
      internal::distribution_options how;
      how.loop = loop;
      how.transport = bus::inproc_transport(*loop, network);
      how.cookie = "a-cookie-for-the-benchmarks-of-troupe";
      how.listen = {place(name(all.size()))};
      how.peers["m0@test"] = {place(name(0))};
      if (!all.empty()) how.wanted = {"m0@test"};
      all.push_back(detail::make_bare_node(std::move(options)));
      internal::attach_distribution(all.back()->core(), std::move(how)).or_exit()->open().or_exit();
    }
    while (nodes(*all.front()).size() + 1 < all.size()) std::this_thread::sleep_for(1ms);
    const pid there = spawn(*all.back(), echo).or_exit();
    auto door = all.front()->make_handle().or_exit();
    const int count = scaled(scale, 5'000);
    auto trips = [=](process& self) -> task<> {
      for (int i = 0; i < count; ++i) {
        self.send(there, Ball{self.id()});
        (void)co_await self.receive<Ball>(wait_forever);
      }
    };
    auto start = now();
    door->run(5min, trips).or_exit();
    told("remote_pingpong", size, start, count);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: growth_bench growth_processes|growth_names|growth_peers SCALE\n";
    return 2;
  }
  const std::string line = argv[1];
  const double scale = std::stod(argv[2]);
  if (line == "growth_peers") {
    const int code = peers(scale);
    std::fflush(stdout);
    std::_Exit(code);
  }
  node_options options;
  options.distribution = false;
  auto n = node::start(std::move(options)).or_exit();
  auto door = n->make_handle().or_exit();
  auto body = line == "growth_processes" ? processes : names;
  auto ended_well = door->run(10min, [=](process& self) { return body(self, scale); });
  if (!ended_well) std::cerr << "growth_bench " << line << ": " << ended_well.error().message() << "\n";
  std::fflush(stdout);
  std::_Exit(ended_well ? 0 : 1);
}
