// What a node does alone: prints `name value unit`, one line a figure. `tests/bench/local.erl` does the same work in
// OTP.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include <troupe/call.hpp>

#include "runtime/core.hpp"

using namespace std::chrono_literals;
using namespace troupe;

namespace {

struct Ball {
  pid from;
  TROUPE_MESSAGE(Ball, "ball", from)
};
struct Done {
  TROUPE_MESSAGE(Done, "done")
};
struct Add {
  std::int64_t amount = 0;
  TROUPE_MESSAGE(Add, "add", amount)
};

double seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

task<> returner(process& self) {
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* ball = got->get<Ball>()) self.send(ball->from, Ball{self.id()});
    else co_return;
  }
}
task<double> pingpong(process& self, int rounds) {
  pid peer = spawn(self, returner);
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i) {
    self.send(peer, Ball{self.id()});
    (void)co_await self.receive(wait_forever);
  }
  double rate = rounds / seconds(start);
  self.send(peer, Done{});
  co_return rate;
}

task<> server(process& self) {
  std::int64_t total = 0;
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* add = got->get<Add>()) {
      total += add->amount;
      self.reply(*got, total);
    } else {
      co_return;
    }
  }
}
task<double> calls(process& self, int rounds) {
  pid peer = spawn(self, server);
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i) (void)co_await call<std::int64_t>(self, peer, Add{1});
  double rate = rounds / seconds(start);
  self.send(peer, Done{});
  co_return rate;
}

task<> nothing(process&) { co_return; }
// One after the other, as OTP's benchmark does: the spawner waits for the end of each hundred.
task<double> spawns(process& self, int count) {
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < count; i += 100) {
    spawned last;
    for (int j = 0; j < 99; ++j) spawn(self, nothing);
    last = spawn_monitor(self, nothing);
    (void)co_await self.receive(wait_forever);
  }
  co_return count / seconds(start);
}

task<> idle(process& self) { (void)co_await self.receive(wait_forever); }
task<std::size_t> million(process& self, int count) {
  std::size_t before = resident_bytes();
  for (int i = 0; i < count; ++i) {
    spawn(self, idle);
    if (i % 1000 == 0) co_await self.yield();
  }
  // All have parked when the last has: they run in order.
  co_await self.sleep(1s);
  co_return (resident_bytes() - before) / static_cast<std::size_t>(count);
}

}  // namespace

int main(int argc, char** argv) {
  const int scale = argc > 1 ? std::stoi(argv[1]) : 10;
  const unsigned workers = argc > 2 ? static_cast<unsigned>(std::stoi(argv[2])) : 1;
  detail::bare_node_options options;
  options.name = "bench@localhost";
  options.workers = workers;
  auto n = detail::make_bare_node(std::move(options));
  auto h = n->make_handle().or_exit();
  auto rounds = scale * 100'000;
  std::printf("local_pingpong %.0f roundtrips/s\n", *h->run(10min, [=](process& p) { return pingpong(p, rounds); }));
  std::printf("local_server_call %.0f calls/s\n", *h->run(10min, [=](process& p) { return calls(p, rounds); }));
  std::printf("spawn_exit %.0f spawns/s\n", *h->run(10min, [=](process& p) { return spawns(p, rounds); }));
  std::printf("million_waiting_rss %zu bytes/process\n",
              *h->run(10min, [=](process& p) { return million(p, scale * 100'000); }));
  auto start = std::chrono::steady_clock::now();
  std::size_t seen = n->processes().size();
  std::printf("list_processes %.1f ms for %zu\n", seconds(start) * 1000, seen);
  std::fflush(stdout);
  h.reset();
  n->stop(1min);
  return 0;
}
