#pragma once
// The table behind `intern_life`.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <unordered_set>

#include <troupe/ids.hpp>

namespace troupe::internal {

// Lives by name and creation; an entry stays where it is as long as the table. Owner: the process (one, never
// destroyed), or a test. Thread-safe.
class life_table {
 public:
  explicit life_table(std::size_t limit) : limit_(limit) {}
  [[nodiscard]] result<const node_life*> intern(std::string_view name, std::uint64_t creation);

 private:
  struct key {
    std::string_view name;
    std::uint64_t creation;
    key(std::string_view n, std::uint64_t c) : name(n), creation(c) {}
    key(const node_life& life) : name(life.name), creation(life.creation) {}
  };
  struct hash {
    using is_transparent = void;
    std::size_t operator()(const key& k) const noexcept {
      return std::hash<std::string_view>{}(k.name) ^ (k.creation * 0x9e3779b97f4a7c15ull);
    }
  };
  struct equal {
    using is_transparent = void;
    bool operator()(const key& a, const key& b) const noexcept { return a.creation == b.creation && a.name == b.name; }
  };

  const std::size_t limit_;
  std::mutex mutex_;
  std::unordered_set<node_life, hash, equal> lives_;  // by node: addresses do not move
};

}  // namespace troupe::internal
