#include <troupe/spawn.hpp>

#include <troupe/node.hpp>

#include "runtime/own.hpp"
#include "runtime/process_private.hpp"

namespace troupe::detail {

core& core_of(node& n) noexcept { return n.core(); }

namespace {

// Between prepare_process and here the body's frame was made: it counts for the child. Who ran before waits in the link
// that a process needs only while it is queued.
void end_preparing(process& child) noexcept {
  set_running_process(static_cast<process*>(std::exchange(child.next_run, nullptr)));
}

// The body of a process whose body is none: it ends as one that awaits an empty task.
task<> refuse_body() {
  throw empty_task();
  co_return;
}

}  // namespace

result<process*> prepare_process(core& where) {
  auto slot = where.take_slot();
  if (!slot) return slot;
  (*slot)->next_run = running_process();
  set_running_process(*slot);
  return slot;
}

void abandon_process(process* prepared) noexcept {
  end_preparing(*prepared);
  prepared->core().abandon_slot(*prepared);
}

result<spawned> start_process(core& where, process* parent, spawn_options&& options, task<>&& body, process* prepared) {
  using priv = process_private;
  process& child = *prepared;
  if (!body.can_run()) body = refuse_body();
  priv::entry(child).store(options.entry, std::memory_order_relaxed);
  pid leader = options.group_leader ? options.group_leader : parent ? parent->group_leader() : where.default_leader();
  child.limit_mailbox(options.mailbox_limit ? options.mailbox_limit : where.options().mailbox_limit,
                      options.mailbox_bytes ? options.mailbox_bytes : where.options().mailbox_bytes);
  where.open_slot(child, leader);
  const pid id = child.id();
  if (!options.name.empty()) {
    if (auto named = where.register_name(id, options.name); !named) {
      body = task<>();
      end_preparing(child);
      priv::finish_signals(child, exit_reason::noproc());  // nobody has seen it live
      where.retire(child);
      return named.error();
    }
  }
  end_preparing(child);
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
  if (priv::is_own(child)) where.scheduler().schedule_own(child);
  else where.scheduler().schedule(child);
  return out;
}

bool process_private::is_pillar(const core& home, pid p) noexcept {
  if (!home.exists(p)) return false;
  const std::uint8_t bits = home.slot(p.id())->trace_.load(std::memory_order_relaxed);
  return (bits & own) && (bits & trace_flag::named);
}
bool is_pillar(const core& home, pid p) noexcept { return process_private::is_pillar(home, p); }

void mark_own(process& prepared, own_kind kind) noexcept {
  process_private::trace(prepared).store(process_private::own, std::memory_order_relaxed);
  if (kind == own_kind::pillar) process_private::flags(prepared) |= process_private::guarded | process_private::traps;
}

}  // namespace troupe::detail
