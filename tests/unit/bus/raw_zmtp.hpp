#pragma once
// ZMTP by hand: what strangers and the dying put on a socket, byte for byte.
#include <sys/un.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "unit/bus/raw_peer.hpp"
#include "unit/bus/tcp_tap.hpp"
#include "zmtp/curve.hpp"

namespace troupe::test {

// Revisions 0 and 1 are older protocols without any security, to which libzmq would fall back.
inline std::string zmtp_greeting(char revision, std::string_view mechanism) {
  std::string out("\xff\0\0\0\0\0\0\0\1\x7f", 10);
  out += revision;
  if (revision < 3) return out + std::string("\5\0\0", 3);  // DEALER, an empty routing id
  out += '\0';
  out += mechanism;
  out.resize(64);
  return out;
}

// Eight bytes, as long lengths are sent.
inline std::string zmtp_length(std::uint64_t size) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
  return out;
}

// Flags 1: more parts follow; 4: a command.
inline std::string zmtp_frame(std::string_view data, char flags = 0) {
  if (data.size() > 255) return static_cast<char>(flags | 2) + zmtp_length(data.size()) + std::string(data);
  return std::string{flags, static_cast<char>(data.size())} + std::string(data);
}

inline std::string zmtp_command(std::string_view name, std::string_view data = {}) {
  return zmtp_frame(static_cast<char>(name.size()) + std::string(name) + std::string(data), 4);
}

inline std::string zmtp_ready() { return zmtp_command("READY", std::string("\13Socket-Type\0\0\0\6DEALER", 22)); }

// A DEALER over any socket, of plain text or, with the keys of a cookie, encrypted.
class raw_zmtp {
 public:
  explicit raw_zmtp(tcp_socket socket) : socket_(std::move(socket)) {}
  raw_zmtp(tcp_socket socket, const bus::channel_keys& keys)
      : socket_(std::move(socket)),
        random_(system_random()),
        curve_(bus::internal::zmtp::curve_of_dialler(bus::internal::keep(keys), *random_)) {}

  static raw_zmtp over(const bus::endpoint& where) {
    if (where.kind == bus::endpoint::scheme::tcp) {
      tcp_socket out;
      if (!out.connect(where.port)) throw std::runtime_error("cannot connect to " + where.text());
      return raw_zmtp(std::move(out));
    }
    tcp_socket out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    where.host.copy(at.sun_path, sizeof at.sun_path - 1);
    if (::connect(out.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
      throw std::runtime_error("cannot connect to " + where.text());
    return raw_zmtp(std::move(out));
  }

  [[nodiscard]] const tcp_socket& socket() const noexcept { return socket_; }

  [[nodiscard]] bool greet() {
    if (curve_) return greet_encrypted();
    if (!socket_.send(zmtp_greeting(3, "NULL") + zmtp_ready()) || !fill(64)) return false;
    got_.erase(0, 64);
    const auto ready = frame();
    return ready && ready->contains("READY");
  }
  // True when the kernel has taken all of it.
  bool send(std::span<const std::byte> message) const {
    return socket_.send(sealed({reinterpret_cast<const char*>(message.data()), message.size()}));
  }
  // The bytes of one message, or with 4 of one command, as they go to the socket once it has greeted.
  [[nodiscard]] std::string sealed(std::string_view message, char flags = 0) const {
    if (!curve_) return zmtp_frame(message, flags);
    bus::internal::zmtp::raw_bytes out;
    curve_->seal(flags == 4, std::array{std::as_bytes(std::span(message))}, out);
    return text_of(out.span());
  }
  // The next message or command; nothing at the end of the connection.
  std::optional<std::string> frame() {
    auto got = raw_frame();
    if (!curve_ || !got) return got;
    bus::internal::zmtp::raw_bytes room;
    const auto inner = curve_->open(std::as_bytes(std::span(*got)), room);
    return inner ? std::optional(text_of(inner->body)) : std::nullopt;
  }
  // The same, as it came.
  std::optional<std::string> raw_frame() {
    if (!fill(2)) return std::nullopt;
    const bool is_long = (got_[0] & 2) != 0;
    const std::size_t head = is_long ? 9 : 2;
    if (!fill(head)) return std::nullopt;
    std::size_t size = 0;
    for (std::size_t i = 1; i < head; ++i) size = size << 8 | static_cast<unsigned char>(got_[i]);
    if (!fill(head + size)) return std::nullopt;
    std::string out = got_.substr(head, size);
    got_.erase(0, head + size);
    return out;
  }
  // The dialler's half of our handshake; the id that its frames must carry.
  std::optional<bus::internal::wire_id> join(std::string_view name, std::uint64_t creation) {
    namespace wire = bus::internal;
    wire::transcript frames;
    if (curve_) frames.over = bus::channel::encrypted;
    frames.hello = wire::encode_step("hello", hello_of(name, creation));
    if (!greet() || !send(frames.hello)) return std::nullopt;
    const auto answer = frame();
    if (!answer) return std::nullopt;
    frames.challenge = bytes_of(*answer);
    const auto step = wire::parse_step(frames.challenge);
    if (!step || step->kind != wire::step::challenge) return std::nullopt;
    const auto challenge = wire::parse_challenge(step->body);
    const auto proof = wire::prove_dialler(good_cookie, frames);
    if (!send(wire::encode_step("proof", wire::proof_message(bytes(proof.begin(), proof.end()))))) return std::nullopt;
    if (!frame()) return std::nullopt;  // the welcome
    wire::wire_id out{};
    std::ranges::copy(challenge->connection, out.begin());
    return out;
  }

 private:
  [[nodiscard]] bool greet_encrypted() {
    if (!socket_.send(zmtp_greeting(3, "CURVE") + curve_->begin()) || !fill(64)) return false;
    got_.erase(0, 64);
    for (;;) {
      const auto body = raw_frame();
      const auto what = body ? bus::internal::zmtp::parse_command(std::as_bytes(std::span(*body)))
                             : result<bus::internal::zmtp::command>(errc::closed);
      if (!what) return false;
      const auto now = curve_->take(*what);
      if (now.theirs) return true;
      if (now.say.empty() || !socket_.send(now.say)) return false;
    }
  }
  [[nodiscard]] bool fill(std::size_t size) {
    while (got_.size() < size) {
      const std::string more = socket_.receive();
      if (more.empty()) return false;
      got_ += more;
    }
    return true;
  }

  tcp_socket socket_;
  std::string got_;
  std::shared_ptr<random_source> random_;
  std::unique_ptr<bus::internal::zmtp::curve> curve_;
};

}  // namespace troupe::test
