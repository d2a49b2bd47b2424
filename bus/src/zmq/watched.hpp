#pragma once
// A socket in the loop: the one place that knows the rules of ZMQ_FD (bus/DESIGN.md, libzmq: the descriptor is an edge,
// and every call on the socket may eat it).
#include <vector>

#include "system_loop.hpp"
#include "zmq/socket.hpp"

namespace troupe::bus::internal {

class watch_list;

// Owner: a pipe of a transport; destroyed only between turns (see dialled_pipes' graveyard).
class watched : public fd_watcher {
 public:
  explicit watched(watch_list& list) noexcept : list_(list) {}
  ~watched() override = default;

  // Reads on; true when it stopped before the socket said that nothing waits.
  [[nodiscard]] virtual bool read() = 0;
  void readable() override;

  zmq_socket_handle socket;

 private:
  friend class watch_list;
  watch_list& list_;
  int fd_ = -1;
  bool has_ = false;   // on the list of those that have, or may have, something to read
  bool look_ = false;  // sent on since the last look
};

// Owner: the transport; its loop's thread.
class watch_list {
 public:
  explicit watch_list(system_loop& loop) noexcept : loop_(loop) {}

  [[nodiscard]] result<void> add(watched& one);
  void remove(watched& one);
  void may_have(watched& one) {
    if (!one.has_ && one.fd_ >= 0) {
      one.has_ = true;
      has_.push_back(&one);
    }
  }
  void sent_on(watched& one) {
    if (!one.look_ && one.fd_ >= 0) {
      one.look_ = true;
      look_.push_back(&one);
    }
  }
  // Reads each socket on the list once around.
  void read_all();
  // Asks every socket that was sent on; after that the loop may sleep unless `hungry`.
  void look_all();
  [[nodiscard]] bool hungry() const noexcept { return !has_.empty(); }

 private:
  system_loop& loop_;
  std::vector<watched*> has_;
  std::vector<watched*> look_;
  std::vector<watched*> now_;  // being gone through; an entry is nulled when its socket is removed meanwhile
};

}  // namespace troupe::bus::internal
