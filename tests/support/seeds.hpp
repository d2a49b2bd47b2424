#pragma once
// Which seeds a simulated test runs.
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <vector>

namespace troupe::test {

// TROUPE_SEED=n: that one; TROUPE_SEEDS=n: 1 to n. Else 1 to `usual`, of which a sanitizer's build, many times as slow,
// runs two fifths. Those that have failed once run besides.
[[nodiscard]] inline std::vector<std::uint64_t> seeds(std::uint64_t usual,
                                                      std::initializer_list<std::uint64_t> failed_once = {}) {
  if (const char* one = std::getenv("TROUPE_SEED")) return {std::strtoull(one, nullptr, 10)};
#ifdef TROUPE_SANITIZED
  usual = usual * 2 / 5;
#endif
  if (const char* many = std::getenv("TROUPE_SEEDS")) usual = std::strtoull(many, nullptr, 10);
  std::vector<std::uint64_t> out;
  for (std::uint64_t seed = 1; seed <= usual; ++seed) out.push_back(seed);
  for (const std::uint64_t seed : failed_once) {
    if (seed > usual) out.push_back(seed);
  }
  return out;
}

}  // namespace troupe::test
