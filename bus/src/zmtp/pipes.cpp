#include "zmtp/pipes.hpp"

#include "zmtp/pipe.hpp"

namespace troupe::bus::internal::zmtp {
namespace {

constexpr duration last_words = std::chrono::milliseconds(200);
constexpr std::size_t room_bytes = 256u << 10;
// Accepted, and not a frame has come: from this host, from others, and from one of those.
constexpr std::size_t most_near = 512, most_far = 2048, most_of_one = 512;

}  // namespace

pipes::pipes(system_loop& loop, resolver& names, descriptor_reserve& reserve, transport_events& events,
             const transport_settings& settings)
    : loop_(loop),
      resolver_(names),
      reserve_(reserve),
      events_(events),
      settings_(settings),
      shared_{loop, *this, settings.frame_bytes, settings.stranger_frame_bytes, settings.encrypted_frame_bytes},
      near_(most_near, 0, *settings.random),
      far_(most_far, most_of_one, *settings.random) {
  shared_.room.reserve(room_bytes);
  loop_.add(*this);
}

pipes::~pipes() {
  close_all();
  *alive_ = false;
  loop_.remove(*this);
}

// Between turns: nobody is in the middle of what lies here.
appetite pipes::turn() {
  graveyard_.clear();
  former_.clear();
  return appetite::none;
}

// -- traffic

bool pipes::send(pipe_id id, std::span<const std::byte> header, frame_payload payload) {
  auto found = pipes_.find(id);
  if (found == pipes_.end() || found->second->closed) return false;
  pipe& one = *found->second;
  if (one.stream) return one.stream->send(header, std::move(payload));
  const frame_head head = head_of_message(header.size() + payload.size());
  const auto [own, shared] = payload.parts();
  for (const auto part : {head.span(), header, own, shared}) one.early.append(part);
  return true;
}

void pipes::trust(pipe_id id) {
  if (auto found = pipes_.find(id); found != pipes_.end() && found->second->stream) found->second->stream->trust();
}

bool pipes::is_encrypted(pipe_id id) const noexcept {
  auto found = pipes_.find(id);
  return found != pipes_.end() && found->second->keys;
}

std::string pipes::source(pipe_id id) const {
  auto found = pipes_.find(id);
  return found == pipes_.end() ? std::string() : source_of(found->second->from);
}

pipe_origin pipes::origin(pipe_id accepted) const {
  const pipe& one = *pipes_.at(accepted);
  if (one.where.kind == endpoint::scheme::ipc) return {one.where, {}};
  return {one.where, numbers_of(one.from)};
}

std::size_t pipes::unsent(pipe_id id) const noexcept {
  auto found = pipes_.find(id);
  return found == pipes_.end() || !found->second->stream ? 0 : found->second->stream->unsent_bytes();
}

pipes::pipe* pipes::find(const zmtp::stream& of) noexcept {
  auto found = by_stream_.find(&of);
  return found == by_stream_.end() ? nullptr : found->second;
}

void pipes::frame(zmtp::stream& of, std::span<const std::byte> data) {
  pipe* one = find(of);
  if (one == nullptr || one->closed) return;
  const pipe_id id = one->id;
  if (!one->opened) {
    one->opened = true;
    if (one->timer != 0) loop_.cancel(std::exchange(one->timer, 0));
    if (one->which == side::acceptor) {
      strangers_at(one->where).remove(id);
      events_.opened(id);
    }
  }
  if (auto still = pipes_.find(id); still != pipes_.end() && !still->second->closed) events_.frame(id, data);
}

void pipes::parts(zmtp::stream& of) {
  if (find(of) != nullptr) events_.noise("stranger", "a message of several parts");
}

// -- the end

void pipes::ended(zmtp::stream& of, spoke how, const error& why) {
  pipe* one = find(of);
  if (one == nullptr) return;
  if (one->closed) return forget(*one);
  if (one->which == side::acceptor && !one->opened) {
    tell_noise(*one, how, why);
    return forget(*one);
  }
  // A listener of libzmq says nothing to other keys, and one that stops says nothing either: the next time tells which.
  const bool without_a_word = one->keys && how == spoke::zmtp && why.code() == errc::noconnection;
  if (one->which == side::dialler && !of.is_ready() && without_a_word && !one->again) return dial_again(*one);
  if (why.code() != errc::noconnection && one->opened) {
    events_.noise("stranger", why.text() + " at " + one->where.text());
  }
  fail(*one, not_understood(*one, how, why));
}

void pipes::fail(pipe& one, error why) {
  const pipe_id id = one.id;
  const bool silent = one.closed || (one.which == side::acceptor && !one.opened);
  forget(one);
  if (!silent) events_.closed(id, why);
}

void pipes::close(pipe_id id) {
  auto found = pipes_.find(id);
  if (found == pipes_.end() || found->second->closed) return;
  pipe& one = *found->second;
  one.closed = true;
  if (one.stream) one.stream->finish();
  if (!one.stream || one.stream->is_shut()) return forget(one);
  if (one.timer != 0) loop_.cancel(one.timer);
  one.timer = loop_.at(loop_.now() + last_words, [this, &one] {
    one.timer = 0;
    forget(one);
  });
}

void pipes::forget(pipe& one) {
  if (one.timer != 0) loop_.cancel(std::exchange(one.timer, 0));
  if (one.which == side::acceptor && !one.opened) strangers_at(one.where).remove(one.id);
  if (one.lookup != 0) resolver_.cancel(std::exchange(one.lookup, 0));
  if (one.stream) {
    by_stream_.erase(one.stream.get());
    one.stream->shut();
  }
  auto found = pipes_.find(one.id);
  graveyard_.push_back(std::move(found->second));
  pipes_.erase(found);
}

void pipes::close_all() {
  listeners_.clear();
  for (auto& [id, one] : pipes_) {
    if (one->timer != 0) loop_.cancel(std::exchange(one->timer, 0));
    if (one->lookup != 0) resolver_.cancel(one->lookup);
    if (one->stream) one->stream->leave();
  }
  by_stream_.clear();
  pipes_.clear();
  near_.clear();
  far_.clear();
}

// -- words

void pipes::tell_noise(const pipe& one, spoke how, const error& why) {
  const std::string at = " at " + one.where.text();
  switch (how) {
    case spoke::curve: return events_.noise("encrypted", "a dialler that encrypts, where plain text is spoken" + at);
    case spoke::plain: return events_.noise("wrong_key", "a dialler that does not encrypt" + at);
    case spoke::other: return events_.noise("stranger", why.text() + at);
    case spoke::zmtp:
    case spoke::answers:
      if (why.code() == errc::bad_cookie) return events_.noise("wrong_key", why.text() + at);
      if (why.code() != errc::noconnection) return events_.noise("stranger", why.text() + at);
      if (one.keys && !one.stream->is_ready()) break;
      return events_.noise("stranger", "somebody who left before a first frame" + at);
    case spoke::nothing: break;
  }
  events_.noise("stranger", "somebody who left during the handshake of ZeroMQ" + at);
}

// What is there, for a side that dialled and was not understood.
error pipes::not_understood(const pipe& one, spoke how, const error& why) {
  if (one.which == side::acceptor || one.stream->is_ready()) return why;
  const std::string at = " at " + one.where.text();
  switch (how) {
    case spoke::curve:
      return error(errc::unsupported,
                   "who answers" + at +
                       " encrypts, this node speaks plain text there: "
                       "node.encryption = \"always\" encrypts on loopback, node.plain_text forbids it off");
    case spoke::plain:
      return error(errc::not_allowed, "who answers" + at +
                                          " speaks plain text, this node encrypts there: the same "
                                          "node.encryption and node.plain_text on both sides mend it");
    case spoke::other: return error(errc::noconnection, "what answers" + at + " speaks no ZMTP");
    case spoke::zmtp:
    case spoke::answers: return hung_up(one, how, why);
    case spoke::nothing: break;
  }
  return error(errc::noconnection, "nobody answers" + at + (why.text().empty() ? "" : ": " + why.text()));
}

// Within the handshake. A listener of libzmq hangs up on whoever has another key, and says nothing; ours says so.
error pipes::hung_up(const pipe& one, spoke how, const error& why) {
  const std::string who = "who answers at " + one.where.text();
  if (one.keys && (how == spoke::zmtp || why.code() == errc::bad_cookie))
    return error(errc::bad_cookie, who + " has another cookie: the encryption does not fit");
  return error(errc::noconnection, who + " hung up during the handshake of ZeroMQ");
}

}  // namespace troupe::bus::internal::zmtp
