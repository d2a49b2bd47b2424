// Savina's programs whose work is spread over many actors, Skynet, and a slow consumer.
#include "caf_savina.hpp"

#include <algorithm>
#include <random>

namespace savina {
namespace {

// ---- fib, skynet, sieve ---------------------------------------------------------------------------------------------
behavior adder(event_based_actor* self, int parts, actor parent) {
  number sum = 0;
  return {[=](total_atom, number part) mutable {
    sum += part;
    if (--parts > 0) return;
    self->send(parent, total_atom::value, sum);
    self->quit();
  }};
}
behavior fib_of(event_based_actor* self, int of, actor parent) {
  if (of <= 2) {
    self->send(parent, total_atom::value, number{1});
    return {};
  }
  self->spawn(fib_of, of - 1, actor_cast<actor>(self));
  self->spawn(fib_of, of - 2, actor_cast<actor>(self));
  return adder(self, 2, parent);
}
behavior sky(event_based_actor* self, number leaf, number size, actor parent) {
  if (size == 1) {
    self->send(parent, total_atom::value, leaf);
    return {};
  }
  for (int i = 0; i < 10; ++i) self->spawn(sky, leaf + i * (size / 10), size / 10, actor_cast<actor>(self));
  return adder(self, 10, parent);
}

struct filter_state {
  std::vector<number> primes;
  actor next;
};
behavior filter(stateful_actor<filter_state>* self, std::size_t room, actor parent) {
  return {
      [=](number candidate) {
        auto& [primes, next] = self->state;
        if (std::any_of(primes.begin(), primes.end(), [=](number prime) { return candidate % prime == 0; })) return;
        if (primes.size() < room) {
          primes.push_back(candidate);
          return;
        }
        if (!next) next = self->spawn(filter, room, parent);
        self->send(next, candidate);
      },
      [=](stop_atom) {
        self->send(parent, total_atom::value, static_cast<number>(self->state.primes.size()));
        if (self->state.next) self->send(self->state.next, stop_atom::value);
        else self->send(parent, done_atom::value);
        self->quit();
      },
  };
}

// ---- quicksort, slow consumer ---------------------------------------------------------------------------------------
using items = std::vector<number>;
struct sorter_state {
  items less, same, more;
  int parts = 0;
};
behavior sorter(stateful_actor<sorter_state>* self, items all, bool less, actor parent) {
  auto& state = self->state;
  if (all.size() < 2048) {
    std::sort(all.begin(), all.end());
    self->send(parent, less, std::move(all));
    return {};
  }
  const number pivot = all[all.size() / 2];
  for (number one : all) (one < pivot ? state.less : one > pivot ? state.more : state.same).push_back(one);
  self->spawn(sorter, std::move(state.less), true, actor_cast<actor>(self));
  self->spawn(sorter, std::move(state.more), false, actor_cast<actor>(self));
  return {[=](bool part_is_less, items& part) {
    auto& state = self->state;
    (part_is_less ? state.less : state.more) = std::move(part);
    if (++state.parts < 2) return;
    state.less.insert(state.less.end(), state.same.begin(), state.same.end());
    state.less.insert(state.less.end(), state.more.begin(), state.more.end());
    self->send(parent, less, std::move(state.less));
    self->quit();
  }};
}

behavior slow(event_based_actor* self, int producers, number count, actor parent) {
  std::vector<number> next(static_cast<std::size_t>(producers));
  number state = 1;
  bool in_order = true;
  return {[=](int producer, number one) mutable {
    in_order &= one == next[static_cast<std::size_t>(producer)]++;
    state = loaded(state);
    if (--count > 0) return;
    self->send(parent, total_atom::value, in_order ? state : number{-1});
    self->quit();
  }};
}

}  // namespace

double fib(actor_system& system, double scale) {
  scoped_actor self{system};
  const bool whole = scale >= 0.1;
  const int of = whole ? 25 : 15, result = whole ? 75'025 : 610, rounds = scaled(scale, 2);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    system.spawn(fib_of, of, me(self));
    require(sum_of(self, 1) == result, "another number of Fibonacci");
  }
  return static_cast<double>(rounds) * (2 * result - 1) / seconds_since(start);
}

double skynet(actor_system& system, double scale) {
  scoped_actor self{system};
  const number leaves = scale >= 0.1 ? 1'000'000 : 10'000;
  auto start = now();
  system.spawn(sky, number{0}, leaves, me(self));
  require(sum_of(self, 1) == leaves * (leaves - 1) / 2, "another sum of the leaves' numbers");
  return static_cast<double>(leaves * 10 - 1) / 9 / seconds_since(start);
}

double sieve(actor_system& system, double scale) {
  scoped_actor self{system};
  const int limit = scaled(scale, 100'000);
  auto start = now();
  const actor first = system.spawn(filter, std::size_t{10}, me(self));
  for (number candidate = 3; candidate < limit; candidate += 2) self->send(first, candidate);
  self->send(first, stop_atom::value);
  number found = 1;  // 2 is not sent
  for (bool all = false; !all;)
    self->receive([&](total_atom, number one) { found += one; }, [&](done_atom) { all = true; });
  const double took = seconds_since(start);
  require(found == primes_below(limit), "another number of primes");
  return limit / 2 / took;
}

double quicksort(actor_system& system, double scale) {
  scoped_actor self{system};
  const auto [rounds, count] = rounds_of(scale, 4, 1'000'000);
  double took = 0;
  std::mt19937_64 random(1024);
  for (int round = 0; round < rounds; ++round) {
    items all, sorted;
    for (int i = 0; i < count; ++i) all.push_back(static_cast<number>(random() >> 4));
    items expected = all;
    auto start = now();
    system.spawn(sorter, std::move(all), true, me(self));
    self->receive([&](bool, items& result) { sorted = std::move(result); });
    took += seconds_since(start);
    std::sort(expected.begin(), expected.end());
    require(sorted == expected, "not sorted");
  }
  return static_cast<double>(rounds) * count / took;
}

double slow_consumer(actor_system& system, double scale) {
  scoped_actor self{system};
  const int producers = 4, each = scaled(scale, 400'000);
  const number count = number{producers} * each;
  auto start = now();
  const actor to = system.spawn(slow, producers, count, me(self));
  for (int producer = 0; producer < producers; ++producer) {
    system.spawn([=](event_based_actor* sender) {
      for (number one = 0; one < each; ++one) sender->send(to, producer, one);
    });
  }
  require(sum_of(self, 1) == slow_result(count), "a message was lost, or overtook another");
  return static_cast<double>(count) / seconds_since(start);
}

}  // namespace savina
