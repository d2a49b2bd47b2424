#include <troupe/bus/transport.hpp>

#include <troupe/bus/security.hpp>

#include "system_loop.hpp"
#include "zmq/accepted.hpp"
#include "zmq/dialled.hpp"
#include "zmtp/pipes.hpp"

namespace troupe::bus {
namespace internal {
namespace {

// Design notes.
// Plain pipes are ours (zmtp/): whoever leads the loop reads and writes their sockets itself, which saves libzmq's own
// thread and, with it, four changes of threads a round trip and two copies of each byte. What is encrypted is libzmq's
// (CURVE), and the rest of this is about that; nothing of libzmq is made before something is encrypted.
// The loop's thread makes, uses and closes every socket. It sleeps in epoll on the ZMQ_FD of each, level-triggered,
// under two rules that `watch_list` alone implements: a socket that has something is read to EAGAIN or stays on a list
// that keeps the loop awake, and a socket that was sent on is looked at once before the loop sleeps, because a send may
// have eaten the edge. A turn: read what is ready (a bounded number of frames each), probe those whose connection
// libzmq reported gone, look, bury what was closed during the turn.
class zmq_transport_impl final : public transport, private loop_source {
 public:
  zmq_transport_impl(system_loop& loop, unsigned io_threads)
      : loop_(loop), io_threads_(io_threads), reserve_(loop), list_(loop) {}
  ~zmq_transport_impl() override {
    loop_.run([this] {
      stop();
      plain_.reset();
      names_.reset();
    });
  }

  loop& on() noexcept override { return loop_; }
  bool speaks(endpoint::scheme kind) const noexcept override {
    return kind == endpoint::scheme::ipc || kind == endpoint::scheme::tcp;
  }

  result<void> start(transport_events& events, const transport_settings& settings) override {
    settings_ = settings;
    events_ = &events;
    names_ = std::make_unique<resolver>(loop_);
    plain_ = std::make_unique<zmtp::pipes>(loop_, *names_, reserve_, events, settings_);
    return {};
  }

  result<endpoint> listen(const endpoint& where) override { return plain_->listen(where); }
  result<endpoint> listen_encrypted(const endpoint& where, const channel_keys& keys) override {
    if (auto ready = begin_encrypting(); !ready) return ready.error();
    return accepted_->listen(where, keys);
  }
  void unlisten(const endpoint& where) override {
    plain_->unlisten(where);
    if (accepted_) accepted_->unlisten(where);
  }

  result<pipe_id> dial(const endpoint& where) override { return plain_->dial(where); }
  result<pipe_id> dial_encrypted(const endpoint& where, const channel_keys& keys) override {
    if (auto ready = begin_encrypting(); !ready) return ready.error();
    const pipe_id id = last_ += 2;
    if (auto dialled = dialled_->dial(id, where, keys); !dialled) return dialled.error();
    return id;
  }

  bool is_encrypted(pipe_id pipe) const noexcept override { return !zmtp::pipes::is_one(pipe); }

  bool send(pipe_id pipe, std::span<const std::byte> header, frame_payload payload) override {
    if (zmtp::pipes::is_one(pipe)) return plain_->send(pipe, header, std::move(payload));
    return accepted_pipes::is_one(pipe) ? accepted_->send(pipe, header, payload)
                                        : dialled_->send(pipe, header, payload);
  }

  void close(pipe_id pipe) override {
    if (zmtp::pipes::is_one(pipe)) plain_->close(pipe);
    else if (accepted_pipes::is_one(pipe)) accepted_->close(pipe);
    else dialled_->close(pipe);
  }

  void trust(pipe_id pipe) override {
    if (zmtp::pipes::is_one(pipe)) plain_->trust(pipe);
  }
  std::string source(pipe_id pipe) const override {
    if (zmtp::pipes::is_one(pipe)) return plain_->source(pipe);
    return accepted_pipes::is_one(pipe) ? accepted_->source(pipe) : std::string();
  }
  pipe_origin origin(pipe_id accepted) const override {
    return zmtp::pipes::is_one(accepted) ? plain_->origin(accepted) : accepted_->origin(accepted);
  }
  std::size_t unsent(pipe_id pipe) const noexcept override {
    return zmtp::pipes::is_one(pipe) ? plain_->unsent(pipe) : 0;
  }

  void stop() override {
    if (plain_) plain_->close_all();
    if (!accepted_ || stopped_) return;
    accepted_->close_all();
    dialled_->close_all();
    loop_.remove(*this);
    stopped_ = true;
  }

 private:
  appetite turn() override {
    list_.read_all();
    if (stopped_) return appetite::none;
    const bool probing = accepted_->probe();
    list_.look_all();
    dialled_->bury();
    if (list_.hungry()) return appetite::now;
    return probing ? appetite::soon : appetite::none;
  }

  result<void> begin_encrypting() {
    if (accepted_) return {};
    std::shared_ptr<void>& shared = loop_.shared_context();
    if (!shared) {
      auto made = zmq_context::make(loop_, io_threads_);
      if (!made) return made.error();
      shared = *made;
    }
    auto context = std::static_pointer_cast<zmq_context>(shared);
    accepted_ = std::make_unique<accepted_pipes>(context, loop_, list_, reserve_, *events_, settings_);
    dialled_ = std::make_unique<dialled_pipes>(context, list_, *names_, *events_, settings_);
    loop_.add(*this);
    return {};
  }

  system_loop& loop_;
  const unsigned io_threads_;
  transport_settings settings_;
  transport_events* events_ = nullptr;
  descriptor_reserve reserve_;
  std::unique_ptr<resolver> names_;
  std::unique_ptr<zmtp::pipes> plain_;
  // what is encrypted; null before the first
  watch_list list_;
  std::unique_ptr<accepted_pipes> accepted_;
  std::unique_ptr<dialled_pipes> dialled_;
  pipe_id last_ = 0;
  bool stopped_ = false;
};

}  // namespace
}  // namespace internal

result<std::unique_ptr<transport>> zmq_transport(loop& on, unsigned io_threads) {
  auto* real = dynamic_cast<internal::system_loop*>(&on);
  if (real == nullptr) return error(errc::bad_argument, "ZeroMQ needs a loop of make_loop");
  return std::unique_ptr<transport>(std::make_unique<internal::zmq_transport_impl>(*real, io_threads));
}

}  // namespace troupe::bus
