#include "zmq/accepted.hpp"

#include <sys/socket.h>

#include <utility>

#include "zmq/accepted_readers.hpp"
#include "zmq/dialled.hpp"

namespace troupe::bus::internal {
namespace {

constexpr int frames_a_turn = 256;
constexpr std::size_t most_pipes = 1u << 16;
constexpr unsigned most_lives = 4;
constexpr duration probe_patience = std::chrono::milliseconds(100);

// By tcp. The descriptor may be another's by now, since it is libzmq's: then what libzmq has said before, the address
// without its port, is all that is known.
endpoint from_of(int fd, const std::string& address) {
  socket_address theirs;
  if (::getpeername(fd, theirs.get(), &theirs.size) == 0) {
    endpoint from = numbers_of(theirs);
    if (from.host == address || "::ffff:" + from.host == address) return from;
  }
  return {.kind = endpoint::scheme::tcp, .host = address};
}

}  // namespace

bool accepted_pipes::read_router() {
  zmq_message route;
  zmq_message body;
  for (int i = 0; i < frames_a_turn; ++i) {
    if (router_->socket.receive(route) != zmq_outcome::done) {
      for (probe_of& one : probes_) one.read_all = true;
      finish_dying(true);
      return false;
    }
    std::size_t parts = 0;
    int fd = -1;
    for (bool more = route.more(); more; more = body.more()) {
      if (router_->socket.receive(body) != zmq_outcome::done) break;
      if (++parts == 1) fd = body.source_fd();
    }
    if (parts == 1) take(route.text(), fd, body);
    else with_.events.noise("stranger", "a message of several parts");
    if (!router_->socket) return false;  // stopped by what it read
  }
  return true;
}

void accepted_pipes::take(std::string_view route, int fd, zmq_message& body) {
  pipe* from = find_or_open(route, fd, body);
  const pipe_id id = from == nullptr ? 0 : from->id;
  others_frame(from);  // may end others, and what they held may end this one
  auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  pipe& one = *found->second;
  if (one.shut) return with_.events.noise("turned_away", {});
  if (!one.trusted && body.data().size() > with_.settings.stranger_frame_bytes) return hang_up(one, body.data().size());
  if (!one.announced) {
    one.announced = true;
    with_.events.opened(id);
    if (!by_id_.contains(id)) return;
  }
  with_.events.frame(id, body.data());
}

// libzmq has taken it by now, and goes on: what else comes is thrown away.
void accepted_pipes::hang_up(pipe& one, std::size_t size) {
  const error why(errc::bad_message, "a frame of " + std::to_string(size) + " bytes of one that has proved nothing");
  with_.events.noise("stranger", why.text() + " at " + where_.text());
  const pipe_id id = one.id;
  const bool announced = one.announced;
  one.lives = most_lives;
  close(id);
  if (announced) with_.events.closed(id, why);
}

accepted_pipes::pipe* accepted_pipes::find_or_open(std::string_view route, int fd, zmq_message& body) {
  if (auto found = by_route_.find(std::string(route)); found != by_route_.end()) {
    pipe& known = *found->second;
    if (fd < 0 || known.fd == fd) {
      reopen(known);
      return &known;
    }
    // The descriptor of a pipe never changes: somebody has taken a dead peer's id for his own.
    now_dying(known);
    with_.events.noise("stranger", "a stranger under the id of a peer that is gone");
    return nullptr;
  }
  if (keys_ && !body.has_property("User-Id", mark_)) {
    with_.events.noise("wrong_key", "a peer whose key nobody has checked");
    return nullptr;
  }
  forget_former(fd);
  if (by_route_.size() >= most_pipes) {
    with_.events.noise("stranger", "too many strangers at once");
    return nullptr;
  }
  return make_pipe(route, fd, body);
}

accepted_pipes::pipe* accepted_pipes::make_pipe(std::string_view route, int fd, zmq_message& body) {
  auto made = std::make_unique<pipe>(pipe{.id = ++with_.last, .route = std::string(route), .fd = fd});
  pipe* out = made.get();
  if (where_.kind == endpoint::scheme::tcp) {
    const std::string address = body.property("Peer-Address");
    out->from = from_of(fd, address);
    if (const auto number = numeric_address(*out->from)) out->source = source_of(*number);
  }
  by_id_.emplace(out->id, out);
  with_.accepted.emplace(out->id, this);
  by_route_.emplace(out->route, std::move(made));
  forgotten_.erase(fd);
  if (fd >= 0) by_fd_.emplace(fd, out);
  else ++without_fd_;  // a candidate of every probe
  return out;
}

// Whoever goes on after the hub has closed its pipe gets a new one, so that it is told that it was turned away; but not
// for ever: answers that nobody reads lie in libzmq, which has no bound for them.
void accepted_pipes::reopen(pipe& one) {
  if (!one.shut || one.dying || one.lives == most_lives) return;
  by_id_.erase(one.id);
  with_.accepted.erase(one.id);
  one.id = ++with_.last;
  by_id_.emplace(one.id, &one);
  with_.accepted.emplace(one.id, this);
  one.shut = one.announced = one.trusted = false;
  ++one.lives;
}

// A new connection has this descriptor: those that are shut and had it are gone, should no probe have found that out.
void accepted_pipes::forget_former(int fd) {
  if (fd < 0) return;
  std::vector<pipe*> gone;
  auto [first, last] = by_fd_.equal_range(fd);
  for (auto it = first; it != last; ++it) {
    if (it->second->shut) gone.push_back(it->second);
  }
  for (pipe* one : gone) forget(*one);
}

bool accepted_pipes::send_to(pipe& to, std::span<const std::byte> header, const frame_payload& payload) {
  if (to.dying) return false;
  zmq_message route;
  zmq_message body;
  if (!fill(route, std::as_bytes(std::span(to.route)), {}) || !fill(body, header, payload)) return false;
  with_.list.sent_on(*router_);
  if (router_->socket.send(route, true) != zmq_outcome::done) {
    now_dying(to);
    return false;
  }
  return router_->socket.send(body, false) == zmq_outcome::done;
}

bool accepted_pipes::send(pipe_id id, std::span<const std::byte> header, const frame_payload& payload) {
  auto found = by_id_.find(id);
  return found != by_id_.end() && !found->second->shut && send_to(*found->second, header, payload);
}

std::string accepted_pipes::source(pipe_id id) const {
  auto found = by_id_.find(id);
  return found == by_id_.end() ? std::string() : found->second->source;
}

pipe_origin accepted_pipes::origin(pipe_id id) const { return {where_, by_id_.at(id)->from}; }

void accepted_pipes::trust(pipe_id id) {
  if (auto found = by_id_.find(id); found != by_id_.end()) found->second->trusted = true;
}

void accepted_pipes::close(pipe_id id) {
  auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  if (found->second->fd < 0) forget(*found->second);
  else found->second->shut = true;  // kept until the connection of libzmq is gone
}

void accepted_pipes::forget(pipe& one) {
  if (one.fd < 0) --without_fd_;
  else if (!one.accounted) forgotten_.insert(one.fd);
  auto [first, last] = by_fd_.equal_range(one.fd);
  for (auto it = first; it != last; ++it) {
    if (it->second != &one) continue;
    by_fd_.erase(it);
    break;
  }
  dying_.erase({one.due, one.id});
  shut_and_dead_.erase(one.id);
  by_id_.erase(one.id);
  with_.accepted.erase(one.id);
  by_route_.erase(std::string(one.route));
}

void accepted_pipes::now_dying(pipe& one) {
  if (one.dying) return;
  one.dying = true;
  if (one.shut) shut_and_dead_.insert(one.id);  // nobody waits for what it may have left
  else grant_patience(one);
  with_.list.may_have(*router_);
}

void accepted_pipes::grant_patience(pipe& one) {
  dying_.erase({one.due, one.id});
  one.due = frames_read_ + 2 * (by_id_.size() + 1);
  dying_.insert({one.due, one.id});
}

// One more frame was read: of the pipe `of`, null for none that is known.
void accepted_pipes::others_frame(pipe* of) {
  ++frames_read_;
  if (of != nullptr && of->due != 0) grant_patience(*of);
  if (!dying_.empty() && dying_.begin()->first <= frames_read_) finish_dying(false);
}

void accepted_pipes::finish_dying(bool all) {
  std::vector<pipe_id> ids;
  if (all) ids.assign(shut_and_dead_.begin(), shut_and_dead_.end());
  for (const auto& [due, id] : dying_) {
    if (!all && due > frames_read_) break;
    ids.push_back(id);
  }
  for (const pipe_id id : ids) {
    auto found = by_id_.find(id);
    if (found == by_id_.end()) continue;
    const bool shut = found->second->shut;
    forget(*found->second);
    if (!shut) with_.events.closed(id, error(errc::noconnection, "the other side is gone"));
  }
}

bool accepted_pipes::probe() {
  if (probes_.empty()) return false;
  const time_point now = with_.loop.now();
  if (router_->socket.readable()) with_.list.may_have(*router_);  // lets libzmq end pipes; may eat the edge of a frame
  std::erase_if(probes_, [&](const probe_of& one) {
    std::vector<pipe*> candidates;
    auto [first, last] = by_fd_.equal_range(one.fd);
    for (auto it = first; it != last; ++it) candidates.push_back(it->second);
    if (without_fd_ > 0) {
      for (auto& [id, each] : by_id_) {
        if (each->fd < 0) candidates.push_back(each);
      }
    }
    for (pipe* each : candidates) {
      if (!each->dying) send_to(*each, {}, {});
      if (each->dying && !std::exchange(each->accounted, true)) return true;
    }
    if (!candidates.empty() || !one.read_all) return now > one.until;
    never_heard(one.fd);
    return true;
  });
  return !probes_.empty();
}

// Whoever had this descriptor is gone, and no frame of his has come. libzmq says no more of him: see `wanted_events`.
void accepted_pipes::never_heard(int fd) {
  if (!listening_ || forgotten_.erase(fd) != 0) return;  // a pipe that ended before libzmq said so
  if (explained_ != 0) --explained_;
  else if (keys_)
    with_.events.noise("wrong_key", "a dialler that does not encrypt, has another cookie, or hung up at once");
  else with_.events.noise("stranger", "somebody who left before a first frame at " + where_.text());
}

void accepted_pipes::on_event(const zmq_event& event) {
  switch (event.event) {
    case ZMQ_EVENT_DISCONNECTED:
      probes_.push_back({.fd = event.number, .until = with_.loop.now() + probe_patience});
      with_.list.may_have(*router_);
      break;
    case ZMQ_EVENT_ACCEPTED: accepted_by(event.number); break;
    case ZMQ_EVENT_ACCEPT_FAILED: out_of_descriptors(event.number); break;
    default: handshake_failed(event); break;
  }
}

// DISCONNECTED follows.
void accepted_pipes::handshake_failed(const zmq_event& event) {
  ++explained_;
  const std::string at = " at " + event.address;
  if (event.event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
    with_.events.noise("wrong_key", "a dialler with a key that the cookie does not give" + at);
  } else {
    with_.events.noise("stranger", "somebody who left during the handshake of ZeroMQ" + at);
  }
}

}  // namespace troupe::bus::internal
