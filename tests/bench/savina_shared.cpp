// Savina's programs in which many processes want what one process holds.
#include "savina.hpp"

#include <algorithm>
#include <deque>
#include <random>
#include <unordered_map>

#include <troupe/call.hpp>
#include <troupe/server.hpp>

using namespace std::chrono_literals;
using namespace troupe;
using bench::now, bench::seconds_since;

namespace savina {
namespace {

constexpr duration long_call = 2min;  // behind all that others have asked before

// ---- dictionary -----------------------------------------------------------------------------------------------------
struct Write {
  std::int64_t key = 0, content = 0;
  TROUPE_MESSAGE(Write, "write", key, content)
};
struct Lookup {
  std::int64_t key = 0;
  TROUPE_MESSAGE(Lookup, "lookup", key)
};
// What stands under a key is equal to it modulo `dictionary_keys`: so every answer can be checked.
struct Dictionary {
  using messages = handles<Write, Lookup>;
  std::unordered_map<std::int64_t, std::int64_t> entries;

  void init(process&) {
    for (std::int64_t key = 0; key < dictionary_keys; ++key) entries[key] = key;
  }
  std::int64_t on(const Write& write) { return entries[write.key] = write.content; }
  std::int64_t on(const Lookup& lookup) { return entries.at(lookup.key); }
};
task<> reader_and_writer(process& self, std::uint32_t seed, int count, pid dictionary, pid parent) {
  std::minstd_rand random(seed);
  std::int64_t right = 0;
  for (; count > 0; --count) {
    const auto key = static_cast<std::int64_t>(random() % dictionary_keys);
    if (random() % 100 < 10) {
      const std::int64_t content = key + dictionary_keys * static_cast<std::int64_t>(random() % 4096);
      auto written = co_await call<std::int64_t>(self, dictionary, Write{key, content}).within(long_call);
      right += written && *written == content;
    } else {
      auto found = co_await call<std::int64_t>(self, dictionary, Lookup{key}).within(long_call);
      right += found && *found % dictionary_keys == key;
    }
  }
  self.send(parent, Total{right});
}

// ---- bounded buffer -------------------------------------------------------------------------------------------------
struct Item {
  std::int64_t content = 0;
  pid producer;
  TROUPE_MESSAGE(Item, "item", content, producer)
};
struct Produce {
  TROUPE_MESSAGE(Produce, "produce")
};
struct Available {
  pid consumer;
  TROUPE_MESSAGE(Available, "available", consumer)
};
// Asks a producer for its next item when there is room, so that never more than `size` wait.
class buffer {
 public:
  buffer(process& self, int producers, int consumers, int size)
      : self_(self), producing_(producers), consumers_(consumers), room_(size - producers) {}

  void take(message& got) {
    if (auto* item = got.get<Item>()) put(*item);
    else if (auto* available = got.get<Available>()) give(available->consumer);
    else if (got.get<Done>()) --producing_;
  }
  [[nodiscard]] bool finished() const { return producing_ == 0 && std::ssize(idle_) == consumers_; }
  void stop_consumers() {
    for (pid one : idle_) self_.send(one, Stop{});
  }
  [[nodiscard]] std::ptrdiff_t most() const { return most_; }

 private:
  void put(const Item& item) {
    if (idle_.empty()) {
      waiting_.push_back(item);
      most_ = std::max(most_, std::ssize(waiting_));
    } else {
      self_.send(idle_.back(), item);
      idle_.pop_back();
    }
    if (std::ssize(waiting_) < room_) self_.send(item.producer, Produce{});
    else held_.push_back(item.producer);
  }
  void give(pid consumer) {
    if (waiting_.empty()) {
      idle_.push_back(consumer);
      return;
    }
    self_.send(consumer, std::move(waiting_.front()));
    waiting_.pop_front();
    if (held_.empty()) return;
    self_.send(held_.front(), Produce{});
    held_.pop_front();
  }

  process& self_;
  int producing_, consumers_, room_;
  std::deque<Item> waiting_;
  std::deque<pid> held_;   // producers that wait for room
  std::vector<pid> idle_;  // consumers that wait for an item
  std::ptrdiff_t most_ = 0;
};
task<> buffer_process(process& self, int producers, int consumers, int size, pid parent) {
  buffer items(self, producers, consumers, size);
  while (!items.finished()) {
    auto got = co_await self.receive(wait_forever);
    items.take(*got);
  }
  items.stop_consumers();
  self.send(parent, Total{items.most() <= size});
}
task<> producer(process& self, int count, pid to) {
  for (int i = 1; i <= count; ++i) {
    self.send(to, Item{i, self.id()});
    (co_await self.receive<Produce>(wait_forever)).or_exit();
  }
  self.send(to, Done{});
}
task<> consumer(process& self, pid from, pid parent) {
  for (std::int64_t sum = 0;;) {
    self.send(from, Available{self.id()});
    auto got = co_await self.receive(wait_forever);
    if (auto* item = got->get<Item>()) {
      sum += item->content;
    } else {
      self.send(parent, Total{sum});
      co_return;
    }
  }
}

// ---- philosophers ---------------------------------------------------------------------------------------------------
struct Hungry {
  pid from;
  std::int64_t seat = 0;
  TROUPE_MESSAGE(Hungry, "hungry", from, seat)
};
struct Eat {
  TROUPE_MESSAGE(Eat, "eat")
};
struct Denied {
  TROUPE_MESSAGE(Denied, "denied")
};
struct Full {
  std::int64_t seat = 0;
  TROUPE_MESSAGE(Full, "full", seat)
};
// Has the forks. Tells how many meals there were, or less than none when one fork is missing.
task<> arbitrator(process& self, int seats, pid parent) {
  std::vector<char> taken(static_cast<std::size_t>(seats));
  auto left = [&](std::int64_t seat) -> char& { return taken[static_cast<std::size_t>(seat)]; };
  auto right = [&](std::int64_t seat) -> char& { return left((seat + 1) % seats); };
  std::int64_t meals = 0;
  for (int eating = seats; eating > 0;) {
    auto got = co_await self.receive(wait_forever);
    if (auto* hungry = got->get<Hungry>()) {
      if (left(hungry->seat) || right(hungry->seat)) {
        self.send(hungry->from, Denied{});
      } else {
        left(hungry->seat) = right(hungry->seat) = 1;
        self.send(hungry->from, Eat{});
      }
    } else if (auto* full = got->get<Full>()) {
      meals += left(full->seat) && right(full->seat);
      left(full->seat) = right(full->seat) = 0;
    } else if (got->get<Done>()) {
      --eating;
    }
  }
  self.send(parent, Total{std::ranges::count(taken, 1) == 0 ? meals : -1});
}
task<> philosopher(process& self, std::int64_t seat, int meals, pid forks) {
  while (meals > 0) {
    self.send(forks, Hungry{self.id(), seat});
    auto got = co_await self.receive(wait_forever);
    if (!got->get<Eat>()) continue;
    --meals;
    self.send(forks, Full{seat});
  }
  self.send(forks, Done{});
}

// ---- logistic map ---------------------------------------------------------------------------------------------------
struct Compute {
  double term = 0;
  TROUPE_MESSAGE(Compute, "compute", term)
};
struct NextTerm {
  TROUPE_MESSAGE(NextTerm, "next_term")
};
struct GetTerm {
  TROUPE_MESSAGE(GetTerm, "get_term")
};
struct Rate {
  using messages = handles<Compute>;
  double rate;
  double on(const Compute& compute) const { return next_term(rate, compute.term); }
};
struct Series {
  using messages = handles<NextTerm, GetTerm>;
  pid computer;
  double term;
  task<> on(process& self, NextTerm) {
    auto computed = co_await call<double>(self, computer, Compute{term}).within(long_call);
    term = computed.or_exit();
  }
  double on(const GetTerm&) const { return term; }
};

// ---- banking --------------------------------------------------------------------------------------------------------
struct Deposit {
  std::int64_t amount = 0;
  TROUPE_MESSAGE(Deposit, "deposit", amount)
};
struct Transfer {
  std::int64_t amount = 0;
  pid to, teller;
  TROUPE_MESSAGE(Transfer, "transfer", amount, to, teller)
};
struct Balance {
  TROUPE_MESSAGE(Balance, "balance")
};
// Does one transfer after the other, and knows that the other account has the money before it tells the teller.
struct Account {
  using messages = handles<Deposit, Transfer, Balance>;
  std::int64_t balance = 1'000'000;
  void on(const Deposit& deposit) { balance += deposit.amount; }
  std::int64_t on(const Balance&) const { return balance; }
  task<> on(process& self, Transfer transfer) {
    balance -= transfer.amount;
    auto taken = co_await call<void>(self, transfer.to, Deposit{transfer.amount}).within(long_call);
    taken.or_exit();
    self.send(transfer.teller, Done{});
  }
};
task<std::int64_t> money_in(process& self, std::vector<pid> accounts) {
  std::int64_t sum = 0;
  for (pid one : accounts) sum += co_await call<std::int64_t>(self, one, Balance{}).within(long_call).or_exit();
  co_return sum;
}

}  // namespace

task<double> dictionary(process& self, double scale) {
  constexpr int workers = 20;
  const int each = bench::scaled(scale, 60'000);  // Savina: 10,000
  const pid server = serve<Dictionary>(self);
  (void)co_await call<std::int64_t>(self, server, Lookup{0}).within(long_call).or_exit();
  auto start = now();
  for (int i = 1; i <= workers; ++i)
    spawn(self, reader_and_writer, static_cast<std::uint32_t>(i), each, server, self.id());
  require(co_await sum_of(self, workers) == std::int64_t{workers} * each, "the dictionary has answered with another");
  co_return static_cast<double>(workers) * each / seconds_since(start);
}

task<double> bounded_buffer(process& self, double scale) {
  constexpr int producers = 40, consumers = 40, size = 50;
  const int each = bench::scaled(scale, 50'000);  // Savina: 1,000, each computed on for 50 us
  auto start = now();
  const pid between = spawn(self, buffer_process, producers, consumers, size, self.id());
  for (int i = 0; i < consumers; ++i) spawn(self, consumer, between, self.id());
  for (int i = 0; i < producers; ++i) spawn(self, producer, each, between);
  const std::int64_t sum = co_await sum_of(self, consumers + 1);
  const double took = seconds_since(start);
  require(sum == std::int64_t{producers} * each * (each + 1) / 2 + 1, "items are missing, or the buffer was too full");
  co_return static_cast<double>(producers) * each / took;
}

task<double> philosophers(process& self, double scale) {
  constexpr int seats = 20;
  const int meals = bench::scaled(scale, 80'000);  // Savina: 10,000
  auto start = now();
  const pid forks = spawn(self, arbitrator, seats, self.id());
  for (int i = 0; i < seats; ++i) spawn(self, philosopher, i, meals, forks);
  require(co_await sum_of(self, 1) == std::int64_t{seats} * meals, "somebody has eaten with a fork of another");
  co_return static_cast<double>(seats) * meals / seconds_since(start);
}

task<double> logistic_map(process& self, double scale) {
  constexpr int series = 10;
  const auto [rounds, terms] = rounds_of(scale, 4, 25'000);
  double took = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<pid> all;
    std::vector<double> expected;
    for (int i = 0; i < series; ++i) {
      const double rate = 3.46 + 0.0025 * i;
      double term = 0.0025 * (i + 1);
      all.push_back(serve<Series>(self, unnamed, serve<Rate>(self, unnamed, rate), term));
      for (int n = 0; n < terms; ++n) term = next_term(rate, term);
      expected.push_back(term);
    }
    auto start = now();
    for (int n = 0; n < terms; ++n) {
      for (pid one : all) self.send(one, NextTerm{});
    }
    std::vector<double> found;
    for (pid one : all) found.push_back(co_await call<double>(self, one, GetTerm{}).within(long_call).or_exit());
    took += seconds_since(start);
    require(found == expected, "a series has another term");
  }
  co_return static_cast<double>(rounds) * series* terms / took;
}

task<double> banking(process& self, double scale) {
  constexpr int accounts = 1000;
  const auto [rounds, transactions] = rounds_of(scale, 15, 50'000);
  std::vector<pid> all;
  for (int i = 0; i < accounts; ++i) all.push_back(serve<Account>(self));
  const std::int64_t before = co_await money_in(self, all);
  std::minstd_rand random(123456);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < transactions; ++i) {
      const auto from = random() % (accounts / 10 * 8);  // always to an account behind it: no two wait for each other
      const auto to = from + 1 + random() % (accounts - from - 1);
      self.send(all[from], Transfer{static_cast<std::int64_t>(random() % 1000), all[to], self.id()});
    }
    for (int i = 0; i < transactions; ++i) (co_await self.receive<Done>(wait_forever)).or_exit();
  }
  const double took = seconds_since(start);
  require(before == co_await money_in(self, all), "money was lost or made");
  co_return static_cast<double>(rounds) * transactions / took;
}

}  // namespace savina
