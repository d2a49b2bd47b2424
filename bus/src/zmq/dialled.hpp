#pragma once
// The pipes that this side dialled: a DEALER and its monitor each.
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "kept_keys.hpp"
#include "zmq/shared.hpp"

namespace troupe::bus::internal {

class dialled_pipe;

// Owner: the transport. A DEALER has one attempt in its life: whatever its monitor says ends it, and then it is read
// until nothing is left, before `closed`. One that was cut off during ZeroMQ's handshake first asks why. The addresses
// of a name are tried one after the other, each by a DEALER of its own.
class dialled_pipes {
 public:
  explicit dialled_pipes(zmq_shared& with);
  ~dialled_pipes();

  [[nodiscard]] result<void> dial(pipe_id id, const endpoint& where, kept_keys keys);
  bool send(pipe_id id, std::span<const std::byte> header, const frame_payload& payload);
  void trust(pipe_id id);
  [[nodiscard]] bool is_encrypted(pipe_id id) const noexcept;
  void close(pipe_id id);
  void close_all();
  void bury();  // between turns: destroys what was closed during the turn

 private:
  friend class dialled_pipe;
  struct dialling;
  [[nodiscard]] result<void> attempt(pipe_id id, dialling& one);
  bool send_by(dialled_pipe& pipe, std::span<const std::byte> header, const frame_payload& payload);
  void finish(dialled_pipe& pipe);
  void give_up(pipe_id id, const error& why);

  zmq_shared& with_;
  std::unordered_map<pipe_id, std::unique_ptr<dialling>> pipes_;
  std::vector<std::unique_ptr<dialled_pipe>> graveyard_;
};

// Fills `message` with one frame.
[[nodiscard]] bool fill(zmq_message& message, std::span<const std::byte> header, const frame_payload& payload);

}  // namespace troupe::bus::internal
