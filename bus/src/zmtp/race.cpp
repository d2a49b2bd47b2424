#include "zmtp/race.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

namespace troupe::bus::internal::zmtp {

struct race::runner final : fd_watcher {
  runner(race& of, unique_fd with) : owner(of), socket(std::move(with)) {}
  ~runner() override {
    if (socket) owner.loop_.unwatch(socket.get(), *this);
  }
  void readable() override { owner.look(*this); }
  void writable() override { owner.look(*this); }
  race& owner;
  unique_fd socket;  // none once it has failed
};

race::race(system_loop& loop, std::vector<socket_address> addresses, finish done)
    : loop_(loop), addresses_(std::move(addresses)), done_(std::move(done)) {
  next();
}

race::~race() {
  *alive_ = false;
  if (timer_ != 0) loop_.cancel(timer_);
}

void race::next() {
  while (tried_ < addresses_.size()) {
    const socket_address& to = addresses_[tried_++];
    auto one = std::make_unique<runner>(*this, make_socket(to.data.ss_family));
    const bool begun = one->socket && (::connect(one->socket.get(), to.get(), to.size) == 0 || errno == EINPROGRESS);
    if (!begun || !loop_.watch(one->socket.get(), *one)) {
      last_error_ = errno;
      continue;
    }
    loop_.watch_writable(one->socket.get(), *one, true);
    runners_.push_back(std::move(one));
    ++running_;
    if (timer_ != 0) loop_.cancel(std::exchange(timer_, 0));
    if (tried_ == addresses_.size()) return;
    timer_ = loop_.at(loop_.now() + head_start, [this] {
      timer_ = 0;
      next();
    });
    return;
  }
  if (running_ == 0) end(error(errc::noconnection, std::generic_category().message(last_error_)));
}

void race::look(runner& one) {
  if (over_ || !one.socket) return;
  int number = 0;
  socklen_t size = sizeof number;
  ::getsockopt(one.socket.get(), SOL_SOCKET, SO_ERROR, &number, &size);
  loop_.unwatch(one.socket.get(), one);
  if (number == 0) return end(std::move(one.socket));
  last_error_ = number;
  one.socket.close();
  --running_;
  next();
}

void race::end(result<unique_fd> how) {
  if (std::exchange(over_, true)) return;
  if (timer_ != 0) loop_.cancel(std::exchange(timer_, 0));
  for (const auto& one : runners_) {
    if (one->socket) loop_.unwatch(one->socket.get(), *one);
    one->socket.close();
  }
  loop_.post([this, alive = alive_, how = std::move(how)]() mutable {
    if (!*alive) return;
    auto done = std::move(done_);
    done(std::move(how));
  });
}

}  // namespace troupe::bus::internal::zmtp
