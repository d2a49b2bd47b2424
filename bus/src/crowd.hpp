#pragma once
// Those who have proved nothing yet: how many there may be, and who goes when one too many comes.
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include <troupe/time.hpp>

namespace troupe::bus::internal {

// There is room for `most`, for `most_of_one` from one source (0: no quota). Whoever comes is let in, and one goes at
// random: of his own source when that has its share, else of all. So a flood turns itself away first, and does not know
// whom it meets; and nobody who is quick is surely met. Owner: a hub or a transport; the loop's thread.
class crowd {
 public:
  crowd(std::size_t most, std::size_t most_of_one, random_source& random)
      : most_(most), most_of_one_(most_of_one), random_(random) {}

  // Who has to go before one from `source` comes; 0 for nobody.
  [[nodiscard]] std::uint64_t must_go(const std::string& source) const;
  [[nodiscard]] std::uint64_t any() const;  // at random; 0 when there is nobody
  void add(std::uint64_t id, const std::string& source);
  void remove(std::uint64_t id);
  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
  void clear();

 private:
  struct place {
    std::string source;
    std::size_t in_all, in_own;
  };
  [[nodiscard]] std::uint64_t one_of(const std::vector<std::uint64_t>& these) const;

  std::size_t most_, most_of_one_;
  random_source& random_;
  std::unordered_map<std::uint64_t, place> places_;
  std::vector<std::uint64_t> all_;
  std::unordered_map<std::string, std::vector<std::uint64_t>> own_;
};

}  // namespace troupe::bus::internal
