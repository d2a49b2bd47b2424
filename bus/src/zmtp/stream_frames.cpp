// What a stream does with what has arrived: the greeting, the handshake of the mechanism, messages and commands.
#include <sys/socket.h>

#include <array>

#include "zmtp/stream.hpp"

namespace troupe::bus::internal::zmtp {
namespace {

constexpr std::size_t most_pongs = 16u << 10;

}  // namespace

// Of a message's frame.
std::size_t stream::longest() const noexcept {
  if (!curve_) return trusted_ ? with_.longest : with_.strangers_longest;
  if (step_ != step::open) return 0;
  return (trusted_ ? with_.encrypted_longest : with_.strangers_longest) + curve::overhead;
}

bool stream::take_greeting(std::span<const std::byte>& data) {
  if (!may_be_greeting(data)) {
    fail(error(errc::bad_message, "bytes that are no ZMTP"), spoke::other);
    return false;
  }
  if (data.size() < greeting_bytes) {
    part_wanted_ = greeting_bytes;
    return true;
  }
  const auto whole = data.first<greeting_bytes>();
  const mechanism theirs = mechanism_of(whole);
  if (theirs != (curve_ ? mechanism::curve : mechanism::null)) {
    // Lets our greeting leave, by which the other side sees why.
    const spoke how = theirs == mechanism::curve  ? spoke::curve
                      : theirs == mechanism::null ? spoke::plain
                                                  : spoke::other;
    ::shutdown(socket_.get(), SHUT_WR);
    fail(error(errc::unsupported, "another mechanism of ZMTP than " + std::string(curve_ ? "CURVE" : "NULL")), how);
    return false;
  }
  spoke_ = curve_ && side_ == side::dialler && is_server(whole) ? spoke::answers : spoke::zmtp;
  step_ = step::ready;
  data = data.subspan(greeting_bytes);
  const auto ours = our_greeting();
  if (side_ == side::dialler) write(std::span<const std::byte>(ours).subspan(opening_bytes));
  write(curve_ ? curve_->begin() : ready(side_ == side::dialler ? socket_type::dealer : socket_type::router));
  return true;
}

bool stream::take_frame(const frame& one) {
  if (step_ == step::open && curve_) return take_sealed(one);
  if (one.command) return take_command(one.body);
  if (step_ != step::open) {
    fail(error(errc::bad_message, "a message before READY"), spoke::other);
    return false;
  }
  return take_message(one.more, one.body);
}

bool stream::take_sealed(const frame& one) {
  const result<frame> inner = one.command || one.more ? error(errc::noconnection, "a frame that is not encrypted")
                                                      : curve_->open(one.body, with_.opened);
  if (!inner) {
    fail(inner.error(), spoke_);
    return false;
  }
  return inner->command ? take_command(inner->body) : take_message(inner->more, inner->body);
}

bool stream::take_message(bool more, std::span<const std::byte> body) {
  if (more || dropping_) {
    dropping_ = more;
    if (!dropping_) with_.events.parts(*this);
  } else {
    with_.events.frame(*this, body);
  }
  return !is_shut() && !finishing_;
}

bool stream::take_command(std::span<const std::byte> body) {
  const auto what = parse_command(body);
  if (!what) {
    fail(what.error(), spoke::other);
    return false;
  }
  if (step_ == step::ready) return take_handshake(*what);
  return what->name != "PING" || take_ping(what->data);  // else PONG, and what a later version may say
}

bool stream::take_ping(std::string_view data) {
  const auto context = parse_ping(data);
  if (!context) {
    fail(context.error(), spoke_);
    return false;
  }
  const std::string answer = pong(*context);
  write_frames(std::as_bytes(std::span(answer)));
  pongs_ = out_.empty() ? 0 : pongs_ + context->size() + longest_head;
  if (pongs_ <= most_pongs) return true;
  fail(error(errc::overloaded, "PING after PING from one that does not read the answers"), spoke_);
  return false;
}

bool stream::take_handshake(const command& what) {
  if (curve_) {
    const curve::progress now = curve_->take(what);
    write(now.say);
    if (now.theirs) return open_up(*now.theirs);
    if (now.why.code() == errc::none) return true;
    fail(now.why, now.why.code() == errc::bad_cookie ? spoke_ : spoke::other);
    return false;
  }
  const auto theirs =
      what.name == "READY" ? parse_ready(what.data) : result<socket_type>(error(errc::bad_message, "no READY"));
  if (theirs) return open_up(*theirs);
  fail(theirs.error(), spoke::other);
  return false;
}

bool stream::open_up(socket_type theirs) {
  if (theirs != (side_ == side::dialler ? socket_type::router : socket_type::dealer)) {
    fail(error(errc::bad_message, "a ZeroMQ socket of another type"), spoke::other);
    return false;
  }
  step_ = step::open;
  if (!held_.empty()) write_frames(std::exchange(held_, {}).span());
  return true;
}

}  // namespace troupe::bus::internal::zmtp
