#include <troupe/spawn.hpp>

#include <troupe/node.hpp>

#include "runtime/process_private.hpp"

namespace troupe::detail {

core& core_of(node& n) noexcept { return n.core(); }

result<process*> prepare_process(core& where) { return where.take_slot(); }

void abandon_process(process* prepared) noexcept { prepared->core().abandon_slot(*prepared); }

result<spawned> start_process(core& where, process* parent, spawn_options&& options, task<>&& body, process* prepared) {
  using priv = process_private;
  process& child = *prepared;
  priv::entry(child) = options.entry ? options.entry : parent ? priv::entry(*parent) : nullptr;
  pid leader = options.group_leader ? options.group_leader : parent ? parent->group_leader() : where.default_leader();
  where.open_slot(child, leader, options.mailbox_limit ? options.mailbox_limit : where.options().mailbox_limit);
  const pid id = child.id();
  if (!options.name.empty()) {
    if (auto named = where.register_name(id, options.name); !named) {
      body = task<>();
      priv::finish_signals(child, exit_reason::noproc());  // nobody has seen it live
      where.retire(child);
      return named.error();
    }
  }
  auto root = body.release();
  root.promise().owner = &child;
  priv::root(child) = root;
  priv::next(child) = root;
  spawned out{id, {}};
  if (parent) {
    priv::parent(child) = parent->id().id();
    if (options.link) {
      priv::cold(*parent).links.insert(id);
      priv::cold(child).links.insert(parent->id());
    }
    if (options.monitor) {
      out.monitor = parent->make_ref();
      priv::cold(*parent).monitors.emplace(out.monitor.id(), monitor_entry{id, {}, {}});
      priv::cold(child).watchers.emplace(parent->id(), out.monitor.id());
    }
  }
  if (where.watching()) where.watching()->spawned(child, parent ? parent->id() : pid());
  priv::status(child).store(static_cast<std::uint8_t>(process_status::runnable), std::memory_order_relaxed);
  where.scheduler().schedule(child);
  return out;
}

}  // namespace troupe::detail
