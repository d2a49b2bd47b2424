#pragma once
// Who is here: the lives that this node is connected to, which of them agree with it about that, and who decides a key.
//
// Design notes
// * Each node tells all others its row: whom it is connected to (`links`), whom of those it counts out (`left_out`;
//   it wants the rest), and a digest of its view. The view is those who want each other; it is confirmed when every
//   member has announced the very same one. Rows of a connection arrive in order with everything else the node says, so
//   whoever sees a row has seen what that node held when it wrote it.
// * While a mesh of n forms, each node hears up to n rows from each of the others, with n lives in each. So a row has
//   their hashes, and a link has a number here, its slot: who wants whom is kept as sets of those.
// * Views overlap when two members of one do not want each other, or when somebody is connected and has told no row
//   yet. After `probe_after` those whom somebody has lost are asked for a sign of life, so that a dead one is lost here
//   soon too (and not all, or many nodes that meet on a busy machine would cut each other off for being slow). After
//   `island_after` all in doubt are asked and, unless the policy is `keep`, this node counts out, going by name, who is
//   not wanted by all before it. Connections stay; only names and locks part.
// * A member that is seen by all and does not tell, for `mute_after`, that it sees the same view is taken for one that
//   has told nothing: its node lives, and the process that tells does not run. Not by the policy `keep`.
// * Whoever is counted out is counted in again as soon as anybody's links change; then it starts over.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/message.hpp>
#include <troupe/node.hpp>
#include <troupe/time.hpp>

namespace troupe::internal {

[[nodiscard]] std::optional<partition_policy> parse_partition_policy(std::string_view word) noexcept;
[[nodiscard]] std::string_view to_string(partition_policy policy) noexcept;

// A life as text, "name@host#creation": sorts by name.
[[nodiscard]] std::string member_id(std::string_view name, std::uint64_t creation);
[[nodiscard]] std::string member_id(pid process);  // of the life that it belongs to
[[nodiscard]] std::string_view member_name(std::string_view id) noexcept;

// The same on every node.
[[nodiscard]] std::uint64_t stable_hash(std::string_view text, std::uint64_t seed = 0) noexcept;

// What a node tells of itself. `number` grows with every change of the rest, but for the fence.
struct member_row {
  std::uint64_t number = 0;
  std::vector<std::uint64_t> links, left_out;  // `stable_hash` of each life, sorted
  std::uint64_t view = 0;
  std::int64_t fence = 0;  // the greatest fencing number it knows of
  std::string policy;
  TROUPE_MESSAGE(member_row, "global.view", number, links, left_out, view, fence, policy)
};

// Small numbers.
class slot_set {
 public:
  void insert(std::size_t slot);
  void erase(std::size_t slot) noexcept;
  [[nodiscard]] bool contains(std::size_t slot) const noexcept;
  // Whether all of `others` are here, but for one that need not.
  [[nodiscard]] bool includes(const slot_set& others, std::size_t but) const noexcept;
  friend bool operator==(const slot_set&, const slot_set&) = default;

 private:
  std::vector<std::uint64_t> words_;  // the last is not 0
};

// Not thread-safe: its owner's mutex guards it.
class membership {
 public:
  static constexpr duration probe_after = std::chrono::milliseconds(200);
  static constexpr duration probe_patience = std::chrono::seconds(1);
  static constexpr duration island_after = std::chrono::seconds(3);
  static constexpr duration mute_after = std::chrono::seconds(10);  // far more than a mesh takes to agree

  membership(std::string self, partition_policy policy);

  void up(const std::string& id, time_point now);
  void down(const std::string& id, bool planned, time_point now);
  void heard(const std::string& from, member_row row, time_point now);

  // Acts on overlaps that last. Who should be probed is told once for each overlap.
  [[nodiscard]] std::vector<std::string> settle(time_point now);
  [[nodiscard]] time_point next() const noexcept;  // when `settle` has something to do

  [[nodiscard]] const std::string& self() const noexcept { return self_; }
  [[nodiscard]] partition_policy policy() const noexcept { return policy_; }
  [[nodiscard]] const std::set<std::string>& view() const noexcept { return view_; }  // with this node
  [[nodiscard]] bool has(const std::string& id) const { return view_.contains(id); }
  [[nodiscard]] std::uint64_t digest() const noexcept { return digest_; }
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] std::uint64_t number_of(const std::string& id) const;  // of the last row heard; of this node: its own
  [[nodiscard]] member_row row() const;                                // without the fence
  [[nodiscard]] bool confirmed() const noexcept { return confirmed_; }
  [[nodiscard]] bool may_grant() const noexcept { return confirmed_ && majority_; }
  [[nodiscard]] std::string arbiter(std::string_view key) const;  // a member of the view

  // Grows with every change of whom anybody is connected to.
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  // Who has told that it is connected to others than this node is.
  [[nodiscard]] std::vector<std::string> differing() const;
  struct difference {
    std::vector<std::string> only_here;     // this node itself, too
    std::vector<std::uint64_t> only_there;  // by their hashes
  };
  [[nodiscard]] difference difference_from(const std::string& id) const;

 private:
  struct peer {
    std::uint64_t hash = 0;
    std::size_t slot = 0;
    bool left_out = false;  // here
    std::optional<member_row> row;
    std::uint64_t sum = 0;  // of the hashes of the row's links and of its own
    slot_set wants;         // by the row: of the links that this node has too
    bool wants_us = false;
    bool lost_somewhere = false;  // somebody was connected to it and is no more
  };
  void refresh(time_point now);
  void start_over(time_point now);
  void forget_rows_of_mute(time_point now);
  [[nodiscard]] static bool wanted_by(const peer& p, std::uint64_t hash);
  // Of two links.
  [[nodiscard]] static bool mutual(const peer& a, const peer& b) {
    return &a == &b || (a.wants.contains(b.slot) && b.wants.contains(a.slot));
  }

  std::string self_;
  std::uint64_t own_hash_;
  partition_policy policy_;
  std::map<std::string, peer> links_;
  std::set<std::string> view_;
  slot_set slots_, view_slots_, wants_;          // of the links: in use, of the view, not left out
  std::set<std::string, std::less<>> expected_;  // names, by which a majority is counted
  std::uint64_t digest_ = 0, number_ = 0, changes_ = 0;
  bool confirmed_ = true, majority_ = true, overlapping_ = false;
  enum class probing { none, lost, all } probed_ = probing::none;
  time_point overlap_since_{}, lag_since_ = time_point::max();  // somebody of the view has not told of it yet
};

}  // namespace troupe::internal
