#pragma once
// Every limit of the wire, with its default. The handshake tells each side the other's.
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace troupe {

struct limits {
  std::size_t frame_bytes = 1u << 20;          // longest frame; a longer one ends the connection
  std::size_t message_bytes = 1u << 31;        // longest message: what no frame holds travels in chunks
  std::size_t value_nodes = 1u << 18;          // values in one decoded message, containers counted
  std::size_t depth = 64;                      // nesting of lists and maps
  std::size_t credit_bytes = 2u << 20;         // unacknowledged bytes a peer may have under way to us
  std::chrono::milliseconds tick{15'000};      // silence after which we ask; four of them end the connection
  std::chrono::milliseconds handshake{5'000};  // from the first byte to the end of the handshake
  std::size_t half_handshakes = 256;           // strangers served at once
};

}  // namespace troupe
