#include "zmtp/pipes.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>

#include <troupe/bus/security.hpp>

namespace troupe::bus::internal::zmtp {
namespace {

constexpr duration first_words = std::chrono::seconds(5), last_words = std::chrono::milliseconds(200);
constexpr duration dial_patience = std::chrono::seconds(3), full_backlog_pause = std::chrono::milliseconds(5),
                   shortage_pause = std::chrono::milliseconds(100);
constexpr std::size_t most_strangers = 4096, room_bytes = 256u << 10;
constexpr int backlog = 1024, accepts_a_turn = 64;

std::string reason_of(int number) { return std::generic_category().message(number); }

struct address {
  sockaddr_storage data{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&data); }
};

address unix_address(const std::string& path) {
  address out;
  auto* at = reinterpret_cast<sockaddr_un*>(&out.data);
  at->sun_family = AF_UNIX;
  path.copy(at->sun_path, sizeof at->sun_path - 1);
  out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return out;
}

// Blocks when the name server must be asked.
result<address> tcp_address(const endpoint& where, int flags) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = flags | AI_NUMERICSERV;
  std::string host = where.host;
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "*") {
    host = "0.0.0.0";
    wanted.ai_family = AF_INET;
  }
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(where.port).c_str(), &wanted, &found);
  if (failed != 0) return error(errc::noconnection, where.text() + ": " + ::gai_strerror(failed));
  address out;
  out.size = found->ai_addrlen;
  std::copy_n(reinterpret_cast<const char*>(found->ai_addr), found->ai_addrlen, reinterpret_cast<char*>(&out.data));
  ::freeaddrinfo(found);
  return out;
}

unique_fd make_socket(int family) { return unique_fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

// A unix socket keeps what was asked for or, below that, what net.core.wmem_max allows; tcp finds its own measure.
void tune(int fd, const endpoint& where) {
  const int on = 1, kept = 1 << 20;
  if (where.kind == endpoint::scheme::tcp) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  else ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kept, sizeof kept);
}

}  // namespace

// -- what there is

class pipes::listener final : public fd_watcher {
 public:
  listener(pipes& owner, endpoint where, unique_fd socket)
      : owner_(owner), where_(std::move(where)), socket_(std::move(socket)) {}
  ~listener() override {
    if (pause_ != 0) owner_.loop_.cancel(pause_);
    owner_.loop_.unwatch(socket_.get(), *this);
    if (where_.kind == endpoint::scheme::ipc) ::unlink(where_.host.c_str());
  }
  [[nodiscard]] bool begin() { return owner_.loop_.watch(socket_.get(), *this); }
  [[nodiscard]] const endpoint& where() const noexcept { return where_; }

 private:
  void readable() override {
    for (int i = 0; i < accepts_a_turn; ++i) {
      unique_fd one(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (one) {
        owner_.accepted(*this, std::move(one));
        continue;
      }
      if (errno == EMFILE || errno == ENFILE) pause(errno);
      return;  // nobody waits, or whoever did is gone
    }
  }
  // Whoever waits lies in the kernel's queue meanwhile.
  void pause(int number) {
    owner_.out_of_descriptors(where_, number);
    owner_.loop_.unwatch(socket_.get(), *this);
    pause_ = owner_.loop_.at(owner_.loop_.now() + shortage_pause, [this] {
      pause_ = 0;
      if (!begin()) pause(errno);
    });
  }

  pipes& owner_;
  const endpoint where_;
  unique_fd socket_;
  timer_id pause_ = 0;
};

struct pipes::pipe {
  pipe_id id = 0;
  endpoint where;  // dialled, or where it was accepted
  side which = side::dialler;
  std::unique_ptr<zmtp::stream> stream;  // none while a name is looked up
  bool opened = false;                   // told of
  bool closed = false;                   // by the hub: tells nothing more
  timer_id timer = 0;                    // of the dial, of the first words, of the last words
  raw_bytes early;                       // messages with their heads, sent before there was a stream
};

struct pipes::lookup {
  result<address> found = error(errc::noconnection);
};

pipes::pipes(system_loop& loop, transport_events& events, const transport_settings& settings)
    : loop_(loop), events_(events), settings_(settings), shared_{loop, *this, settings.frame_bytes, {}} {
  shared_.room.reserve(room_bytes);
  loop_.add(*this);
}

pipes::~pipes() {
  close_all();
  *alive_ = false;
  loop_.remove(*this);
}

// Between turns: nobody is in the middle of what lies here.
appetite pipes::turn() {
  graveyard_.clear();
  return appetite::none;
}

// -- listening

result<endpoint> pipes::listen(const endpoint& where) {
  auto failed = [&where](const char* what) {
    return error(errc::io, where.text() + ": " + what + ": " + reason_of(errno));
  };
  address at;
  if (where.kind == endpoint::scheme::ipc) {
    at = unix_address(where.host);
    ::unlink(where.host.c_str());  // of a former life: whose name this is, is settled by a lock (bus/DESIGN.md, Trust)
  } else {
    auto found = tcp_address(where, AI_PASSIVE);
    if (!found) return error(errc::io, found.error().text());
    at = *found;
  }
  unique_fd socket = make_socket(at.data.ss_family);
  if (!socket) return failed("no socket");
  if (where.kind == endpoint::scheme::tcp) {
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  if (::bind(socket.get(), at.get(), at.size) != 0) return failed("cannot bind");
  if (::listen(socket.get(), backlog) != 0) return failed("cannot listen");
  endpoint real = where;
  if (where.kind == endpoint::scheme::tcp && where.port == 0) {
    address bound;
    bound.size = sizeof bound.data;
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound.data), &bound.size) != 0) {
      return failed("no port");
    }
    real.port = ntohs(bound.data.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound.data)->sin6_port
                                                       : reinterpret_cast<sockaddr_in*>(&bound.data)->sin_port);
  }
  auto made = std::make_unique<listener>(*this, real, std::move(socket));
  if (!made->begin()) return error(errc::system_limit, where.text() + ": a socket cannot be watched");
  listeners_.push_back(std::move(made));
  return real;
}

void pipes::unlisten(const endpoint& where) {
  std::erase_if(listeners_, [&where](const auto& one) { return one->where() == where; });
}

void pipes::accepted(listener& at, unique_fd socket) {
  if (strangers_ >= most_strangers) return events_.noise("stranger", "too many strangers at once");
  auto made = std::make_unique<pipe>();
  pipe& one = *made;
  one.id = last_ += 4;
  one.where = at.where();
  one.which = side::acceptor;
  pipes_.emplace(one.id, std::move(made));
  ++strangers_;
  one.timer = loop_.at(loop_.now() + first_words, [this, &one] {
    one.timer = 0;
    events_.noise("stranger", "somebody who connected and said nothing at " + one.where.text());
    forget(one);
  });
  begin(one, std::move(socket), false);
}

void pipes::out_of_descriptors(const endpoint& where, int number) {
  if (!shortage_.take(loop_.now()) || settings_.log == nullptr) return;
  if (!settings_.log->enabled(log_level::error)) return;
  settings_.log->log(log_level::error, "a connection cannot be accepted: no descriptor is free",
                     {{"endpoint", where.text()}, {"errno", number}});
}

// -- dialling

result<pipe_id> pipes::dial(const endpoint& where) {
  auto made = std::make_unique<pipe>();
  pipe& one = *made;
  one.id = last_ += 4;
  one.where = where;
  pipes_.emplace(one.id, std::move(made));
  one.timer = loop_.at(loop_.now() + dial_patience, [this, &one] {
    one.timer = 0;
    if (one.stream && !one.stream->is_connecting()) return;  // how long an answer may take, the hub knows
    fail(one, error(errc::noconnection, "nobody answers at " + one.where.text()));
  });
  begin_dial(one);
  return one.id;
}

void pipes::begin_dial(pipe& one) {
  if (one.where.kind == endpoint::scheme::ipc) {
    const address at = unix_address(one.where.host);
    return connect(one, at.get(), at.size);
  }
  if (auto numeric = tcp_address(one.where, AI_NUMERICHOST)) return connect(one, numeric->get(), numeric->size);
  // A name: who knows it is asked on a thread of its own, which nobody waits for.
  auto found = std::make_shared<lookup>();
  std::thread([this, found, alive = alive_, id = one.id, where = one.where, &loop = loop_] {
    found->found = tcp_address(where, 0);
    loop.post([this, found, alive, id] {
      if (*alive) looked_up(id, found);
    });
  }).detach();
}

void pipes::looked_up(pipe_id id, const std::shared_ptr<lookup>& found) {
  auto at = pipes_.find(id);
  if (at == pipes_.end() || at->second->closed) return;
  if (found->found) return connect(*at->second, found->found->get(), found->found->size);
  fail(*at->second, found->found.error());
}

void pipes::connect(pipe& one, const void* address, unsigned size) {
  const auto* to = static_cast<const sockaddr*>(address);
  unique_fd socket = make_socket(to->sa_family);
  if (!socket) return fail_soon(one, error(errc::system_limit, "no socket: " + reason_of(errno)));
  if (::connect(socket.get(), to, size) == 0) return begin(one, std::move(socket), false);
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
  one.stream = std::make_unique<zmtp::stream>(shared_, std::move(socket), one.which, connecting);
  by_stream_.emplace(one.stream.get(), &one);
  if (auto begun = one.stream->begin(); !begun) return fail_soon(one, begun.error());
  if (!one.early.empty()) one.stream->send_framed(std::exchange(one.early, {}).span());
}

// Not inside `dial`, whose caller does not know the pipe yet.
void pipes::fail_soon(pipe& one, error why) {
  loop_.post([this, alive = alive_, id = one.id, why = std::move(why)] {
    if (!*alive) return;
    if (auto at = pipes_.find(id); at != pipes_.end()) fail(*at->second, why);
  });
}

// -- traffic

bool pipes::send(pipe_id id, std::span<const std::byte> header, frame_payload payload) {
  auto found = pipes_.find(id);
  if (found == pipes_.end() || found->second->closed) return false;
  pipe& one = *found->second;
  if (one.stream) return one.stream->send(header, std::move(payload));
  const frame_head head = head_of_message(header.size() + payload.size());
  const auto [own, shared] = payload.parts();
  for (const auto part : {head.span(), header, own, shared}) one.early.append(part);
  return true;
}

pipes::pipe* pipes::find(const zmtp::stream& of) noexcept {
  auto found = by_stream_.find(&of);
  return found == by_stream_.end() ? nullptr : found->second;
}

void pipes::frame(zmtp::stream& of, std::span<const std::byte> data) {
  pipe* one = find(of);
  if (one == nullptr || one->closed) return;
  const pipe_id id = one->id;
  if (!one->opened) {
    one->opened = true;
    if (one->timer != 0) loop_.cancel(std::exchange(one->timer, 0));
    if (one->which == side::acceptor) {
      --strangers_;
      events_.opened(id);
    }
  }
  if (auto still = pipes_.find(id); still != pipes_.end() && !still->second->closed) events_.frame(id, data);
}

void pipes::parts(zmtp::stream& of) {
  if (find(of) != nullptr) events_.noise("stranger", "a message of several parts");
}

// -- the end

void pipes::ended(zmtp::stream& of, spoke how, const error& why) {
  pipe* one = find(of);
  if (one == nullptr) return;
  if (one->closed) return forget(*one);
  if (one->which == side::acceptor && !one->opened) {
    tell_noise(*one, how, why);
    return forget(*one);
  }
  if (why.code() != errc::noconnection && one->opened) {
    events_.noise("stranger", why.text() + " at " + one->where.text());
  }
  fail(*one, not_understood(*one, how, why));
}

void pipes::fail(pipe& one, error why) {
  const pipe_id id = one.id;
  const bool silent = one.closed || (one.which == side::acceptor && !one.opened);
  forget(one);
  if (!silent) events_.closed(id, why);
}

void pipes::close(pipe_id id) {
  auto found = pipes_.find(id);
  if (found == pipes_.end() || found->second->closed) return;
  pipe& one = *found->second;
  one.closed = true;
  if (one.stream) one.stream->finish();
  if (!one.stream || one.stream->is_shut()) return forget(one);
  if (one.timer != 0) loop_.cancel(one.timer);
  one.timer = loop_.at(loop_.now() + last_words, [this, &one] {
    one.timer = 0;
    forget(one);
  });
}

void pipes::forget(pipe& one) {
  if (one.timer != 0) loop_.cancel(std::exchange(one.timer, 0));
  if (one.which == side::acceptor && !one.opened) --strangers_;
  if (one.stream) {
    by_stream_.erase(one.stream.get());
    one.stream->shut();
  }
  auto found = pipes_.find(one.id);
  graveyard_.push_back(std::move(found->second));
  pipes_.erase(found);
}

void pipes::close_all() {
  listeners_.clear();
  for (auto& [id, one] : pipes_) {
    if (one->timer != 0) loop_.cancel(std::exchange(one->timer, 0));
    if (one->stream) one->stream->leave();
  }
  by_stream_.clear();
  pipes_.clear();
  strangers_ = 0;
}

// -- words

void pipes::tell_noise(const pipe& one, spoke how, const error& why) {
  const std::string at = " at " + one.where.text();
  switch (how) {
    case spoke::curve: return events_.noise("encrypted", "a dialler that encrypts, where plain text is spoken" + at);
    case spoke::other: return events_.noise("stranger", why.text() + at);
    case spoke::zmtp:
      if (why.code() != errc::noconnection) return events_.noise("stranger", why.text() + at);
      return events_.noise("stranger", "somebody who left before a first frame" + at);
    case spoke::nothing: break;
  }
  events_.noise("stranger", "somebody who left during the handshake of ZeroMQ" + at);
}

// What is there, for a side that dialled and was not understood.
error pipes::not_understood(const pipe& one, spoke how, const error& why) {
  if (one.which == side::acceptor || one.stream->is_ready()) return why;
  const std::string at = " at " + one.where.text();
  switch (how) {
    case spoke::curve:
      return error(errc::unsupported,
                   "who answers" + at +
                       " encrypts, this node speaks plain text there: "
                       "node.encryption = \"always\" encrypts on loopback, node.plain_text forbids it off");
    case spoke::other: return error(errc::noconnection, "what answers" + at + " speaks no ZMTP");
    case spoke::zmtp: return error(errc::noconnection, "who answers" + at + " hung up during the handshake of ZeroMQ");
    case spoke::nothing: break;
  }
  return error(errc::noconnection, "nobody answers" + at + (why.text().empty() ? "" : ": " + why.text()));
}

}  // namespace troupe::bus::internal::zmtp
