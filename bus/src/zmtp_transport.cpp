#include <functional>

#include <troupe/bus/transport.hpp>

#include "kept_keys.hpp"
#include "system_loop.hpp"
#include "zmq/pipes.hpp"
#include "zmtp/pipes.hpp"

namespace troupe::bus {
namespace internal {
namespace {

// Design notes.
// Either all pipes of a transport are ours (zmtp/): whoever leads the loop reads and writes their sockets itself, which
// saves libzmq's own thread and, with it, four changes of threads a round trip and two copies of each byte. Or all are
// libzmq's (zmq/), and only then is anything of libzmq made. What they share is here: names are looked up, and
// descriptors kept in reserve, by the same rules.
template <class Pipes>
class socket_transport final : public transport {
 public:
  using maker = std::function<result<std::unique_ptr<Pipes>>(system_loop&, resolver&, descriptor_reserve&,
                                                             transport_events&, const transport_settings&)>;

  socket_transport(system_loop& loop, maker make) : loop_(loop), make_(std::move(make)), reserve_(loop) {}
  ~socket_transport() override {
    loop_.run([this] {
      stop();
      pipes_.reset();
      names_.reset();
    });
  }

  loop& on() noexcept override { return loop_; }
  bool speaks(endpoint::scheme kind) const noexcept override {
    return kind == endpoint::scheme::ipc || kind == endpoint::scheme::tcp;
  }

  result<void> start(transport_events& events, const transport_settings& settings) override {
    settings_ = settings;
    names_ = std::make_unique<resolver>(loop_);
    auto made = make_(loop_, *names_, reserve_, events, settings_);
    if (!made) return made.error();
    pipes_ = std::move(*made);
    return {};
  }
  void stop() override {
    if (pipes_) pipes_->close_all();
  }

  result<endpoint> listen(const endpoint& where) override { return pipes_->listen(where); }
  result<endpoint> listen_encrypted(const endpoint& where, const channel_keys& keys) override {
    return pipes_->listen(where, keep(keys));
  }
  void unlisten(const endpoint& where) override { pipes_->unlisten(where); }
  result<pipe_id> dial(const endpoint& where) override { return pipes_->dial(where); }
  result<pipe_id> dial_encrypted(const endpoint& where, const channel_keys& keys) override {
    return pipes_->dial(where, keep(keys));
  }

  bool is_encrypted(pipe_id pipe) const noexcept override { return pipes_->is_encrypted(pipe); }
  bool send(pipe_id pipe, std::span<const std::byte> header, frame_payload payload) override {
    return pipes_->send(pipe, header, std::move(payload));
  }
  void close(pipe_id pipe) override { pipes_->close(pipe); }
  void trust(pipe_id pipe) override { pipes_->trust(pipe); }
  std::string source(pipe_id pipe) const override { return pipes_->source(pipe); }
  pipe_origin origin(pipe_id accepted) const override { return pipes_->origin(accepted); }
  std::size_t unsent(pipe_id pipe) const noexcept override { return pipes_->unsent(pipe); }

 private:
  system_loop& loop_;
  const maker make_;
  transport_settings settings_;
  descriptor_reserve reserve_;
  std::unique_ptr<resolver> names_;
  std::unique_ptr<Pipes> pipes_;
};

std::unique_ptr<transport> direct_transport(system_loop& on) {
  return std::make_unique<socket_transport<zmtp::pipes>>(
      on, [](system_loop& loop, resolver& names, descriptor_reserve& reserve, transport_events& events,
             const transport_settings& settings) {
        return std::make_unique<zmtp::pipes>(loop, names, reserve, events, settings);
      });
}

std::unique_ptr<transport> zeromq_transport(system_loop& on, unsigned io_threads) {
  return std::make_unique<socket_transport<zmq_pipes>>(
      on, [io_threads](system_loop& loop, resolver& names, descriptor_reserve& reserve, transport_events& events,
                       const transport_settings& settings) {
        return zmq_pipes::make(loop, io_threads, names, reserve, events, settings);
      });
}

}  // namespace
}  // namespace internal

result<std::unique_ptr<transport>> zmtp_transport(loop& on, transport_kind kind, unsigned io_threads) {
  auto* real = dynamic_cast<internal::system_loop*>(&on);
  if (real == nullptr) return error(errc::bad_argument, "sockets need a loop of make_loop");
  if (kind == transport_kind::direct) return internal::direct_transport(*real);
  return internal::zeromq_transport(*real, io_threads);
}

}  // namespace troupe::bus
