#pragma once
// Raw frames over pipes: what a hub needs below it, in three forms.
//
// A transport knows no handshake and trusts nobody: a pipe is "whatever dialled or answered". All calls and all
// events are on the loop's thread.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <troupe/bus/endpoint.hpp>
#include <troupe/bus/loop.hpp>
#include <troupe/bus/payload.hpp>
#include <troupe/error.hpp>
#include <troupe/log_sink.hpp>
#include <troupe/transport_kind.hpp>

namespace troupe::bus {

// One pipe of one transport: a number that says nothing else, and is never given again. It means nothing to another
// transport. 0 is none.
using pipe_id = std::uint64_t;

// The Curve25519 key pairs of encrypted pipes. All members of a cluster have both, from their cookie (PROTOCOL.md).
using channel_key = std::array<std::byte, 32>;
struct channel_keys {
  channel_key acceptor_public, acceptor_secret;
  channel_key dialler_public, dialler_secret;
};
[[nodiscard]] channel_keys derive_channel_keys(std::string_view cookie);

class transport_events {
 public:
  virtual ~transport_events() = default;
  // Somebody dialled us and has sent a first frame, which follows.
  virtual void opened(pipe_id pipe) = 0;
  virtual void frame(pipe_id pipe, std::span<const std::byte> data) = 0;
  // The pipe is gone, and every frame that had arrived was given before. Not called after `close`.
  virtual void closed(pipe_id pipe, const error& reason) = 0;
  // Somebody was turned away below the level of frames. `cause` is a literal: "wrong_key" (where it is
  // encrypted: not, or with another cookie's keys), "encrypted" (where it is not), "turned_away" (goes on after
  // that), "stranger_limit" (another one came), "no_descriptor", else "stranger". Without `what` it is counted and not
  // logged.
  virtual void noise(std::string_view cause, std::string_view what) {
    static_cast<void>(cause);
    static_cast<void>(what);
  }
};

// Where an accepted pipe came in, as `listen` returned it; and by tcp the address of the other side, which nobody can
// dial: its port was the system's choice, and on the way from there addresses may have been changed.
struct pipe_origin {
  endpoint at;
  std::optional<endpoint> from;
};

struct transport_settings {
  std::size_t frame_bytes = 0;            // the longest frame to accept, header included
  std::size_t encrypted_frame_bytes = 0;  // the same of an encrypted pipe
  std::size_t stranger_frame_bytes = 0;   // the same until `trust`
  std::size_t frames_under_way = 0;       // never so many frames in one pipe, if the peer is honest
  duration silence{};                     // after which the hub gives a peer up: the transport may free its pipe later
  random_source* random = nullptr;
  log_sink* log = nullptr;
};

class transport {
 public:
  virtual ~transport() = default;
  [[nodiscard]] virtual loop& on() noexcept = 0;
  [[nodiscard]] virtual bool speaks(endpoint::scheme kind) const noexcept = 0;
  // Once, before all else. `events` outlives the transport.
  [[nodiscard]] virtual result<void> start(transport_events& events, const transport_settings& settings) = 0;
  // The endpoint with its real port.
  [[nodiscard]] virtual result<endpoint> listen(const endpoint& where) = 0;
  virtual void unlisten(const endpoint& where) = 0;  // what was accepted there may end, too
  // One attempt; what fails later is `closed`. Frames sent at once wait for the other side.
  [[nodiscard]] virtual result<pipe_id> dial(const endpoint& where) = 0;
  // The same, encrypted: only who knows the keys gets a frame in or out. Keys are those of the call: an endpoint keeps
  // them until `unlisten`. A dial that the other side does not understand ends in not_allowed (it speaks plain text),
  // unsupported (it is encrypted, the dial was not) or bad_cookie.
  [[nodiscard]] virtual result<endpoint> listen_encrypted(const endpoint& where, const channel_keys& keys) {
    static_cast<void>(keys);
    return error(errc::unsupported, where.text() + ": this transport cannot encrypt");
  }
  [[nodiscard]] virtual result<pipe_id> dial_encrypted(const endpoint& where, const channel_keys& keys) {
    static_cast<void>(keys);
    return error(errc::unsupported, where.text() + ": this transport cannot encrypt");
  }
  [[nodiscard]] virtual bool is_encrypted(pipe_id pipe) const noexcept {
    static_cast<void>(pipe);
    return false;
  }
  // `header` and `payload` make one frame. False when the pipe is gone: `closed` comes, or came.
  virtual bool send(pipe_id pipe, std::span<const std::byte> header, frame_payload payload) = 0;
  // The other side has proved its secret: from now on it may send long frames.
  virtual void trust(pipe_id pipe) { static_cast<void>(pipe); }
  [[nodiscard]] virtual pipe_origin origin(pipe_id accepted) const = 0;
  // Whom a quota is for: the address of who dialled, in some form; empty for what is on this host alone.
  [[nodiscard]] virtual std::string source(pipe_id pipe) const {
    static_cast<void>(pipe);
    return {};
  }
  // Bytes that were sent and that the system has not taken yet; 0 where that is not known.
  [[nodiscard]] virtual std::size_t unsent(pipe_id pipe) const noexcept {
    static_cast<void>(pipe);
    return 0;
  }
  // Forgets the pipe: no event of it comes any more. Frames sent before still leave, for a short time. Where one peer
  // cannot be cut off (an accepted one of libzmq), its next frame comes as a pipe newly `opened`.
  virtual void close(pipe_id pipe) = 0;
  virtual void stop() = 0;
};

// ZeroMQ's protocol over ipc and tcp; `on` must come from make_loop. All pipes are carried by `kind`. `io_threads` are
// libzmq's own, shared by all transports of the loop: what the first of them asks for holds. With `direct` there are
// none, nor a context of libzmq.
[[nodiscard]] result<std::unique_ptr<transport>> zmtp_transport(loop& on, transport_kind kind = transport_kind::direct,
                                                                unsigned io_threads = 1);

// Queues between the hubs of one OS process. The network is what joins them: names are unique in it. Thread-safe.
class inproc_network {
 public:
  virtual ~inproc_network() = default;
};
[[nodiscard]] std::shared_ptr<inproc_network> make_inproc_network();
[[nodiscard]] std::unique_ptr<transport> inproc_transport(loop& on, std::shared_ptr<inproc_network> network);

}  // namespace troupe::bus
