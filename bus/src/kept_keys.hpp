#pragma once
// The keys of a cookie, for as long as an endpoint or a dial needs them.
#include <memory>

#include <troupe/bus/transport.hpp>

namespace troupe::bus::internal {

// Shared by an endpoint and its pipes; overwritten with the last share. None means plain text.
using kept_keys = std::shared_ptr<const channel_keys>;
[[nodiscard]] kept_keys keep(const channel_keys& keys);

}  // namespace troupe::bus::internal
