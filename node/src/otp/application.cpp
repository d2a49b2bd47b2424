#include <troupe/application.hpp>

namespace troupe {

started start_application(node& where, const application& app) {
  if (!app.start) return started::ok({});
  started root = start_supervisor(where, app.start(where));
  if (root) where.add_root(root.process());
  return root;
}

}  // namespace troupe
