#pragma once
// Our own pipes of a transport: those that it dialled and those that others dialled, each on a socket of its own.
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <troupe/bus/transport.hpp>

#include "crowd.hpp"
#include "descriptor_reserve.hpp"
#include "drop_log.hpp"
#include "resolver.hpp"
#include "zmtp/stream.hpp"

namespace troupe::bus::internal::zmtp {

// Design notes.
// * To the other side this is a DEALER that dialled, or the ROUTER that it dialled; there is no routing id here that a
//   stranger could take, and no queue but those of the kernel and of the hub.
// * A pipe is told of (`opened`) with its first frame. Who was accepted has `first_words` for that, and there are at
//   most so many of them at a time, of this host and of others apart: see crowd.
// * Where no descriptor is free, one on this host gets one of the reserve, one from elsewhere that of a stranger.
// * A closed pipe goes on for `last_words` at most, until the other side has hung up: see stream.
// Owner: the transport; the loop's thread.
class pipes final : private stream_events, private loop_source {
 public:
  pipes(system_loop& loop, resolver& names, descriptor_reserve& reserve, transport_events& events,
        const transport_settings& settings);
  ~pipes() override;

  // `keys`: what comes there is encrypted; none: plain text. The same of dials.
  [[nodiscard]] result<endpoint> listen(const endpoint& where, kept_keys keys = {});
  void unlisten(const endpoint& where);  // pipes that were accepted there stay
  // What fails later, or at once, is told by `closed`.
  [[nodiscard]] result<pipe_id> dial(const endpoint& where, kept_keys keys = {});
  bool send(pipe_id id, std::span<const std::byte> header, frame_payload payload);
  void close(pipe_id id);
  void close_all();
  void trust(pipe_id id);
  [[nodiscard]] bool is_encrypted(pipe_id id) const noexcept;
  [[nodiscard]] std::string source(pipe_id id) const;
  [[nodiscard]] pipe_origin origin(pipe_id accepted) const;
  [[nodiscard]] std::size_t unsent(pipe_id id) const noexcept;

 private:
  class listener;
  struct pipe;

  [[nodiscard]] crowd& strangers_at(const endpoint& where) noexcept;
  void accepted(listener& at, unique_fd socket, const socket_address& from);
  bool send_away(pipe_id stranger);
  void out_of_descriptors(const endpoint& where, int number);
  void begin(pipe& one, unique_fd socket, bool connecting);
  void begin_dial(pipe& one);
  void begin_race(pipe& one, std::vector<socket_address> addresses);
  void connect(pipe& one, const socket_address& to);
  void dial_again(pipe& one);
  void fail_soon(pipe& one, error why);
  void fail(pipe& one, error why);
  void forget(pipe& one);
  [[nodiscard]] pipe* find(const stream& of) noexcept;
  void tell_noise(const pipe& one, spoke how, const error& why);
  [[nodiscard]] static error not_understood(const pipe& one, spoke how, const error& why);
  [[nodiscard]] static error hung_up(const pipe& one, spoke how, const error& why);

  // -- stream_events
  void frame(stream& of, std::span<const std::byte> data) override;
  void parts(stream& of) override;
  void ended(stream& of, spoke how, const error& why) override;
  // -- loop_source
  appetite turn() override;

  system_loop& loop_;
  resolver& resolver_;
  descriptor_reserve& reserve_;
  transport_events& events_;
  const transport_settings& settings_;
  stream::shared shared_;
  std::vector<std::unique_ptr<listener>> listeners_;
  std::unordered_map<pipe_id, std::unique_ptr<pipe>> pipes_;  // also those that are closed and have last words
  std::unordered_map<const stream*, pipe*> by_stream_;
  crowd near_, far_;                              // accepted, and not opened yet: by ipc, by tcp
  std::vector<std::unique_ptr<pipe>> graveyard_;  // they may be under way when they end
  std::vector<std::unique_ptr<stream>> former_;   // of pipes that were dialled again
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  token_bucket shortage_{1, 1};  // lines of the log
  pipe_id last_ = 0;
};

}  // namespace troupe::bus::internal::zmtp
