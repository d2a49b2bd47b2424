#pragma once
// Where tcp may go without encryption.
#include <cstdint>

namespace troupe {

enum class plain_text : std::uint8_t {
  on_loopback,  // whatever may leave the host is encrypted
  anywhere,     // nothing is: only where it was asked for by name
  nowhere,      // loopback is encrypted too
};

}  // namespace troupe
