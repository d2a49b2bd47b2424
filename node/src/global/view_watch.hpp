#pragma once
// Nodes that see others than this one for a while: their views are compared, told in the log and shown to tools.
//
// Rows have hashes of lives and no names. Who sees lives that this node knows nothing of is asked who they are, once
// the difference has lasted for `asked_after`: while a mesh forms nobody is.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "global/membership.hpp"

namespace troupe::internal {

// Not thread-safe: its owner's mutex guards it.
class view_watch {
 public:
  static constexpr duration asked_after = std::chrono::seconds(2), told_after = std::chrono::seconds(5);
  static constexpr std::size_t most_named = 64;  // lives in one question, and of one node in an answer to a tool

  struct difference {
    std::string node;
    std::vector<std::string> only_here, only_there;  // names of nodes; what a former life had counts
    std::size_t unnamed = 0;                         // besides those
    duration lasts{};
    bool over = false;  // nothing of it is left
  };
  struct question {
    std::string id;  // to whom
    std::vector<std::uint64_t> hashes;
  };
  struct due {
    std::vector<question> questions;
    std::vector<difference> news;  // each change once, and for each node no oftener than every `told_after`
  };
  // Whenever something has changed, and at `next`.
  [[nodiscard]] due turn(const membership& members, time_point now);
  [[nodiscard]] time_point next() const noexcept;
  void named(const membership& members, const std::string& from, const std::vector<std::string>& ids);
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  // Names of nodes that others are known to see now and this one does not, `most_named` at most.
  [[nodiscard]] std::vector<std::string> unseen(const membership& members) const;
  // Those that have lasted for `told_after`.
  [[nodiscard]] std::vector<difference> lasting(const membership& members, time_point now) const;

 private:
  struct entry {
    time_point since, tell_at, ask_at;
    bool told = false;           // ever
    std::uint64_t told_sum = 0;  // of what was told
    bool changed = true, asked = false;
  };
  [[nodiscard]] difference describe(const membership& members, const std::string& id, const entry& of,
                                    time_point now) const;

  std::uint64_t changes_ = 0;
  std::map<std::string, entry> entries_;        // by whose view it is
  std::map<std::uint64_t, std::string> names_;  // of lives that were asked for
};

}  // namespace troupe::internal
