#pragma once
// What changes among the names, groups and locks that a node knows, told to a tool: `troupe registry NODE --watch`.
#include <string>
#include <vector>

#include <troupe/process.hpp>

namespace troupe::internal {

// The watch has begun: what changes from now on is told. `known`: how many entries there are.
struct registry_watched {
  std::int64_t known = 0;
  TROUPE_MESSAGE(registry_watched, "registry.watched", known)
};
// Each change is a map: kind = "local" | "global" | "groups" | "locks", what = "registered", "unregistered", "joined",
// "left", "taken", "freed", name, pid, node; of a group its scope, of a lock its requester and fence.
struct registry_changes {
  std::vector<value> changes;
  TROUPE_MESSAGE(registry_changes, "registry.changes", changes)
};

inline constexpr std::string_view registry_watch_entry = "troupe.registry_watch";

// The body of that entry: {to = pid, kinds = {…}, interval_ms = n}. Ends with `to`. Groups are told by their monitors,
// in order and each change; names and locks are compared every interval, so what came and went between is not told.
[[nodiscard]] task<> registry_watch(process& self, value given);

}  // namespace troupe::internal
