#include "global/claims.hpp"

#include <algorithm>
#include <tuple>

#include <troupe/expect.hpp>

namespace troupe::internal {

std::string claim_key(bool lock, const value& name) {
  const bytes packed = to_wire(name);
  std::string out(1, lock ? 'l' : 'n');
  out.append(reinterpret_cast<const char*>(packed.data()), packed.size());
  return out;
}

void claim_table::put(const std::string& owner, claim what) {
  const std::string key = claim_key(what.lock, what.name);
  row& all = keys_[key];
  auto mine = std::find_if(all.begin(), all.end(), [&owner](const held& one) { return one.owner == owner; });
  if (mine != all.end()) mine->what = std::move(what);
  else all.push_back({owner, std::move(what)});
  by_owner_[owner].insert(key);
  count(key);
}

bool claim_table::erase(const std::string& owner, const std::string& key, std::uint64_t number) {
  auto found = keys_.find(key);
  if (found == keys_.end()) return false;
  const auto gone = std::erase_if(
      found->second, [&](const held& one) { return one.owner == owner && (number == 0 || one.what.number == number); });
  if (gone == 0) return false;
  auto owned = by_owner_.find(owner);
  TROUPE_EXPECT(owned != by_owner_.end(), "owner", owner);  // `put` enters a claim in both tables
  owned->second.erase(key);
  if (owned->second.empty()) by_owner_.erase(owned);
  if (found->second.empty()) keys_.erase(found);
  count(key);
  return true;
}

std::vector<std::string> claim_table::purge(const std::string& owner) {
  auto owned = by_owner_.find(owner);
  if (owned == by_owner_.end()) return {};
  const std::vector<std::string> keys(owned->second.begin(), owned->second.end());
  for (const std::string& key : keys) erase(owner, key, 0);
  return keys;
}

void claim_table::count(const std::string& key) {
  auto found = keys_.find(key);
  if (found != keys_.end() && found->second.size() > 1) crowded_.insert(key);
  else crowded_.erase(key);
}

const claim_table::row* claim_table::at(std::string_view key) const {
  auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &found->second;
}

namespace {

bool is_replaced(const claim_table::held& one, const claim_table::row& all, const membership& members) {
  return std::any_of(all.begin(), all.end(), [&](const claim_table::held& other) {
    return other.what.over != 0 && other.what.over == one.what.number && other.what.over_owner == one.owner &&
           members.has(other.owner);
  });
}

bool counts(const claim_table::held& one, const claim_table::row& all, const membership& members) {
  return members.has(one.owner) && !is_replaced(one, all, members);
}

bool is_older(const claim_table::held& a, const claim_table::held& b) {
  return std::tie(a.what.stamp, a.owner) < std::tie(b.what.stamp, b.owner);
}

}  // namespace

std::vector<claim_table::held> claim_table::of_members(std::string_view key, const membership& members) const {
  std::vector<held> out;
  if (const row* all = at(key)) {
    for (const held& one : *all) {
      if (counts(one, *all, members)) out.push_back(one);
    }
  }
  std::sort(out.begin(), out.end(), is_older);
  return out;
}

const claim* claim_table::oldest_of_members(std::string_view key, const membership& members) const {
  const held* best = nullptr;
  if (const row* all = at(key)) {
    for (const held& one : *all) {
      if (counts(one, *all, members) && (!best || is_older(one, *best))) best = &one;
    }
  }
  return best ? &best->what : nullptr;
}

std::vector<claim_table::held> claim_table::replaced(const std::string& key, const membership& members) const {
  std::vector<held> out;
  if (const row* all = at(key)) {
    for (const held& one : *all) {
      if (members.has(one.owner) && is_replaced(one, *all, members)) out.push_back(one);
    }
  }
  return out;
}

std::vector<claim> claim_table::of(const std::string& owner) const {
  std::vector<claim> out;
  auto owned = by_owner_.find(owner);
  if (owned == by_owner_.end()) return out;
  for (const std::string& key : owned->second) {
    const row* all = at(key);
    TROUPE_EXPECT(all != nullptr, "owner", owner, "key", key);
    for (const held& one : *all) {
      if (one.owner == owner) out.push_back(one.what);
    }
  }
  return out;
}

}  // namespace troupe::internal
