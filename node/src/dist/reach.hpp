#pragma once
// Where a node can be dialled by others, by what it listens on.
#include <cstddef>
#include <vector>

#include <troupe/bus/endpoint.hpp>

namespace troupe::internal {

inline constexpr std::size_t most_told_endpoints = 8;  // that one node is believed to have

[[nodiscard]] bool is_wildcard(const bus::endpoint& where) noexcept;  // tcp on every address
// Not ipc, which is for this host and user alone and whose path a stranger could choose; and no wildcard, which is
// everybody's own.
[[nodiscard]] bool is_dialable_elsewhere(const bus::endpoint& where) noexcept;
// Each wildcard replaced by the addresses of this host's interfaces that are up, without loopback and those that mean
// something on one link only.
[[nodiscard]] std::vector<bus::endpoint> with_interfaces(const std::vector<bus::endpoint>& listening);

}  // namespace troupe::internal
