#pragma once
// A network and a clock that exist only in one thread, driven by a seed: the same seed gives the same events, byte by
// byte.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/bus/loop.hpp>
#include <troupe/bus/transport.hpp>
#include <troupe/time.hpp>

namespace troupe::bus {

struct simulation_options {
  std::uint64_t seed = 1;
  duration shortest_delay = std::chrono::microseconds(20);
  duration longest_delay = std::chrono::milliseconds(2);
  duration refusal_delay = std::chrono::milliseconds(1);  // until a dial to nobody fails
  duration break_delay = std::chrono::milliseconds(2);    // until the other side sees that a pipe broke
};

// Owner: the test. Not thread-safe: whoever calls `step` is the thread of all its loops. Must outlive the hubs on it.
class simulator {
 public:
  virtual ~simulator() = default;

  [[nodiscard]] virtual std::shared_ptr<clock> time() = 0;
  [[nodiscard]] virtual std::shared_ptr<random_source> random() = 0;  // seeded; one stream for all
  // The loop and the transport of the host called `name` (made on first use): a host is what stops, dies or is cut off.
  [[nodiscard]] virtual loop& on(std::string_view host) = 0;
  [[nodiscard]] virtual std::unique_ptr<transport> attach(std::string_view host) = 0;

  // Runs the next event; false when nothing is left to do.
  virtual bool step() = 0;
  // Runs until `done` holds or so much virtual time has passed; says whether `done` held.
  virtual bool run_until(const std::function<bool()>& done, duration at_most = std::chrono::seconds(60)) = 0;
  virtual void run_for(duration time) = 0;

  // Frames between the two wait (a cable pulled) until `heal`; pipes stay.
  virtual void cut(std::string_view a, std::string_view b) = 0;
  virtual void heal(std::string_view a, std::string_view b) = 0;
  virtual void heal_all() = 0;
  // Every pipe between the two breaks; what is under way is delivered before each side sees it.
  virtual void break_pipes(std::string_view a, std::string_view b) = 0;
  // SIGSTOP and SIGCONT: nothing runs on that host, frames and timers wait.
  virtual void pause(std::string_view host) = 0;
  virtual void resume(std::string_view host) = 0;
  // kill -9: its loops never run again, its pipes break. `attach` under the same name makes a new host.
  virtual void kill(std::string_view host) = 0;

  // One line an event: virtual time, host, what. For comparing two runs of one seed; `note` adds a line of the caller.
  [[nodiscard]] virtual const std::vector<std::string>& log() const = 0;
  virtual void note(std::string line) = 0;
};

[[nodiscard]] std::unique_ptr<simulator> make_simulator(simulation_options options = {});

}  // namespace troupe::bus
