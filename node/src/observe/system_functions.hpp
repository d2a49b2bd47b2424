#pragma once
// What every node offers to tools and shells under `troupe.`: node/TRACE.md and `troupe functions` list them.
#include <troupe/catalogue.hpp>

namespace troupe::internal {

// troupe.ps info process_info calls tree registry state functions whereis stop exit send logs log_level trace_stop, and
// the process troupe.trace. All take and give values; a missing trailing argument is nil.
void offer_system_functions(catalogue& offers);

}  // namespace troupe::internal
