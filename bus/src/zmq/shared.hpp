#pragma once
// What the pipes of one transport of libzmq share.
#include <memory>
#include <unordered_map>

#include <troupe/bus/transport.hpp>

#include "descriptor_reserve.hpp"
#include "resolver.hpp"
#include "system_loop.hpp"
#include "zmq/watched.hpp"

namespace troupe::bus::internal {

class accepted_pipes;

// Owner: zmq_pipes; the loop's thread.
struct zmq_shared {
  std::shared_ptr<zmq_context> context;
  system_loop& loop;
  descriptor_reserve& reserve;
  resolver& names;
  transport_events& events;
  const transport_settings& settings;
  watch_list list{loop};
  pipe_id last = 0;                                       // that was given to a pipe
  std::unordered_map<pipe_id, accepted_pipes*> accepted;  // who has it; all others were dialled

  [[nodiscard]] std::int64_t longest_frame(bool encrypted) const noexcept {
    return static_cast<std::int64_t>(encrypted ? settings.encrypted_frame_bytes : settings.frame_bytes);
  }
};

}  // namespace troupe::bus::internal
