#pragma once
// What `pipes` keeps of each of its pipes and listeners; for pipes*.cpp alone.
#include "sockets.hpp"
#include "zmtp/pipes.hpp"
#include "zmtp/race.hpp"

namespace troupe::bus::internal::zmtp {

class pipes::listener final : public fd_watcher {
 public:
  listener(pipes& owner, endpoint where, unique_fd socket, kept_keys keys)
      : owner_(owner), where_(std::move(where)), socket_(std::move(socket)), keys_(std::move(keys)) {}
  ~listener() override;
  [[nodiscard]] bool begin() { return owner_.loop_.watch(socket_.get(), *this); }
  [[nodiscard]] const endpoint& where() const noexcept { return where_; }
  [[nodiscard]] const kept_keys& keys() const noexcept { return keys_; }

 private:
  void readable() override;
  bool make_room();
  void pause(int number);

  pipes& owner_;
  const endpoint where_;
  unique_fd socket_;
  const kept_keys keys_;  // none for plain text
  timer_id pause_ = 0;
};

struct pipes::pipe {
  pipe_id id = 0;
  endpoint where;  // dialled, or where it was accepted
  side which = side::dialler;
  kept_keys keys;                        // none for plain text
  socket_address from;                   // of who was accepted
  std::unique_ptr<zmtp::stream> stream;  // none while a name is looked up, or several addresses are tried
  resolver::ticket lookup = 0;
  std::unique_ptr<zmtp::race> race;
  bool again = false;   // dialled for the second time: see pipes::ended
  bool opened = false;  // told of
  bool closed = false;  // by the hub: tells nothing more
  timer_id timer = 0;   // of the dial, of the first words, of the last words
  raw_bytes early;      // messages with their heads, sent before there was a stream
};

}  // namespace troupe::bus::internal::zmtp
