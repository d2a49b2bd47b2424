#pragma once
// How many events of a program wait in its owner's mailbox.
#include <atomic>

#include <troupe/program.hpp>

#include "runtime/core.hpp"

namespace troupe::detail {

// To the process of a program: its owner has taken enough.
struct program_room {
  using troupe_builtin_message = void;
};

// Shared by the process of a program and the events that it has sent. Whoever destroys the event that makes room, on
// whatever thread, wakes that process once, if it has asked.
struct program_flow {
  program_flow(core& at, pid who, std::size_t most_waiting)
      : home(at), process(who), most(most_waiting), enough_below(most_waiting / 2) {}
  core& home;
  const pid process;
  const std::size_t most, enough_below;
  std::atomic<std::size_t> waiting{0};
  std::atomic<bool> asked{false};

  void wake() { home.deliver(process, make_envelope<program_room>(signal::message)); }
};

}  // namespace troupe::detail
