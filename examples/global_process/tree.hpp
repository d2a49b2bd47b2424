#pragma once
#include <troupe/application.hpp>

namespace global_process {

// MySupervisor with AGlobalProcess, which one node of the cluster has at a time, and NodeMonitor, which sees to that.
troupe::supervisor tree();

// All that `main` hands to troupe::run.
troupe::application program();

}  // namespace global_process
