#include "observe/network_info.hpp"

#include "dist/distribution.hpp"

namespace troupe::internal {

value network_info(detail::core& home) {
  auto* network = home.find<distribution>();
  return network ? network->info() : value();
}

}  // namespace troupe::internal
