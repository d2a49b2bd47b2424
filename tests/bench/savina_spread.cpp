// Savina's programs whose work is spread over many processes, Skynet, a broadcast to a group, and a slow consumer.
#include "savina.hpp"

#include <algorithm>
#include <optional>
#include <random>

#include <troupe/group.hpp>

using namespace std::chrono_literals;
using namespace troupe;
using bench::now, bench::seconds_since;

namespace savina {
namespace {

// ---- fib, skynet ----------------------------------------------------------------------------------------------------
task<> fib_of(process& self, int number, pid parent) {
  std::int64_t sum = 1;
  if (number > 2) {
    spawn(self, fib_of, number - 1, self.id());
    spawn(self, fib_of, number - 2, self.id());
    sum = co_await sum_of(self, 2);
  }
  self.send(parent, Total{sum});
}
task<> sky(process& self, std::int64_t number, std::int64_t size, pid parent) {
  std::int64_t sum = number;
  if (size > 1) {
    for (int i = 0; i < 10; ++i) spawn(self, sky, number + i * (size / 10), size / 10, self.id());
    sum = co_await sum_of(self, 10);
  }
  self.send(parent, Total{sum});
}

// ---- sieve ----------------------------------------------------------------------------------------------------------
struct Candidate {
  std::int64_t number = 0;
  TROUPE_MESSAGE(Candidate, "candidate", number)
};
// Keeps the first primes that come, and sends on what none of them divides. Stopped, it tells how many it has, and the
// next one.
task<> filter(process& self, std::size_t room, pid parent) {
  std::vector<std::int64_t> primes;
  std::optional<pid> next;
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* candidate = got->get<Candidate>()) {
      const std::int64_t number = candidate->number;
      if (std::ranges::any_of(primes, [&](std::int64_t prime) { return number % prime == 0; })) continue;
      if (primes.size() < room) {
        primes.push_back(number);
        continue;
      }
      if (!next) next = spawn(self, filter, room, parent);
      self.send(*next, std::move(*got));
    } else if (got->get<Stop>()) {
      self.send(parent, Total{std::ssize(primes)});
      if (next) self.send(*next, Stop{});
      else self.send(parent, Done{});
      co_return;
    }
  }
}

// ---- quicksort ------------------------------------------------------------------------------------------------------
struct Sorted {
  std::vector<std::int64_t> items;
  bool less = false;
  TROUPE_MESSAGE(Sorted, "sorted", items, less)
};
constexpr std::size_t sort_alone = 2048;
// Leaves in `items` what is equal to the pivot.
std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> split(std::vector<std::int64_t>& items) {
  const std::int64_t pivot = items[items.size() / 2];
  std::vector<std::int64_t> less, same, more;
  for (std::int64_t one : items) (one < pivot ? less : one > pivot ? more : same).push_back(one);
  items = std::move(same);
  return {std::move(less), std::move(more)};
}
task<> sorter(process& self, std::vector<std::int64_t> items, bool less, pid parent) {
  if (items.size() < sort_alone) {
    std::ranges::sort(items);
  } else {
    auto parts = split(items);
    spawn(self, sorter, std::move(parts.first), true, self.id());
    spawn(self, sorter, std::move(parts.second), false, self.id());
    for (int i = 0; i < 2; ++i) {
      auto part = (co_await self.receive<Sorted>(wait_forever)).or_exit();
      (part.less ? parts.first : parts.second) = std::move(part.items);
    }
    parts.first.insert(parts.first.end(), items.begin(), items.end());
    parts.first.insert(parts.first.end(), parts.second.begin(), parts.second.end());
    items = std::move(parts.first);
  }
  self.send(parent, Sorted{std::move(items), less});
}

// ---- group broadcast, slow consumer ---------------------------------------------------------------------------------
struct News {
  std::int64_t number = 0;
  TROUPE_MESSAGE(News, "news", number)
};
task<> subscriber(process& self, int count, pid parent) {
  std::int64_t sum = 0;
  for (; count > 0; --count) sum += (co_await self.receive<News>(wait_forever)).or_exit().number;
  self.send(parent, Total{sum});
}

struct Load {
  std::int64_t producer = 0, number = 0;
  TROUPE_MESSAGE(Load, "load", producer, number)
};
// Computes for each message; tells what came out, or -1 when one producer's messages were not in order.
task<> slow(process& self, int producers, std::int64_t count, pid parent) {
  std::vector<std::int64_t> next(static_cast<std::size_t>(producers));
  std::int64_t state = 1;
  bool in_order = true;
  for (; count > 0; --count) {
    const auto load = (co_await self.receive<Load>(wait_forever)).or_exit();
    in_order &= load.number == next[static_cast<std::size_t>(load.producer)]++;
    state = loaded(state);
  }
  self.send(parent, Total{in_order ? state : -1});
}
task<> quick(process& self, std::int64_t number, int count, pid to) {
  for (int i = 0; i < count; ++i) self.send(to, Load{number, i});
  co_return;
}

}  // namespace

task<double> fib(process& self, double scale) {
  const bool whole = scale >= 0.1;
  const int number = whole ? 25 : 15, result = whole ? 75'025 : 610, rounds = bench::scaled(scale, 10);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    spawn(self, fib_of, number, self.id());
    require(co_await sum_of(self, 1) == result, "another number of Fibonacci");
  }
  co_return static_cast<double>(rounds) * (2 * result - 1) / seconds_since(start);
}

task<double> skynet(process& self, double scale) {
  const std::int64_t leaves = scale >= 0.1 ? 1'000'000 : 10'000;
  const int rounds = bench::scaled(scale, 2);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    spawn(self, sky, 0, leaves, self.id());
    require(co_await sum_of(self, 1) == leaves * (leaves - 1) / 2, "another sum of the leaves' numbers");
  }
  co_return static_cast<double>(rounds) * static_cast<double>(leaves * 10 - 1) / 9 / seconds_since(start);
}

task<double> sieve(process& self, double scale) {
  constexpr std::size_t room = 10;  // Savina: 1,000, which is a loop of divisions with few messages
  const auto [rounds, limit] = rounds_of(scale, 3, 100'000);
  double took = 0;
  for (int round = 0; round < rounds; ++round) {
    auto start = now();
    const pid first = spawn(self, filter, room, self.id());
    for (int number = 3; number < limit; number += 2) self.send(first, Candidate{number});
    self.send(first, Stop{});
    (co_await self.receive<Done>(wait_forever)).or_exit();
    took += seconds_since(start);
    std::int64_t found = 1;  // 2 is not sent
    while (auto one = co_await self.receive<Total>(0s)) found += one->total;
    require(found == primes_below(limit), "another number of primes");
  }
  co_return static_cast<double>(rounds) * (limit / 2) / took;
}

task<double> quicksort(process& self, double scale) {
  const auto [rounds, count] = rounds_of(scale, 4, 1'000'000);
  double took = 0;
  std::mt19937_64 random(1024);
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::int64_t> items;
    for (int i = 0; i < count; ++i) items.push_back(static_cast<std::int64_t>(random() >> 4));
    auto expected = items;
    auto start = now();
    spawn(self, sorter, std::move(items), true, self.id());
    const auto sorted = (co_await self.receive<Sorted>(wait_forever)).or_exit();
    took += seconds_since(start);
    std::ranges::sort(expected);
    require(sorted.items == expected, "not sorted");
  }
  co_return static_cast<double>(rounds) * count / took;
}

task<double> group_broadcast(process& self, double scale) {
  const int count = scale >= 0.1 ? 100'000 : 1000, news = bench::scaled(scale, 10);
  std::vector<pid> members;
  for (int i = 0; i < count; ++i) members.push_back(spawn(self, subscriber, news, self.id()));
  group::join(self, "savina", members).or_exit();
  auto start = now();
  for (int i = 1; i <= news; ++i) group::broadcast(self, "savina", News{i});
  require(co_await sum_of(self, count) == std::int64_t{count} * news * (news + 1) / 2, "not everybody has the news");
  co_return static_cast<double>(count) * news / seconds_since(start);
}

task<double> slow_consumer(process& self, double scale) {
  constexpr int producers = 4;
  const int each = bench::scaled(scale, 600'000);
  const std::int64_t count = std::int64_t{producers} * each;
  auto start = now();
  const pid to = spawn(self, slow, producers, count, self.id());
  for (int i = 0; i < producers; ++i) spawn(self, quick, i, each, to);
  require(co_await sum_of(self, 1) == slow_result(count), "a message was lost, or overtook another");
  co_return static_cast<double>(count) / seconds_since(start);
}

}  // namespace savina
