#pragma once
// The server that a dynamic supervisor is, and a task supervisor.
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include <troupe/dynamic_supervisor.hpp>

#include "otp/restarts.hpp"
#include "otp/task_messages.hpp"

namespace troupe::internal {

class dynamic_state {
 public:
  static constexpr const char* entry = "dynamic_supervisor";
  static constexpr bool refuses_strangers = true;
  using messages = handles<task_run, ask_start_task, ask_start_child, ask_start_from, ask_which_children,
                           ask_count_children, ask_terminate_process, try_again>;
  using start_reply = result<std::optional<pid>>;

  explicit dynamic_state(dynamic_supervisor plan);
  void init(process& self);
  void on(process& self, task_run order);
  result<pid> on(process& self, ask_start_task ask);
  task<start_reply> on(process& self, ask_start_child ask);
  task<result<pid>> on(process& self, ask_start_from ask);
  std::vector<child_info> on(const ask_which_children& ask) const;
  child_counts on(const ask_count_children& ask) const;
  task<result<void>> on(process& self, ask_terminate_process ask);
  task<> on(process& self, const try_again& again, message& request);
  task<> on_exit(process& self, exit_message& ended);
  void on_down(process&, down&) {}  // of a child that ended after we had stopped waiting for it
  task<> terminate(process& self, const exit_reason& reason);
  [[nodiscard]] value state() const;

 private:
  using number = std::uint64_t;  // of a child, in the order of starting
  struct child {
    child_spec spec;
    pid process;
    restart_retry retry{};
    restart_pause pause;
  };

  [[nodiscard]] child& known(number at);
  [[nodiscard]] result<void> room() const;
  [[nodiscard]] result<pid> start_task(process& self, const std::string& function, value arguments, pid keeper,
                                       std::uint64_t id, std::shared_ptr<near_work> near);
  void add_task(std::string id, pid process);
  task<started> start(process& self, number at);
  task<> restart(process& self, number at);
  task<> stop_all(process& self);
  void try_later(process& self, number at, duration pause);
  void forget(number at);
  void report(process& self, std::string_view context, const child& about, pid process,
              const exit_reason& reason) const;

  dynamic_supervisor plan_;
  std::map<number, child> children_;
  std::unordered_map<pid, number> by_pid_;
  restart_counter restarts_;
  number next_ = 1;
  std::uint64_t retries_ = 0;
};

}  // namespace troupe::internal
