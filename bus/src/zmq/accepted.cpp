#include "zmq/accepted.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "zmq/dialled.hpp"

namespace troupe::bus::internal {
namespace {

constexpr int frames_a_turn = 256;
constexpr int linger_ms = 200;
constexpr std::size_t most_pipes = 1u << 16;
constexpr unsigned most_lives = 4;
constexpr duration probe_patience = std::chrono::milliseconds(100);

// Never HANDSHAKE_FAILED_PROTOCOL: asked for that, libzmq 4.3.4 only stops a connection whose message does not decrypt,
// instead of closing it; a reset of that connection and the next heartbeat then abort the program.
constexpr int wanted_events = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

// libzmq numbers the peers of a ROUTER from rand(), which nobody seeds: a stranger who takes the next number as his own
// id aborts the program. rand() draws from this state while the ROUTER is made, and the program's own sequence goes on
// afterwards.
result<zmq_socket_handle> make_router(const std::shared_ptr<zmq_context>& context, random_source& random) {
  std::array<char, 128> state{};
  char* before = initstate(static_cast<unsigned>(random.next()), state.data(), state.size());
  auto router = zmq_socket_handle::open(context, ZMQ_ROUTER);
  if (before != nullptr) setstate(before);
  return router;
}

int milliseconds_of(duration time) {
  const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return static_cast<int>(std::clamp<std::int64_t>(count, 1, 600'000));
}

}  // namespace

class accepted_pipes::router_reader final : public watched {
 public:
  explicit router_reader(accepted_pipes& owner) : watched(owner.list_), owner_(owner) {}
  bool read() override { return owner_.read_router(); }

 private:
  accepted_pipes& owner_;
};

class accepted_pipes::monitor_reader final : public watched {
 public:
  explicit monitor_reader(accepted_pipes& owner) : watched(owner.list_), owner_(owner) {}
  bool read() override {
    zmq_event event;
    for (int i = 0; i < 4096; ++i) {  // never left unread for long: libzmq writes it blocking
      if (!next_event(socket, event)) return false;
      owner_.on_event(event);
    }
    return true;
  }

 private:
  accepted_pipes& owner_;
};

accepted_pipes::accepted_pipes(std::shared_ptr<zmq_context> context, system_loop& loop, watch_list& list,
                               descriptor_reserve& reserve, transport_events& events,
                               const transport_settings& settings)
    : context_(std::move(context)), loop_(loop), list_(list), reserve_(reserve), events_(events), settings_(settings) {}

accepted_pipes::~accepted_pipes() { close_all(); }

bool accepted_pipes::set_up(zmq_socket_handle& router) const {
  // A finite mark, since strangers reach it; an honest peer, bounded by credit, never does. The heartbeat is the broom
  // for peers that the hub has given up: one peer of a ROUTER cannot be closed in any other way.
  const int mark = static_cast<int>(std::min<std::size_t>(settings_.frames_under_way, 1u << 24));
  const int silence = milliseconds_of(settings_.silence);
  return router.set(ZMQ_LINGER, linger_ms) && router.set(ZMQ_ROUTER_MANDATORY, 1) && router.set(ZMQ_SNDHWM, 0) &&
         router.set(ZMQ_RCVHWM, mark) && router.set(ZMQ_BACKLOG, 1024) && router.set(ZMQ_HANDSHAKE_IVL, 5000) &&
         router.set64(ZMQ_MAXMSGSIZE, static_cast<std::int64_t>(settings_.encrypted_frame_bytes)) &&
         router.set(ZMQ_HEARTBEAT_IVL, silence) && router.set(ZMQ_HEARTBEAT_TIMEOUT, std::max(silence / 2, 1));
}

result<void> accepted_pipes::open() {
  if (router_) return {};
  auto made = make_router(context_, *settings_.random);
  if (!made) return made.error();
  auto router = std::make_unique<router_reader>(*this);
  auto monitor = std::make_unique<monitor_reader>(*this);
  router->socket = std::move(*made);
  if (!set_up(router->socket)) return zmq_failure(errc::io, "a ROUTER cannot be set up");
  auto events = router->socket.monitor(wanted_events);
  if (!events) return events.error();
  monitor->socket = std::move(*events);
  auto added = list_.add(*router);
  if (added) added = list_.add(*monitor);
  if (!added) {
    list_.remove(*router);
    router->socket.stop_monitor();
    return added;
  }
  router_ = std::move(router);
  monitor_ = std::move(monitor);
  return {};
}

// Sets what the endpoints that are bound from now on are encrypted with; those that are bound keep theirs.
result<std::string> accepted_pipes::encrypt(const channel_keys& keys) {
  auto zap = zap_handler::of(context_, loop_);
  if (!zap) return zap.error();
  zap_ = std::move(*zap);
  if (mark_.empty()) mark_ = generate_cookie(*settings_.random);
  std::string domain = zap_->admit(keys.dialler_public, mark_);
  zmq_socket_handle& router = router_->socket;
  if (router.set(ZMQ_CURVE_SERVER, 1) && router.set_bytes(ZMQ_CURVE_SECRETKEY, keys.acceptor_secret) &&
      router.set_bytes(ZMQ_ZAP_DOMAIN, std::as_bytes(std::span(domain)))) {
    return domain;
  }
  zap_->forget(domain);
  return zmq_failure(errc::io, "a ROUTER cannot be encrypted");
}

result<endpoint> accepted_pipes::listen(const endpoint& where, const channel_keys& keys) {
  if (auto ready = open(); !ready) return ready.error();
  auto numeric = numeric_address(where);
  if (!numeric) return error(errc::io, numeric.error().text());
  auto socket = listen_at(where, *numeric);
  if (!socket) return socket.error();
  listener one{.where = socket->where};
  socket_address bound;
  if (::getsockname(socket->socket.get(), bound.get(), &bound.size) == 0) one.numbers = numbers_of(bound);
  one.also = unique_fd(::fcntl(socket->socket.get(), F_DUPFD_CLOEXEC, 0));
  auto domain = encrypt(keys);
  if (!domain) return domain.error();
  one.domain = std::move(*domain);
  // libzmq gets the socket that listens, and closes it.
  if (!router_->socket.set(ZMQ_USE_FD, socket->socket.get())) return zmq_failure(errc::io, "a ROUTER cannot be set up");
  if (auto bound = router_->socket.bind(literal(one.where, *numeric).text()); !bound) {
    zap_->forget(one.domain);
    return bound.error();
  }
  static_cast<void>(socket->socket.release());
  reserve_.fill();
  list_.sent_on(*router_);
  one.address = router_->socket.last_endpoint();
  listeners_.push_back(std::move(one));
  return listeners_.back().where;
}

void accepted_pipes::unlisten(const endpoint& where) {
  for (auto it = listeners_.begin(); it != listeners_.end(); ++it) {
    if (it->where != where) continue;
    static_cast<void>(router_->socket.unbind(it->address));
    list_.sent_on(*router_);
    zap_->forget(it->domain);
    listeners_.erase(it);
    return;
  }
}

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
    const auto id = route.data();
    const std::string_view key(reinterpret_cast<const char*>(id.data()), id.size());
    if (parts == 1) take(key, fd, body);
    else events_.noise("stranger", "a message of several parts");
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
  if (found->second->shut) return events_.noise("turned_away", {});
  if (!found->second->announced) {
    found->second->announced = true;
    events_.opened(id);
    if (!by_id_.contains(id)) return;
  }
  events_.frame(id, body.data());
}

accepted_pipes::pipe* accepted_pipes::find_or_open(std::string_view route, int fd, zmq_message& body) {
  std::string key(route);
  if (auto found = by_route_.find(key); found != by_route_.end()) {
    pipe& known = *found->second;
    if (fd < 0 || known.fd == fd) {
      reopen(known);
      return &known;
    }
    // The descriptor of a pipe never changes: somebody has taken a dead peer's id for his own.
    now_dying(known);
    events_.noise("stranger", "a stranger under the id of a peer that is gone");
    return nullptr;
  }
  if (!body.has_property("User-Id", mark_)) {
    events_.noise("wrong_key", "a peer whose key nobody has checked");
    return nullptr;
  }
  forget_former(fd);
  if (by_route_.size() >= most_pipes) {
    events_.noise("stranger", "too many strangers at once");
    return nullptr;
  }
  auto made = std::make_unique<pipe>(pipe{.id = last_ += 4, .route = key, .fd = fd});
  made->source = body.property("Peer-Address");
  made->origin = origin_of(fd, made->source);
  pipe* out = made.get();
  by_id_.emplace(out->id, out);
  by_route_.emplace(std::move(key), std::move(made));
  forgotten_.erase(fd);
  if (fd >= 0) by_fd_.emplace(fd, out);
  else ++without_fd_;  // a candidate of every probe
  return out;
}

// The descriptor may be another's by now, since it is libzmq's: then what libzmq has said before is all that is known.
pipe_origin accepted_pipes::origin_of(int fd, const std::string& source) const {
  pipe_origin out{.at = {}, .from = endpoint{.kind = endpoint::scheme::tcp, .host = source}};
  if (!listeners_.empty()) out.at = listeners_.front().where;
  socket_address ours, theirs;
  if (::getsockname(fd, ours.get(), &ours.size) != 0 || ::getpeername(fd, theirs.get(), &theirs.size) != 0) return out;
  const endpoint to = numbers_of(ours), from = numbers_of(theirs);
  if (from.host != source && "::ffff:" + from.host != source) return out;
  out.from = from;
  for (const listener& one : listeners_) {
    const bool all = one.numbers.host == "0.0.0.0" || one.numbers.host == "::";
    if (one.numbers.port == to.port && (all || one.numbers.host == to.host)) out.at = one.where;
  }
  return out;
}

// Whoever goes on after the hub has closed its pipe gets a new one, so that it is told that it was turned away; but not
// for ever: answers that nobody reads lie in libzmq, which has no bound for them.
void accepted_pipes::reopen(pipe& one) {
  if (!one.shut || one.dying || one.lives == most_lives) return;
  auto record = by_id_.extract(one.id);
  record.key() = one.id = last_ += 4;
  by_id_.insert(std::move(record));
  one.shut = one.announced = false;
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
  list_.sent_on(*router_);
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

pipe_origin accepted_pipes::origin(pipe_id accepted) const { return by_id_.at(accepted)->origin; }

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
  by_route_.erase(std::string(one.route));
}

void accepted_pipes::now_dying(pipe& one) {
  if (one.dying) return;
  one.dying = true;
  if (one.shut) shut_and_dead_.insert(one.id);  // nobody waits for what it may have left
  else grant_patience(one);
  list_.may_have(*router_);
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
    if (!shut) events_.closed(id, error(errc::noconnection, "the other side is gone"));
  }
}

bool accepted_pipes::probe() {
  if (probes_.empty()) return false;
  const time_point now = loop_.now();
  if (router_->socket.readable()) list_.may_have(*router_);  // lets libzmq end pipes; may eat the edge of a frame
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
  if (forgotten_.erase(fd) != 0) return;  // a pipe that ended before libzmq said so
  if (explained_ != 0) --explained_;
  else events_.noise("wrong_key", "a dialler that does not encrypt, has another cookie, or hung up at once");
}

void accepted_pipes::on_event(const zmq_event& event) {
  switch (event.event) {
    case ZMQ_EVENT_DISCONNECTED:
      probes_.push_back({.fd = event.number, .until = loop_.now() + probe_patience});
      list_.may_have(*router_);
      break;
    case ZMQ_EVENT_ACCEPT_FAILED: out_of_descriptors(event); break;
    default: handshake_failed(event); break;
  }
}

// DISCONNECTED follows.
void accepted_pipes::handshake_failed(const zmq_event& event) {
  ++explained_;
  const std::string at = " at " + event.address;
  if (event.event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
    events_.noise("wrong_key", "a dialler with a key that the cookie does not give" + at);
  } else {
    events_.noise("stranger", "somebody who left during the handshake of ZeroMQ" + at);
  }
}

// libzmq tries again at once, and for ever, as long as somebody waits and no descriptor is free. To unbind for a while
// is no cure: that ends every connection that was accepted there (tried on 4.3.4). So who waits is let in by one of
// the reserve and hung up on, until nobody waits.
void accepted_pipes::out_of_descriptors(const zmq_event& event) {
  events_.noise("no_descriptor", {});
  for (const listener& one : listeners_) {
    for (int i = 0; i < 256 && reserve_.lend(); ++i) {
      const unique_fd waiting(::accept4(one.also.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!waiting) break;
    }
    reserve_.fill();
  }
  if (!shortage_.take(loop_.now()) || settings_.log == nullptr) return;
  if (!settings_.log->enabled(log_level::error)) return;
  settings_.log->log(log_level::error, "a connection cannot be accepted: no descriptor is free",
                     {{"endpoint", event.address}, {"errno", event.number}});
}

void accepted_pipes::close_all() {
  if (!router_) return;
  // Not unbound: the last words to those who were accepted would be lost. Closing lets them leave.
  for (const listener& one : listeners_) zap_->forget(one.domain);
  listeners_.clear();
  list_.remove(*router_);
  list_.remove(*monitor_);
  router_->socket.stop_monitor();
  monitor_->socket.close();
  router_->socket.close();
  zap_.reset();  // after the ROUTER: without it libzmq would let everybody in
  by_fd_.clear();
  by_id_.clear();
  by_route_.clear();
  dying_.clear();
  shut_and_dead_.clear();
  without_fd_ = 0;
  probes_.clear();
  forgotten_.clear();
}

}  // namespace troupe::bus::internal
