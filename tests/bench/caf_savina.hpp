#pragma once
// Savina's programs in CAF 0.17: event-based actors, as a user of CAF writes them. One function each, in three files;
// each checks what came out, and returns how much was done a second.
#include <caf/all.hpp>

#include "savina_results.hpp"

namespace savina {

using namespace caf;
using bench::now, bench::scaled, bench::seconds_since;
using number = std::int64_t;

using total_atom = atom_constant<atom("total")>;
using done_atom = atom_constant<atom("done")>;
using stop_atom = atom_constant<atom("stop")>;
using first_atom = atom_constant<atom("first")>;    // the first message of a kind, and the second: what they are about
using second_atom = atom_constant<atom("second")>;  // is said where they are taken

inline number sum_of(scoped_actor& self, int senders) {
  number sum = 0;
  for (; senders > 0; --senders) self->receive([&](total_atom, number total) { sum += total; });
  return sum;
}
inline void all_done(scoped_actor& self, int senders) {
  for (; senders > 0; --senders) self->receive([](done_atom) {});
}
inline actor me(scoped_actor& self) { return actor_cast<actor>(self); }

// caf_savina.cpp
double counting(actor_system& system, double scale);
double fork_join(actor_system& system, double scale);
double fork_join_create(actor_system& system, double scale);
double big(actor_system& system, double scale);
double chameneos(actor_system& system, double scale);
// caf_savina_shared.cpp
double dictionary(actor_system& system, double scale);
double bounded_buffer(actor_system& system, double scale);
double philosophers(actor_system& system, double scale);
double logistic_map(actor_system& system, double scale);
double banking(actor_system& system, double scale);
// caf_savina_spread.cpp
double fib(actor_system& system, double scale);
double sieve(actor_system& system, double scale);
double quicksort(actor_system& system, double scale);
double skynet(actor_system& system, double scale);
double slow_consumer(actor_system& system, double scale);

}  // namespace savina
