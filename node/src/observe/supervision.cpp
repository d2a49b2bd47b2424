#include <troupe/inspect.hpp>
#include <troupe/node.hpp>
#include <troupe/supervisor.hpp>

#include "runtime/core.hpp"

#include <unordered_map>

namespace troupe::inspect {
namespace {

// A tree that goes through itself (a child started twice by hand) or is beyond any reader is cut there.
constexpr std::size_t deepest = 64, most_nodes = 20'000;

value branch(std::string_view id, const value& process, std::string_view name, std::string_view type,
             std::string_view status, list children) {
  return map_of({{"id", value(id)},
                 {"name", value(name)},
                 {"pid", process},
                 {"type", value(type)},
                 {"status", value(status)},
                 {"children", value(std::move(children))}});
}

// What one walk shares.
struct walk {
  explicit walk(detail::core& home) {
    for (auto& [name, holder] : home.registered()) names.emplace(holder, std::move(name));
  }
  [[nodiscard]] std::string name_of(pid p) const {
    const auto found = names.find(p);
    return found == names.end() ? std::string() : found->second;
  }
  std::unordered_map<pid, std::string> names;
  std::size_t left = most_nodes;
};

// The children of one supervisor; one that does not answer has none.
task<list> children_of(process& self, pid supervisor, std::size_t depth, walk* shared) {
  list out;
  auto asked = co_await which_children(self, supervisor);
  if (!asked || depth == 0) co_return out;
  for (const child_info& child : *asked) {
    if (shared->left == 0) break;
    --shared->left;
    list below;
    if (child.type == "supervisor" && child.pid) {
      auto walking = children_of(self, *child.pid, depth - 1, shared);
      below = co_await std::move(walking);
    }
    const value process = child.pid ? value(*child.pid) : value();
    out.push_back(branch(child.id, process, child.pid ? shared->name_of(*child.pid) : std::string(), child.type,
                         child.status, std::move(below)));
  }
  co_return out;
}

task<value> whole(process& self, pid root, walk* shared) {
  const auto seen = self.core().summary(root);
  const bool is_supervisor = seen && seen->supervisor;
  const std::string name = shared->name_of(root);
  list children;
  // Asking another server would be an unknown call to it, which ends it.
  if (is_supervisor) {
    auto walking = children_of(self, root, deepest, shared);
    children = co_await std::move(walking);
  }
  const std::string id = name.empty() ? root.text() : name;
  co_return branch(id, value(root), name, is_supervisor ? "supervisor" : "worker", seen ? "running" : "ended",
                   std::move(children));
}

}  // namespace

task<result<value>> tree(process& self, value root) {
  walk shared(self.core());
  if (root.is_nil()) {
    list out;
    for (const pid one : self.core().roots()) {
      auto walking = whole(self, one, &shared);
      out.push_back(co_await std::move(walking));
    }
    co_return value(std::move(out));
  }
  auto found = find_process(self.node(), root);
  if (!found) co_return found.error();
  const auto seen = self.core().summary(*found);
  if (!seen) co_return error(errc::noproc, found->text() + " has ended");
  if (!seen->supervisor) {
    co_return error(errc::unsupported, root.print(2, 200) + " is no supervisor: it runs " + std::string(seen->entry));
  }
  auto walking = whole(self, *found, &shared);
  co_return co_await std::move(walking);
}

task<result<value>> state(process& self, value target) {
  auto found = find_process(self.node(), target);
  if (!found) co_return found.error();
  const auto seen = self.core().summary(*found);
  if (!seen) co_return error(errc::noproc, found->text() + " has ended");
  // A plain process would keep the question in its mailbox for ever.
  if (!seen->server) {
    co_return error(errc::unsupported, target.print(2, 200) + " is no server: it runs " + std::string(seen->entry));
  }
  co_return co_await call<value>(self, *found, sys_get_state());
}

}  // namespace troupe::inspect
