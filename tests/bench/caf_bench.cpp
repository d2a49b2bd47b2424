// The same work in CAF 0.17: event-based actors, its default scheduler, its middleman over TCP between two OS
// processes. usage: caf_bench LINE SCALE [WORKERS]
#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include <atomic>
#include <iostream>
#include <memory>
#include <thread>

#include "support.hpp"

using namespace caf;
using bench::emit, bench::now, bench::scaled, bench::seconds_since;

using ball_atom = atom_constant<atom("ball")>;
using hi_atom = atom_constant<atom("hi")>;
using expect_atom = atom_constant<atom("expect")>;
using drained_atom = atom_constant<atom("drained")>;
using token_atom = atom_constant<atom("token")>;
using ping_atom = atom_constant<atom("ping")>;

namespace {

void wait_drained(scoped_actor& self) {
  self->receive([](drained_atom) {});
}

// ---- alone ----------------------------------------------------------------------------------------------------------
behavior echo(event_based_actor* self) {
  return {
      [self](ball_atom, const actor& from) { self->send(from, ball_atom::value, self); },
      [](ping_atom) { return 1; },
  };
}
behavior pinger(event_based_actor* self, actor peer, actor parent, int left) {
  self->send(peer, ball_atom::value, self);
  return {[=](ball_atom, const actor&) mutable {
    if (--left > 0) {
      self->send(peer, ball_atom::value, self);
    } else {
      self->send(parent, drained_atom::value);
      self->quit();
    }
  }};
}
void pingpong(actor_system& system, const std::string& line, double scale) {
  scoped_actor self{system};
  const int count = scaled(scale, 300'000);
  const actor peer = system.spawn(echo);
  auto start = now();
  system.spawn(pinger, peer, actor_cast<actor>(self), count);
  wait_drained(self);
  emit(line, count / seconds_since(start), "roundtrips/s");
  anon_send_exit(peer, exit_reason::kill);
}

behavior ring_member(event_based_actor* self, actor next) {
  return {[=](token_atom) { self->send(next, token_atom::value); }};
}
// A member that starts the laps, as the first of the others does.
behavior ring_leader(event_based_actor* self, actor parent, int laps) {
  return {
      [=](expect_atom, const actor& first) {
        self->become([=](token_atom) mutable {
          if (--laps > 0) {
            self->send(first, token_atom::value);
          } else {
            self->send(parent, drained_atom::value);
            self->quit();
          }
        });
        self->send(first, token_atom::value);
      },
  };
}
void ring(actor_system& system, const std::string& line, double scale) {
  scoped_actor self{system};
  const int size = 1000, laps = scaled(scale, 500);
  const actor leader = system.spawn(ring_leader, actor_cast<actor>(self), laps);
  std::vector<actor> all;
  actor next = leader;
  for (int i = 1; i < size; ++i) all.push_back(next = system.spawn(ring_member, next));
  auto start = now();
  self->send(leader, expect_atom::value, next);
  wait_drained(self);
  emit(line, static_cast<double>(laps) * size / seconds_since(start), "hops/s");
  for (auto& one : all) anon_send_exit(one, exit_reason::kill);
}

struct sink_state {
  int left = 0;
  actor parent;
};
behavior sink(stateful_actor<sink_state>* self) {
  auto one = [self] {
    if (--self->state.left > 0) return;
    self->send(self->state.parent, drained_atom::value);
    self->state.parent = nullptr;
  };
  return {
      [self](expect_atom, int count, const actor& parent) {
        self->state.left = count;
        self->state.parent = parent;
        self->send(parent, expect_atom::value);
      },
      [one](hi_atom, int) { one(); },
      [one](hi_atom, const std::vector<char>&) { one(); },
      [](ping_atom) { return 1; },
      [self](ball_atom, const actor& from) { self->send(from, ball_atom::value, self); },
  };
}
void expect(scoped_actor& self, const actor& to, int count) {
  self->send(to, expect_atom::value, count, actor_cast<actor>(self));
  self->receive([](expect_atom) {});
}
void sends(actor_system& system, const std::string& line, double scale, int senders) {
  scoped_actor self{system};
  const int each = scaled(scale, 1'000'000 / senders);
  const actor to = system.spawn(sink);
  expect(self, to, each * senders);
  auto start = now();
  for (int s = 0; s < senders; ++s) {
    system.spawn([to, each](event_based_actor* me) {
      for (int i = 0; i < each; ++i) me->send(to, hi_atom::value, 42);
    });
  }
  wait_drained(self);
  emit(line, static_cast<double>(each) * senders / seconds_since(start), "msgs/s");
  anon_send_exit(to, exit_reason::kill);
}

// The caller asks again when it has its answer; `wait` until all have had theirs.
behavior caller(event_based_actor* self, actor to, actor parent, int left) {
  self->send(self, token_atom::value);
  return {[=](token_atom) mutable {
    if (left-- == 0) {
      self->send(parent, drained_atom::value);
      self->quit();
      return;
    }
    self->request(to, infinite, ping_atom::value).then([self](int) { self->send(self, token_atom::value); });
  }};
}
void calls(actor_system& system, const std::string& line, const actor& to, int callers, int count) {
  scoped_actor self{system};
  const int each = count / callers + 1;
  auto start = now();
  for (int i = 0; i < callers; ++i) system.spawn(caller, to, actor_cast<actor>(self), each);
  for (int i = 0; i < callers; ++i) wait_drained(self);
  emit(line, static_cast<double>(each) * callers / seconds_since(start), "calls/s");
}

void spawns(actor_system& system, const std::string& line, double scale) {
  const int count = scaled(scale, 200'000);
  const auto before = system.registry().running();
  auto start = now();
  for (int i = 0; i < count; ++i) system.spawn([](event_based_actor*) {});
  while (system.registry().running() > before) std::this_thread::yield();
  emit(line, count / seconds_since(start), "spawns/s");
}
void idles(actor_system& system, double scale) {
  const int count = scaled(scale, 1'000'000);
  std::vector<actor> all;
  all.reserve(static_cast<std::size_t>(count));
  const double before = bench::resident_bytes();
  auto start = now();
  for (int i = 0; i < count; ++i) all.push_back(system.spawn(echo));
  emit("idle_process_spawn", count / seconds_since(start), "spawns/s");
  emit("idle_process_bytes", (bench::resident_bytes() - before) / count, "bytes");
  std::fflush(stdout);
  std::_Exit(0);
}

// ---- between two OS processes ---------------------------------------------------------------------------------------
void blast(actor_system& system, const std::string& line, const actor& to, std::size_t size, int count) {
  scoped_actor self{system};
  const std::vector<char> body(size, 7);
  expect(self, to, count);
  auto start = now();
  for (int i = 0; i < count; ++i) self->send(to, hi_atom::value, body);
  wait_drained(self);
  const double took = seconds_since(start);
  if (size < 100'000) emit(line, count / took, "msgs/s");
  else emit(line, count * static_cast<double>(size) / took / 1e6, "MB/s");
}
template <class Trip>
void latency(const std::string& line, double scale, Trip trip) {
  const int warm = scaled(scale, 500), count = scaled(scale, 5000);
  std::vector<double> us;
  for (int i = 0; i < warm + count; ++i) {
    auto start = now();
    trip();
    if (i >= warm) us.push_back(bench::micros_since(start));
  }
  bench::percentiles(line, us);
}
bool remote(actor_system& system, const std::string& line, double scale, const actor& to) {
  scoped_actor self{system};
  if (line == "remote_send_32") blast(system, line, to, 32, scaled(scale, 100'000));
  else if (line == "remote_send_1k") blast(system, line, to, 1024, scaled(scale, 30'000));
  else if (line == "remote_send_1m") blast(system, line, to, 1 << 20, scaled(scale, 100));
  else if (line == "remote_calls_64") calls(system, line, to, 64, scaled(scale, 60'000));
  else if (line == "remote_calls_1000") calls(system, line, to, 1000, scaled(scale, 60'000));
  else if (line == "remote_pingpong") {
    latency(line, scale, [&] {
      self->send(to, ball_atom::value, actor_cast<actor>(self));
      self->receive([](ball_atom, const actor&) {});
    });
  } else if (line == "remote_call") {
    latency(line, scale,
            [&] { self->request(to, infinite, ping_atom::value).receive([](int) {}, [](error&) { std::_Exit(1); }); });
  } else {
    return false;
  }
  return true;
}

int measure(actor_system& system, const std::string& line, double scale) {
  if (line == "local_pingpong") pingpong(system, line, scale);
  else if (line == "local_ring") ring(system, line, scale);
  else if (line == "local_send_1to1") sends(system, line, scale, 1);
  else if (line == "local_send_100to1") sends(system, line, scale, 100);
  else if (line == "local_call") calls(system, line, system.spawn(echo), 1, scaled(scale, 200'000));
  else if (line == "spawn_exit") spawns(system, line, scale);
  else if (line == "idle_processes") idles(system, scale);
  else return 2;
  return 0;
}

int with_peer(const std::string& line, double scale) {
  int ready[2];
  if (pipe(ready) != 0) return 1;
  bench::child server([&] {  // before this process has threads
    actor_system_config config;
    config.load<io::middleman>();
    actor_system system{config};
    auto port = system.middleman().publish(system.spawn(sink), 0, "127.0.0.1");
    const std::uint16_t told = port ? *port : 0;
    if (write(ready[1], &told, sizeof told) < 0) return;
    for (;;) pause();
  });
  std::uint16_t port = 0;
  if (read(ready[0], &port, sizeof port) != sizeof port || port == 0) return 1;
  actor_system_config config;
  config.load<io::middleman>();
  actor_system system{config};
  auto to = system.middleman().remote_actor("127.0.0.1", port);
  const int code = !to ? 1 : remote(system, line, scale, *to) ? 0 : 2;
  server.kill();
  std::fflush(stdout);
  std::_Exit(code);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: caf_bench LINE SCALE [WORKERS]\n";
    return 2;
  }
  const std::string line = argv[1];
  const double scale = std::stod(argv[2]);
  if (line.rfind("remote", 0) == 0) return with_peer(line, scale);
  actor_system_config config;
  if (argc > 3) config.set("scheduler.max-threads", std::stoul(argv[3]));
  actor_system system{config};
  const int code = measure(system, line, scale);
  std::fflush(stdout);
  std::_Exit(code);
}
