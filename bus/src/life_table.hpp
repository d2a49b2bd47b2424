#pragma once
// The table behind `intern_life`.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

#include <troupe/ids.hpp>

namespace troupe::internal {

// Lives by name and creation. When all slots are taken, a clock hand looks for a life that is neither held nor was
// seen again since it last came by: most tools' are met once. Lives of nodes that were connected are spared as long as
// there is any other, so that their pids print and compare as they did, whatever crowd comes by. What it takes out is
// freed only after as many more were taken out, so that who has just looked a life up can read it without a lock.
// Owner: the process (one, never destroyed), or a test. Thread-safe.
class life_table {
 public:
  static constexpr std::size_t most = life_limit;
  explicit life_table(std::size_t limit) : limit_(limit) {}
  ~life_table();
  life_table(const life_table&) = delete;
  life_table& operator=(const life_table&) = delete;

  [[nodiscard]] result<const node_life*> intern(std::string_view name, std::uint64_t creation, bool hold = false);
  void release(const node_life* life) noexcept;
  void spare(const node_life* life) noexcept;
  [[nodiscard]] const node_life* find(std::uint64_t key) const noexcept;  // without a lock
  void seen(const node_life* life) noexcept;                              // without a lock

 private:
  struct entry : node_life {
    std::size_t held = 0;
    bool spared = false;
    std::atomic<bool> seen{false};
  };
  struct name_and_creation {
    std::string_view name;  // the entry's own
    std::uint64_t creation;
    friend bool operator==(const name_and_creation&, const name_and_creation&) = default;
  };
  struct hash {
    std::size_t operator()(const name_and_creation& k) const noexcept {
      return std::hash<std::string_view>{}(k.name) ^ (k.creation * 0x9e3779b97f4a7c15ull);
    }
  };
  using chunk = std::array<std::atomic<entry*>, 256>;  // made when first needed: a node that knows few lives is small

  [[nodiscard]] std::atomic<entry*>* slot(std::size_t index);
  [[nodiscard]] result<std::size_t> free_slot();
  [[nodiscard]] std::optional<std::size_t> forget_one(bool spared_too);

  const std::size_t limit_;
  std::mutex mutex_;
  std::unordered_map<name_and_creation, entry*, hash> lives_;
  std::size_t hand_ = 0;
  std::uint64_t made_ = 0;
  std::deque<std::unique_ptr<entry>> forgotten_;
  std::size_t spared_ = 0;
  std::array<std::atomic<chunk*>, most / std::tuple_size_v<chunk>> chunks_{};
};

// In the program's own table: of a node that is connected. A life that finds no slot is not kept.
void spare_life(std::string_view name, std::uint64_t creation);

}  // namespace troupe::internal
