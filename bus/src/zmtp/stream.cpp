#include "zmtp/stream.hpp"

#include <sched.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <system_error>

namespace troupe::bus::internal::zmtp {
namespace {

constexpr std::size_t bytes_a_turn = 256u << 10;  // of one stream, before others' turn
constexpr std::size_t kept_part = 512u << 10;     // room that a stream keeps for the next frame
constexpr std::size_t long_rest = 32u << 10;      // of a frame: worth waiting for
constexpr std::size_t long_piece = 8u << 10;      // of one read: its sender is near and fast
constexpr int most_waits = 40;                    // for more of it, in one turn
constexpr std::size_t first_part = 64u << 10;     // room for a frame of which little has come
constexpr std::size_t strangers_first_part = 1u << 10;
constexpr std::size_t most_strangers_parts = 4u << 20;

error system_failure(std::string what, int number) {
  return error(errc::noconnection, std::move(what) + ": " + std::generic_category().message(number));
}

}  // namespace

stream::stream(shared& with, unique_fd socket, side which, bool connecting, std::unique_ptr<curve> encryption)
    : with_(with),
      socket_(std::move(socket)),
      side_(which),
      step_(connecting ? step::connecting : step::greeting),
      curve_(std::move(encryption)) {}

stream::~stream() { shut(); }

result<void> stream::begin() {
  if (!with_.loop.watch(socket_.get(), *this)) return error(errc::system_limit, "a socket cannot be watched");
  if (step_ == step::connecting) want_writable(true);
  else connected();
  return {};
}

std::array<std::byte, greeting_bytes> stream::our_greeting() const noexcept {
  return curve_ ? greeting(mechanism::curve, side_ == side::acceptor) : greeting(mechanism::null, false);
}

void stream::connected() {
  step_ = step::greeting;
  const auto ours = our_greeting();
  const std::span<const std::byte> words = ours;
  write(side_ == side::dialler ? words.first(opening_bytes) : words);
}

// What lies unread is read first: closed over it, the socket would reset the connection, and with it our last words.
void stream::leave() {
  if (!socket_) return;
  if (step_ == step::open && !cannot_write_) {
    write_queued();
    ::shutdown(socket_.get(), SHUT_WR);
    while (::recv(socket_.get(), with_.room.data(), with_.room.capacity(), MSG_DONTWAIT) > 0) {
    }
  }
  shut();
}

void stream::shut() {
  if (!socket_) return;
  with_.loop.unwatch(socket_.get(), *this);
  socket_.close();
  part_ = {};
  count_part();
  out_ = {};
}

void stream::finish() {
  if (!socket_ || finishing_) return;
  finishing_ = true;
  part_ = {};
  count_part();
  if (step_ != step::open) held_ = {};
  if (cannot_write_ || step_ == step::connecting) return shut();
  if (out_.empty()) ::shutdown(socket_.get(), SHUT_WR);
}

void stream::fail(const error& why, spoke how) {
  shut();
  with_.events.ended(*this, how, why);
}

// -- in

void stream::readable() {
  if (step_ == step::connecting) return writable();  // refused
  try {
    take_arrived();
  } catch (const std::bad_alloc&) {  // for what it sent: it goes, the node stays
    if (socket_) fail(error(errc::system_limit, "no memory for what the other side sends"), spoke_);
  }
}

void stream::take_arrived() {
  int waits = 0;
  std::size_t last = 0;  // read at once
  for (std::size_t read = 0; read < bytes_a_turn;) {
    const std::size_t had = part_.size();
    const std::size_t missing =
        std::min(part_wanted_, part_.capacity()) > had ? std::min(part_wanted_, part_.capacity()) - had : 0;
    std::array<iovec, 2> into{{{part_.data() + had, missing}, {with_.room.data(), with_.room.capacity()}}};
    const int from = missing == 0 ? 1 : 0;
    const ssize_t count = ::readv(socket_.get(), into.data() + from, 2 - from);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (missing < long_rest || last < long_piece || ++waits > most_waits) return;
      sched_yield();  // its sender is in the middle of it: asleep, this thread would be woken for each piece
      continue;
    }
    if (count == 0) return fail(error(errc::noconnection, "the other side is gone"), spoke_);
    if (count < 0) return fail(system_failure("the connection broke", errno), spoke_);
    const auto got = static_cast<std::size_t>(count);
    read += got;
    if (finishing_) continue;
    part_.set_size(had + std::min(got, missing));
    if (!take_read({with_.room.data(), got - std::min(got, missing)})) return;
    last = got;
    const bool more = part_wanted_ >= part_.size() + long_rest && got >= long_piece;
    if (got < missing + with_.room.capacity() && !more) return;  // level-triggered: what comes now is told again
  }
}

// `fresh` lies behind what is kept of a part. False when the stream has ended meanwhile.
bool stream::take_read(std::span<const std::byte> fresh) {
  while (!part_.empty()) {
    const std::size_t upto = part_wanted_ != 0 ? part_wanted_ : longest_head;
    const std::size_t more = std::min(fresh.size(), upto - std::min(upto, part_.size()));
    if (!keep(fresh.first(more))) return false;
    // More room only once what there was is full.
    if (part_.size() < part_wanted_) return part_.size() < part_.capacity() || make_room(part_.size() + 1);
    raw_bytes whole = std::exchange(part_, {});
    count_part();
    std::span<const std::byte> data = whole.span();
    if (!take(data)) return false;
    if (data.size() > more) {  // not more than its length is known now
      fresh = fresh.subspan(more);
      if (!keep(data)) return false;
      if (fresh.empty()) return true;
      continue;
    }
    fresh = fresh.subspan(more - data.size());
    if (trusted_ && whole.capacity() <= kept_part) {
      part_ = std::move(whole);
      part_.clear();
    }
    break;
  }
  return fresh.empty() || (take(fresh) && keep(fresh));
}

// False when there is no room for it, which has ended the stream.
bool stream::keep(std::span<const std::byte> rest) {
  if (rest.empty()) return true;
  if (part_.size() + rest.size() > part_.capacity() && !make_room(part_.size() + rest.size())) return false;
  part_.append(rest);
  return true;
}

// For `size` bytes at least, and for a frame that goes on for some more.
bool stream::make_room(std::size_t size) {
  const std::size_t more = trusted_ ? std::max(4 * size, first_part) : std::max(2 * size, strangers_first_part);
  part_.reserve(std::max(size, std::min(part_wanted_ == 0 ? longest_head : part_wanted_, more)));
  count_part();
  if (trusted_ || with_.strangers_parts <= most_strangers_parts) return true;
  fail(error(errc::overloaded, "a long frame, while strangers have sent too many of them"), spoke_);
  return false;
}

void stream::count_part() {
  const std::size_t now =
      trusted_ || part_.capacity() <= strangers_first_part ? 0 : part_.capacity() - strangers_first_part;
  with_.strangers_parts = with_.strangers_parts - part_counted_ + now;
  part_counted_ = now;
}

void stream::trust() {
  trusted_ = true;
  count_part();
}

// Takes from the front of `data` what is whole. False when the stream has ended meanwhile.
bool stream::take(std::span<const std::byte>& data) {
  part_wanted_ = 0;
  if (step_ == step::greeting && !data.empty() && !take_greeting(data)) return false;
  while (step_ != step::greeting && !data.empty()) {
    const auto one = cut_frame(data, longest());
    if (!one) {
      fail(one.error(), spoke_);
      return false;
    }
    part_wanted_ = one->wanted;
    if (one->used == 0) return true;
    if (!take_frame(one->what)) return false;
    data = data.subspan(one->used);
    part_wanted_ = 0;
  }
  return true;
}

// -- out

bool stream::send(std::span<const std::byte> header, frame_payload body) {
  if (!socket_ || finishing_ || cannot_write_) return false;
  const auto [own, shared] = body.parts();
  if (step_ == step::open && curve_) return write_sealed(false, std::array{header, own, shared});
  const frame_head head = head_of_message(header.size() + body.size());
  if (step_ == step::open) return write(head.span(), header, std::move(body));
  for (const auto part : {head.span(), header, own, shared}) held_.append(part);
  return true;
}

bool stream::write_sealed(bool is_command, std::span<const std::span<const std::byte>> parts) {
  with_.sealed.clear();
  curve_->seal(is_command, parts, with_.sealed);
  return write(with_.sealed.span());
}

// Frames as they are in plain text.
void stream::write_frames(std::span<const std::byte> whole) {
  if (!curve_) {
    write(whole);
    return;
  }
  while (!whole.empty()) {
    const cut one = *cut_frame(whole, whole.size());
    write_sealed(one.what.command, std::array{one.what.body});
    whole = whole.subspan(one.used);
  }
}

bool stream::write(std::span<const std::byte> a, std::span<const std::byte> b, frame_payload c) {
  if (cannot_write_) return false;
  std::size_t written = 0;
  if (out_.empty()) {
    const auto [own, shared] = c.parts();
    std::array<iovec, 4> from{};
    std::size_t count = 0;
    for (const std::span<const std::byte> part : {a, b, own, shared}) {
      if (!part.empty()) from[count++] = {const_cast<std::byte*>(part.data()), part.size()};
    }
    written = take_out(std::span(from).first(count));
    if (cannot_write_) return false;
  }
  for (const std::span<const std::byte> one : {a, b}) {
    const std::size_t gone = std::min(written, one.size());
    written -= gone;
    out_.append(one.subspan(gone));
  }
  out_.append(std::move(c), written);
  if (!out_.empty()) want_writable(true);
  return true;
}

// What the socket takes now. A failure: what has arrived is read first; that will say why.
std::size_t stream::take_out(std::span<iovec> from) {
  for (;;) {
    msghdr message{};
    message.msg_iov = from.data();
    message.msg_iovlen = from.size();
    const ssize_t count = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EINTR) continue;
    cannot_write_ = errno != EAGAIN && errno != EWOULDBLOCK;
    return 0;
  }
}

void stream::writable() {
  if (step_ == step::connecting) {
    int number = 0;
    socklen_t size = sizeof number;
    ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &number, &size);
    if (number != 0) return fail(error(errc::noconnection, std::generic_category().message(number)), spoke::nothing);
    want_writable(false);
    return connected();
  }
  write_queued();
  if (!out_.empty()) return;
  want_writable(false);
  if (!finishing_) return;
  if (cannot_write_) return fail(error(errc::noconnection), spoke_);
  ::shutdown(socket_.get(), SHUT_WR);
}

void stream::write_queued() {
  std::array<iovec, 16> from{};
  while (!out_.empty() && !cannot_write_) {
    const std::size_t count = take_out(std::span(from).first(out_.front(from)));
    if (count == 0) break;
    out_.drop_front(count);
  }
  if (cannot_write_) out_.clear();
}

void stream::want_writable(bool want) {
  if (std::exchange(wants_writable_, want) != want) with_.loop.watch_writable(socket_.get(), *this, want);
}

}  // namespace troupe::bus::internal::zmtp
