#include "crowd.hpp"

#include <troupe/expect.hpp>

namespace troupe::bus::internal {

std::uint64_t crowd::one_of(const std::vector<std::uint64_t>& these) const {
  return these.empty() ? 0 : these[static_cast<std::size_t>(random_.below(these.size()))];
}

std::uint64_t crowd::must_go(const std::string& source) const {
  if (most_of_one_ != 0) {
    const auto own = own_.find(source);
    if (own != own_.end() && own->second.size() >= most_of_one_) return one_of(own->second);
  }
  return all_.size() >= most_ ? any() : 0;
}

std::uint64_t crowd::any() const { return one_of(all_); }

void crowd::add(std::uint64_t id, const std::string& source) {
  std::vector<std::uint64_t>& own = own_[source];
  places_.insert_or_assign(id, place{source, all_.size(), own.size()});
  all_.push_back(id);
  own.push_back(id);
}

void crowd::remove(std::uint64_t id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return;
  const place gone = std::move(found->second);
  places_.erase(found);
  const auto own = own_.find(gone.source);
  TROUPE_EXPECT(own != own_.end() && gone.in_own < own->second.size() && own->second[gone.in_own] == id, "id", id,
                "source", gone.source, "in_own", gone.in_own);
  TROUPE_EXPECT(gone.in_all < all_.size() && all_[gone.in_all] == id, "id", id, "in_all", gone.in_all, "all",
                all_.size());
  // The last one takes the place of who goes.
  if (all_.back() != id) places_.at(all_[gone.in_all] = all_.back()).in_all = gone.in_all;
  all_.pop_back();
  std::vector<std::uint64_t>& its = own->second;
  if (its.back() != id) places_.at(its[gone.in_own] = its.back()).in_own = gone.in_own;
  its.pop_back();
  if (its.empty()) own_.erase(own);
}

void crowd::clear() {
  places_.clear();
  all_.clear();
  own_.clear();
}

}  // namespace troupe::bus::internal
