// How pipes begin: sockets that listen, who is let in, and dials.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "zmtp/pipe.hpp"

namespace troupe::bus::internal::zmtp {
namespace {

constexpr duration first_words = std::chrono::seconds(5), dial_patience = std::chrono::seconds(3),
                   full_backlog_pause = std::chrono::milliseconds(5), shortage_pause = std::chrono::milliseconds(100);
constexpr int accepts_a_turn = 64;

std::string reason_of(int number) { return std::generic_category().message(number); }

// A unix socket keeps what was asked for or, below that, what net.core.wmem_max allows; tcp finds its own measure.
void tune(int fd, const endpoint& where) {
  const int on = 1, kept = 1 << 20;
  if (where.kind == endpoint::scheme::tcp) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  else ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kept, sizeof kept);
}

}  // namespace

// -- listening

pipes::listener::~listener() {
  if (pause_ != 0) owner_.loop_.cancel(pause_);
  owner_.loop_.unwatch(socket_.get(), *this);
  if (where_.kind == endpoint::scheme::ipc) ::unlink(where_.host.c_str());
}

void pipes::listener::readable() {
  for (int i = 0; i < accepts_a_turn; ++i) {
    socket_address from;
    unique_fd one(::accept4(socket_.get(), from.get(), &from.size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (one) {
      owner_.accepted(*this, std::move(one), from);
      continue;
    }
    if (errno != EMFILE && errno != ENFILE) return;  // nobody waits, or whoever did is gone
    const int number = errno;
    if (!make_room()) return pause(number);
  }
}

// A descriptor for who waits: of the reserve, for who is on this host; else of a stranger who has said nothing yet.
bool pipes::listener::make_room() {
  if (where_.kind == endpoint::scheme::ipc && owner_.reserve_.lend()) return true;
  return owner_.send_away(owner_.far_.any());
}

// Whoever waits lies in the kernel's queue meanwhile.
void pipes::listener::pause(int number) {
  owner_.out_of_descriptors(where_, number);
  owner_.loop_.unwatch(socket_.get(), *this);
  pause_ = owner_.loop_.at(owner_.loop_.now() + shortage_pause, [this] {
    pause_ = 0;
    if (!begin()) pause(errno);
  });
}

result<endpoint> pipes::listen(const endpoint& where, kept_keys keys) {
  socket_address at;
  if (where.kind == endpoint::scheme::ipc) {
    at = unix_address(where.host);
    ::unlink(where.host.c_str());  // of a former life: whose name this is, is settled by a lock (bus/DESIGN.md, Trust)
  } else {
    auto found = numeric_address(where);
    if (!found) return error(errc::io, found.error().text());
    at = *found;
    reserve_.fill();
  }
  auto socket = listen_at(where, at);
  if (!socket) return socket.error();
  auto made = std::make_unique<listener>(*this, socket->where, std::move(socket->socket), std::move(keys));
  if (!made->begin()) return error(errc::system_limit, where.text() + ": a socket cannot be watched");
  listeners_.push_back(std::move(made));
  return listeners_.back()->where();
}

void pipes::unlisten(const endpoint& where) {
  std::erase_if(listeners_, [&where](const auto& one) { return one->where() == where; });
}

crowd& pipes::strangers_at(const endpoint& where) noexcept {
  return where.kind == endpoint::scheme::ipc ? near_ : far_;
}

void pipes::accepted(listener& at, unique_fd socket, const socket_address& from) {
  crowd& strangers = strangers_at(at.where());
  const std::string source = source_of(from);
  send_away(strangers.must_go(source));
  auto made = std::make_unique<pipe>();
  pipe& one = *made;
  one.id = ++last_;
  one.where = at.where();
  one.which = side::acceptor;
  one.keys = at.keys();
  one.from = from;
  pipes_.emplace(one.id, std::move(made));
  strangers.add(one.id, source);
  one.timer = loop_.at(loop_.now() + first_words, [this, &one] {
    one.timer = 0;
    events_.noise("stranger", "somebody who connected and said nothing at " + one.where.text());
    forget(one);
  });
  begin(one, std::move(socket), false);
}

// A stranger goes for another; false when there is none.
bool pipes::send_away(pipe_id id) {
  auto found = pipes_.find(id);
  if (found == pipes_.end()) return false;
  events_.noise("stranger_limit", "somebody who had said nothing yet, for too many came");
  forget(*found->second);
  return true;
}

void pipes::out_of_descriptors(const endpoint& where, int number) {
  events_.noise("no_descriptor", {});
  if (!shortage_.take(loop_.now()) || settings_.log == nullptr) return;
  if (!settings_.log->enabled(log_level::error)) return;
  settings_.log->log(log_level::error, "a connection cannot be accepted: no descriptor is free",
                     {{"endpoint", where.text()}, {"errno", number}});
}

// -- dialling

result<pipe_id> pipes::dial(const endpoint& where, kept_keys keys) {
  auto made = std::make_unique<pipe>();
  pipe& one = *made;
  one.id = ++last_;
  one.where = where;
  one.keys = std::move(keys);
  pipes_.emplace(one.id, std::move(made));
  one.timer = loop_.at(loop_.now() + dial_patience, [this, &one] {
    one.timer = 0;
    if (one.stream && !one.stream->is_connecting()) return;  // how long an answer may take, the hub knows
    const bool asks = one.lookup != 0;
    fail(one, asks ? error(errc::noconnection, "no name server answers for " + one.where.text())
                   : error(errc::noconnection, "nobody answers at " + one.where.text()));
  });
  begin_dial(one);
  return one.id;
}

void pipes::begin_dial(pipe& one) {
  if (one.where.kind == endpoint::scheme::ipc) return connect(one, unix_address(one.where.host));
  if (auto numeric = numeric_address(one.where)) return connect(one, *numeric);
  one.lookup = resolver_.ask(one.where, [this, id = one.id](result<std::vector<socket_address>> found) {
    auto at = pipes_.find(id);
    if (at == pipes_.end() || at->second->closed) return;
    at->second->lookup = 0;
    if (!found) return fail(*at->second, found.error());
    begin_race(*at->second, std::move(*found));
  });
}

void pipes::begin_race(pipe& one, std::vector<socket_address> addresses) {
  one.race = std::make_unique<race>(loop_, std::move(addresses), [this, id = one.id](result<unique_fd> winner) {
    auto at = pipes_.find(id);
    if (at == pipes_.end() || at->second->closed) return;
    at->second->race.reset();
    if (winner) return begin(*at->second, std::move(*winner), false);
    fail(*at->second,
         error(errc::noconnection, "nobody answers at " + at->second->where.text() + ": " + winner.error().text()));
  });
}

void pipes::connect(pipe& one, const socket_address& to) {
  unique_fd socket = make_socket(to.data.ss_family);
  if (!socket) return fail_soon(one, error(errc::system_limit, "no socket: " + reason_of(errno)));
  if (::connect(socket.get(), to.get(), to.size) == 0) return begin(one, std::move(socket), false);
  if (errno == EINPROGRESS) return begin(one, std::move(socket), true);
  if (errno == EAGAIN) {  // of a unix socket: so many wait there already
    loop_.at(loop_.now() + full_backlog_pause, [this, alive = alive_, id = one.id] {
      if (!*alive) return;
      if (auto at = pipes_.find(id); at != pipes_.end() && !at->second->closed) begin_dial(*at->second);
    });
    return;
  }
  fail_soon(one, error(errc::noconnection, "nobody answers at " + one.where.text() + ": " + reason_of(errno)));
}

void pipes::begin(pipe& one, unique_fd socket, bool connecting) {
  tune(socket.get(), one.where);
  std::unique_ptr<curve> encryption;
  if (one.keys) {
    encryption = one.which == side::dialler ? curve_of_dialler(one.keys, *settings_.random)
                                            : curve_of_acceptor(one.keys, *settings_.random);
  }
  one.stream = std::make_unique<zmtp::stream>(shared_, std::move(socket), one.which, connecting, std::move(encryption));
  by_stream_.emplace(one.stream.get(), &one);
  if (auto begun = one.stream->begin(); !begun) return fail_soon(one, begun.error());
  if (!one.early.empty()) one.stream->hold(std::exchange(one.early, {}).span());
}

void pipes::dial_again(pipe& one) {
  one.again = true;
  by_stream_.erase(one.stream.get());
  one.early = one.stream->take_held();
  former_.push_back(std::move(one.stream));
  begin_dial(one);
}

// Not inside `dial`, whose caller does not know the pipe yet.
void pipes::fail_soon(pipe& one, error why) {
  loop_.post([this, alive = alive_, id = one.id, why = std::move(why)] {
    if (!*alive) return;
    if (auto at = pipes_.find(id); at != pipes_.end()) fail(*at->second, why);
  });
}

}  // namespace troupe::bus::internal::zmtp
