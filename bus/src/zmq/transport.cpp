#include <troupe/bus/transport.hpp>

#include "system_loop.hpp"
#include "zmq/accepted.hpp"
#include "zmq/dialled.hpp"

namespace troupe::bus {
namespace internal {
namespace {

// Design notes.
// One thread, the loop's, makes, uses and closes every socket. Two ROUTERs: one for plain endpoints and one for
// encrypted ones, so that what a frame came through is known for certain. It sleeps in epoll on the ZMQ_FD of each,
// level-triggered, under two rules that `watch_list` alone implements: a socket that has something is read to EAGAIN or
// stays on a list that keeps the loop awake, and a socket that was sent on is looked at once before the loop sleeps,
// because a send may have eaten the edge. A turn: read what is ready (a bounded number of frames each), probe those
// whose connection libzmq reported gone, look, bury what was closed during the turn.
class zmq_transport_impl final : public transport, private loop_source {
 public:
  zmq_transport_impl(system_loop& loop, std::shared_ptr<zmq_context> context)
      : loop_(loop), context_(std::move(context)), list_(loop) {}
  ~zmq_transport_impl() override {
    loop_.run([this] { stop(); });
  }

  loop& on() noexcept override { return loop_; }
  bool speaks(endpoint::scheme kind) const noexcept override {
    return kind == endpoint::scheme::ipc || kind == endpoint::scheme::tcp;
  }

  result<void> start(transport_events& events, const transport_settings& settings) override {
    settings_ = settings;
    accepted_ = std::make_unique<accepted_pipes>(context_, loop_, list_, events, settings_, channel::plain);
    encrypted_ = std::make_unique<accepted_pipes>(context_, loop_, list_, events, settings_, channel::encrypted);
    dialled_ = std::make_unique<dialled_pipes>(context_, list_, events, settings_);
    loop_.add(*this);
    return {};
  }

  result<endpoint> listen(const endpoint& where) override { return accepted_->listen(where, nullptr); }
  result<endpoint> listen_encrypted(const endpoint& where, const channel_keys& keys) override {
    return encrypted_->listen(where, &keys);
  }
  void unlisten(const endpoint& where) override {
    accepted_->unlisten(where);
    encrypted_->unlisten(where);
  }

  result<pipe_id> dial(const endpoint& where) override { return dial(where, nullptr); }
  result<pipe_id> dial_encrypted(const endpoint& where, const channel_keys& keys) override {
    return dial(where, &keys);
  }

  bool is_encrypted(pipe_id pipe) const noexcept override {
    return accepted_pipes::is_accepted(pipe) ? accepted_pipes::is_encrypted(pipe) : dialled_->is_encrypted(pipe);
  }

  bool send(pipe_id pipe, std::span<const std::byte> header, std::span<const std::byte> payload) override {
    return accepted_pipes::is_accepted(pipe) ? router_of(pipe).send(pipe, header, payload)
                                             : dialled_->send(pipe, header, payload);
  }

  void close(pipe_id pipe) override {
    if (accepted_pipes::is_accepted(pipe)) router_of(pipe).close(pipe);
    else dialled_->close(pipe);
  }

  void stop() override {
    if (!accepted_) return;
    accepted_->close_all();
    encrypted_->close_all();
    dialled_->close_all();
    loop_.remove(*this);
    stopped_ = true;
  }

 private:
  appetite turn() override {
    list_.read_all();
    if (stopped_) return appetite::none;
    const bool in_plain = accepted_->probe();
    const bool probing = encrypted_->probe() || in_plain;
    list_.look_all();
    dialled_->bury();
    if (list_.hungry()) return appetite::now;
    return probing ? appetite::soon : appetite::none;
  }

  result<pipe_id> dial(const endpoint& where, const channel_keys* keys) {
    const pipe_id id = last_ += 2;
    if (auto dialled = dialled_->dial(id, where, keys); !dialled) return dialled.error();
    return id;
  }
  accepted_pipes& router_of(pipe_id pipe) noexcept {
    return accepted_pipes::is_encrypted(pipe) ? *encrypted_ : *accepted_;
  }

  system_loop& loop_;
  std::shared_ptr<zmq_context> context_;
  watch_list list_;
  transport_settings settings_;
  std::unique_ptr<accepted_pipes> accepted_;
  std::unique_ptr<accepted_pipes> encrypted_;
  std::unique_ptr<dialled_pipes> dialled_;
  pipe_id last_ = 0;
  bool stopped_ = false;
};

}  // namespace
}  // namespace internal

result<std::unique_ptr<transport>> zmq_transport(loop& on, unsigned io_threads) {
  auto* real = dynamic_cast<internal::system_loop*>(&on);
  if (real == nullptr) return error(errc::bad_argument, "ZeroMQ needs a loop of make_loop");
  result<std::unique_ptr<transport>> out(errc::io);
  real->run([&] {
    std::shared_ptr<void>& shared = real->shared_context();
    if (!shared) {
      auto made = internal::zmq_context::make(*real, io_threads);
      if (!made) {
        out = made.error();
        return;
      }
      shared = *made;
    }
    out = std::unique_ptr<transport>(
        std::make_unique<internal::zmq_transport_impl>(*real, std::static_pointer_cast<internal::zmq_context>(shared)));
  });
  return out;
}

}  // namespace troupe::bus
