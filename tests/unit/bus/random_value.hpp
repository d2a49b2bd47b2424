#pragma once
// Values of every type and every size class of the wire, from a seed that the failing test prints.
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include <troupe/time.hpp>
#include <troupe/value.hpp>

namespace troupe::testing_bus {

// The seed of this run, or of the one to be replayed: TROUPE_SEED=… .
inline std::uint64_t test_seed() {
  if (const char* given = std::getenv("TROUPE_SEED")) return std::strtoull(given, nullptr, 10);
  static const std::uint64_t drawn = system_random()->next();
  return drawn;
}

class value_maker {
 public:
  explicit value_maker(std::uint64_t seed) : random_(seeded_random(seed)) {}

  value make(int depth = 4) {
    switch (random_->below(depth > 0 ? 13 : 11)) {
      case 0: return value();
      case 1: return value(random_->below(2) == 1);
      case 2: return value(static_cast<std::int64_t>(number()));
      case 3: return value(number());
      case 4: return value(real());
      case 5:
      case 6: return value(text());
      case 7: return value(data());
      case 8: return value(pid(life(), number()));
      case 9: return value(ref(life(), number()));
      case 10: return value(extension{ext_type(), data()});
      case 11: return value(items(depth));
      default: return value(entries(depth));
    }
  }

  std::uint64_t number() {  // every width is as likely as any other
    return random_->next() >> random_->below(64);
  }
  std::string text() {
    std::string made(size(), ' ');
    random_->fill(std::as_writable_bytes(std::span(made)));
    return made;
  }
  bytes data() {
    bytes made(size());
    random_->fill(made);
    return made;
  }

 private:
  std::size_t size() {
    static constexpr std::size_t edges[] = {0, 1, 2, 4, 8, 15, 16, 31, 32, 255, 256, 65535, 65536};
    const bool edge = random_->below(8) == 0;
    return edge ? edges[random_->below(std::size(edges))] : random_->below(40);
  }
  double real() {
    static constexpr double edges[] = {0.0, -0.0, 1.0, -1.0, 1e300, 5e-324, std::numeric_limits<double>::infinity()};
    if (random_->below(2) == 0) return edges[random_->below(std::size(edges))];
    return static_cast<double>(static_cast<std::int64_t>(number())) / 8;
  }
  std::int8_t ext_type() {
    const auto type = static_cast<std::int8_t>(random_->below(256));
    return type == 1 || type == 2 ? std::int8_t{-1} : type;
  }
  const node_life* life() {
    if (random_->below(8) == 0) return nullptr;
    return *intern_life("n" + std::to_string(random_->below(5)) + "@host",
                        random_->below(3) + (random_->below(2) << 60));
  }
  list items(int depth) {
    list made;
    for (std::uint64_t n = random_->below(20); n > 0; --n) made.push_back(make(depth - 1));
    return made;
  }
  map entries(int depth) {
    map made;
    for (std::uint64_t n = random_->below(20); n > 0; --n)
      made.emplace_back(make(random_->below(9) == 0 ? 1 : 0), make(depth - 1));
    return made;
  }

  std::shared_ptr<random_source> random_;
};

}  // namespace troupe::testing_bus
