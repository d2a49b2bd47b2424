#pragma once
// Who carries the connections of a node.
#include <cstdint>

namespace troupe {

// Each understands the other, plain and encrypted (bus/README.md).
enum class transport_kind : std::uint8_t {
  direct,  // sockets that the bus's loop reads and writes itself
  zeromq,  // libzmq
};

}  // namespace troupe
