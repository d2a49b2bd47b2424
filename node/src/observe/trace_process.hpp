#pragma once
// The process that each trace session has, and the catalogue's entry for tools.
#include <memory>

#include <troupe/catalogue.hpp>

#include "observe/trace_session.hpp"

namespace troupe::internal {

// Lives as long as the session: acknowledges for its reader, ends it with its owner, its reader and its time.
task<> run_trace_session(process& self, std::shared_ptr<trace_session> session);
// `troupe.trace`: one argument, the spec as a map with `to`; ends with bad_argument and the like when it is refused.
task<> trace_entry(process& self, value spec);

}  // namespace troupe::internal
