// What two nodes do with each other, each an OS process of its own. `tests/bench/remote.erl` does the same in OTP.
// usage: remote_bench LINE SCALE [ipc|tcp|encrypted]
#include <iostream>

#include <troupe/cluster.hpp>
#include <troupe/rpc.hpp>
#include <troupe/server.hpp>

#include "peers.hpp"

using namespace std::chrono_literals;
using namespace troupe;
using bench::emit, bench::now, bench::scaled, bench::seconds_since;

namespace {

struct Ball {
  pid from;
  TROUPE_MESSAGE(Ball, "ball", from)
};
struct Hi {
  bytes body;
  TROUPE_MESSAGE(Hi, "hi", body)
};
struct Up {
  TROUPE_MESSAGE(Up, "up")
};
struct Drained {
  TROUPE_MESSAGE(Drained, "drained")
};
struct Ping {
  TROUPE_MESSAGE(Ping, "ping")
};

// ---- what the other nodes offer -------------------------------------------------------------------------------------
task<> echo(process& self) {
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* ball = got->get<Ball>()) self.send(ball->from, Ball{self.id()});
  }
}
task<> sink(process& self, std::int64_t count, pid parent) {
  for (; count > 0; --count) {
    auto got = co_await self.receive(wait_forever);
    (void)got->as<Hi>().body.size();
  }
  self.send(parent, Drained{});
}
struct Answerer {
  using messages = handles<Ping>;
  std::int64_t on(const Ping&) { return 1; }
};

using bench::other, bench::place;

catalogue offered() {
  catalogue out;
  out.process("bench.echo", &echo);
  out.process("bench.sink", &sink);
  out.function("bench.serve", [](process& self) { return serve<Answerer>(self.node()); });
  out.function("bench.up", [](process& self, pid parent) { self.send(parent, Up{}); });
  out.function("bench.abs", [](std::int64_t number) { return number < 0 ? -number : number; });
  return out;
}

// ---- what is measured -----------------------------------------------------------------------------------------------
struct work {
  std::string line;
  double scale;
  std::size_t peers;
  std::function<void()> kill_peer;
};

task<pid> echo_on(process& self, int index = 0) {
  co_return co_await spawn_on(self, other(index), "bench.echo").or_exit();
}

task<double> round_trip(process& self, pid peer) {
  auto start = now();
  self.send(peer, Ball{self.id()});
  (void)co_await self.receive<Ball>(wait_forever);
  co_return bench::micros_since(start);
}

task<> pingpong(process& self, work what) {
  const pid peer = co_await echo_on(self);
  const int warm = scaled(what.scale, 500), count = scaled(what.scale, 5000);
  std::vector<double> us;
  for (int i = 0; i < warm + count; ++i) {
    const double took = co_await round_trip(self, peer);
    if (i >= warm) us.push_back(took);
  }
  bench::percentiles(what.line, us);
}

task<pid> sink_on(process& self, std::int64_t count) {
  co_return co_await spawn_on(self, other(), "bench.sink", count, self.id()).or_exit();
}
// Yields now and then: what OTP's scheduler does to a sender by itself.
task<> blast(process& self, pid to, bytes body, int count) {
  const int at_once = body.size() < 100'000 ? 100 : 1;
  for (int i = 1; i <= count; ++i) {
    self.send(to, Hi{body});
    if (i % at_once == 0) co_await self.yield();
  }
}
task<> sends(process& self, work what, std::size_t size, int full) {
  const bytes body(size, std::byte{7});
  const int count = scaled(what.scale, full);
  const pid warm = co_await sink_on(self, 10);
  co_await blast(self, warm, body, 10);
  (void)co_await self.receive<Drained>(wait_forever);
  const pid to = co_await sink_on(self, count);
  auto start = now();
  co_await blast(self, to, body, count);
  (void)co_await self.receive<Drained>(wait_forever);
  const double took = seconds_since(start);
  if (size < 100'000) emit(what.line, count / took, "msgs/s");
  else emit(what.line, count * static_cast<double>(size) / took / 1e6, "MB/s");
}

task<> caller(process& self, pid server, int count, pid parent) {
  for (int i = 0; i < count; ++i) (void)(co_await call<std::int64_t>(self, server, Ping{}).within(1min)).or_exit();
  self.send(parent, Drained{});
}
task<> rpc_caller(process& self, int count, pid parent) {
  for (int i = 0; i < count; ++i)
    (void)(co_await rpc::call<std::int64_t>(self, other(), "bench.abs", -1).within(1min)).or_exit();
  self.send(parent, Drained{});
}
task<> callers(process& self, work what, int at_once, bool by_rpc) {
  const pid server = co_await rpc::call<pid>(self, other(), "bench.serve").or_exit();
  const int each = scaled(what.scale, 200'000) / at_once + 1;
  auto start = now();
  for (int i = 0; i < at_once; ++i) {
    if (by_rpc) spawn(self, rpc_caller, each, self.id());
    else spawn(self, caller, server, each, self.id());
  }
  for (int i = 0; i < at_once; ++i) (void)co_await self.receive<Drained>(wait_forever);
  emit(what.line, at_once * static_cast<double>(each) / seconds_since(start), "calls/s");
}
task<> one_caller(process& self, work what) {
  const pid server = co_await rpc::call<pid>(self, other(), "bench.serve").or_exit();
  const int warm = scaled(what.scale, 500), count = scaled(what.scale, 5000);
  std::vector<double> us;
  for (int i = 0; i < warm + count; ++i) {
    auto start = now();
    (void)(co_await call<std::int64_t>(self, server, Ping{})).or_exit();
    if (i >= warm) us.push_back(bench::micros_since(start));
  }
  bench::percentiles(what.line, us);
}

// A process there for each, which tells that it is up; nobody waits for one before the next is asked for. No more than
// 10,000 are under way: beyond what a node queues for another a cast is refused, where OTP suspends who asks.
task<> spawns(process& self, work what) {
  const int count = scaled(what.scale, 100'000);
  int up = 0;
  auto start = now();
  for (int i = 1; i <= count; ++i) {
    rpc::cast(self, other(), "bench.up", self.id());
    if (i % 100 != 0) continue;
    co_await self.yield();
    for (; i - up > 10'000; ++up) (void)co_await self.receive<Up>(wait_forever);
  }
  for (; up < count; ++up) (void)co_await self.receive<Up>(wait_forever);
  emit(what.line, count / seconds_since(start), "spawns/s");
}
task<> spawner(process& self, int count, pid parent) {
  for (int i = 0; i < count; ++i) (void)co_await spawn_on(self, other(), "bench.sink", 0, self.id()).or_exit();
  self.send(parent, Drained{});
}
task<> spawners(process& self, work what) {
  const int at_once = 1000, each = scaled(what.scale, 100'000) / at_once + 1;
  auto start = now();
  for (int i = 0; i < at_once; ++i) spawn(self, spawner, each, self.id());
  for (int i = 0; i < at_once; ++i) (void)co_await self.receive<Drained>(wait_forever);
  emit(what.line, at_once * static_cast<double>(each) / seconds_since(start), "spawns/s");
}

task<> kill_to_down(process& self, work what) {
  const pid peer = co_await echo_on(self);
  (void)co_await round_trip(self, peer);
  (void)self.monitor(peer);
  (void)co_await round_trip(self, peer);  // the monitor is there
  auto start = now();
  what.kill_peer();
  (void)co_await self.receive<down>(wait_forever);
  emit(what.line, seconds_since(start) * 1000, "ms");
}

task<> bouncer(process& self, pid peer, int count, pid parent) {
  for (int i = 0; i < count; ++i) (void)co_await round_trip(self, peer);
  self.send(parent, Drained{});
}
task<> many_peers(process& self, work what) {
  const int count = scaled(what.scale, 5000);
  std::vector<pid> echoes;
  for (std::size_t i = 0; i < what.peers; ++i) echoes.push_back(co_await echo_on(self, static_cast<int>(i)));
  auto start = now();
  for (pid peer : echoes) spawn(self, bouncer, peer, count, self.id());
  for (std::size_t i = 0; i < what.peers; ++i) (void)co_await self.receive<Drained>(wait_forever);
  emit(what.line, static_cast<double>(what.peers) * count / seconds_since(start), "roundtrips/s");
}

task<> flood(process& self, pid to, int count) { co_await blast(self, to, bytes(1 << 20, std::byte{7}), count); }
task<> ping_under_load(process& self, work what) {
  const int megabytes = scaled(what.scale, 1000);
  const pid peer = co_await echo_on(self);
  const pid to = co_await sink_on(self, megabytes);
  (void)co_await round_trip(self, peer);
  spawn(self, flood, to, megabytes);
  std::vector<double> us;
  for (;;) {
    us.push_back(co_await round_trip(self, peer));
    if (co_await self.receive<Drained>(0s)) break;
  }
  bench::percentiles(what.line, us);
}

task<> measure(process& self, work what) {
  const std::string& line = what.line;
  for (std::size_t i = 0; i < what.peers; ++i) (co_await connect(self, other(static_cast<int>(i)))).or_exit();
  if (line == "remote_pingpong") co_await pingpong(self, what);
  else if (line == "remote_call") co_await one_caller(self, what);
  else if (line == "remote_send_32") co_await sends(self, what, 32, 1'000'000);
  else if (line == "remote_send_1k") co_await sends(self, what, 1024, 300'000);
  else if (line == "remote_send_1m") co_await sends(self, what, 1 << 20, 1000);
  else if (line == "remote_calls_64") co_await callers(self, what, 64, false);
  else if (line == "remote_calls_1000") co_await callers(self, what, 1000, false);
  else if (line == "remote_rpc_64") co_await callers(self, what, 64, true);
  else if (line == "remote_rpc_1000") co_await callers(self, what, 1000, true);
  else if (line == "remote_spawn") co_await spawns(self, what);
  else if (line == "remote_spawn_1000") co_await spawners(self, what);
  else if (line == "kill_to_down") co_await kill_to_down(self, what);
  else if (line == "remote_20_peers") co_await many_peers(self, what);
  else if (line == "remote_ping_under_load") co_await ping_under_load(self, what);
  else throw std::invalid_argument("no such line: " + line);
}

void run_line(const work& asked, const place& where) {
  work what = asked;
  const bench::peers others(where, what.peers, offered);
  what.kill_peer = [&] { others.kill_first(); };
  node_options options = where.options("measuring");
  if (where.transport != "ipc") options.peers = {other() + "=" + others.first_endpoint()};
  auto n = node::start(std::move(options)).or_exit();
  auto door = n->make_handle().or_exit();
  door->run(5min, [what](process& self) { return measure(self, what); }).or_exit();
  door.reset();
  n->stop(10s);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: remote_bench LINE SCALE [ipc|tcp|encrypted]\n";
    return 2;
  }
  const work what{argv[1], std::stod(argv[2]), argv[1] == std::string("remote_20_peers") ? 20u : 1u, {}};
  const bench::temporary_folder folder;
  int code = 0;
  try {
    // A death takes a new pair each time.
    const int times = what.line == "kill_to_down" ? scaled(what.scale, 5) : 1;
    for (int i = 0; i < times; ++i) run_line(what, {folder.path(), argc > 3 ? argv[3] : "ipc"});
  } catch (const std::exception& failed) {
    std::cerr << "remote_bench " << what.line << ": " << failed.what() << "\n";
    code = 1;
  }
  return code;
}
