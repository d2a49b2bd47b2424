#pragma once
#include <troupe/catalogue.hpp>
#include <troupe/config.hpp>

namespace troupe::internal {

// troupe.config and troupe.config_set.
void offer_config(catalogue& offers);

}  // namespace troupe::internal
