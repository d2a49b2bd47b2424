#include "observe/network_info.hpp"

#include <algorithm>

#include "dist/distribution.hpp"
#include "global/service.hpp"
#include "global/views.hpp"

namespace troupe::internal {

// What the connections are, and beside each peer whom it sees that this node does not, and the other way about.
value network_info(detail::core& home) {
  auto* network = home.find<distribution>();
  if (network == nullptr) return {};
  map out = *network->info().entries();
  auto* shared = home.find<global_service>();
  const auto differences = shared ? shared->view_differences() : std::vector<view_watch::difference>();
  if (differences.empty()) return value(std::move(out));
  auto peers = std::ranges::find(out, value("peers"), &map_entry::first);
  list all = *peers->second.items();
  for (value& one : all) {
    const std::string name(one.text_at("name"));
    const auto found = std::ranges::find(differences, name, &view_watch::difference::node);
    if (found == differences.end()) continue;
    map peer = *one.entries();
    peer.emplace_back("view", map_of({{"differs_ms", std::chrono::duration<double, std::milli>(found->lasts).count()},
                                      {"only_there", names_of(found->only_there)},
                                      {"only_here", names_of(found->only_here)},
                                      {"unnamed", found->unnamed}}));
    one = value(std::move(peer));
  }
  peers->second = value(std::move(all));
  return value(std::move(out));
}

}  // namespace troupe::internal
