#pragma once
// The programs of Savina (Imam and Sarkar 2014; README.md) in Troupe, one function each, in three files. Each runs in
// a process of its own, makes the processes that the program is about, checks what came out, and returns how much of it
// was done a second.
#include <troupe/process.hpp>
#include <troupe/spawn.hpp>

#include "savina_results.hpp"

namespace savina {

// What several of them say.
struct Total {
  std::int64_t total = 0;
  TROUPE_MESSAGE(Total, "total", total)
};
struct Done {
  TROUPE_MESSAGE(Done, "done")
};
struct Stop {
  TROUPE_MESSAGE(Stop, "stop")
};

// Adds up the totals that so many processes send.
inline troupe::task<std::int64_t> sum_of(troupe::process& self, int senders) {
  std::int64_t sum = 0;
  for (; senders > 0; --senders) sum += (co_await self.receive<Total>(troupe::wait_forever)).or_exit().total;
  co_return sum;
}

// savina_bench.cpp: little but messages
troupe::task<double> counting(troupe::process& self, double scale);
troupe::task<double> fork_join(troupe::process& self, double scale);
troupe::task<double> fork_join_create(troupe::process& self, double scale);
troupe::task<double> big(troupe::process& self, double scale);
troupe::task<double> chameneos(troupe::process& self, double scale);
// savina_shared.cpp: many at what one process holds
troupe::task<double> dictionary(troupe::process& self, double scale);
troupe::task<double> bounded_buffer(troupe::process& self, double scale);
troupe::task<double> philosophers(troupe::process& self, double scale);
troupe::task<double> logistic_map(troupe::process& self, double scale);
troupe::task<double> banking(troupe::process& self, double scale);
// savina_spread.cpp: work that is spread over many
troupe::task<double> fib(troupe::process& self, double scale);
troupe::task<double> sieve(troupe::process& self, double scale);
troupe::task<double> quicksort(troupe::process& self, double scale);
troupe::task<double> skynet(troupe::process& self, double scale);
troupe::task<double> group_broadcast(troupe::process& self, double scale);
troupe::task<double> slow_consumer(troupe::process& self, double scale);

}  // namespace savina
