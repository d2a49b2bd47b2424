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

// What is there, for a side that dialled encrypted and was not understood.
error not_understood(answer there, const endpoint& where) {
  const std::string at = " at " + where.text();
  switch (there) {
    case answer::nobody: return error(errc::noconnection, "nobody answers" + at);
    case answer::other: return error(errc::noconnection, "what answers" + at + " speaks no ZMTP");
    case answer::plain:
      return error(errc::not_allowed, "who answers" + at +
                                          " speaks plain text, this node encrypts there: the same "
                                          "node.encryption and node.plain_text on both sides mend it");
    case answer::curve:
      return error(errc::bad_cookie, "who answers" + at + " has another cookie: the encryption does not fit");
  }
  return error(errc::noconnection);
}

error reason_of(const zmq_event& event, const endpoint& where) {
  switch (event.event) {
    case ZMQ_EVENT_DISCONNECTED:
      return error(errc::noconnection, "the other side is gone, or what came from it could not be decrypted");
    case ZMQ_EVENT_CLOSED:
    case ZMQ_EVENT_CONNECT_RETRIED: return not_understood(answer::nobody, where);
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH: return not_understood(answer::curve, where);
    default: return not_understood(answer::other, where);
  }
}

bool needs_ipv6(const endpoint& where) { return where.host.find_first_not_of("0123456789.") != std::string::npos; }

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
  dialled_pipe(dialled_pipes& owner, pipe_id id, endpoint where)
      : watched(owner.list_), id_(id), where_(std::move(where)), owner_(owner), monitor_(*this) {}

  result<void> open(const channel_keys& keys) {
    auto made = zmq_socket_handle::open(owner_.context_, ZMQ_DEALER);
    if (!made) return made.error();
    socket = std::move(*made);
    const auto longest = static_cast<std::int64_t>(owner_.settings_.frame_bytes);
    const bool set = socket.set(ZMQ_LINGER, linger_ms) && socket.set(ZMQ_SNDHWM, 0) && socket.set(ZMQ_RCVHWM, 0) &&
                     socket.set(ZMQ_RECONNECT_IVL, never_reconnect_ms) && socket.set(ZMQ_IMMEDIATE, 0) &&
                     socket.set(ZMQ_CONNECT_TIMEOUT, 3000) && socket.set(ZMQ_HANDSHAKE_IVL, 5000) &&
                     socket.set64(ZMQ_MAXMSGSIZE, longest) && socket.set(ZMQ_IPV6, needs_ipv6(where_) ? 1 : 0);
    if (!set) return zmq_failure(errc::io, "a DEALER cannot be set up");
    if (!socket.set_bytes(ZMQ_CURVE_SERVERKEY, keys.acceptor_public) ||
        !socket.set_bytes(ZMQ_CURVE_PUBLICKEY, keys.dialler_public) ||
        !socket.set_bytes(ZMQ_CURVE_SECRETKEY, keys.dialler_secret)) {
      return zmq_failure(errc::unsupported, "a DEALER cannot be encrypted");
    }
    auto events = socket.monitor(wanted_events);
    if (!events) return events.error();
    monitor_.socket = std::move(*events);
    if (auto joined = socket.connect(where_.text()); !joined) return joined;
    if (auto added = owner_.list_.add(*this); !added) return added;
    return owner_.list_.add(monitor_);
  }

  // The monitor is stopped before its PAIR closes: the other way round libzmq's thread can wait for ever.
  void shut() {
    owner_.list_.remove(*this);
    owner_.list_.remove(monitor_);
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
      if (many) continue;  // none of ours: a frame is one part
      owner_.events_.frame(id_, message.data());
      if (shut_) return false;
    }
    return true;
  }

  [[nodiscard]] bool ended() const noexcept { return ended_.has_value() || question_; }
  [[nodiscard]] const error& why() const noexcept { return *ended_; }
  [[nodiscard]] pipe_id id() const noexcept { return id_; }

 private:
  void over_by(const zmq_event& event) {
    if (ended()) return;
    if (event.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
      greeted_ = true;
      return;
    }
    const bool hung_up =
        event.event == ZMQ_EVENT_DISCONNECTED ||
        (event.event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && (event.number == EPIPE || event.number == ECONNRESET));
    if (hung_up && !greeted_) {
      question_ = std::make_unique<greeting_probe>(owner_.list_, [this](answer there) {
        ended_ = not_understood(there, where_);
        owner_.list_.may_have(*this);
      });
      if (question_->open(owner_.context_, where_, needs_ipv6(where_))) return;
      question_->shut();
    }
    ended_ = reason_of(event, where_);
  }

  class monitor_reader final : public watched {
   public:
    explicit monitor_reader(dialled_pipe& pipe) : watched(pipe.owner_.list_), pipe_(pipe) {}
    bool read() override {
      zmq_event event;
      while (next_event(socket, event)) {
        pipe_.over_by(event);
        pipe_.owner_.list_.may_have(pipe_);
      }
      return false;
    }

   private:
    dialled_pipe& pipe_;
  };

  const pipe_id id_;
  const endpoint where_;
  dialled_pipes& owner_;
  monitor_reader monitor_;
  std::unique_ptr<greeting_probe> question_;  // while, and since, it is asked why the dial was cut off
  std::optional<error> ended_;
  bool greeted_ = false;  // ZeroMQ's handshake is done
  bool in_multipart_ = false;
  bool shut_ = false;
};

dialled_pipes::dialled_pipes(std::shared_ptr<zmq_context> context, watch_list& list, transport_events& events,
                             const transport_settings& settings)
    : context_(std::move(context)), list_(list), events_(events), settings_(settings) {}

dialled_pipes::~dialled_pipes() { close_all(); }

result<void> dialled_pipes::dial(pipe_id id, const endpoint& where, const channel_keys& keys) {
  auto pipe = std::make_unique<dialled_pipe>(*this, id, where);
  if (auto opened = pipe->open(keys); !opened) {
    pipe->shut();
    return opened;
  }
  pipes_.emplace(id, std::move(pipe));
  return {};
}

bool dialled_pipes::send(pipe_id id, std::span<const std::byte> header, const frame_payload& payload) {
  auto found = pipes_.find(id);
  if (found == pipes_.end()) return false;
  dialled_pipe& pipe = *found->second;
  if (pipe.ended()) return false;  // libzmq would accept it for ever
  zmq_message message;
  if (!fill(message, header, payload)) return false;
  list_.sent_on(pipe);
  return pipe.socket.send(message, false) == zmq_outcome::done;
}

void dialled_pipes::finish(dialled_pipe& pipe) {
  const pipe_id id = pipe.id();
  const error& why = pipe.why();  // it is closed here, and buried after the turn
  close(id);
  events_.closed(id, why);
}

void dialled_pipes::close(pipe_id id) {
  auto found = pipes_.find(id);
  if (found == pipes_.end()) return;
  found->second->shut();
  graveyard_.push_back(std::move(found->second));
  pipes_.erase(found);
}

void dialled_pipes::close_all() {
  for (auto& [id, pipe] : pipes_) pipe->shut();
  pipes_.clear();
  graveyard_.clear();
}

void dialled_pipes::bury() { graveyard_.clear(); }

}  // namespace troupe::bus::internal
