#include "zmq/watched.hpp"

#include <algorithm>

namespace troupe::bus::internal {

void watched::readable() { list_.may_have(*this); }

result<void> watch_list::add(watched& one) {
  one.fd_ = one.socket.fd();
  if (one.fd_ < 0 || !loop_.watch(one.fd_, one)) {
    one.fd_ = -1;
    return error(errc::system_limit, "a socket cannot be watched");
  }
  may_have(one);  // the edge may lie before the watch
  return {};
}

void watch_list::remove(watched& one) {
  if (one.fd_ < 0) return;
  loop_.unwatch(one.fd_, one);
  one.fd_ = -1;
  std::erase(has_, &one);
  std::erase(look_, &one);
  std::replace(now_.begin(), now_.end(), &one, static_cast<watched*>(nullptr));
  one.has_ = one.look_ = false;
}

void watch_list::read_all() {
  now_.swap(has_);
  for (std::size_t i = 0; i < now_.size(); ++i) {
    watched* one = now_[i];
    if (one == nullptr) continue;
    one->has_ = false;
    if (one->read() && now_[i] != nullptr) may_have(*one);
  }
  now_.clear();
}

void watch_list::look_all() {
  for (watched* one : look_) {
    one->look_ = false;
    if (!one->has_ && one->socket.readable()) may_have(*one);
  }
  look_.clear();
}

}  // namespace troupe::bus::internal
