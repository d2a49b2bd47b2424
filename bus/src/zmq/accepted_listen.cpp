// How an endpoint of libzmq begins, holds back those who would take the last descriptors, and ends.
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include <troupe/bus/security.hpp>

#include "zmq/accepted_readers.hpp"

namespace troupe::bus::internal {
namespace {

constexpr int linger_ms = 200;
constexpr duration hold_back_pause = std::chrono::milliseconds(100);
constexpr duration probe_patience = std::chrono::milliseconds(100);

// Never HANDSHAKE_FAILED_PROTOCOL: asked for that, libzmq 4.3.4 only stops a connection whose message does not decrypt,
// instead of closing it; a reset of that connection and the next heartbeat then abort the program.
constexpr int wanted_events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_ACCEPT_FAILED |
                              ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

// libzmq numbers the peers of a ROUTER from rand(), which nobody seeds: a stranger who takes the next number as his own
// id aborts the program. rand() draws from this state while the ROUTER is made, and the program's own sequence goes on
// afterwards.
result<zmq_socket_handle> make_router(const std::shared_ptr<zmq_context>& context, random_source& random) {
  std::array<char, 128> state{};
  char* before = initstate(static_cast<unsigned>(random.next()), state.data(), state.size());
  auto router = zmq_socket_handle::open(context, zmq::socket_type::router);
  if (before != nullptr) setstate(before);
  return router;
}

int milliseconds_of(duration time) {
  const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return static_cast<int>(std::clamp<std::int64_t>(count, 1, 600'000));
}

// Descriptors are given from the lowest: one of the last so many says that all others are used up.
struct descriptor_count {
  int all = 0, spare = 0;
};
descriptor_count count_descriptors() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return {};
  const auto all = static_cast<int>(std::min<rlim_t>(files.rlim_cur, 1u << 30));
  return {all, std::min(all / 4, 2048)};
}
bool is_of_the_last(int fd) {
  const auto [all, spare] = count_descriptors();
  return fd >= all - spare;
}

}  // namespace

result<std::unique_ptr<accepted_pipes>> accepted_pipes::listen(zmq_shared& with, const endpoint& where,
                                                               kept_keys keys) {
  std::unique_ptr<accepted_pipes> out(new accepted_pipes(with, where, std::move(keys)));
  if (auto opened = out->open(); !opened) return opened.error();
  if (auto bound = out->bind(); !bound) return bound.error();
  return out;
}

accepted_pipes::accepted_pipes(zmq_shared& with, const endpoint& where, kept_keys keys)
    : with_(with), where_(where), keys_(std::move(keys)) {}

accepted_pipes::~accepted_pipes() { close_all(); }

result<void> accepted_pipes::open() {
  auto made = make_router(with_.context, *with_.settings.random);
  if (!made) return made.error();
  auto router = std::make_unique<router_reader>(*this);
  auto monitor = std::make_unique<monitor_reader>(*this);
  router->socket = std::move(*made);
  if (auto ready = set_up(router->socket); !ready) return ready;
  auto events = router->socket.monitor(wanted_events);
  if (!events) return events.error();
  monitor->socket = std::move(*events);
  auto added = with_.list.add(*router);
  if (added) added = with_.list.add(*monitor);
  if (!added) {
    with_.list.remove(*router);
    router->socket.stop_monitor();
    return added;
  }
  router_ = std::move(router);
  monitor_ = std::move(monitor);
  return {};
}

// A finite mark, since strangers reach it; an honest peer, bounded by credit, never does. The heartbeat is the broom
// for peers that the hub has given up: one peer of a ROUTER cannot be closed in any other way.
result<void> accepted_pipes::set_up(zmq_socket_handle& router) {
  const int mark = static_cast<int>(std::min<std::size_t>(with_.settings.frames_under_way, 1u << 24));
  const int silence = milliseconds_of(with_.settings.silence);
  namespace option = zmq::sockopt;
  if (!router.set(option::linger, linger_ms) || !router.set(option::router_mandatory, true) ||
      !router.set(option::sndhwm, 0) || !router.set(option::rcvhwm, mark) || !router.set(option::handshake_ivl, 5000) ||
      !router.set(option::maxmsgsize, with_.longest_frame(is_encrypted())) ||
      !router.set(option::heartbeat_ivl, silence) || !router.set(option::heartbeat_timeout, std::max(silence / 2, 1))) {
    return zmq_failure(errc::io, "a ROUTER cannot be set up");
  }
  return keys_ ? encrypt(router) : result<void>();
}

result<void> accepted_pipes::encrypt(zmq_socket_handle& router) {
  auto zap = zap_handler::of(with_.context, with_.loop);
  if (!zap) return zap.error();
  zap_ = std::move(*zap);
  mark_ = generate_cookie(*with_.settings.random);
  domain_ = zap_->admit(keys_->dialler_public, mark_);
  if (router.set(zmq::sockopt::curve_server, true) &&
      router.set_key(zmq::sockopt::curve_secretkey, keys_->acceptor_secret) &&
      router.set(zmq::sockopt::zap_domain, domain_)) {
    return {};
  }
  return zmq_failure(errc::io, "a ROUTER cannot be encrypted");
}

result<void> accepted_pipes::bind() {
  const bool is_ipc = where_.kind == endpoint::scheme::ipc;
  socket_address at;
  if (is_ipc) {
    at = unix_address(where_.host);
    ::unlink(where_.host.c_str());  // of a former life: whose name this is, is settled by a lock (bus/DESIGN.md, Trust)
  } else {
    auto numeric = numeric_address(where_);
    if (!numeric) return error(errc::io, numeric.error().text());
    at = *numeric;
  }
  auto socket = listen_at(where_, at);
  if (!socket) return socket.error();
  where_ = socket->where;
  listening_ = true;
  also_ = unique_fd(::fcntl(socket->socket.get(), F_DUPFD_CLOEXEC, 0));
  // Those who wait get in yet when the endpoint is held back.
  if (!is_ipc) ::listen(also_.get(), std::clamp(count_descriptors().spare / 2, 16, 1024));
  // libzmq gets the socket that listens, and closes it.
  zmq_socket_handle& router = router_->socket;
  if (!router.set(zmq::sockopt::use_fd, socket->socket.get()))
    return zmq_failure(errc::io, "a ROUTER cannot be set up");
  if (auto bound = router.bind((is_ipc ? where_ : literal(where_, at)).text()); !bound) return bound;
  static_cast<void>(socket->socket.release());
  if (!is_ipc) with_.reserve.fill();
  with_.list.sent_on(*router_);
  address_ = router.last_endpoint();
  return {};
}

void accepted_pipes::stop_listening() {
  if (std::exchange(listening_, false) && where_.kind == endpoint::scheme::ipc) ::unlink(where_.host.c_str());
  if (pause_ != 0) with_.loop.cancel(std::exchange(pause_, 0));
  also_.close();
  if (zap_) zap_->forget(domain_);
}

void accepted_pipes::unlisten() {
  if (!listening_) return;
  stop_listening();
  static_cast<void>(router_->socket.unbind(address_));
  with_.list.sent_on(*router_);
  // libzmq says of some alone that they are gone.
  for (const auto& [fd, one] : by_fd_) probes_.push_back({.fd = fd, .until = with_.loop.now() + probe_patience});
}

// libzmq lets in whoever comes, and where no descriptor is free its listener of ipc aborts the program (tried
// on 4.3.4). So those who come by tcp leave some: the kernel throws away their first packets for a while, which they
// repeat.
void accepted_pipes::accepted_by(int fd) {
  if (where_.kind != endpoint::scheme::tcp || pause_ != 0 || !is_of_the_last(fd)) return;
  sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{.len = 1, .filter = &nothing};
  if (::setsockopt(also_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) return;
  tell_shortage(EMFILE);
  go_on_later();
}

void accepted_pipes::go_on_later() {
  pause_ = with_.loop.at(with_.loop.now() + hold_back_pause, [this] {
    pause_ = 0;
    const unique_fd lowest_free(::fcntl(also_.get(), F_DUPFD_CLOEXEC, 0));
    if (!lowest_free || is_of_the_last(lowest_free.get())) return go_on_later();
    const int ignored = 0;
    ::setsockopt(also_.get(), SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof ignored);
  });
}

void accepted_pipes::tell_shortage(int number) {
  with_.events.noise("no_descriptor", {});
  if (!shortage_.take(with_.loop.now()) || with_.settings.log == nullptr) return;
  if (!with_.settings.log->enabled(log_level::error)) return;
  with_.settings.log->log(log_level::error, "a connection cannot be accepted: no descriptor is free",
                          {{"endpoint", where_.text()}, {"errno", number}});
}

// libzmq tries again at once, and for ever, as long as somebody waits and no descriptor is free. To unbind for a while
// is no cure: that ends every connection that was accepted there (tried on 4.3.4). So who waits is let in by one of
// the reserve and hung up on, until nobody waits.
void accepted_pipes::out_of_descriptors(int number) {
  tell_shortage(number);
  pollfd waiting{.fd = also_.get(), .events = POLLIN, .revents = 0};
  for (int i = 0; i < 256 && ::poll(&waiting, 1, 0) == 1 && with_.reserve.lend(); ++i) {
    const unique_fd one(::accept4(also_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  }
  with_.reserve.fill();
}

void accepted_pipes::close_all() {
  stop_listening();
  // Not unbound: the last words to those who were accepted would be lost. Closing lets them leave.
  if (router_ && router_->socket) {
    with_.list.remove(*router_);
    with_.list.remove(*monitor_);
    router_->socket.stop_monitor();
    monitor_->socket.close();
    router_->socket.close();
  }
  zap_.reset();  // after the ROUTER: without it libzmq would let everybody in
  for (const auto& [id, one] : by_id_) with_.accepted.erase(id);
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
