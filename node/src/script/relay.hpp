#pragma once
// The group leader of a session whose terminal is on another node.
//
// A terminal of `troupe remote` belongs to a tool, which listens nowhere: only the node that it is connected to reaches
// it. What the session starts on a third node prints to its group leader all the same; so that is a process of the
// session's node, which every node can reach, and which passes on what is printed.
#include <troupe/process.hpp>

namespace troupe::internal {

constexpr std::size_t relay_mailbox = 1u << 16;  // messages, as of `user`: beyond, printers lose theirs, counted

// The body of that process. It answers an "io.sync" when the terminal has, with the terminal's answer.
task<> relay_output(process& self, pid terminal);

// Waits until all that was printed to `relay` before has left for the terminal: what is sent there now comes behind it.
// Not for ever: a terminal that reads nothing holds the relay.
task<> wait_passed_on(process& self, pid relay);

}  // namespace troupe::internal
