#pragma once
// What Savina's programs compute, and what has to come out: the same for Troupe's and CAF's.
#include <cstdint>
#include <stdexcept>

#include "support.hpp"

namespace savina {

// A wrong result is no figure: it ends the program with an error.
inline void require(bool right, const char* what) {
  if (!right) throw std::logic_error(std::string("wrong result: ") + what);
}

// So many rounds of so much each. A smaller scale takes rounds away, then makes the one that is left smaller.
struct amount {
  int rounds, each;
};
inline amount rounds_of(double scale, int rounds, int each) {
  return {bench::scaled(scale, rounds), bench::scaled(std::min(1.0, scale * rounds), each)};
}

// Whom it meets keeps its colour if it is the same; of two different ones both become the third.
inline std::int64_t complement(std::int64_t mine, std::int64_t other) {
  return mine == other ? mine : 3 - mine - other;
}
constexpr std::int64_t dictionary_keys = INT32_MAX / 4096;
// The logistic map.
inline double next_term(double rate, double term) { return rate * term * (1 - term); }
inline std::int64_t primes_below(int limit) {
  std::vector<char> crossed(static_cast<std::size_t>(limit));
  std::int64_t found = 0;
  for (std::size_t number = 2; number < crossed.size(); ++number) {
    if (crossed[number]) continue;
    ++found;
    for (std::size_t multiple = number * 2; multiple < crossed.size(); multiple += number) crossed[multiple] = 1;
  }
  return found;
}

// What the slow consumer does with its state for each message, and what it has after so many.
constexpr int load_steps = 50;
constexpr std::int64_t modulus = 2'147'483'647, factor = 16'807;  // of the generator of Park and Miller
inline std::int64_t loaded(std::int64_t state) {
  for (int i = 0; i < load_steps; ++i) state = state * factor % modulus;
  return state;
}
inline std::int64_t slow_result(std::int64_t count) {
  std::int64_t result = 1, power = factor;
  for (std::int64_t left = count * load_steps; left > 0; left /= 2) {
    if (left % 2 == 1) result = result * power % modulus;
    power = power * power % modulus;
  }
  return result;
}

}  // namespace savina
