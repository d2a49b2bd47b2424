#pragma once
// The process behind dbg.tracer(): it owns the trace sessions and tells the handler, or prints.
#include <troupe/process.hpp>

namespace troupe::internal {

// What it is asked by dbg.* (calls). Each answers {matched = n}; an error says why not.
struct dbg_p {
  value item;         // a pid, a name, a glob, "all", "new", "existing"
  std::string flags;  // letters of r s c p
  TROUPE_MESSAGE(dbg_p, "dbg.p", item, flags)
};
struct dbg_tp {
  std::string functions;  // a glob of functions, or a function
  bool returns = false;
  TROUPE_MESSAGE(dbg_tp, "dbg.tp", functions, returns)
};
struct dbg_stop {
  TROUPE_MESSAGE(dbg_stop, "dbg.stop")
};

struct tracer_options {
  value handler;       // a copied table {function, state}; nil: print in recon's form
  bool folds = false;  // the function gets and returns the state
  std::uint64_t limit = 1'000;
  duration time = std::chrono::seconds(60);
};

// Ends with `owner`, and with dbg_stop.
task<> run_tracer(process& self, pid owner, tracer_options options);

}  // namespace troupe::internal
