// Names, locks and groups of a whole cluster, on nodes that are OS processes. `tests/bench/names.erl` does the same.
// usage: names_bench names_2|names_5|names_20|growth_global|growth_groups SCALE
#include <iostream>
#include <random>

#include <troupe/cluster.hpp>
#include <troupe/global.hpp>
#include <troupe/group.hpp>
#include <troupe/lock.hpp>
#include <troupe/rpc.hpp>

#include "peers.hpp"

using namespace std::chrono_literals;
using namespace troupe;
using bench::emit, bench::now, bench::other, bench::scaled;

namespace {

struct Seen {
  TROUPE_MESSAGE(Seen, "seen")
};
struct Never {
  TROUPE_MESSAGE(Never, "never")
};

// ---- what the other nodes offer -------------------------------------------------------------------------------------
task<> watch(process& self, pid parent) {
  group::monitor(self, "bench").or_exit();
  self.send(parent, Seen{});
  for (;;) {
    const auto got = co_await self.receive(wait_forever);
    if (auto change = group::change_in(*got); change && change->joined) self.send(parent, Seen{});
  }
}
task<> idle(process& self) { (void)co_await self.receive(wait_forever); }
value name_number(const std::string& of, int number) { return of + "." + std::to_string(number); }
task<> hold_names(process& self, std::string of, int count) {
  for (int i = 0; i < count; ++i) {
    auto given = co_await global::register_name(self, name_number(of, i), spawn(self, idle));
    given.or_exit();
  }
}
task<> hold(process& self, std::string of, int count, pid parent) {
  co_await hold_names(self, std::move(of), count);
  self.send(parent, Seen{});
  (void)co_await self.receive(wait_forever);
}
// Tells when this node knows of so many names.
task<> count_names(process& self, int wanted, pid parent) {
  while (std::ssize(global::registered_names(self)) != wanted) (void)co_await self.receive(1ms);
  self.send(parent, Seen{});
}
catalogue offered() {
  catalogue out;
  out.process("bench.watch", &watch);
  out.process("bench.hold", &hold);
  out.process("bench.count_names", &count_names);
  out.function("bench.members", [](process& self) { return std::ssize(global::members(self.node())); });
  return out;
}

// ---- what is measured -----------------------------------------------------------------------------------------------
struct cluster {
  int nodes;
  double scale;
};

task<> all_seen(process& self, int count) {
  for (; count > 0; --count) (void)co_await self.receive<Seen>(wait_forever);
}

// Until every node sees every other one.
task<> meet(process& self, int count) {
  const auto there = static_cast<std::size_t>(count - 1);
  for (std::size_t i = 0; i < there; ++i) (co_await connect(self, other(i)).within(1min)).or_exit();
  for (std::size_t i = 0; i < there; ++i) {
    for (;;) {
      auto members = co_await rpc::call<std::int64_t>(self, other(i), "bench.members");
      if (members && *members == count) break;
      (void)co_await self.receive(10ms);
    }
  }
  (co_await global::sync(self, 1min)).or_exit();
}

task<> names(process& self, cluster all) {
  const std::string at = "_" + std::to_string(all.nodes);
  const int count = scaled(all.scale, all.nodes > 10 ? 100 : 1000, 3);
  std::vector<double> given, taken_back;
  for (int i = 0; i < count; ++i) {
    const value name = name_number("name", i);
    auto start = now();
    auto registered = co_await global::register_name(self, name, self.id());
    given.push_back(bench::micros_since(start));
    registered.or_exit();
    start = now();
    (co_await global::unregister_name(self, name)).or_exit();
    taken_back.push_back(bench::micros_since(start));
  }
  bench::percentiles("register" + at, given);
  bench::percentiles("unregister" + at, taken_back);
  (co_await global::register_name(self, "one", self.id())).or_exit();
  const int looks = scaled(all.scale, 300'000);
  const auto start = now();
  for (int i = 0; i < looks; ++i) (void)global::whereis_here(self.node(), global::name("one")).or_exit();
  emit("whereis" + at, bench::seconds_since(start) * 1e9 / looks, "ns");
  (co_await global::unregister_name(self, "one")).or_exit();
}

task<> locks(process& self, cluster all) {
  const int count = scaled(all.scale, all.nodes > 10 ? 100 : 1000, 3);
  std::vector<double> us;
  for (int i = 0; i < count; ++i) {
    const lock::id what(name_number("resource", i), self.id());  // each has its own arbiter
    const auto start = now();
    (co_await lock::set_lock(self, what)).or_exit();
    (co_await lock::del_lock(self, what)).or_exit();
    us.push_back(bench::micros_since(start));
  }
  bench::percentiles("lock_" + std::to_string(all.nodes), us);
}

task<> groups(process& self, cluster all) {
  for (int i = 0; i < all.nodes - 1; ++i)
    (void)co_await spawn_on(self, other(static_cast<std::size_t>(i)), "bench.watch", self.id()).or_exit();
  co_await all_seen(self, all.nodes - 1);
  std::vector<double> us;
  for (int count = scaled(all.scale, all.nodes > 10 ? 300 : 2000, 3); count > 0; --count) {
    const auto start = now();
    group::join(self, "bench", self.id()).or_exit();
    co_await all_seen(self, all.nodes - 1);
    us.push_back(bench::micros_since(start));
    group::leave(self, "bench", self.id()).or_exit();
  }
  bench::percentiles("join_" + std::to_string(all.nodes), us);
}

// This node leaves all others and comes back; every node has names, of which the other side knows nothing meanwhile.
task<> heal(process& self, cluster all) {
  const int each = scaled(all.scale, 100, 2), there = all.nodes - 1;
  for (int i = 0; i < there; ++i) {
    const auto index = static_cast<std::size_t>(i);
    (void)co_await spawn_on(self, other(index), "bench.hold", bench::peer_name(index), each, self.id()).or_exit();
  }
  co_await all_seen(self, there);
  co_await hold_names(self, "mine", each);
  std::vector<double> ms;
  for (int round = 0; round < scaled(all.scale, 5); ++round) {
    leave(self);
    while (!nodes(self).empty() || std::ssize(global::registered_names(self)) != each) (void)co_await self.receive(1ms);
    const auto start = now();
    (co_await connect(self, other()).within(1min)).or_exit();
    while (std::ssize(nodes(self)) < there) (void)co_await self.receive(1ms);
    for (int i = 0; i < there; ++i) {
      (void)co_await spawn_on(self, other(static_cast<std::size_t>(i)), "bench.count_names", each * all.nodes,
                              self.id())
          .or_exit();
    }
    while (std::ssize(global::registered_names(self)) != each * all.nodes) (void)co_await self.receive<Never>(1ms);
    co_await all_seen(self, there);
    ms.push_back(bench::micros_since(start) / 1000);
  }
  std::sort(ms.begin(), ms.end());
  emit("heal_" + std::to_string(all.nodes), ms[ms.size() / 2], "ms");
}

task<> measure(process& self, cluster all) {
  co_await meet(self, all.nodes);
  co_await names(self, all);
  co_await locks(self, all);
  co_await groups(self, all);
  co_await heal(self, all);
}

// ---- among many -----------------------------------------------------------------------------------------------------
void told(const std::string& what, int size, double seconds, int count) {
  emit(what + "_at_" + std::to_string(size), seconds * 1e9 / count, "ns");
}

task<> among_names(process& self, cluster all) {
  co_await meet(self, all.nodes);
  int there = 0;
  std::mt19937 random(1);
  for (const int size : {100, 1'000, 10'000, 100'000}) {
    const int wanted = scaled(all.scale, size), count = scaled(all.scale, 1000);
    for (; there < wanted; ++there) {
      auto given = co_await global::register_name(self, name_number("name", there), self.id());
      given.or_exit();
    }
    auto start = now();
    for (int i = 0; i < count; ++i) {
      auto given = co_await global::register_name(self, "mine", self.id());
      given.or_exit();
      (co_await global::unregister_name(self, "mine")).or_exit();
    }
    told("global_register_unregister", size, bench::seconds_since(start), count);
    start = now();
    for (int i = 0; i < count * 100; ++i) {
      const global::name one(name_number("name", static_cast<int>(random() % static_cast<unsigned>(there))));
      (void)global::whereis_here(self.node(), one).or_exit();
    }
    told("global_whereis", size, bench::seconds_since(start), count * 100);
  }
}

task<> among_groups(process& self, cluster all) {
  co_await meet(self, all.nodes);
  (void)co_await spawn_on(self, other(), "bench.watch", self.id()).or_exit();
  co_await all_seen(self, 1);
  int there = 0;
  for (const int size : {100, 1'000, 10'000, 100'000}) {
    const int wanted = scaled(all.scale, size), count = scaled(all.scale, 1000);
    for (; there < wanted; ++there) {
      group::join(self, name_number("group", there), self.id()).or_exit();
      if (there % 100 == 0) co_await self.yield();
    }
    const auto start = now();
    for (int i = 0; i < count; ++i) {
      group::join(self, "bench", self.id()).or_exit();
      co_await all_seen(self, 1);
      group::leave(self, "bench", self.id()).or_exit();
    }
    told("join_seen", size, bench::seconds_since(start), count);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: names_bench names_2|names_5|names_20|growth_global|growth_groups SCALE\n";
    return 2;
  }
  const std::string line = argv[1];
  cluster all{2, std::stod(argv[2])};
  auto body = line == "growth_global" ? among_names : line == "growth_groups" ? among_groups : measure;
  if (line.starts_with("names_")) all.nodes = std::stoi(line.substr(6));
  try {
    const bench::temporary_folder folder;
    const bench::place where{folder.path()};
    const bench::peers others(where, static_cast<std::size_t>(all.nodes - 1), offered);
    auto n = node::start(where.options("measuring")).or_exit();
    auto door = n->make_handle().or_exit();
    door->run(5min, [=](process& self) { return body(self, all); }).or_exit();
    door.reset();
    n->stop(10s);
  } catch (const std::exception& failed) {
    std::cerr << "names_bench " << line << ": " << failed.what() << "\n";
    return 1;
  }
  return 0;
}
