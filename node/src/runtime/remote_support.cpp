#include "runtime/remote_support.hpp"

#include "runtime/process_private.hpp"

namespace troupe::detail {

void expect_monitor(process& self, ref watch) { process_private::cold(self).monitors.try_emplace(watch.id()); }

void settle_monitor(process& self, ref watch, pid target) {
  auto& monitors = process_private::cold(self).monitors;
  auto found = monitors.find(watch.id());
  if (found == monitors.end()) return;  // its DOWN has come already
  if (target) found->second.target = target;
  else monitors.erase(found);
}

}  // namespace troupe::detail
