#pragma once
// Addresses of the kernel, and sockets that listen: what plain and encrypted transports share.
#include <sys/socket.h>

#include <string>
#include <vector>

#include <troupe/bus/endpoint.hpp>

#include "unique_fd.hpp"

namespace troupe::bus::internal {

using troupe::internal::unique_fd;

struct socket_address {
  sockaddr_storage data{};
  socklen_t size = sizeof(sockaddr_storage);
  [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&data); }
  [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&data); }
};

[[nodiscard]] socket_address unix_address(const std::string& path);
// Without asking anybody: errc::noconnection for a name. "localhost" and "*" are numbers here.
[[nodiscard]] result<socket_address> numeric_address(const endpoint& where);
// All of a name, in the order in which they are worth a try (RFC 6724). Blocks while a name server is asked.
[[nodiscard]] result<std::vector<socket_address>> addresses_of(const endpoint& where);
// `where` with this address for its host.
[[nodiscard]] endpoint literal(const endpoint& where, const socket_address& address);
// An address of tcp by number; IPv4 in IPv6's clothes is IPv4.
[[nodiscard]] endpoint numbers_of(const socket_address& address);
// Whom a quota is for: an IPv4 address, the first half of an IPv6 one; empty for what is of this host alone (ipc).
[[nodiscard]] std::string source_of(const socket_address& peer);

[[nodiscard]] unique_fd make_socket(int family);

struct listening_socket {
  unique_fd socket;
  endpoint where;  // with its real port
};
// Bound to `at` and listening. errc::io with the system's reason.
[[nodiscard]] result<listening_socket> listen_at(const endpoint& where, const socket_address& at);

}  // namespace troupe::bus::internal
