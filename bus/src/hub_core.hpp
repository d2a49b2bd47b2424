#pragma once
// The hub's one implementation, over any transport.
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <troupe/bus/hub.hpp>

#include "connection_state.hpp"
#include "crowd.hpp"
#include "drop_log.hpp"

namespace troupe::bus::internal {

// Design notes.
// Threads: everything below "the loop's thread" runs there and needs no lock. Other threads see `gates_` (shared lock),
// `inbox_` (own lock, emptied by one posted drain) and a few atomics. No function of the public API calls an event:
// events come from the transport, from timers and from drains, so a callback may call anything.
//
// A pipe is in one of four places:
//   halves_     handshake. Accepted: hello -> (challenge sent) proof -> [contending] -> up. Dialled: challenge ->
//               (proof sent) welcome -> up. Every failure goes through `refuse` (tells the other side, typed) or
//               `fail_dial`; deadline limits::handshake; at most limits::half_handshakes accepted ones that have
//               proved nothing, from this host and from others apart: see crowd for who goes.
//   by_pipe_    up. Ends in `end`, the only place that calls hub_events::down.
//   farewells_  ended by us, goodbye sent; waits for "gone", for a second at most.
//   nowhere     what still arrives is counted and answered "ended", so that its dialler closes.
//
// Who keeps a name (`settle`, after the proof):
//   old connection of the same life, same direction      the old one ends, the new one is up
//   the same, other direction, and no dial of ours below the greater name's is closed; when ours is the lesser name,
//                                                         the old one is probed: an answer refuses the newcomer
//   another creation                                      the old one is probed: an answer refuses with name_taken
//   our own dial to that name is under way                crossing: the greater name's is closed. Its side is refused
//                                                         with already_started and its dial waits for the other's
// Credit: a frame may begin while less than the window is under way, so it overshoots by one frame at most and a frame
// larger than what is left never waits for ever. Ticks, credit and goodbyes are charged to nobody.
class hub_core final : public hub, private transport_events {
 public:
  hub_core(hub_options options, hub_events& events);
  ~hub_core() override;
  [[nodiscard]] result<void> begin();

  result<endpoint> listen(const endpoint& where) override;
  void unlisten(const endpoint& where) override;
  void cancel_dial(dial_id dial) override;
  result<void> send(connection_id connection, frame_payload payload, delivery how) override;
  void consumed(connection_id connection, std::size_t payload_bytes, std::size_t frames) override;
  std::size_t queued(connection_id connection) const noexcept override;
  void relieve(connection_id connection, std::size_t queued_bytes) override;
  void close(connection_id connection, error reason) override;
  void probe(connection_id connection, duration patience) override;
  loop& on() noexcept override { return loop_; }
  void set_health(std::uint64_t health) noexcept override { health_.store(health, std::memory_order_relaxed); }
  void set_security(bus::security security) override;
  void stop(std::chrono::milliseconds within) override;
  bool stopped() const noexcept override { return stopped_.load(std::memory_order_acquire); }
  hub_counters counters() override;
  const identity& self() const noexcept override { return self_; }

 protected:
  dial_id start_dial(const endpoint& where, dial_options how) override;

 private:
  struct item {
    enum class what : std::uint8_t { frame, consumed, overflow };
    what kind;
    connection_id connection;
    frame_payload payload;
    std::size_t amount = 0;
  };

  // Any thread.
  std::shared_ptr<gate> gate_of(connection_id id) const;
  void put(item one);
  void post_alive(std::move_only_function<void()> work);

  // The loop's thread. hub.cpp:
  void drain();
  void begin_stop(duration within);
  void check_stopped();
  void teardown();
  result<channel> check_endpoint(const endpoint& where) const;
  const channel_keys& keys();
  [[nodiscard]] limits limits_over(channel how) const;  // what we tell of ours

  // hub_handshake.cpp: steps
  void opened(pipe_id pipe) override;
  void frame(pipe_id pipe, std::span<const std::byte> data) override;
  void closed(pipe_id pipe, const error& reason) override;
  void noise(std::string_view cause, std::string_view what) override;
  void half_frame(half& h, std::span<const std::byte> data);
  result<void> take_step(half& h, const parsed_step& step, std::span<const std::byte> data);
  result<void> on_hello(half& h, const parsed_step& step, std::span<const std::byte> data);
  result<void> on_challenge(half& h, const parsed_step& step, std::span<const std::byte> data);
  result<void> on_proof(half& h, const parsed_step& step, std::span<const std::byte> data);
  result<void> on_welcome(half& h, const parsed_step& step);
  void on_refusal(half& h, const error& reason);
  void met_itself(std::span<const std::byte> hello);
  void send_step(pipe_id pipe, bytes message);
  void answer_stranger(pipe_id pipe, std::span<const std::byte> data);
  void send_away(pipe_id stranger);
  crowd& strangers_of(bool far) noexcept { return far ? far_strangers_ : near_strangers_; }
  void take_frame(pipe_id pipe, std::span<const std::byte> data);
  void no_memory(pipe_id pipe, std::size_t frame_bytes);
  void farewell_frame(pipe_id pipe, const wire_id& wire, std::span<const std::byte> data);

  // hub_settle.cpp: dials, refusals, names
  void begin_dial(dial_id id, const endpoint& where, dial_options how);
  void fail_dial(dial_id id, const error& reason);
  void cross_dial(dial_id id);
  void on_dial_timeout(dial_id id);
  void refuse(pipe_id pipe, const error& reason);
  void drop_half(pipe_id pipe);
  void settle(pipe_id pipe);
  bool settle_with(half& h, connection& old);
  bool settle_dials(half& h);
  void settle_dialled(pipe_id pipe);
  void contend(half& h, connection& old);
  void answered_probe(connection& old);
  void accept(half& h);

  // hub_connections.cpp
  connection& bring_up(half& h);
  void join_dials(const connection& up);
  void connection_frame(connection& c, std::span<const std::byte> data);
  bool on_control(connection& c, const control& one);
  void end(connection& c, const error& reason, bool tell);
  void send_control(connection& c, const control& what);
  void send_control(pipe_id pipe, const wire_id& wire, const control& what);
  void return_credit(connection& c, bool all);
  void pump(connection& c);
  void leave(connection& c, const error& reason);
  void ping(connection& c);
  void arm_tick(connection& c, duration wait);
  void on_tick(connection_id id);
  void ask(connection& c, duration patience, std::string why);
  connection& found(connection_id id);   // of one that is up
  half& found_half(pipe_id pipe);        // of a handshake under way
  pending_dial& found_dial(dial_id id);  // of a dial under way
  connection* find(connection_id id);
  connection* find_name(const std::string& name);

  std::unique_ptr<transport> transport_;
  loop& loop_;
  hub_events& events_;
  const identity self_;
  const limits limits_;
  const std::size_t queue_bytes_;
  const std::size_t reserve_bytes_;
  std::shared_ptr<random_source> random_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // read and written on the loop's thread

  mutable std::shared_mutex gates_mutex_;
  std::unordered_map<connection_id, std::shared_ptr<gate>> gates_;
  std::mutex inbox_mutex_;
  std::vector<item> inbox_;
  std::atomic<std::uint64_t> last_id_ = 0;
  std::atomic<std::uint64_t> health_ = 0;
  std::atomic<bool> stopped_ = false;
  std::mutex stop_mutex_;
  std::condition_variable stop_done_;

  security security_;
  std::optional<channel_keys> keys_;  // of security_.cookie, once they are needed
  drop_log drops_;
  token_bucket failures_{8, 4};
  struct listened {
    endpoint told, real;  // real: by number
  };
  std::vector<listened> listening_;
  [[nodiscard]] const listened* in_the_way(const endpoint& where) const;
  std::vector<endpoint> own_;  // dialled, and this hub itself answered: a NAT's, a balancer's, a mistake
  std::map<pipe_id, half> halves_;
  crowd near_strangers_, far_strangers_;  // accepted halves without a proof: of this host, of others
  std::map<dial_id, pending_dial> dials_;
  std::map<connection_id, std::unique_ptr<connection>> connections_;
  std::unordered_map<pipe_id, connection*> by_pipe_;
  std::unordered_map<std::string, connection*> by_name_;
  std::unordered_map<pipe_id, farewell> farewells_;
  std::uint64_t accepted_ = 0, dialled_ = 0;
  bool started_ = false;
  bool stopping_ = false;
  timer_id stop_timer_ = 0;
};

}  // namespace troupe::bus::internal
