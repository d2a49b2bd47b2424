#pragma once
// The two sockets of an endpoint that listens, in the loop.
#include "zmq/accepted.hpp"

namespace troupe::bus::internal {

class accepted_pipes::router_reader final : public watched {
 public:
  explicit router_reader(accepted_pipes& owner) : watched(owner.with_.list), owner_(owner) {}
  bool read() override { return owner_.read_router(); }

 private:
  accepted_pipes& owner_;
};

class accepted_pipes::monitor_reader final : public watched {
 public:
  explicit monitor_reader(accepted_pipes& owner) : watched(owner.with_.list), owner_(owner) {}
  bool read() override {
    zmq_event event;
    for (int i = 0; i < 4096; ++i) {  // never left unread for long: libzmq writes it blocking
      if (!next_event(socket, event)) return false;
      owner_.on_event(event);
    }
    return true;
  }

 private:
  accepted_pipes& owner_;
};

}  // namespace troupe::bus::internal
