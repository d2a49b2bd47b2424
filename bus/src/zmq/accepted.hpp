#pragma once
// An endpoint that listens, and the pipes that others dialled there: a ROUTER for all of them, and its monitor.
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "drop_log.hpp"
#include "kept_keys.hpp"
#include "sockets.hpp"
#include "zmq/shared.hpp"
#include "zmq/zap.hpp"

namespace troupe::bus::internal {

// Design notes.
// The ROUTER's own id of a peer names a pipe; it is told to nobody. libzmq says that a connection ended by its
// descriptor alone, and before it ends the pipe, so:
//
//   first frame ──> open ──(a send or a probe gives EHOSTUNREACH)──> dying ──(read to EAGAIN, or 2·(pipes+1) frames of
//                     ^                                                 │      others in a row)──> `closed`, forgotten
//   DISCONNECTED(fd) ─┴─ probe each turn: an empty frame to every open pipe whose frames came by fd, until one is dying
//
// A ROUTER under load never says EAGAIN, but it takes a frame of every pipe in turn: hence the second way to `closed`.
// A pipe that the hub has closed is `shut`: what still comes by it is dropped, but for a few frames that open it anew
// and so are answered. libzmq cannot close one peer of a ROUTER, so it is forgotten when it dies. Descriptors are
// reused at once, so a probe may meet the wrong, living pipe: it gets an empty frame, which means nothing, and the
// probe gives up after `probe_patience` (silence then does the rest).
// Each endpoint has a ROUTER of its own: so it is known where a pipe came in and that it is encrypted, whatever libzmq
// says of it. The socket that listens is made here and given to libzmq: bound, with the mode and under the rules of all
// others of ours, and looked at where no descriptor is free. Owner: zmq_pipes; the loop's thread; destroyed only
// between turns.
class accepted_pipes {
 public:
  // `keys`: what comes there is encrypted; none: plain text.
  [[nodiscard]] static result<std::unique_ptr<accepted_pipes>> listen(zmq_shared& with, const endpoint& where,
                                                                      kept_keys keys);
  ~accepted_pipes();

  [[nodiscard]] const endpoint& where() const noexcept { return where_; }
  [[nodiscard]] bool is_encrypted() const noexcept { return keys_ != nullptr; }
  // Nobody is let in any more. libzmq ends the connections of those who were, too.
  void unlisten();
  // After that: nobody is left.
  [[nodiscard]] bool is_over() const noexcept { return !listening_ && by_id_.empty(); }
  bool send(pipe_id id, std::span<const std::byte> header, const frame_payload& payload);
  void trust(pipe_id id);
  [[nodiscard]] std::string source(pipe_id id) const;
  [[nodiscard]] pipe_origin origin(pipe_id id) const;
  void close(pipe_id id);
  void close_all();
  // Every turn. True while probes are under way.
  bool probe();

 private:
  struct pipe {
    pipe_id id;
    std::string route;                  // the ROUTER's id
    std::string source = {};            // whom a quota is for
    std::optional<endpoint> from = {};  // by tcp
    int fd = -1;
    bool announced = false;
    bool trusted = false;
    bool dying = false;
    bool shut = false;       // closed by the hub
    unsigned lives = 1;      // how often it was open
    bool accounted = false;  // one event found it dead: the next one of that descriptor is of another
    std::uint64_t due = 0;   // once dying and not shut: over when so many frames have been read
  };
  struct probe_of {
    int fd;
    time_point until;
    bool read_all = false;  // the ROUTER said EAGAIN since the event: all its frames have been seen
  };
  class router_reader;
  class monitor_reader;

  accepted_pipes(zmq_shared& with, const endpoint& where, kept_keys keys);
  [[nodiscard]] result<void> open();
  [[nodiscard]] result<void> set_up(zmq_socket_handle& router);
  [[nodiscard]] result<void> encrypt(zmq_socket_handle& router);
  [[nodiscard]] result<void> bind();
  bool read_router();
  void take(std::string_view route, int fd, zmq_message& body);
  pipe* find_or_open(std::string_view route, int fd, zmq_message& body);
  pipe* make_pipe(std::string_view route, int fd, zmq_message& body);
  void hang_up(pipe& one, std::size_t size);
  void reopen(pipe& one);
  void forget_former(int fd);
  bool send_to(pipe& to, std::span<const std::byte> header, const frame_payload& payload);
  void now_dying(pipe& one);
  void grant_patience(pipe& one);
  void others_frame(pipe* of);
  void finish_dying(bool all);
  void forget(pipe& one);
  void never_heard(int fd);
  void on_event(const zmq_event& event);
  void handshake_failed(const zmq_event& event);
  void accepted_by(int fd);
  void go_on_later();
  void tell_shortage(int number);
  void out_of_descriptors(int number);
  void stop_listening();

  zmq_shared& with_;
  endpoint where_;  // with its real port
  const kept_keys keys_;
  bool listening_ = false;
  std::string address_;               // as libzmq spells it
  unique_fd also_;                    // the socket that listens, once more: for when no descriptor is free
  std::string mark_;                  // what the messages of a peer that ZAP let in are marked with
  std::string domain_;                // of ZAP
  std::shared_ptr<zap_handler> zap_;  // from before an encrypted endpoint listens until its ROUTER is closed
  std::unique_ptr<router_reader> router_;
  std::unique_ptr<monitor_reader> monitor_;
  std::unordered_map<std::string, std::unique_ptr<pipe>> by_route_;
  std::unordered_map<pipe_id, pipe*> by_id_;
  std::unordered_multimap<int, pipe*> by_fd_;
  std::size_t without_fd_ = 0;
  std::uint64_t frames_read_ = 0;
  std::set<std::pair<std::uint64_t, pipe_id>> dying_;  // by what is due first
  std::unordered_set<pipe_id> shut_and_dead_;  // forgotten at the next EAGAIN, or when their descriptor is another's
  std::vector<probe_of> probes_;
  std::unordered_set<int> forgotten_;  // descriptors of pipes that ended before DISCONNECTED came
  std::size_t explained_ = 0;          // handshakes that failed, told of, whose DISCONNECTED is yet to come
  token_bucket shortage_{1, 1};        // lines of the log
  timer_id pause_ = 0;                 // nobody gets in until then
};

}  // namespace troupe::bus::internal
