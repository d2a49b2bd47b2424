#pragma once
// Who is here: the lives that this node is connected to, which of them agree with it about that, and who decides a key.
//
// Design notes
// * Each node tells all others its row: whom it is connected to (`links`), whom of those it counts in (`wants`), and a
//   digest of its view. The view is those who want each other; it is confirmed when every member has announced the very
//   same one. Rows of a connection arrive in order with everything else the node says, so whoever sees a row has seen
//   what that node held when it wrote it.
// * Views overlap when two members of one do not want each other, or when somebody is connected and has told no row
//   yet. After `probe_after` those in doubt are asked for a sign of life (a dead one is then lost soon); after
//   `island_after`, unless the policy is `keep`, this node counts out, going by name, who is not wanted by all before
//   it. Connections stay; only names and locks part.
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
  std::vector<std::string> links, wants;
  std::uint64_t view = 0;
  std::int64_t fence = 0;  // the greatest fencing number it knows of
  std::string policy;
  TROUPE_MESSAGE(member_row, "global.view", number, links, wants, view, fence, policy)
};

// Not thread-safe: its owner's mutex guards it.
class membership {
 public:
  static constexpr duration probe_after = std::chrono::milliseconds(200);
  static constexpr duration probe_patience = std::chrono::seconds(1);
  static constexpr duration island_after = std::chrono::seconds(3);

  membership(std::string self, partition_policy policy);

  void up(const std::string& id, time_point now);
  void down(const std::string& id, bool planned, time_point now);
  void heard(const std::string& from, member_row row, time_point now);

  // Acts on overlaps that last. Who should be probed is told once for each overlap.
  [[nodiscard]] std::vector<std::string> settle(time_point now);
  [[nodiscard]] time_point next() const noexcept;  // when `settle` has something to do

  [[nodiscard]] const std::string& self() const noexcept { return self_; }
  [[nodiscard]] partition_policy policy() const noexcept { return policy_; }
  [[nodiscard]] bool linked(const std::string& id) const { return links_.contains(id); }
  [[nodiscard]] std::vector<std::string> links() const;
  [[nodiscard]] const std::set<std::string>& view() const noexcept { return view_; }  // with this node
  [[nodiscard]] bool has(const std::string& id) const { return view_.contains(id); }
  [[nodiscard]] std::uint64_t digest() const noexcept { return digest_; }
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] std::uint64_t number_of(const std::string& id) const;  // of the last row heard; of this node: its own
  [[nodiscard]] member_row row() const;                                // without the fence
  [[nodiscard]] bool confirmed() const noexcept { return confirmed_; }
  [[nodiscard]] bool may_grant() const noexcept { return confirmed_ && majority_; }
  [[nodiscard]] std::string arbiter(std::string_view key) const;  // a member of the view

 private:
  struct peer {
    std::optional<member_row> row;
    std::set<std::string> links, wants;  // of the row
  };
  void refresh(time_point now);
  void start_over(time_point now);
  [[nodiscard]] bool mutual(const std::string& a, const std::string& b) const;

  std::string self_;
  partition_policy policy_;
  std::map<std::string, peer> links_;
  std::set<std::string> excluded_, view_, wants_;
  std::set<std::string, std::less<>> expected_;  // names, by which a majority is counted
  std::uint64_t digest_ = 0, number_ = 0;
  bool confirmed_ = true, majority_ = true, overlapping_ = false, probed_ = false;
  time_point overlap_since_{};
};

}  // namespace troupe::internal
