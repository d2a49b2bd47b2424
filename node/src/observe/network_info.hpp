#pragma once
// What the layer of nodes says of itself. Apart, because its header brings the transport along.
#include "runtime/core.hpp"

namespace troupe::internal {

// {peers, endpoints, counters}, or nil for a node without network.
[[nodiscard]] value network_info(detail::core& home);

}  // namespace troupe::internal
