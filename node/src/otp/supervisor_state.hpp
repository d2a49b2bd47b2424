#pragma once
// The server that a supervisor is. Children are few: found by a look through the list.
#include <string>
#include <vector>

#include "otp/restarts.hpp"

namespace troupe::internal {

class supervisor_state {
 public:
  static constexpr const char* entry = "supervisor";
  static constexpr bool refuses_strangers = true;
  using messages = handles<ask_which_children, ask_count_children, ask_restart_child, ask_terminate_child,
                           ask_delete_child, ask_start_child, ask_childspec, try_again>;
  using start_reply = result<std::optional<pid>>;

  explicit supervisor_state(troupe::supervisor plan);

  task<init_result> init(process& self);
  std::vector<child_info> on(const ask_which_children& ask) const;
  child_counts on(const ask_count_children& ask) const;
  task<start_reply> on(process& self, ask_restart_child ask);
  task<result<void>> on(process& self, ask_terminate_child ask);
  result<void> on(const ask_delete_child& ask);
  task<start_reply> on(process& self, ask_start_child ask);
  result<child_spec_info> on(const ask_childspec& ask) const;
  task<> on(process& self, const try_again& again, message& request);
  task<> on_exit(process& self, exit_message& ended);
  void on_down(process& self, down& ended);  // of a child that ended after we had stopped waiting for it
  task<> terminate(process& self, const exit_reason& reason);
  [[nodiscard]] value state() const;

 private:
  struct child {
    child_spec spec;
    pid process;
    restart_retry retry{};
    restart_pause pause{};
  };
  using position = std::size_t;
  static constexpr position nowhere = static_cast<position>(-1);

  [[nodiscard]] child& known(position at);
  [[nodiscard]] position find(std::string_view id) const noexcept;
  [[nodiscard]] position find(pid process) const noexcept;
  task<started> start_one(process& self, position at);
  task<> stop_one(process& self, position at);
  task<> stop_from(process& self, position first);  // in reverse order
  task<> child_ended(process& self, position at, exit_reason reason);
  task<> restart(process& self, position at);
  void count_restart(process& self, const std::string& id);  // ends the supervisor when there were too many
  void try_later(process& self, position at, duration pause);
  void end_if_significant(process& self, const child_spec& ended);  // of a child that is not restarted

  void report(process& self, std::string_view context, const child& about, pid process,
              const exit_reason& reason) const;

  troupe::supervisor plan_;
  std::vector<child> children_;
  restart_counter restarts_;
  std::uint64_t retries_ = 0;
};

}  // namespace troupe::internal
