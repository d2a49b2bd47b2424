#pragma once
// What is held in the cluster, names and locks alike, as this node knows it: the claims of each member, which the
// member itself tells. A claim belongs to the life of the node where its holder lives and goes with it.
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <troupe/message.hpp>

#include "global/membership.hpp"
#include "runtime/text_hash.hpp"

namespace troupe::internal {

struct claim {
  bool lock = false;  // else a name
  value name;         // or the lock's resource
  pid holder;
  std::uint64_t number = 0;  // its owner's, never given again in that life
  std::int64_t stamp = 0;    // when it was granted, by its owner's wall clock, in microseconds
  std::string resolver;      // of a name
  value requester;           // of a lock
  std::int64_t fence = 0;    // of a lock
  std::string over_owner;    // of a name that was moved: the claim whose place this one takes
  std::uint64_t over = 0;
  TROUPE_FIELDS(claim, lock, name, holder, number, stamp, resolver, requester, fence, over_owner, over)
};

// What tells names and locks apart in one table, the same on every node; of a name as global::name::key gives it.
[[nodiscard]] std::string claim_key(bool lock, const value& name);
using detail::name_in_key;

// Not thread-safe: its owner's mutex guards it.
class claim_table {
 public:
  struct held {
    std::string owner;  // member_id
    claim what;
  };
  using row = std::vector<held>;

  void put(const std::string& owner, claim what);  // one for each owner and key: the older goes
  bool erase(const std::string& owner, const std::string& key, std::uint64_t number);
  std::vector<std::string> purge(const std::string& owner);  // the keys that it held

  [[nodiscard]] const row* at(std::string_view key) const;
  // Those whose owners are members, oldest first; without those whose place another has taken.
  [[nodiscard]] std::vector<held> of_members(std::string_view key, const membership& members) const;
  // The first of those, without a copy; nullptr.
  [[nodiscard]] const claim* oldest_of_members(std::string_view key, const membership& members) const;
  // The ones that were left out for that.
  [[nodiscard]] std::vector<held> replaced(const std::string& key, const membership& members) const;
  using table = std::unordered_map<std::string, row, text_hash, std::equal_to<>>;
  [[nodiscard]] const table& all() const noexcept { return keys_; }
  [[nodiscard]] const std::set<std::string>& crowded() const noexcept { return crowded_; }  // held more than once
  [[nodiscard]] std::vector<claim> of(const std::string& owner) const;

 private:
  void count(const std::string& key);
  table keys_;
  std::map<std::string, std::set<std::string>> by_owner_;
  std::set<std::string> crowded_;
};

}  // namespace troupe::internal
