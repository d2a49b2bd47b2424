#pragma once
// The encrypted pipes that others dialled: one ROUTER for all, and its monitor.
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <troupe/bus/transport.hpp>

#include <troupe/bus/security.hpp>

#include "descriptor_reserve.hpp"
#include "drop_log.hpp"
#include "sockets.hpp"
#include "zmq/watched.hpp"
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
// probe gives up after `probe_patience` (silence then does the rest). Owner: the transport; the loop's thread.
class accepted_pipes {
 public:
  accepted_pipes(std::shared_ptr<zmq_context> context, system_loop& loop, watch_list& list, descriptor_reserve& reserve,
                 transport_events& events, const transport_settings& settings);
  ~accepted_pipes();

  [[nodiscard]] result<endpoint> listen(const endpoint& where, const channel_keys& keys);
  void unlisten(const endpoint& where);  // ends what was accepted there, too
  bool send(pipe_id id, std::span<const std::byte> header, const frame_payload& payload);
  [[nodiscard]] std::string source(pipe_id id) const;
  [[nodiscard]] pipe_origin origin(pipe_id accepted) const;
  void close(pipe_id id);
  void close_all();
  // Every turn. True while probes are under way.
  bool probe();
  [[nodiscard]] static bool is_one(pipe_id id) noexcept { return (id & 3) == 3; }

 private:
  struct pipe {
    pipe_id id;
    std::string route;        // the ROUTER's id
    std::string source = {};  // the address of who dialled
    pipe_origin origin = {};
    int fd = -1;
    bool announced = false;
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
  struct listener {
    endpoint where;
    endpoint numbers;
    std::string address;  // as libzmq spells it
    std::string domain;   // of ZAP
    unique_fd also;       // the same socket: for when no descriptor is free
  };
  class router_reader;
  class monitor_reader;

  [[nodiscard]] result<void> open();
  [[nodiscard]] bool set_up(zmq_socket_handle& router) const;
  [[nodiscard]] result<std::string> encrypt(const channel_keys& keys);
  bool read_router();
  void take(std::string_view route, int fd, zmq_message& body);
  pipe* find_or_open(std::string_view route, int fd, zmq_message& body);
  [[nodiscard]] pipe_origin origin_of(int fd, const std::string& source) const;
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
  void out_of_descriptors(const zmq_event& event);

  std::shared_ptr<zmq_context> context_;
  system_loop& loop_;
  watch_list& list_;
  descriptor_reserve& reserve_;
  transport_events& events_;
  const transport_settings& settings_;
  std::string mark_;                  // what the messages of a peer that ZAP let in are marked with
  std::shared_ptr<zap_handler> zap_;  // from before the first encrypted endpoint until the ROUTER is closed
  std::unique_ptr<router_reader> router_;
  std::unique_ptr<monitor_reader> monitor_;
  std::vector<listener> listeners_;
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
  pipe_id last_ = 3;
};

}  // namespace troupe::bus::internal
