// Savina's programs in which many actors want what one actor holds.
#include "caf_savina.hpp"

#include <algorithm>
#include <deque>
#include <random>
#include <unordered_map>

namespace savina {
namespace {

// ---- dictionary -----------------------------------------------------------------------------------------------------
struct dictionary_state {
  std::unordered_map<number, number> entries;
};
behavior dictionary_actor(stateful_actor<dictionary_state>* self) {  // first: write; second: read
  for (number key = 0; key < dictionary_keys; ++key) self->state.entries[key] = key;
  return {[=](first_atom, number key, number content) { return self->state.entries[key] = content; },
          [=](second_atom, number key) { return self->state.entries.at(key); }};
}
struct caller_state {
  std::minstd_rand random;
  int left = 0;
  number right = 0;
};
void next_call(stateful_actor<caller_state>* self, const actor& dictionary, const actor& parent) {
  auto& state = self->state;
  if (state.left-- == 0) {
    self->send(parent, total_atom::value, state.right);
    self->quit();
    return;
  }
  const auto key = static_cast<number>(state.random() % dictionary_keys);
  if (state.random() % 100 < 10) {
    const number content = key + dictionary_keys * static_cast<number>(state.random() % 4096);
    self->request(dictionary, infinite, first_atom::value, key, content).then([=](number written) {
      self->state.right += written == content;
      next_call(self, dictionary, parent);
    });
  } else {
    self->request(dictionary, infinite, second_atom::value, key).then([=](number found) {
      self->state.right += found % dictionary_keys == key;
      next_call(self, dictionary, parent);
    });
  }
}
void reader_and_writer(stateful_actor<caller_state>* self, std::uint32_t seed, int count, actor dictionary,
                       actor parent) {
  self->state.random.seed(seed);
  self->state.left = count;
  next_call(self, dictionary, parent);
}

// ---- bounded buffer -------------------------------------------------------------------------------------------------
struct buffer_state {
  int producing = 0;
  std::deque<std::pair<number, actor>> waiting;
  std::deque<actor> held;
  std::vector<actor> idle;
  std::ptrdiff_t most = 0;
};
behavior buffer(stateful_actor<buffer_state>* self, int producers, int consumers, int size, actor parent) {
  self->state.producing = producers;
  auto finish = [=] {
    auto& state = self->state;
    if (state.producing > 0 || static_cast<int>(state.idle.size()) < consumers) return;
    for (auto& one : state.idle) self->send(one, stop_atom::value);
    self->send(parent, total_atom::value, number{state.most <= size});
    self->quit();
  };
  return {
      [=](first_atom, number content, const actor& producer) {
        auto& state = self->state;
        if (state.idle.empty()) {
          state.waiting.emplace_back(content, producer);
          state.most = std::max(state.most, static_cast<std::ptrdiff_t>(state.waiting.size()));
        } else {
          self->send(state.idle.back(), first_atom::value, content);
          state.idle.pop_back();
        }
        if (static_cast<int>(state.waiting.size()) < size - producers) self->send(producer, second_atom::value);
        else state.held.push_back(producer);
      },
      [=](second_atom, const actor& consumer) {
        auto& state = self->state;
        if (state.waiting.empty()) {
          state.idle.push_back(consumer);
          finish();
          return;
        }
        self->send(consumer, first_atom::value, state.waiting.front().first);
        state.waiting.pop_front();
        if (state.held.empty()) return;
        self->send(state.held.front(), second_atom::value);
        state.held.pop_front();
      },
      [=](done_atom) {
        --self->state.producing;
        finish();
      },
  };
}
behavior producer(event_based_actor* self, int count, actor to) {
  number next = 1;
  self->send(to, first_atom::value, next, actor_cast<actor>(self));
  return {[=](second_atom) mutable {
    if (++next <= count) {
      self->send(to, first_atom::value, next, actor_cast<actor>(self));
    } else {
      self->send(to, done_atom::value);
      self->quit();
    }
  }};
}
struct consumer_state {
  number sum = 0;
};
behavior consumer(stateful_actor<consumer_state>* self, actor from, actor parent) {
  self->send(from, second_atom::value, actor_cast<actor>(self));
  return {
      [=](first_atom, number content) {
        self->state.sum += content;
        self->send(from, second_atom::value, actor_cast<actor>(self));
      },
      [=](stop_atom) {
        self->send(parent, total_atom::value, self->state.sum);
        self->quit();
      },
  };
}

// ---- philosophers ---------------------------------------------------------------------------------------------------
struct forks_state {
  std::vector<char> taken;
  int eating = 0;
  number meals = 0;
};
behavior arbitrator(stateful_actor<forks_state>* self, int seats, actor parent) {  // first: hungry; second: full
  self->state.taken.resize(static_cast<std::size_t>(seats));
  self->state.eating = seats;
  auto left = [=](int seat) -> char& { return self->state.taken[static_cast<std::size_t>(seat)]; };
  auto right = [=](int seat) -> char& { return left((seat + 1) % seats); };
  return {
      [=](first_atom, const actor& from, int seat) {
        const bool free = !left(seat) && !right(seat);
        if (free) left(seat) = right(seat) = 1;
        self->send(from, free);
      },
      [=](second_atom, int seat) {
        self->state.meals += left(seat) && right(seat);
        left(seat) = right(seat) = 0;
      },
      [=](done_atom) {
        auto& state = self->state;
        if (--state.eating > 0) return;
        const bool all_there = std::count(state.taken.begin(), state.taken.end(), 1) == 0;
        self->send(parent, total_atom::value, all_there ? state.meals : number{-1});
        self->quit();
      },
  };
}
behavior philosopher(event_based_actor* self, int seat, int meals, actor forks) {
  self->send(forks, first_atom::value, actor_cast<actor>(self), seat);
  return {[=](bool may_eat) mutable {
    if (may_eat) {
      self->send(forks, second_atom::value, seat);
      if (--meals == 0) {
        self->send(forks, done_atom::value);
        self->quit();
        return;
      }
    }
    self->send(forks, first_atom::value, actor_cast<actor>(self), seat);
  }};
}

// ---- logistic map, banking ------------------------------------------------------------------------------------------
behavior rate_computer(event_based_actor*, double rate) {
  return {[=](double term) { return next_term(rate, term); }};
}
// Counts the terms that it still has to ask for: an `await` would walk over all requests that wait, each time.
struct series_state {
  double term = 0;
  int wanted = 0;
  response_promise asked;
};
void compute(stateful_actor<series_state>* self, const actor& computer) {
  self->request(computer, infinite, self->state.term).then([=](double next) {
    auto& state = self->state;
    state.term = next;
    if (--state.wanted > 0) compute(self, computer);
    else if (state.asked.pending()) state.asked.deliver(state.term);
  });
}
behavior series(stateful_actor<series_state>* self, actor computer, double term) {
  self->state.term = term;
  return {
      [=](first_atom) {
        if (self->state.wanted++ == 0) compute(self, computer);
      },
      [=](second_atom) {
        self->state.asked = self->make_response_promise();
        if (self->state.wanted == 0) self->state.asked.deliver(self->state.term);
        return self->state.asked;
      },
  };
}

struct account_state {
  number balance = 1'000'000;
};
behavior account(stateful_actor<account_state>* self) {
  return {
      [=](first_atom, number amount, const actor& to, const actor& teller) {  // transfer
        self->state.balance -= amount;
        self->request(to, infinite, second_atom::value, amount).await([=] { self->send(teller, done_atom::value); });
      },
      [=](second_atom, number amount) { self->state.balance += amount; },  // deposit
      [=](total_atom) { return self->state.balance; },
  };
}

}  // namespace

double dictionary(actor_system& system, double scale) {
  scoped_actor self{system};
  const int each = scaled(scale, 10'000);
  const actor server = system.spawn(dictionary_actor);
  self->request(server, infinite, second_atom::value, number{0}).receive([](number) {}, [](error&) {});
  auto start = now();
  for (std::uint32_t i = 1; i <= 20; ++i) system.spawn(reader_and_writer, i, each, server, me(self));
  require(sum_of(self, 20) == number{20} * each, "the dictionary has answered with another");
  return 20.0 * each / seconds_since(start);
}

double bounded_buffer(actor_system& system, double scale) {
  scoped_actor self{system};
  const int each = scaled(scale, 5000);
  auto start = now();
  const actor between = system.spawn(buffer, 40, 40, 50, me(self));
  for (int i = 0; i < 40; ++i) system.spawn(consumer, between, me(self));
  for (int i = 0; i < 40; ++i) system.spawn(producer, each, between);
  const number sum = sum_of(self, 41);
  const double took = seconds_since(start);
  require(sum == number{40} * each * (each + 1) / 2 + 1, "items are missing, or the buffer was too full");
  return 40.0 * each / took;
}

double philosophers(actor_system& system, double scale) {
  scoped_actor self{system};
  const int meals = scaled(scale, 10'000);
  auto start = now();
  const actor forks = system.spawn(arbitrator, 20, me(self));
  for (int seat = 0; seat < 20; ++seat) system.spawn(philosopher, seat, meals, forks);
  require(sum_of(self, 1) == number{20} * meals, "somebody has eaten with a fork of another");
  return 20.0 * meals / seconds_since(start);
}

double logistic_map(actor_system& system, double scale) {
  scoped_actor self{system};
  const auto [rounds, terms] = rounds_of(scale, 2, 25'000);
  double took = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<actor> all;
    std::vector<double> expected, found;
    for (int i = 0; i < 10; ++i) {
      const double rate = 3.46 + 0.0025 * i;
      double term = 0.0025 * (i + 1);
      all.push_back(system.spawn(series, system.spawn(rate_computer, rate), term));
      for (int n = 0; n < terms; ++n) term = next_term(rate, term);
      expected.push_back(term);
    }
    auto start = now();
    for (int n = 0; n < terms; ++n) {
      for (auto& one : all) self->send(one, first_atom::value);
    }
    for (auto& one : all)
      self->request(one, infinite, second_atom::value)
          .receive([&](double term) { found.push_back(term); }, [](error&) {});
    took += seconds_since(start);
    require(found == expected, "a series has another term");
  }
  return 10.0 * rounds * terms / took;
}

double banking(actor_system& system, double scale) {
  scoped_actor self{system};
  const int accounts = 1000;
  const auto [rounds, transactions] = rounds_of(scale, 8, 50'000);
  std::vector<actor> all;
  for (int i = 0; i < accounts; ++i) all.push_back(system.spawn(account));
  std::minstd_rand random(123456);
  auto start = now();
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < transactions; ++i) {
      const auto from = random() % (accounts / 10 * 8);  // always to an account behind it: no two wait for each other
      const auto to = from + 1 + random() % (accounts - from - 1);
      self->send(all[from], first_atom::value, static_cast<number>(random() % 1000), all[to], me(self));
    }
    all_done(self, transactions);
  }
  const double took = seconds_since(start);
  number money = 0;
  for (auto& one : all)
    self->request(one, infinite, total_atom::value).receive([&](number balance) { money += balance; }, [](error&) {});
  require(money == number{accounts} * 1'000'000, "money was lost or made");
  return static_cast<double>(rounds) * transactions / took;
}

}  // namespace savina
