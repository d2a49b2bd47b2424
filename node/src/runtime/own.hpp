#pragma once
// Processes of the node itself. They run on the workers like all others, and on the scheduler's lane when users'
// processes hold the workers: so they run the node's code alone, in short slices that never block.
#include <troupe/spawn.hpp>

#include "runtime/core.hpp"

namespace troupe::detail {

enum class own_kind : std::uint8_t {
  worker,  // answers a tool, and ends
  pillar,  // the node rests on it: exit signals of processes do not reach it, links cannot end it
};

void mark_own(process& prepared, own_kind kind) noexcept;  // between prepare_process and start_process

template <class Body, class... Args>
result<spawned> spawn_own(own_kind kind, core& where, process* parent, spawn_options&& options, Body* body,
                          Args&&... args) {
  auto prepared = prepare_process(where);
  if (!prepared) return prepared.error();
  process& self = **prepared;
  mark_own(self, kind);
  task<> root;
  try {
    root = body(self, std::forward<Args>(args)...);
  } catch (...) {
    abandon_process(&self);
    throw;
  }
  return start_process(where, parent, std::move(options), std::move(root), &self);
}

// Is it one that the node rests on? Of the node's own these have names, and workers have none.
[[nodiscard]] bool is_pillar(const core& home, pid p) noexcept;

// A process that runs now, and what it holds: one of the workers, or the lane.
struct holding {
  process_summary about;
  std::size_t worker = 0;  // the number of workers: the lane
  duration held{};         // at least
};
[[nodiscard]] std::vector<holding> holders(const core& home);

// What a request to end a pillar has to say in its envelope, when it is meant.
inline constexpr std::uint64_t by_force = 1;

}  // namespace troupe::detail
