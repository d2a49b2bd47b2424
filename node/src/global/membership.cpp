#include "global/membership.hpp"

#include <algorithm>

namespace troupe::internal {

std::optional<partition_policy> parse_partition_policy(std::string_view word) noexcept {
  if (word == "islands") return partition_policy::islands;
  if (word == "keep") return partition_policy::keep;
  if (word == "quorum") return partition_policy::quorum;
  return std::nullopt;
}

std::string_view to_string(partition_policy policy) noexcept {
  switch (policy) {
    case partition_policy::islands: return "islands";
    case partition_policy::keep: return "keep";
    case partition_policy::quorum: return "quorum";
  }
  return "islands";
}

std::string member_id(std::string_view name, std::uint64_t creation) {
  return std::string(name) + "#" + std::to_string(creation);
}
std::string member_id(pid process) {
  const node_life* life = process.life();
  return life ? member_id(life->name, life->creation) : std::string();
}
std::string_view member_name(std::string_view id) noexcept { return id.substr(0, id.find('#')); }

std::uint64_t stable_hash(std::string_view text, std::uint64_t seed) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ull ^ seed;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  hash ^= hash >> 32;  // FNV mixes its upper bits badly
  hash *= 0xd6e8feb86659fd93ull;
  return hash ^ hash >> 32;
}

membership::membership(std::string self, partition_policy policy) : self_(std::move(self)), policy_(policy) {
  expected_.emplace(member_name(self_));
  refresh(time_point{});
}

void membership::start_over(time_point now) {
  excluded_.clear();
  overlapping_ = false;
  refresh(now);
}

void membership::up(const std::string& id, time_point now) {
  links_[id] = {};
  start_over(now);
}

void membership::down(const std::string& id, bool planned, time_point now) {
  if (links_.erase(id) == 0) return;
  if (planned) expected_.erase(std::string(member_name(id)));
  start_over(now);
}

void membership::heard(const std::string& from, member_row row, time_point now) {
  auto found = links_.find(from);
  if (found == links_.end()) return;
  peer& p = found->second;
  std::set<std::string> links(row.links.begin(), row.links.end());
  const bool moved = !p.row || links != p.links;
  p.links = std::move(links);
  p.wants = std::set<std::string>(row.wants.begin(), row.wants.end());
  row.links.clear();
  row.wants.clear();
  p.row = std::move(row);
  if (moved) start_over(now);
  else refresh(now);
}

// Of two members of the view, this node among them or not.
bool membership::mutual(const std::string& a, const std::string& b) const {
  auto wants = [this](const std::string& one, const std::string& other) {
    if (one == self_) return wants_.contains(other);
    auto found = links_.find(one);
    return found != links_.end() && found->second.wants.contains(other);
  };
  return wants(a, b) && wants(b, a);
}

void membership::refresh(time_point now) {
  std::set<std::string> wants, view{self_};
  for (const auto& [id, p] : links_) {
    if (excluded_.contains(id)) continue;
    wants.insert(id);
    if (p.row && p.wants.contains(self_)) view.insert(id);
  }
  std::uint64_t digest = 0;
  for (const std::string& id : view) digest = stable_hash(id, digest);
  if (number_ == 0 || wants != wants_ || view != view_) ++number_;
  wants_ = std::move(wants);
  view_ = std::move(view);
  digest_ = digest;

  // Who is connected and has not said yet what it sees may hold anything.
  bool overlapping = std::any_of(links_.begin(), links_.end(),
                                 [this](const auto& one) { return !one.second.row && !excluded_.contains(one.first); });
  confirmed_ = !overlapping;
  for (auto a = view_.begin(); a != view_.end(); ++a) {
    if (*a != self_ && links_.at(*a).row->view != digest_) confirmed_ = false;
  }
  for (auto a = view_.begin(); a != view_.end() && !confirmed_; ++a) {
    for (auto b = std::next(a); b != view_.end() && !overlapping; ++b) overlapping = !mutual(*a, *b);
  }
  if (overlapping && !overlapping_) {
    overlap_since_ = now;
    probed_ = false;
  }
  overlapping_ = overlapping && !confirmed_;
  if (confirmed_) {
    for (const std::string& id : view_) expected_.emplace(member_name(id));
  }
  majority_ = policy_ != partition_policy::quorum || view_.size() * 2 > expected_.size();
}

std::vector<std::string> membership::settle(time_point now) {
  std::vector<std::string> doubtful;
  if (!overlapping_) return doubtful;
  if (!probed_ && now >= deadline_after(overlap_since_, probe_after)) {
    probed_ = true;
    for (const std::string& id : view_) {
      const bool missed = std::any_of(view_.begin(), view_.end(), [&](const std::string& other) {
        return other != id && id != self_ && !mutual(id, other);
      });
      if (missed) doubtful.push_back(id);
    }
    for (const auto& [id, p] : links_) {
      if (!p.row) doubtful.push_back(id);
    }
  }
  if (policy_ == partition_policy::keep || now < deadline_after(overlap_since_, island_after)) return doubtful;
  std::vector<std::string> kept;
  std::set<std::string> out;
  for (const std::string& id : view_) {
    const bool fits = std::all_of(kept.begin(), kept.end(), [&](const std::string& k) { return mutual(k, id); });
    if (fits) kept.push_back(id);
    else out.insert(id);
  }
  for (const auto& [id, p] : links_) {
    if (!p.row) out.insert(id);
  }
  excluded_.insert(out.begin(), out.end());
  overlapping_ = false;
  refresh(now);
  return doubtful;
}

time_point membership::next() const noexcept {
  if (!overlapping_) return time_point::max();
  if (!probed_) return deadline_after(overlap_since_, probe_after);
  return policy_ == partition_policy::keep ? time_point::max() : deadline_after(overlap_since_, island_after);
}

std::vector<std::string> membership::links() const {
  std::vector<std::string> out;
  for (const auto& [id, p] : links_) out.push_back(id);
  return out;
}

std::uint64_t membership::number_of(const std::string& id) const {
  if (id == self_) return number_;
  auto found = links_.find(id);
  return found != links_.end() && found->second.row ? found->second.row->number : 0;
}

member_row membership::row() const {
  member_row out;
  out.number = number_;
  out.links = links();
  out.wants.assign(wants_.begin(), wants_.end());
  out.view = digest_;
  out.policy = to_string(policy_);
  return out;
}

std::string membership::arbiter(std::string_view key) const {
  const std::uint64_t hash = stable_hash(key);
  const std::string* best = &self_;
  std::uint64_t most = 0;
  for (const std::string& id : view_) {
    const std::uint64_t weight = stable_hash(id, hash);
    if (weight >= most) {
      most = weight;
      best = &id;
    }
  }
  return *best;
}

}  // namespace troupe::internal
