#pragma once
// The pipes of a transport that are libzmq's, plain and encrypted. Knows libzmq by name alone.
#include <memory>
#include <vector>

#include <troupe/bus/transport.hpp>

#include "descriptor_reserve.hpp"
#include "kept_keys.hpp"
#include "resolver.hpp"
#include "system_loop.hpp"

namespace troupe::bus::internal {

class accepted_pipes;
class dialled_pipes;
struct zmq_shared;

// Design notes.
// A connection is the DEALER of who dialled and the ROUTER of the endpoint that was dialled, used in both directions.
// The loop's thread makes, uses and closes every socket. It sleeps in epoll on the ZMQ_FD of each, level-triggered,
// under two rules that `watch_list` alone implements: a socket that has something is read to EAGAIN or stays on a list
// that keeps the loop awake, and a socket that was sent on is looked at once before the loop sleeps, because a send may
// have eaten the edge. A turn: read what is ready (a bounded number of frames each), probe those whose connection
// libzmq reported gone, look, bury what was closed during the turn. Owner: the transport.
class zmq_pipes final : private loop_source {
 public:
  // With the context of the loop, which is made for the first.
  [[nodiscard]] static result<std::unique_ptr<zmq_pipes>> make(system_loop& loop, unsigned io_threads, resolver& names,
                                                               descriptor_reserve& reserve, transport_events& events,
                                                               const transport_settings& settings);
  ~zmq_pipes() override;

  // `keys`: what comes there is encrypted; none: plain text. The same of dials.
  [[nodiscard]] result<endpoint> listen(const endpoint& where, kept_keys keys = {});
  void unlisten(const endpoint& where);  // ends what was accepted there, too
  [[nodiscard]] result<pipe_id> dial(const endpoint& where, kept_keys keys = {});
  bool send(pipe_id id, std::span<const std::byte> header, const frame_payload& payload);
  void close(pipe_id id);
  void close_all();
  void trust(pipe_id id);
  [[nodiscard]] bool is_encrypted(pipe_id id) const noexcept;
  [[nodiscard]] std::string source(pipe_id id) const;
  [[nodiscard]] pipe_origin origin(pipe_id accepted) const;
  [[nodiscard]] std::size_t unsent(pipe_id) const noexcept { return 0; }  // libzmq does not tell

 private:
  explicit zmq_pipes(std::unique_ptr<zmq_shared> shared);
  [[nodiscard]] accepted_pipes* acceptor_of(pipe_id id) const noexcept;
  appetite turn() override;

  std::unique_ptr<zmq_shared> shared_;
  std::vector<std::unique_ptr<accepted_pipes>> listeners_;
  std::vector<std::unique_ptr<accepted_pipes>> former_;  // not listened to any more, until their pipes are gone
  std::unique_ptr<dialled_pipes> dialled_;
  bool stopped_ = false;
};

}  // namespace troupe::bus::internal
