#include "global/membership.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

#include <troupe/expect.hpp>

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

void slot_set::insert(std::size_t slot) {
  if (slot / 64 >= words_.size()) words_.resize(slot / 64 + 1);
  words_[slot / 64] |= std::uint64_t{1} << slot % 64;
}

void slot_set::erase(std::size_t slot) noexcept {
  if (slot / 64 >= words_.size()) return;
  words_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
  while (!words_.empty() && words_.back() == 0) words_.pop_back();
}

bool slot_set::contains(std::size_t slot) const noexcept {
  return slot / 64 < words_.size() && (words_[slot / 64] >> slot % 64 & 1) != 0;
}

bool slot_set::includes(const slot_set& others, std::size_t but) const noexcept {
  for (std::size_t i = 0; i < others.words_.size(); ++i) {
    std::uint64_t missing = others.words_[i] & ~(i < words_.size() ? words_[i] : 0);
    if (but / 64 == i) missing &= ~(std::uint64_t{1} << but % 64);
    if (missing != 0) return false;
  }
  return true;
}

membership::membership(std::string self, partition_policy policy)
    : self_(std::move(self)), own_hash_(stable_hash(self_)), policy_(policy) {
  expected_.emplace(member_name(self_));
  refresh(time_point{});
}

void membership::start_over(time_point now) {
  for (auto& [id, p] : links_) p.left_out = false;
  overlapping_ = false;
  ++changes_;
  refresh(now);
}

bool membership::wanted_by(const peer& p, std::uint64_t hash) {
  return std::ranges::binary_search(p.row->links, hash) && !std::ranges::binary_search(p.row->left_out, hash);
}

void membership::up(const std::string& id, time_point now) {
  auto [at, added] = links_.try_emplace(id);
  peer fresh;
  fresh.hash = stable_hash(id);
  fresh.slot = at->second.slot;
  if (added) {
    for (fresh.slot = 0; slots_.contains(fresh.slot);) ++fresh.slot;
    slots_.insert(fresh.slot);
    for (auto& [other, p] : links_) {
      if (p.row && wanted_by(p, fresh.hash)) p.wants.insert(fresh.slot);
    }
  }
  at->second = std::move(fresh);
  start_over(now);
}

void membership::down(const std::string& id, bool planned, time_point now) {
  auto found = links_.find(id);
  if (found == links_.end()) return;
  slots_.erase(found->second.slot);
  for (auto& [other, p] : links_) p.wants.erase(found->second.slot);
  links_.erase(found);
  if (planned) expected_.erase(std::string(member_name(id)));
  start_over(now);
}

void membership::heard(const std::string& from, member_row row, time_point now) {
  auto found = links_.find(from);
  if (found == links_.end()) return;
  peer& p = found->second;
  for (auto* lives : {&row.links, &row.left_out}) {
    if (!std::ranges::is_sorted(*lives)) std::ranges::sort(*lives);
  }
  const bool moved = !p.row || row.links != p.row->links;
  if (moved && p.row) {
    for (auto& [id, other] : links_) {
      const bool lost =
          std::ranges::binary_search(p.row->links, other.hash) && !std::ranges::binary_search(row.links, other.hash);
      other.lost_somewhere = other.lost_somewhere || lost;
    }
  }
  const bool same = !moved && row.left_out == p.row->left_out;
  p.row = std::move(row);
  p.sum = std::accumulate(p.row->links.begin(), p.row->links.end(), p.hash);
  if (!same) {
    p.wants = {};
    p.wants_us = wanted_by(p, own_hash_);
    for (const auto& [id, other] : links_) {
      if (wanted_by(p, other.hash)) p.wants.insert(other.slot);
    }
  }
  if (moved) start_over(now);
  else refresh(now);
}

void membership::refresh(time_point now) {
  slot_set wants, view;
  bool silent = false;  // who is connected and has not said yet what it sees may hold anything
  for (const auto& [id, p] : links_) {
    if (p.left_out) continue;
    wants.insert(p.slot);
    if (!p.row) silent = true;
    else if (p.wants_us) view.insert(p.slot);
  }
  const bool moved = number_ == 0 || wants != wants_ || view != view_slots_;
  if (moved) {
    ++number_;
    wants_ = std::move(wants);
    view_slots_ = std::move(view);
    view_ = {self_};
    for (const auto& [id, p] : links_) {
      if (view_slots_.contains(p.slot)) view_.insert(id);
    }
    digest_ = 0;
    for (const std::string& id : view_) digest_ = stable_hash(id, digest_);
  }
  confirmed_ = !silent;
  bool overlapping = silent;
  for (const auto& [id, p] : links_) {
    if (!view_slots_.contains(p.slot)) continue;
    TROUPE_EXPECT(p.row.has_value(), "member", id, "slot", p.slot);  // who is of the view has said so
    if (p.row->view != digest_) confirmed_ = false;
  }
  // All of the view want each other, when each wants all others.
  for (auto one = links_.begin(); one != links_.end() && !confirmed_ && !overlapping; ++one) {
    const peer& p = one->second;
    overlapping = view_slots_.contains(p.slot) && !p.wants.includes(view_slots_, p.slot);
  }
  if (overlapping && !overlapping_) {
    overlap_since_ = now;
    probed_ = probing::none;
  }
  overlapping_ = overlapping && !confirmed_;
  if (confirmed_ || overlapping_) lag_since_ = time_point::max();
  else if (moved || lag_since_ == time_point::max()) lag_since_ = now;
  if (confirmed_) {
    for (const std::string& id : view_) expected_.emplace(member_name(id));
    for (auto& [id, p] : links_) p.lost_somewhere = false;
  }
  majority_ = policy_ != partition_policy::quorum || view_.size() * 2 > expected_.size();
}

// All are connected to all, and still somebody has not told that it sees this view: its node lives, and the process
// that would say so does not run. It is taken for one that has said nothing.
void membership::forget_rows_of_mute(time_point now) {
  if (policy_ == partition_policy::keep || lag_since_ == time_point::max() ||
      now < deadline_after(lag_since_, mute_after)) {
    return;
  }
  for (auto& [id, p] : links_) {
    if (!view_slots_.contains(p.slot) || p.row->view == digest_) continue;
    p.row.reset();
    p.wants = {};
    p.wants_us = false;
  }
  refresh(now);
}

std::vector<std::string> membership::settle(time_point now) {
  std::vector<std::string> doubtful;
  forget_rows_of_mute(now);
  if (!overlapping_) return doubtful;
  const bool late = now >= deadline_after(overlap_since_, island_after);
  const probing due = late                                                 ? probing::all
                      : now >= deadline_after(overlap_since_, probe_after) ? probing::lost
                                                                           : probing::none;
  if (due > probed_) {
    probed_ = due;
    for (auto& [id, p] : links_) {
      const bool missed =
          view_slots_.contains(p.slot) && std::any_of(links_.begin(), links_.end(), [this, &p = p](const auto& other) {
            return view_slots_.contains(other.second.slot) && !mutual(p, other.second);
          });
      if (late ? missed || !p.row : missed && p.lost_somewhere) doubtful.push_back(id);
      p.lost_somewhere = false;
    }
  }
  if (policy_ == partition_policy::keep || !late) return doubtful;
  std::vector<peer*> kept;
  for (auto& [id, p] : links_) {  // by name
    if (!p.row) p.left_out = true;
    if (!view_slots_.contains(p.slot)) continue;
    const bool fits = std::all_of(kept.begin(), kept.end(), [&p = p](const peer* k) { return mutual(*k, p); });
    if (fits) kept.push_back(&p);
    else p.left_out = true;
  }
  overlapping_ = false;
  refresh(now);
  return doubtful;
}

time_point membership::next() const noexcept {
  if (!overlapping_) {
    const bool waits = policy_ != partition_policy::keep && lag_since_ != time_point::max();
    return waits ? deadline_after(lag_since_, mute_after) : time_point::max();
  }
  if (probed_ == probing::none) return deadline_after(overlap_since_, probe_after);
  const bool over = policy_ == partition_policy::keep && probed_ == probing::all;
  return over ? time_point::max() : deadline_after(overlap_since_, island_after);
}

std::uint64_t membership::number_of(const std::string& id) const {
  if (id == self_) return number_;
  auto found = links_.find(id);
  return found != links_.end() && found->second.row ? found->second.row->number : 0;
}

member_row membership::row() const {
  member_row out;
  out.number = number_;
  for (const auto& [id, p] : links_) {
    out.links.push_back(p.hash);
    if (p.left_out) out.left_out.push_back(p.hash);
  }
  std::ranges::sort(out.links);
  std::ranges::sort(out.left_out);
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

std::vector<std::string> membership::differing() const {
  std::uint64_t sum = own_hash_;
  for (const auto& [id, p] : links_) sum += p.hash;
  std::vector<std::string> out;
  for (const auto& [id, p] : links_) {
    if (p.row && p.sum != sum) out.push_back(id);
  }
  return out;
}

membership::difference membership::difference_from(const std::string& id) const {
  difference out;
  auto found = links_.find(id);
  if (found == links_.end() || !found->second.row) return out;
  const std::vector<std::uint64_t>& theirs = found->second.row->links;
  std::vector<std::uint64_t> ours{own_hash_};
  if (!std::ranges::binary_search(theirs, own_hash_)) out.only_here.push_back(self_);
  for (const auto& [other, p] : links_) {
    ours.push_back(p.hash);
    if (other != id && !std::ranges::binary_search(theirs, p.hash)) out.only_here.push_back(other);
  }
  std::ranges::sort(ours);
  std::ranges::set_difference(theirs, ours, std::back_inserter(out.only_there));
  return out;
}

}  // namespace troupe::internal
