#pragma once
// Who is told of nodes that come and go before any process is: what keeps replicas of other nodes' data (global names,
// groups) forgets a lost node's part here, so that whoever hears DOWN or `nodedown` finds it gone.
#include <cstdint>
#include <string>
#include <vector>

#include <troupe/error.hpp>

namespace troupe::internal {

struct peer_event {
  std::string name;
  std::uint64_t creation = 0;  // with the name: this life of the node
  bool hidden = false;         // hidden nodes and tools
  std::vector<std::string> features;
};

// Called on the loop's thread, in order, each `peer_up` before `nodeup`, before `nodes` lists the node and before
// anything that it sends; each `peer_down` after all that it sent, before its EXITs, DOWNs and `nodedown`. Quick: all
// connections wait. Must not call the distribution, but for its `route`; a signal delivered here to a process of this
// node comes before whatever the node sends and before whatever is told of its loss.
class peer_watcher {
 public:
  virtual ~peer_watcher() = default;
  virtual void peer_up(const peer_event& who) = 0;
  virtual void peer_down(const peer_event& who, const error& reason) = 0;
};

}  // namespace troupe::internal
