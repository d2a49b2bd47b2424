#pragma once
// CurveZMQ (rfc.zeromq.org/spec/26), the mechanism that encrypts, as bytes. Knows no socket.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <troupe/bus/transport.hpp>

#include "crypto/box.hpp"
#include "kept_keys.hpp"
#include "zmtp/codec.hpp"
#include "zmtp/raw_bytes.hpp"

namespace troupe::bus::internal::zmtp {

// Design notes.
//
//   dialler                                     acceptor
//   HELLO     C', box of zeros (C'->S)    -->   opens only with the acceptor's key: else bad_cookie
//   <-- WELCOME   box of S' and the cookie (S->C')
//             the acceptor keeps the key of that cookie and nothing else of this dialler; S' and C' lie in the cookie
//   INITIATE  cookie, box of C, vouch and metadata (C'->S')   -->   C must be the cluster's: else bad_cookie
//   <-- READY     box of metadata (S'->C')
//   MESSAGE   box of flags and bytes, both ways, under what C' and S' share
//
// C and S are the dialler's and the acceptor's keys, which come from the cluster's cookie; C' and S' are drawn for this
// connection and forgotten with it. Every command of one side has a nonce greater than the one before: a repeated or an
// older one ends the connection. Who is refused for its keys is told ERROR "400".
// Owner: a stream; the loop's thread. All that is secret is overwritten when it goes.
class curve {
 public:
  static constexpr std::size_t overhead = 33;  // of a message over what it carries: name, nonce, proof, flags

  struct progress {
    std::string say;                         // whole frames for the other side, also when it has failed
    std::optional<socket_type> theirs = {};  // the handshake is over: what the other side is
    error why = {};                          // or it has failed. bad_cookie: by other keys than ours; bad_message
  };

  virtual ~curve() = default;
  curve(const curve&) = delete;
  curve& operator=(const curve&) = delete;

  // The first words, whole frames, once both greetings are known.
  [[nodiscard]] virtual std::string begin() { return {}; }
  // The next command of the other side's handshake; not called again once that is over, or has failed.
  [[nodiscard]] virtual progress take(const command& one) = 0;

  // The handshake is over. One message or command into a frame at the end of `out`.
  void seal(bool is_command, std::span<const std::span<const std::byte>> parts, raw_bytes& out);
  // What is in the body of a frame, written to `room`. errc::noconnection: it was not sealed by the other side, or not
  // after what came before it.
  [[nodiscard]] result<frame> open(std::span<const std::byte> body, raw_bytes& room);

 protected:
  curve(std::string_view our_messages, std::string_view their_messages, kept_keys keys, random_source& random) noexcept
      : our_messages_(our_messages), their_messages_(their_messages), keys_(std::move(keys)), random_(random) {}
  // False when `number` does not rise.
  [[nodiscard]] bool rises(std::uint64_t number) noexcept;
  [[nodiscard]] std::uint64_t next_number() noexcept { return ++last_ours_; }
  [[nodiscard]] const channel_keys& keys() const noexcept { return *keys_; }
  [[nodiscard]] random_source& random() noexcept { return random_; }

  troupe::internal::box_key session_;  // what C' and S' share

 private:
  const std::string_view our_messages_, their_messages_;  // beginnings of nonces
  const kept_keys keys_;
  random_source& random_;
  std::uint64_t last_ours_ = 0, last_theirs_ = 0;
};

[[nodiscard]] std::unique_ptr<curve> curve_of_dialler(kept_keys keys, random_source& random);
[[nodiscard]] std::unique_ptr<curve> curve_of_acceptor(kept_keys keys, random_source& random);

}  // namespace troupe::bus::internal::zmtp
