// What a node does alone. `tests/bench/local.erl` does the same in OTP.
// usage: local_bench LINE SCALE [WORKERS]
#include <atomic>
#include <iostream>
#include <random>
#include <stdexcept>

#include <troupe/call.hpp>
#include <troupe/node.hpp>
#include <troupe/server.hpp>
#include <troupe/trace.hpp>

#include "support.hpp"

using namespace std::chrono_literals;
using namespace troupe;
using bench::emit, bench::now, bench::scaled, bench::seconds_since;

namespace {

struct Ball {
  pid from;
  TROUPE_MESSAGE(Ball, "ball", from)
};
struct Token {
  TROUPE_MESSAGE(Token, "token")
};
struct Hi {
  std::int64_t number = 0;
  TROUPE_MESSAGE(Hi, "hi", number)
};
struct Drained {
  TROUPE_MESSAGE(Drained, "drained")
};
struct Go {
  TROUPE_MESSAGE(Go, "go")
};
struct Ping {
  TROUPE_MESSAGE(Ping, "ping")
};
struct Late {
  std::int64_t due = 0;  // ns of the steady clock
  TROUPE_MESSAGE(Late, "late", due)
};

// ---- ping-pong, ring, sends -----------------------------------------------------------------------------------------
task<> echo(process& self) {
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* ball = got->get<Ball>()) self.send(ball->from, Ball{self.id()});
  }
}
task<> pingpong(process& self, std::string line, double scale) {
  const pid peer = spawn(self, echo);
  const int count = scaled(scale, 1'000'000);
  auto start = now();
  for (int i = 0; i < count; ++i) {
    self.send(peer, Ball{self.id()});
    (void)co_await self.receive<Ball>(wait_forever);
  }
  emit(line, count / seconds_since(start), "roundtrips/s");
}

task<> ring_member(process& self, pid next) {
  for (;;) {
    auto got = co_await self.receive<Token>(wait_forever);
    if (got) self.send(next, Token{});
  }
}
task<> ring(process& self, std::string line, double scale) {
  const int size = 1000, laps = scaled(scale, 3000);
  pid next = self.id();
  for (int i = 1; i < size; ++i) next = spawn(self, ring_member, next);
  auto start = now();
  for (int i = 0; i < laps; ++i) {
    self.send(next, Token{});
    (void)co_await self.receive<Token>(wait_forever);
  }
  emit(line, static_cast<double>(laps) * size / seconds_since(start), "hops/s");
}

task<> sink(process& self, int count, pid parent) {
  for (; count > 0; --count) (void)co_await self.receive<Hi>(wait_forever);
  self.send(parent, Drained{});
}
// Yields now and then: what OTP's scheduler does to a sender by itself.
task<> sender(process& self, pid to, int count) {
  for (int i = 1; i <= count; ++i) {
    self.send(to, Hi{42});
    if (i % 1000 == 0) co_await self.yield();
  }
}
task<> sends(process& self, std::string line, double scale, int senders) {
  const int each = scaled(scale, 3'000'000 / senders);
  const pid to = spawn(self, sink, each * senders, self.id());
  auto start = now();
  for (int i = 0; i < senders; ++i) spawn(self, sender, to, each);
  (void)co_await self.receive<Drained>(wait_forever);
  emit(line, static_cast<double>(each) * senders / seconds_since(start), "msgs/s");
}

struct Answerer {
  using messages = handles<Ping>;
  std::int64_t on(const Ping&) { return 1; }
};
task<> calls(process& self, std::string line, double scale, int waiting) {
  const pid server = serve<Answerer>(self.node()).or_exit();
  for (int i = 0; i < waiting; ++i) self.send(self.id(), Hi{i});
  const int count = scaled(scale, waiting ? 300'000 : 1'000'000);
  (void)(co_await call<std::int64_t>(self, server, Ping{})).or_exit();
  auto start = now();
  for (int i = 0; i < count; ++i) (void)(co_await call<std::int64_t>(self, server, Ping{})).or_exit();
  emit(line, count / seconds_since(start), "calls/s");
}
// The message that is wanted comes behind so many that are not.
task<> selective(process& self, std::string line, double scale) {
  const pid peer = spawn(self, echo);
  for (int i = 0; i < 10'000; ++i) self.send(self.id(), Hi{i});
  const int count = scaled(scale, 10'000);
  auto start = now();
  for (int i = 0; i < count; ++i) {
    self.send(peer, Ball{self.id()});
    (void)co_await self.receive<Ball>(wait_forever);
  }
  emit(line, count / seconds_since(start), "receives/s");
}

// ---- processes ------------------------------------------------------------------------------------------------------
std::atomic<int> ended = 0;
task<> nothing(process&) {
  ended.fetch_add(1, std::memory_order_relaxed);
  co_return;
}
// The clock stops when the last has ended. The spawner yields now and then, as OTP's scheduler makes it.
task<> spawns(process& self, std::string line, double scale) {
  const int count = scaled(scale, 2'000'000);
  ended = 0;
  auto start = now();
  for (int i = 1; i <= count; ++i) {
    spawn(self, nothing);
    if (i % 1000 == 0) co_await self.yield();
  }
  while (ended.load(std::memory_order_relaxed) < count) co_await self.yield();
  emit(line, count / seconds_since(start), "spawns/s");
}

std::atomic<int> parked = 0;
task<> idle(process& self) {
  parked.fetch_add(1, std::memory_order_relaxed);
  (void)co_await self.receive(wait_forever);
}
task<> idles(process& self, double scale) {
  const int count = scaled(scale, 1'000'000);
  const double before = bench::resident_bytes();
  auto start = now();
  for (int i = 1; i <= count; ++i) {
    spawn(self, idle);
    if (i % 1000 == 0) co_await self.yield();
  }
  while (parked.load(std::memory_order_relaxed) < count) co_await self.yield();
  emit("idle_process_spawn", count / seconds_since(start), "spawns/s");
  emit("idle_process_bytes", (bench::resident_bytes() - before) / count, "bytes");
}

task<> mourner(process& self, pid parent, std::vector<pid> all) {
  for (pid one : all) (void)self.monitor(one);
  self.send(parent, Go{});
  for (std::size_t i = 0; i < all.size(); ++i) (void)co_await self.receive<down>(wait_forever);
  self.send(parent, Drained{});
}
// From the first stop to the last DOWN.
task<> monitors(process& self, std::string line, double scale) {
  const int count = scaled(scale, 10'000);
  double took = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<pid> all;
    for (int i = 0; i < count; ++i) all.push_back(spawn(self, idle));
    spawn(self, mourner, self.id(), all);
    (void)co_await self.receive<Go>(wait_forever);
    auto start = now();
    for (pid one : all) self.send(one, Go{});
    (void)co_await self.receive<Drained>(wait_forever);
    took += seconds_since(start);
  }
  emit(line, 20.0 * count / took, "downs/s");
}
task<> linked_to_all(process& self, pid parent, std::vector<pid> all) {
  for (pid one : all) self.link(one);
  self.send(parent, Go{});
  (void)co_await self.receive<Go>(wait_forever);
  self.exit(exit_reason("enough"));
}
// One is linked with all the others, and ends; the clock stops when they are gone.
task<> links(process& self, std::string line, double scale) {
  const int count = scaled(scale, 10'000);
  double took = 0;
  for (int round = 0; round < 20; ++round) {
    const std::size_t before = self.node().process_count();
    std::vector<pid> all;
    for (int i = 0; i < count; ++i) all.push_back(spawn(self, idle));
    const pid one = spawn(self, linked_to_all, self.id(), all);
    (void)co_await self.receive<Go>(wait_forever);
    auto start = now();
    self.send(one, Go{});
    while (self.node().process_count() > before) co_await self.yield();
    took += seconds_since(start);
  }
  emit(line, 20.0 * count / took, "exits/s");
}

// ---- timers, fairness, tracing --------------------------------------------------------------------------------------
std::int64_t steady_ns() { return std::chrono::nanoseconds(now().time_since_epoch()).count(); }

task<> timers(process& self, double scale) {
  const int count = scaled(scale, 10'000), rounds = scaled(scale, 1'000'000);
  std::vector<timer> running;
  for (int i = 0; i < count; ++i) running.push_back(self.send_after(1h, self.id(), Hi{i}));
  auto start = now();
  for (int i = 0; i < rounds; ++i) {
    timer& one = running[static_cast<std::size_t>(i % count)];
    self.cancel(one);
    one = self.send_after(1h + std::chrono::milliseconds(i % 1000), self.id(), Hi{i});
    if (i % 1000 == 0) co_await self.yield();
  }
  emit("timers_10k", rounds / seconds_since(start), "timers/s");
  for (timer one : running) self.cancel(one);
  std::mt19937 random(1);
  for (int i = 0; i < count; ++i) {
    const auto delay = 100ms + std::chrono::milliseconds(random() % 1000);
    self.send_after(delay, self.id(), Late{steady_ns() + std::chrono::nanoseconds(delay).count()});
  }
  std::vector<double> late;
  for (int i = 0; i < count; ++i) {
    auto got = co_await self.receive<Late>(wait_forever);
    late.push_back(static_cast<double>(steady_ns() - got->due) / 1000);
  }
  bench::percentiles("timers_late", late);
}

// Works on, and lets others in as often as a program that computes should: every hundred microseconds.
task<> busy(process& self) {
  for (volatile std::uint64_t work = 0;;) {
    auto turn = now();
    while (bench::micros_since(turn) < 100) work = work + 1;
    co_await self.yield();
  }
}
task<> fairness(process& self, std::string line, double scale) {
  std::vector<pid> quick;
  for (int i = 0; i < 1000; ++i) quick.push_back(spawn(self, echo));
  spawn(self, busy);
  std::vector<double> us;
  for (int i = 0; i < scaled(scale, 5000); ++i) {
    auto start = now();
    self.send(quick[static_cast<std::size_t>(i % 1000)], Ball{self.id()});
    (void)co_await self.receive<Ball>(wait_forever);
    us.push_back(bench::micros_since(start));
  }
  bench::percentiles(line, us);
}

task<> waiting_sink(process& self, int count, pid parent) {
  (void)co_await self.receive<Go>(wait_forever);
  for (; count > 0; --count) (void)co_await self.receive<Hi>(wait_forever);
  self.send(parent, Drained{});
}
task<> trace_reader(process& self, int count, pid parent) {
  int seen = 0;
  for (pid session; seen < count;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* begun = got->get<trace::started>()) session = begun->session;
    if (got->get<trace::lost>()) self.exit(exit_reason("events were lost"));
    if (!got->get<trace::event>()) continue;
    if (++seen % 500 == 0) self.send(session, trace::more{500});
  }
  self.send(parent, Drained{});
}
// Messages a second through a receiver; traced, the clock stops when the reader has every event too.
task<double> traced_rate(process& self, int count, bool traced) {
  const pid to = spawn(self, waiting_sink, count, self.id());
  trace::session running;
  if (traced) {
    trace::spec what;
    what.processes = list{value(to)};
    what.receive = true;
    what.limit = what.rate = what.bytes = UINT64_MAX / 4;
    what.window = 10'000'000;
    what.to = spawn(self, trace_reader, count, self.id());
    running = trace::start(self, what).or_exit();
  }
  self.send(to, Go{});
  auto start = now();
  spawn(self, sender, to, count);
  for (int i = 0; i < (traced ? 2 : 1); ++i) (void)co_await self.receive<Drained>(wait_forever);
  const double rate = count / seconds_since(start);
  if (traced) trace::stop(self, running);
  co_return rate;
}
task<> tracing(process& self, double scale) {
  const int count = scaled(scale, 300'000);
  (void)co_await traced_rate(self, count, false);
  const double plain = co_await traced_rate(self, count, false);
  const double traced = co_await traced_rate(self, count, true);
  emit("untraced_receive", plain, "msgs/s");
  emit("traced_receive", traced, "msgs/s");
  emit("traced_share", 100 * traced / plain, "%");
}

task<> measure(process& self, std::string line, double scale) {
  if (line == "local_pingpong") co_await pingpong(self, line, scale);
  else if (line == "local_ring") co_await ring(self, line, scale);
  else if (line == "local_send_1to1") co_await sends(self, line, scale, 1);
  else if (line == "local_send_100to1") co_await sends(self, line, scale, 100);
  else if (line == "local_call") co_await calls(self, line, scale, 0);
  else if (line == "call_among_10k") co_await calls(self, line, scale, 10'000);
  else if (line == "selective_10k") co_await selective(self, line, scale);
  else if (line == "spawn_exit") co_await spawns(self, line, scale);
  else if (line == "idle_processes") co_await idles(self, scale);
  else if (line == "monitors_10k") co_await monitors(self, line, scale);
  else if (line == "links_10k") co_await links(self, line, scale);
  else if (line == "timers_10k") co_await timers(self, scale);
  else if (line == "fairness") co_await fairness(self, line, scale);
  else if (line == "traced") co_await tracing(self, scale);
  else throw std::invalid_argument("no such line: " + line);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: local_bench LINE SCALE [WORKERS]\n";
    return 2;
  }
  const std::string line = argv[1];
  const double scale = std::stod(argv[2]);
  node_options options;
  options.distribution = false;
  if (argc > 3) options.workers = static_cast<unsigned>(std::stoul(argv[3]));
  auto n = node::start(std::move(options)).or_exit();
  auto door = n->make_handle().or_exit();
  auto ended_well = door->run(10min, [=](process& self) { return measure(self, line, scale); });
  if (!ended_well) std::cerr << "local_bench " << line << ": " << ended_well.error().message() << "\n";
  std::fflush(stdout);
  std::_Exit(ended_well ? 0 : 1);  // a million processes need not be ended one by one
}
