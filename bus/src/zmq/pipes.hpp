#pragma once
// The pipes of a transport that are libzmq's: all of them encrypted. Knows libzmq by name alone.
#include <memory>

#include <troupe/bus/transport.hpp>

#include "descriptor_reserve.hpp"
#include "resolver.hpp"
#include "system_loop.hpp"

namespace troupe::bus::internal {

class accepted_pipes;
class dialled_pipes;
class watch_list;

// Design notes.
// The loop's thread makes, uses and closes every socket. It sleeps in epoll on the ZMQ_FD of each, level-triggered,
// under two rules that `watch_list` alone implements: a socket that has something is read to EAGAIN or stays on a list
// that keeps the loop awake, and a socket that was sent on is looked at once before the loop sleeps, because a send may
// have eaten the edge. A turn: read what is ready (a bounded number of frames each), probe those whose connection
// libzmq reported gone, look, bury what was closed during the turn. Owner: the transport.
class zmq_pipes final : private loop_source {
 public:
  // With the context of the loop, which is made for the first.
  [[nodiscard]] static result<std::unique_ptr<zmq_pipes>> make(system_loop& loop, unsigned io_threads,
                                                               descriptor_reserve& reserve, resolver& names,
                                                               transport_events& events,
                                                               const transport_settings& settings);
  ~zmq_pipes() override;

  [[nodiscard]] result<endpoint> listen(const endpoint& where, const channel_keys& keys);
  void unlisten(const endpoint& where);
  [[nodiscard]] result<pipe_id> dial(const endpoint& where, const channel_keys& keys);
  bool send(pipe_id id, std::span<const std::byte> header, const frame_payload& payload);
  void close(pipe_id id);
  [[nodiscard]] std::string source(pipe_id id) const;
  [[nodiscard]] pipe_origin origin(pipe_id accepted) const;
  void stop();

 private:
  explicit zmq_pipes(system_loop& loop);
  appetite turn() override;

  system_loop& loop_;
  std::unique_ptr<watch_list> list_;
  std::unique_ptr<accepted_pipes> accepted_;
  std::unique_ptr<dialled_pipes> dialled_;
  pipe_id last_ = 0;
  bool stopped_ = false;
};

}  // namespace troupe::bus::internal
