// The programs of savina_bench.cpp in CAF, its default scheduler: those that are little but messages here, the others
// in caf_savina_shared.cpp and caf_savina_spread.cpp. There is no broadcast to a group. usage: caf_savina LINE SCALE
// [WORKERS]
#include "caf_savina.hpp"

#include <cmath>
#include <iostream>
#include <random>

namespace savina {
namespace {

// ---- counting, fork-join --------------------------------------------------------------------------------------------
struct counter_state {
  number count = 0;
};
behavior counter(stateful_actor<counter_state>* self) {  // first: increment; second: how many?
  return {[=](first_atom) { ++self->state.count; }, [=](second_atom) { return std::exchange(self->state.count, 0); }};
}

behavior joiner(event_based_actor* self, int count, actor parent) {
  number done = 0;
  return {[=](double theta) mutable {
    const double sine = std::sin(theta);
    done += sine * sine > 0;
    if (--count > 0) return;
    self->send(parent, total_atom::value, done);
    self->quit();
  }};
}

// ---- big, chameneos -------------------------------------------------------------------------------------------------
struct big_state {
  std::vector<actor> all;
  std::minstd_rand random;
  actor asked;
  int pings = 0;
  number answered = 0, wrong = 0;
};
void ask(stateful_actor<big_state>* self) {
  auto& state = self->state;
  state.asked = state.all[state.random() % state.all.size()];
  self->send(state.asked, first_atom::value, actor_cast<actor>(self));
}
behavior big_member(stateful_actor<big_state>* self, std::uint32_t seed, int pings, actor parent) {
  self->state.random.seed(seed);
  self->state.pings = pings;
  return {
      [=](const std::vector<actor>& all) {
        self->state.all = all;
        ask(self);
      },
      [=](first_atom, const actor& from) {
        ++self->state.answered;
        self->send(from, second_atom::value, actor_cast<actor>(self));
      },
      [=](second_atom, const actor& from) {
        self->state.wrong += from != self->state.asked;
        if (--self->state.pings > 0) ask(self);
        else self->send(parent, done_atom::value);
      },
      [=](stop_atom) {
        self->send(parent, total_atom::value, self->state.wrong == 0 ? self->state.answered : number{-1});
        self->quit();
      },
  };
}

struct creature_state {
  number colour = 0;
  number meetings = 0;
};
behavior creature(stateful_actor<creature_state>* self, number colour, actor mall) {  // first: meet; second: change
  self->state.colour = colour;
  auto again = [=] {
    ++self->state.meetings;
    self->send(mall, first_atom::value, actor_cast<actor>(self), self->state.colour);
  };
  self->send(mall, first_atom::value, actor_cast<actor>(self), colour);
  return {
      [=](first_atom, const actor& from, number other) {
        self->state.colour = complement(self->state.colour, other);
        self->send(from, second_atom::value, self->state.colour);
        again();
      },
      [=](second_atom, number both) {
        self->state.colour = both;
        again();
      },
      [=](stop_atom) {
        self->send(mall, total_atom::value, self->state.meetings);
        self->quit();
      },
  };
}
struct mall_state {
  actor waiting;
  number met = 0;
  int creatures = 0, meetings = 0;
};
behavior mall(stateful_actor<mall_state>* self, int creatures, int meetings, actor parent) {
  self->state.creatures = creatures;
  self->state.meetings = meetings;
  return {
      [=](first_atom, const actor& from, number colour) {
        auto& state = self->state;
        if (state.meetings == 0) {
          self->send(from, stop_atom::value);
        } else if (!state.waiting) {
          state.waiting = from;
        } else {
          --state.meetings;
          self->send(state.waiting, first_atom::value, from, colour);
          state.waiting = nullptr;
        }
      },
      [=](total_atom, number one) {
        self->state.met += one;
        if (--self->state.creatures > 0) return;
        self->send(parent, total_atom::value, self->state.met);
        self->quit();
      },
  };
}

struct program {
  const char* line;
  double (*run)(actor_system& system, double scale);
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
    {"savina_slow_consumer", slow_consumer, "msgs/s"},
};

}  // namespace

double counting(actor_system& system, double scale) {
  scoped_actor self{system};
  const auto [rounds, count] = rounds_of(scale, 3, 1'000'000);
  const actor to = system.spawn(counter);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < count; ++i) self->send(to, first_atom::value);
    number total = 0;
    self->request(to, infinite, second_atom::value).receive([&](number all) { total = all; }, [](error&) {});
    require(total == count, "not every increment was counted");
  }
  return static_cast<double>(rounds) * count / seconds_since(start);
}

double fork_join(actor_system& system, double scale) {
  scoped_actor self{system};
  const auto [rounds, each] = rounds_of(scale, 3, 10'000);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    std::vector<actor> all;
    for (int i = 0; i < 60; ++i) all.push_back(system.spawn(joiner, each, me(self)));
    for (int i = 0; i < each; ++i) {
      for (auto& one : all) self->send(one, 37.2);
    }
    require(sum_of(self, 60) == number{60} * each, "not all was worked on");
  }
  return 60.0 * rounds * each / seconds_since(start);
}

double fork_join_create(actor_system& system, double scale) {
  scoped_actor self{system};
  const auto [rounds, count] = rounds_of(scale, 5, 40'000);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < count; ++i) self->send(system.spawn(joiner, 1, me(self)), 37.2);
    require(sum_of(self, count) == count, "not every actor has worked");
  }
  return static_cast<double>(rounds) * count / seconds_since(start);
}

double big(actor_system& system, double scale) {
  scoped_actor self{system};
  const int members = 120, pings = scaled(scale, 5000);
  std::vector<actor> all;
  for (int i = 1; i <= members; ++i)
    all.push_back(system.spawn(big_member, static_cast<std::uint32_t>(i), pings, me(self)));
  auto start = now();
  for (auto& one : all) self->send(one, all);
  all_done(self, members);
  const double took = seconds_since(start);
  for (auto& one : all) self->send(one, stop_atom::value);
  require(sum_of(self, members) == number{members} * pings, "not every ping was answered once, by whom it was for");
  return static_cast<double>(members) * pings / took;
}

double chameneos(actor_system& system, double scale) {
  scoped_actor self{system};
  const int meetings = scaled(scale, 200'000);
  auto start = now();
  const actor place = system.spawn(mall, 100, meetings, me(self));
  for (int i = 0; i < 100; ++i) system.spawn(creature, number{i % 3}, place);
  require(sum_of(self, 1) == 2 * number{meetings}, "two creatures take part in each meeting");
  return meetings / seconds_since(start);
}

}  // namespace savina

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: caf_savina LINE SCALE [WORKERS]\n";
    return 2;
  }
  caf::actor_system_config config;
  if (argc > 3) config.set("scheduler.max-threads", std::stoul(argv[3]));
  caf::actor_system system{config};
  int code = 2;
  for (const savina::program& one : savina::programs) {
    if (std::string(argv[1]) != one.line) continue;
    try {
      bench::emit(one.line, one.run(system, std::stod(argv[2])), one.unit);
      code = 0;
    } catch (const std::exception& why) {
      std::cerr << "caf_savina " << one.line << ": " << why.what() << "\n";
      code = 1;
    }
  }
  std::fflush(stdout);
  std::_Exit(code);
}
