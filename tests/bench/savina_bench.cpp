// The programs of Savina, as a user of Troupe would write them: those that are little but messages here, the others in
// savina_shared.cpp and savina_spread.cpp. `tests/bench/savina.erl` does the same in OTP, `caf_savina.cpp`
// in CAF.
// usage: savina_bench LINE SCALE [WORKERS]
#include "savina.hpp"

#include <cmath>
#include <iostream>
#include <random>

#include <troupe/node.hpp>

using namespace std::chrono_literals;
using namespace troupe;
using bench::now, bench::seconds_since;

namespace savina {
namespace {

// ---- counting -------------------------------------------------------------------------------------------------------
struct Increment {
  TROUPE_MESSAGE(Increment, "increment")
};
struct Retrieve {
  pid from;
  TROUPE_MESSAGE(Retrieve, "retrieve", from)
};
task<> counter(process& self) {
  for (std::int64_t count = 0;;) {
    auto got = co_await self.receive(wait_forever);
    if (got->get<Increment>()) ++count;
    else if (auto* asked = got->get<Retrieve>()) self.send(asked->from, Total{std::exchange(count, 0)});
    else if (got->get<Stop>()) co_return;
  }
}

// ---- fork-join ------------------------------------------------------------------------------------------------------
struct Work {
  double theta = 0;
  TROUPE_MESSAGE(Work, "work", theta)
};
bool worked(const Work& work) {
  const double sine = std::sin(work.theta);
  return sine * sine > 0;
}
task<> joiner(process& self, int count, pid parent) {
  std::int64_t done = 0;
  for (; count > 0; --count) done += worked((co_await self.receive<Work>(wait_forever)).or_exit());
  self.send(parent, Total{done});
}

// ---- big ------------------------------------------------------------------------------------------------------------
struct Neighbours {
  std::vector<pid> all;
  TROUPE_MESSAGE(Neighbours, "neighbours", all)
};
struct Ping {
  pid from;
  TROUPE_MESSAGE(Ping, "ping", from)
};
struct Pong {
  pid from;
  TROUPE_MESSAGE(Pong, "pong", from)
};
struct Tally {
  std::int64_t answered = 0, wrong = 0;
  TROUPE_MESSAGE(Tally, "tally", answered, wrong)
};
// Asks one after the other, at random, and answers whoever asks.
task<> big_member(process& self, std::uint32_t seed, int pings, pid parent) {
  const auto all = (co_await self.receive<Neighbours>(wait_forever)).or_exit().all;
  std::minstd_rand random(seed);
  Tally tally;
  pid asked;
  auto ask = [&] {
    asked = all[random() % all.size()];
    self.send(asked, Ping{self.id()});
  };
  ask();
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* ping = got->get<Ping>()) {
      ++tally.answered;
      self.send(ping->from, Pong{self.id()});
    } else if (auto* pong = got->get<Pong>()) {
      tally.wrong += pong->from != asked;
      if (--pings > 0) ask();
      else self.send(parent, Done{});
    } else if (got->get<Stop>()) {
      self.send(parent, tally);
      co_return;
    }
  }
}

// ---- chameneos ------------------------------------------------------------------------------------------------------
struct Meet {
  pid from;
  std::int64_t colour = 0;
  TROUPE_MESSAGE(Meet, "meet", from, colour)
};
struct Change {
  std::int64_t colour = 0;
  TROUPE_MESSAGE(Change, "change", colour)
};
task<> creature(process& self, std::int64_t colour, pid mall) {
  std::int64_t meetings = 0;
  self.send(mall, Meet{self.id(), colour});
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* other = got->get<Meet>()) {
      colour = complement(colour, other->colour);
      self.send(other->from, Change{colour});
    } else if (auto* change = got->get<Change>()) {
      colour = change->colour;
    } else {
      self.send(mall, Total{meetings});
      co_return;
    }
    ++meetings;
    self.send(mall, Meet{self.id(), colour});
  }
}
// Sends the second of each pair to the first, and everybody home when there were so many meetings.
task<> mall(process& self, int creatures, int meetings, pid parent) {
  pid waiting;
  std::int64_t met = 0;
  while (creatures > 0) {
    auto got = co_await self.receive(wait_forever);
    if (auto* meet = got->get<Meet>()) {
      if (meetings == 0) {
        self.send(meet->from, Stop{});
      } else if (!waiting) {
        waiting = meet->from;
      } else {
        --meetings;
        self.send(std::exchange(waiting, pid()), std::move(*got));
      }
    } else if (auto* one = got->get<Total>()) {
      met += one->total;
      --creatures;
    }
  }
  self.send(parent, Total{met});
}

struct program {
  std::string_view line;
  task<double> (*run)(process& self, double scale);
  const char* unit;
};
constexpr program programs[] = {
    {"savina_counting", counting, "msgs/s"},
    {"savina_fork_join", fork_join, "msgs/s"},
    {"savina_fork_join_create", fork_join_create, "processes/s"},
    {"savina_big", big, "pings/s"},
    {"savina_chameneos", chameneos, "meetings/s"},
    {"savina_dictionary", dictionary, "calls/s"},
    {"savina_bounded_buffer", bounded_buffer, "items/s"},
    {"savina_philosophers", philosophers, "meals/s"},
    {"savina_logistic_map", logistic_map, "terms/s"},
    {"savina_banking", banking, "transactions/s"},
    {"savina_fib", fib, "processes/s"},
    {"savina_sieve", sieve, "candidates/s"},
    {"savina_quicksort", quicksort, "items/s"},
    {"savina_skynet", skynet, "processes/s"},
    {"savina_group_broadcast", group_broadcast, "deliveries/s"},
    {"savina_slow_consumer", slow_consumer, "msgs/s"},
};

task<> measure(process& self, std::string line, double scale) {
  for (const program& one : programs) {
    if (one.line != line) continue;
    const double rate = co_await one.run(self, scale);
    bench::emit(line, rate, one.unit);
    co_return;
  }
  throw std::invalid_argument("no such line: " + line);
}

}  // namespace

task<double> counting(process& self, double scale) {
  const auto [rounds, count] = rounds_of(scale, 10, 1'000'000);
  const pid to = spawn(self, counter);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < count; ++i) self.send(to, Increment{});
    self.send(to, Retrieve{self.id()});
    require((co_await self.receive<Total>(wait_forever)).or_exit().total == count, "not every increment was counted");
  }
  const double took = seconds_since(start);
  self.send(to, Stop{});
  co_return static_cast<double>(rounds) * count / took;
}

task<double> fork_join(process& self, double scale) {
  constexpr int workers = 60;
  const auto [rounds, each] = rounds_of(scale, 5, 10'000);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    std::vector<pid> all;
    for (int i = 0; i < workers; ++i) all.push_back(spawn(self, joiner, each, self.id()));
    for (int i = 0; i < each; ++i) {
      for (pid one : all) self.send(one, Work{37.2});
    }
    require(co_await sum_of(self, workers) == std::int64_t{workers} * each, "not all was worked on");
  }
  co_return static_cast<double>(rounds) * workers* each / seconds_since(start);
}

task<double> fork_join_create(process& self, double scale) {
  const auto [rounds, count] = rounds_of(scale, 40, 40'000);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < count; ++i) self.send(spawn(self, joiner, 1, self.id()), Work{37.2});
    require(co_await sum_of(self, count) == count, "not every process has worked");
  }
  co_return static_cast<double>(rounds) * count / seconds_since(start);
}

task<double> big(process& self, double scale) {
  constexpr int members = 120;
  const int pings = bench::scaled(scale, 20'000);
  Neighbours neighbours;
  for (int i = 1; i <= members; ++i)
    neighbours.all.push_back(spawn(self, big_member, static_cast<std::uint32_t>(i), pings, self.id()));
  auto start = now();
  for (pid one : neighbours.all) self.send(one, neighbours);
  for (int i = 0; i < members; ++i) (co_await self.receive<Done>(wait_forever)).or_exit();
  const double took = seconds_since(start);
  for (pid one : neighbours.all) self.send(one, Stop{});
  Tally sum;
  for (int i = 0; i < members; ++i) {
    const auto one = (co_await self.receive<Tally>(wait_forever)).or_exit();
    sum.answered += one.answered;
    sum.wrong += one.wrong;
  }
  require(sum.answered == std::int64_t{members} * pings, "not every ping was answered once");
  require(sum.wrong == 0, "a pong came from another than was asked");
  co_return static_cast<double>(members) * pings / took;
}

task<double> chameneos(process& self, double scale) {
  constexpr int creatures = 100;
  const int meetings = bench::scaled(scale, 2'000'000);  // Savina: 200,000
  auto start = now();
  const pid place = spawn(self, mall, creatures, meetings, self.id());
  for (int i = 0; i < creatures; ++i) spawn(self, creature, i % 3, place);
  require(co_await sum_of(self, 1) == 2 * std::int64_t{meetings}, "two creatures take part in each meeting");
  co_return meetings / seconds_since(start);
}

}  // namespace savina

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: savina_bench LINE SCALE [WORKERS]\n";
    return 2;
  }
  const std::string line = argv[1];
  const double scale = std::stod(argv[2]);
  node_options options;
  options.distribution = false;
  if (argc > 3) options.workers = static_cast<unsigned>(std::stoul(argv[3]));
  auto n = node::start(std::move(options)).or_exit();
  auto door = n->make_handle().or_exit();
  auto ended_well = door->run(10min, [=](process& self) { return savina::measure(self, line, scale); });
  if (!ended_well) std::cerr << "savina_bench " << line << ": " << ended_well.error().message() << "\n";
  std::fflush(stdout);
  std::_Exit(ended_well ? 0 : 1);  // a million processes need not be ended one by one
}
