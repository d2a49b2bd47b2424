#pragma once
// The simulator's insides: hosts, their loops, and pipes whose bytes take a drawn time.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <troupe/bus/simulation.hpp>
#include <troupe/value.hpp>

#include "timer_queue.hpp"

namespace troupe::bus::internal {

class simulation;
class simulated_pipes;

// A host is a loop of its own. Work for a paused one waits, for a killed one is lost.
class simulated_host final : public loop {
 public:
  simulated_host(simulation& world, std::string name) : world_(world), name_(std::move(name)) {}

  void post(std::move_only_function<void()> work) override;
  void run(std::move_only_function<void()> work) override { work(); }
  [[nodiscard]] bool inside() const noexcept override { return true; }
  [[nodiscard]] bool threaded() const noexcept override { return false; }
  [[nodiscard]] time_point now() const noexcept override;
  timer_id at(time_point when, std::move_only_function<void()> work) override;
  void cancel(timer_id timer) override { cancelled_.erase(timer); }

  // Runs, or keeps, what has come for this host.
  void arrive(std::move_only_function<void()> work);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  bool paused = false;
  bool dead = false;
  std::deque<std::move_only_function<void()>> kept;  // while paused
  std::vector<simulated_pipes*> transports;

 private:
  simulation& world_;
  std::string name_;
  std::set<timer_id> cancelled_;  // timers that still run: `cancel` takes them out
  timer_id last_ = 0;
};

// Both directions of one pipe. Each is a queue in order: a frame never overtakes another, nor the end a frame.
struct simulated_pipe {
  struct item {
    bytes data;
    bool end = false;
    error why;
  };
  struct direction {
    simulated_host* from = nullptr;
    simulated_host* to = nullptr;
    simulated_pipes* reader = nullptr;  // null once its side has closed
    pipe_id id = 0;                     // at the reader
    std::deque<item> under_way;
    std::deque<item> held;  // by a cut
    time_point last{};
    bool ended = false;  // an end is under way: nothing follows it
    bool opened = false;
  };
  direction way[2];  // 0: to the acceptor, 1: to the dialler
};

class simulated_pipes final : public transport {
 public:
  simulated_pipes(simulation& world, simulated_host& host) : world_(world), host_(host) {}
  ~simulated_pipes() override { stop(); }

  loop& on() noexcept override { return host_; }
  bool speaks(endpoint::scheme kind) const noexcept override { return kind == endpoint::scheme::sim; }
  result<void> start(transport_events& events, const transport_settings&) override;
  result<endpoint> listen(const endpoint& where) override;
  void unlisten(const endpoint& where) override;
  result<pipe_id> dial(const endpoint& where) override;
  bool send(pipe_id pipe, std::span<const std::byte> header, frame_payload payload) override;
  pipe_origin origin(pipe_id accepted) const override { return {ends_.at(accepted).at, {}}; }
  void close(pipe_id pipe) override;
  void stop() override;

 private:
  friend class simulation;
  struct end {
    std::shared_ptr<simulated_pipe> pipe;
    int reads;         // the direction that this side reads
    endpoint at = {};  // where it was accepted
  };
  simulation& world_;
  simulated_host& host_;
  transport_events* events_ = nullptr;
  std::vector<std::string> listening_;
  std::map<pipe_id, end> ends_;
  bool stopped_ = false;
};

class simulation final : public simulator {
 public:
  explicit simulation(simulation_options options);
  ~simulation() override;

  std::shared_ptr<clock> time() override;
  std::shared_ptr<random_source> random() override { return random_; }
  loop& on(std::string_view host) override { return host_named(host); }
  std::unique_ptr<transport> attach(std::string_view host) override;
  bool step() override;
  bool run_until(const std::function<bool()>& done, duration at_most) override;
  void run_for(duration time) override;
  void cut(std::string_view a, std::string_view b) override;
  void heal(std::string_view a, std::string_view b) override;
  void heal_all() override;
  void break_pipes(std::string_view a, std::string_view b) override;
  void pause(std::string_view host) override;
  void resume(std::string_view host) override;
  void kill(std::string_view host) override;
  const std::vector<std::string>& log() const override { return log_; }
  void note(std::string line) override;

  // For hosts and transports.
  [[nodiscard]] time_point now() const noexcept { return *now_; }
  void schedule(time_point when, simulated_host& host, std::move_only_function<void()> work);
  result<void> bind(const std::string& name, simulated_pipes& listener);
  void unbind(const std::string& name) { listeners_.erase(name); }
  void connect(simulated_pipes& dialler, pipe_id id, const endpoint& where);
  void transmit(const std::shared_ptr<simulated_pipe>& pipe, int way, simulated_pipe::item item);
  pipe_id next_pipe() noexcept { return ++last_pipe_; }
  void detach(simulated_pipes& gone);

 private:
  using pair = std::pair<std::string, std::string>;
  struct event {
    simulated_host* host;
    std::move_only_function<void()> work;
  };
  static pair ordered(std::string_view a, std::string_view b);
  simulated_host& host_named(std::string_view name);
  [[nodiscard]] bool is_cut(const simulated_host& a, const simulated_host& b) const;
  [[nodiscard]] duration delay();
  void deliver(const std::shared_ptr<simulated_pipe>& pipe, int way);
  void let_go(std::string_view a, std::string_view b);
  void break_one(const std::shared_ptr<simulated_pipe>& pipe, std::string_view why);

  const simulation_options options_;
  std::shared_ptr<time_point> now_;
  std::shared_ptr<random_source> random_;
  std::shared_ptr<random_source> delays_;
  std::map<std::pair<time_point, std::uint64_t>, event> events_;
  std::uint64_t last_event_ = 0;
  pipe_id last_pipe_ = 0;
  std::map<std::string, simulated_host*, std::less<>> hosts_;
  std::vector<std::unique_ptr<simulated_host>> every_host_;  // dead ones too: hubs may still hold them
  std::map<std::string, simulated_pipes*> listeners_;
  std::vector<std::weak_ptr<simulated_pipe>> pipes_;
  std::set<pair> cuts_;
  std::vector<std::string> log_;
};

}  // namespace troupe::bus::internal
