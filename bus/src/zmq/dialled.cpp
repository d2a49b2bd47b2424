#include "zmq/dialled.hpp"

#include <cerrno>
#include <cstring>

#include "zmq/greeting.hpp"

namespace troupe::bus::internal {
namespace {

constexpr int frames_a_turn = 256;
constexpr int never_reconnect_ms = 3'600'000;  // -1 would throw away what has arrived and is unread
constexpr int linger_ms = 200;                 // for a goodbye or a refusal

// All but the first end the pipe. Not HANDSHAKE_FAILED_PROTOCOL: asked for that, libzmq leaves a connection whose
// message does not decrypt open, and dead (see accepted.cpp).
constexpr int wanted_events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                              ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

using answer = greeting_probe::answer;

// What is there, for a side that dialled `where`, encrypted or not, and was not understood.
error not_understood(answer there, const endpoint& where, bool encrypted) {
  const std::string at = " at " + where.text();
  switch (there) {
    case answer::nobody: return error(errc::noconnection, "nobody answers" + at);
    case answer::other: return error(errc::noconnection, "what answers" + at + " speaks no ZMTP");
    case answer::plain:
      if (!encrypted) break;
      return error(errc::not_allowed, "who answers" + at +
                                          " speaks plain text, this node encrypts there: the same "
                                          "node.encryption and node.plain_text on both sides mend it");
    case answer::curve:
      if (encrypted)
        return error(errc::bad_cookie, "who answers" + at + " has another cookie: the encryption does not fit");
      return error(errc::unsupported,
                   "who answers" + at +
                       " encrypts, this node speaks plain text there: "
                       "node.encryption = \"always\" encrypts on loopback, node.plain_text forbids it off");
  }
  return error(errc::noconnection, "who answers" + at + " hung up during the handshake of ZeroMQ");
}

error reason_of(const zmq_event& event, const endpoint& where, bool encrypted) {
  switch (event.event) {
    case ZMQ_EVENT_DISCONNECTED:
      return error(errc::noconnection, encrypted ? "the other side is gone, or what came from it could not be decrypted"
                                                 : "the other side is gone");
    case ZMQ_EVENT_CLOSED:
    case ZMQ_EVENT_CONNECT_RETRIED: return not_understood(answer::nobody, where, encrypted);
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: return not_understood(answer::curve, where, encrypted);
    default: return not_understood(answer::other, where, encrypted);
  }
}

bool needs_ipv6(const endpoint& where) {
  return where.kind == endpoint::scheme::tcp && where.host.find_first_not_of("0123456789.") != std::string::npos;
}

}  // namespace

bool fill(zmq_message& message, std::span<const std::byte> header, const frame_payload& payload) {
  if (!message.resize(header.size() + payload.size())) return false;
  const auto [own, shared] = payload.parts();
  auto* to = message.data().data();
  for (const std::span<const std::byte> part : {header, own, shared}) {
    if (part.empty()) continue;
    std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
  return true;
}

class dialled_pipe final : public watched {
 public:
  // `named`: as it was dialled; `where`: by number.
  dialled_pipe(dialled_pipes& owner, pipe_id id, endpoint named, endpoint where, int patience_ms, kept_keys keys)
      : watched(owner.with_.list),
        id_(id),
        named_(std::move(named)),
        where_(std::move(where)),
        patience_ms_(patience_ms),
        keys_(std::move(keys)),
        owner_(owner),
        monitor_(*this) {}

  result<void> open() {
    auto made = zmq_socket_handle::open(owner_.with_.context, zmq::socket_type::dealer);
    if (!made) return made.error();
    socket = std::move(*made);
    const std::int64_t longest = owner_.with_.longest_frame(keys_ != nullptr);
    namespace option = zmq::sockopt;
    const bool set = socket.set(option::linger, linger_ms) && socket.set(option::sndhwm, 0) &&
                     socket.set(option::rcvhwm, 0) && socket.set(option::reconnect_ivl, never_reconnect_ms) &&
                     socket.set(option::immediate, false) && socket.set(option::connect_timeout, patience_ms_) &&
                     socket.set(option::handshake_ivl, 5000) && socket.set(option::maxmsgsize, longest) &&
                     socket.set(option::ipv6, needs_ipv6(where_));
    if (!set) return zmq_failure(errc::io, "a DEALER cannot be set up");
    if (keys_ && (!socket.set_key(option::curve_serverkey, keys_->acceptor_public) ||
                  !socket.set_key(option::curve_publickey, keys_->dialler_public) ||
                  !socket.set_key(option::curve_secretkey, keys_->dialler_secret))) {
      return zmq_failure(errc::unsupported, "a DEALER cannot be encrypted");
    }
    auto events = socket.monitor(wanted_events);
    if (!events) return events.error();
    monitor_.socket = std::move(*events);
    if (auto joined = socket.connect(where_.text()); !joined) return joined;
    if (auto added = owner_.with_.list.add(*this); !added) return added;
    return owner_.with_.list.add(monitor_);
  }

  // The monitor is stopped before its PAIR closes: the other way round libzmq's thread can wait for ever.
  void shut() {
    owner_.with_.list.remove(*this);
    owner_.with_.list.remove(monitor_);
    socket.stop_monitor();
    monitor_.socket.close();
    socket.close();
    if (question_) question_->shut();
    shut_ = true;
  }

  bool read() override {
    zmq_message message;
    for (int i = 0; i < frames_a_turn; ++i) {
      const zmq_outcome outcome = socket.receive(message);
      if (outcome != zmq_outcome::done) {
        if (ended_) owner_.finish(*this);
        return false;
      }
      const bool many = in_multipart_ || message.more();
      in_multipart_ = message.more();
      if (many) {
        if (!in_multipart_) owner_.with_.events.noise("stranger", "a message of several parts");
      } else if (ended_too_long(message.data().size())) {
        return false;
      } else {
        owner_.with_.events.frame(id_, message.data());
      }
      if (shut_) return false;
    }
    return true;
  }
  void trust() noexcept { trusted_ = true; }

  [[nodiscard]] bool ended() const noexcept { return ended_.has_value() || question_; }
  [[nodiscard]] const error& why() const noexcept { return *ended_; }
  [[nodiscard]] bool met_nobody() const noexcept { return nobody_; }
  [[nodiscard]] bool greeted() const noexcept { return greeted_; }
  [[nodiscard]] pipe_id id() const noexcept { return id_; }

 private:
  // Who has proved nothing says nothing long: libzmq has taken it by now, but nothing more is read.
  bool ended_too_long(std::size_t size) {
    if (trusted_ || size <= owner_.with_.settings.stranger_frame_bytes) return false;
    ended_ = error(errc::bad_message,
                   "a frame of " + std::to_string(size) + " bytes of one that has proved nothing at " + named_.text());
    owner_.finish(*this);
    return true;
  }
  void over_by(const zmq_event& event) {
    if (ended()) return;
    if (event.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
      greeted_ = true;
      return;
    }
    const bool hung_up =
        event.event == ZMQ_EVENT_DISCONNECTED ||
        (event.event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && (event.number == EPIPE || event.number == ECONNRESET));
    if (hung_up && !greeted_ && where_.kind == endpoint::scheme::ipc) {
      ended_ = not_understood(answer::plain, named_, false);
      return;
    }
    if (hung_up && !greeted_) {
      question_ = std::make_unique<greeting_probe>(owner_.with_.list, [this](answer there) {
        ended_ = not_understood(there, named_, keys_ != nullptr);
        owner_.with_.list.may_have(*this);
      });
      if (question_->open(owner_.with_.context, where_, needs_ipv6(where_))) return;
      question_->shut();
    }
    nobody_ = event.event == ZMQ_EVENT_CLOSED || event.event == ZMQ_EVENT_CONNECT_RETRIED;
    ended_ = reason_of(event, named_, keys_ != nullptr);
  }

  class monitor_reader final : public watched {
   public:
    explicit monitor_reader(dialled_pipe& pipe) : watched(pipe.owner_.with_.list), pipe_(pipe) {}
    bool read() override {
      zmq_event event;
      while (next_event(socket, event)) {
        pipe_.over_by(event);
        pipe_.owner_.with_.list.may_have(pipe_);
      }
      return false;
    }

   private:
    dialled_pipe& pipe_;
  };

  const pipe_id id_;
  const endpoint named_, where_;
  const int patience_ms_;
  const kept_keys keys_;  // none for plain text
  dialled_pipes& owner_;
  monitor_reader monitor_;
  std::unique_ptr<greeting_probe> question_;  // while, and since, it is asked why the dial was cut off
  std::optional<error> ended_;
  bool nobody_ = false;   // answered
  bool greeted_ = false;  // ZeroMQ's handshake is done
  bool trusted_ = false;
  bool in_multipart_ = false;
  bool shut_ = false;
};

// From the dial until it is over: a pipe, or none while its name is looked up.
struct dialled_pipes::dialling {
  endpoint where;
  kept_keys keys;  // none for plain text
  resolver::ticket lookup = 0;
  std::vector<socket_address> addresses;  // of tcp
  std::size_t tried = 0;                  // of them
  std::unique_ptr<dialled_pipe> pipe;
  std::vector<bytes> early;  // frames, until it is seen that somebody answers
};

dialled_pipes::dialled_pipes(zmq_shared& with) : with_(with) {}

dialled_pipes::~dialled_pipes() { close_all(); }

result<void> dialled_pipes::dial(pipe_id id, const endpoint& where, kept_keys keys) {
  auto one = std::make_unique<dialling>(dialling{.where = where, .keys = std::move(keys)});
  const bool is_ipc = where.kind == endpoint::scheme::ipc;
  const auto numeric = is_ipc ? result<socket_address>(errc::none) : numeric_address(where);
  if (is_ipc || numeric) {
    if (numeric) one->addresses.push_back(*numeric);
    if (auto begun = attempt(id, *one); !begun) return begun;
  } else {
    one->lookup = with_.names.ask(where, [this, id](result<std::vector<socket_address>> found) {
      auto at = pipes_.find(id);
      if (at == pipes_.end()) return;
      at->second->lookup = 0;
      if (!found) return give_up(id, found.error());
      at->second->addresses = std::move(*found);
      if (auto begun = attempt(id, *at->second); !begun) give_up(id, begun.error());
    });
  }
  pipes_.emplace(id, std::move(one));
  return {};
}

// Dials the next address. libzmq is given no name: it would ask for it on the thread that serves all connections.
result<void> dialled_pipes::attempt(pipe_id id, dialling& one) {
  const bool is_ipc = one.where.kind == endpoint::scheme::ipc;
  const int patience = is_ipc ? 3000 : std::max(300, 3000 / static_cast<int>(one.addresses.size()));
  const endpoint number = is_ipc ? one.where : literal(one.where, one.addresses.at(one.tried++));
  auto pipe = std::make_unique<dialled_pipe>(*this, id, one.where, number, patience, one.keys);
  if (auto opened = pipe->open(); !opened) {
    pipe->shut();
    graveyard_.push_back(std::move(pipe));
    return opened;
  }
  one.pipe = std::move(pipe);
  for (const bytes& each : one.early) static_cast<void>(send_by(*one.pipe, each, {}));
  return {};
}

bool dialled_pipes::send_by(dialled_pipe& pipe, std::span<const std::byte> header, const frame_payload& payload) {
  zmq_message message;
  if (!fill(message, header, payload)) return false;
  with_.list.sent_on(pipe);
  return pipe.socket.send(message, false) == zmq_outcome::done;
}

bool dialled_pipes::send(pipe_id id, std::span<const std::byte> header, const frame_payload& payload) {
  auto found = pipes_.find(id);
  if (found == pipes_.end()) return false;
  dialling& one = *found->second;
  if (one.pipe && one.pipe->ended()) return false;  // libzmq would accept it for ever
  const bool may_go_on = !one.pipe || one.tried < one.addresses.size();
  if (may_go_on && !(one.pipe && one.pipe->greeted())) {
    bytes& copy = one.early.emplace_back(header.begin(), header.end());
    for (const auto part : payload.parts()) copy.insert(copy.end(), part.begin(), part.end());
  }
  return !one.pipe || send_by(*one.pipe, header, payload);
}

void dialled_pipes::trust(pipe_id id) {
  if (auto found = pipes_.find(id); found != pipes_.end() && found->second->pipe) found->second->pipe->trust();
}

bool dialled_pipes::is_encrypted(pipe_id id) const noexcept {
  auto found = pipes_.find(id);
  return found != pipes_.end() && found->second->keys != nullptr;
}

void dialled_pipes::finish(dialled_pipe& pipe) {
  const pipe_id id = pipe.id();
  auto found = pipes_.find(id);
  if (found == pipes_.end()) return;
  dialling& one = *found->second;
  const error& why = pipe.why();  // it is closed here, and buried after the turn
  if (!pipe.met_nobody() || one.tried >= one.addresses.size()) return give_up(id, why);
  pipe.shut();
  graveyard_.push_back(std::move(one.pipe));
  if (auto begun = attempt(id, one); !begun) give_up(id, begun.error());
}

void dialled_pipes::give_up(pipe_id id, const error& why) {
  const error told = why;
  close(id);
  with_.events.closed(id, told);
}

void dialled_pipes::close(pipe_id id) {
  auto found = pipes_.find(id);
  if (found == pipes_.end()) return;
  if (found->second->lookup != 0) with_.names.cancel(found->second->lookup);
  if (found->second->pipe) {
    found->second->pipe->shut();
    graveyard_.push_back(std::move(found->second->pipe));
  }
  pipes_.erase(found);
}

void dialled_pipes::close_all() {
  for (auto& [id, one] : pipes_) {
    if (one->lookup != 0) with_.names.cancel(one->lookup);
    if (one->pipe) one->pipe->shut();
  }
  pipes_.clear();
  graveyard_.clear();
}

void dialled_pipes::bury() { graveyard_.clear(); }

}  // namespace troupe::bus::internal
