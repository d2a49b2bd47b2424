#include <troupe/application.hpp>

namespace troupe {

started start_application(node& where, const application& app) {
  if (!app.start) return started::ok({});
  std::optional<supervisor> plan;
  try {
    plan = app.start(where);
  } catch (...) {  // the program's own function; no process ends by it
    return started::failed(detail::reason_of(std::current_exception()));
  }
  started root = start_supervisor(where, std::move(*plan));
  if (root) where.add_root(root.process());
  return root;
}

}  // namespace troupe
