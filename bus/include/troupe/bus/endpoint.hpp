#pragma once
// Where a node can be dialled: "ipc:///run/troupe/x", "tcp://127.0.0.1:4369", "inproc://name", "sim://name".
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <troupe/error.hpp>

namespace troupe::bus {

struct endpoint {
  enum class scheme : std::uint8_t { ipc, tcp, inproc, sim };

  scheme kind = scheme::ipc;
  std::string host;        // ipc: the absolute path; tcp: host name or address, "*" for all; else: the name
  std::uint16_t port = 0;  // tcp alone; 0 asks for any free one, written "*" or "0"

  // errc::bad_argument names what is wrong: unknown scheme, relative or too long path, bad port.
  [[nodiscard]] static result<endpoint> parse(std::string_view text);
  [[nodiscard]] std::string text() const;

  // True for everything but tcp to a host that is not 127.0.0.0/8, ::1 or "localhost".
  [[nodiscard]] bool is_local() const noexcept;

  friend auto operator<=>(const endpoint&, const endpoint&) = default;
};

// A socket path holds 107 bytes; a longer one is an error at bind and at connect.
inline constexpr std::size_t longest_ipc_path = 107;

}  // namespace troupe::bus
