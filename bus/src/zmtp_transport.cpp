#include <troupe/bus/transport.hpp>

#include "system_loop.hpp"
#include "zmq/pipes.hpp"
#include "zmtp/pipes.hpp"

namespace troupe::bus {
namespace internal {
namespace {

// Design notes.
// Pipes are ours (zmtp/): whoever leads the loop reads and writes their sockets itself, which saves libzmq's own thread
// and, with it, four changes of threads a round trip and two copies of each byte. With `zmtp_by::zeromq` those that are
// encrypted are libzmq's (zmq/); nothing of libzmq is made before the first of them.
class zmtp_transport_impl final : public transport {
 public:
  zmtp_transport_impl(system_loop& loop, zmtp_by encrypted, unsigned io_threads)
      : loop_(loop), encrypted_by_(encrypted), io_threads_(io_threads), reserve_(loop) {}
  ~zmtp_transport_impl() override {
    loop_.run([this] {
      stop();
      direct_.reset();
      zeromq_.reset();
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
    direct_ = std::make_unique<zmtp::pipes>(loop_, *names_, reserve_, events, settings_);
    return {};
  }

  result<endpoint> listen(const endpoint& where) override { return direct_->listen(where); }
  result<endpoint> listen_encrypted(const endpoint& where, const channel_keys& keys) override {
    if (encrypted_by_ == zmtp_by::direct) return direct_->listen(where, zmtp::keep(keys));
    if (auto ready = begin_zeromq(); !ready) return ready.error();
    return zeromq_->listen(where, keys);
  }
  void unlisten(const endpoint& where) override {
    direct_->unlisten(where);
    if (zeromq_) zeromq_->unlisten(where);
  }

  result<pipe_id> dial(const endpoint& where) override { return direct_->dial(where); }
  result<pipe_id> dial_encrypted(const endpoint& where, const channel_keys& keys) override {
    if (encrypted_by_ == zmtp_by::direct) return direct_->dial(where, zmtp::keep(keys));
    if (auto ready = begin_zeromq(); !ready) return ready.error();
    return zeromq_->dial(where, keys);
  }

  bool is_encrypted(pipe_id pipe) const noexcept override { return !is_direct(pipe) || direct_->is_encrypted(pipe); }

  bool send(pipe_id pipe, std::span<const std::byte> header, frame_payload payload) override {
    if (is_direct(pipe)) return direct_->send(pipe, header, std::move(payload));
    return zeromq_->send(pipe, header, payload);
  }

  void close(pipe_id pipe) override {
    if (is_direct(pipe)) direct_->close(pipe);
    else zeromq_->close(pipe);
  }

  void trust(pipe_id pipe) override {
    if (is_direct(pipe)) direct_->trust(pipe);
  }
  std::string source(pipe_id pipe) const override {
    return is_direct(pipe) ? direct_->source(pipe) : zeromq_->source(pipe);
  }
  pipe_origin origin(pipe_id accepted) const override {
    return is_direct(accepted) ? direct_->origin(accepted) : zeromq_->origin(accepted);
  }
  std::size_t unsent(pipe_id pipe) const noexcept override { return is_direct(pipe) ? direct_->unsent(pipe) : 0; }

  void stop() override {
    if (direct_) direct_->close_all();
    if (zeromq_) zeromq_->stop();
  }

 private:
  static bool is_direct(pipe_id pipe) noexcept { return zmtp::pipes::is_one(pipe); }

  result<void> begin_zeromq() {
    if (zeromq_) return {};
    auto made = zmq_pipes::make(loop_, io_threads_, reserve_, *names_, *events_, settings_);
    if (!made) return made.error();
    zeromq_ = std::move(*made);
    return {};
  }

  system_loop& loop_;
  const zmtp_by encrypted_by_;
  const unsigned io_threads_;
  transport_settings settings_;
  transport_events* events_ = nullptr;
  descriptor_reserve reserve_;
  std::unique_ptr<resolver> names_;
  std::unique_ptr<zmtp::pipes> direct_;
  std::unique_ptr<zmq_pipes> zeromq_;  // null before the first
};

}  // namespace
}  // namespace internal

result<std::unique_ptr<transport>> zmtp_transport(loop& on, zmtp_by encrypted, unsigned io_threads) {
  auto* real = dynamic_cast<internal::system_loop*>(&on);
  if (real == nullptr) return error(errc::bad_argument, "sockets need a loop of make_loop");
  return std::unique_ptr<transport>(std::make_unique<internal::zmtp_transport_impl>(*real, encrypted, io_threads));
}

}  // namespace troupe::bus
