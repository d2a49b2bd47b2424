#pragma once
// One dial of a name that has several addresses.
#include <functional>
#include <memory>
#include <vector>

#include "sockets.hpp"
#include "system_loop.hpp"

namespace troupe::bus::internal::zmtp {

// Tries the addresses in their order, each next one when those before it have failed or `head_start` has passed: who
// answers first wins (RFC 8305). Owner: a pipe; the loop's thread. `done` comes once, in a later turn, unless this has
// gone by then.
class race {
 public:
  using finish = std::move_only_function<void(result<unique_fd>)>;
  static constexpr duration head_start = std::chrono::milliseconds(250);

  race(system_loop& loop, std::vector<socket_address> addresses, finish done);
  ~race();
  race(const race&) = delete;
  race& operator=(const race&) = delete;

 private:
  struct runner;

  void next();
  void look(runner& one);
  void end(result<unique_fd> how);

  system_loop& loop_;
  std::vector<socket_address> addresses_;
  std::size_t tried_ = 0, running_ = 0;
  std::vector<std::unique_ptr<runner>> runners_;
  finish done_;
  int last_error_ = 0;
  timer_id timer_ = 0;
  bool over_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace troupe::bus::internal::zmtp
