#pragma once
// A supervisor starts its children in order, restarts those that end when they should not, and stops them in reverse.
//     troupe::supervisor image_app() {
//       return troupe::supervise("images")
//           .strategy(troupe::rest_for_one).at_most(3, 10s)
//           .server<Store>("images.store")
//           .child("resizer", [](troupe::process& up) { return troupe::spawn_link(up, resizer); })
//               .restart(troupe::transient).stop_within(1s)
//           .child("inner", inner_tree());
//     }
//     auto tree = co_await troupe::start_supervisor(self, image_app());       // or (node, image_app()) from a thread
//
// A plain value that describes; `start_supervisor` runs it. Semantics are OTP's supervisor(3):
// * permanent children are restarted always, transient ones after an end that was not planned (normal, shutdown,
//   {"shutdown", x}), temporary ones never, and their specification goes with them.
// * More than `at_most` restarts within its period: the supervisor says so in the log, stops its children and ends with
//   `shutdown`. A restart that fails counts as a restart and is tried again.
// * Stopping a child: exit signal `shutdown`, `stop_within` to end, then kill; 0s kills at once, wait_forever never.
// * A start that fails stops the children before it, and fails with {"shutdown", {"failed_to_start_child", id,
// reason}}.
// * A child that answers `ignore` keeps its specification, without a process.
// * Beyond OTP: a child may have a backoff, a growing pause before each restart.
// Reports in the log: field "report" is "supervisor" (context child_terminated, start_error, shutdown_error, shutdown)
// or "progress".
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <troupe/server.hpp>

namespace troupe {

enum class strategy_type : std::uint8_t { one_for_one, one_for_all, rest_for_one };
using enum strategy_type;
enum class restart_type : std::uint8_t { permanent, transient, temporary };
using enum restart_type;
enum class child_type : std::uint8_t { worker, supervisor };
enum class auto_shutdown_type : std::uint8_t { never, any_significant, all_significant };
using auto_shutdown_type::all_significant, auto_shutdown_type::any_significant;

[[nodiscard]] std::string_view to_string(strategy_type s) noexcept;
[[nodiscard]] std::string_view to_string(restart_type r) noexcept;
[[nodiscard]] std::string_view to_string(child_type c) noexcept;
[[nodiscard]] std::string_view to_string(auto_shutdown_type a) noexcept;

namespace detail {
task<started> start_done(started outcome);
task<started> start_then_link(process& supervisor, started outcome);
}  // namespace detail

// How a child is started, in the supervisor's own process: `process&` is the supervisor. From (process&): task<started>
// (start_link), or started, pid, result<pid> of what it has linked to itself (spawn_link, serve). From (node&):
// started, pid or result<pid> of what the supervisor then links.
class child_start {
 public:
  child_start() = default;
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, child_start> &&
             (std::invocable<F&, process&> || std::invocable<F&, node&>))
  child_start(F start) {
    if constexpr (!std::invocable<F&, process&>) {
      run_ = [start](process& up) mutable { return detail::start_then_link(up, started(start(up.node()))); };
    } else if constexpr (std::same_as<std::invoke_result_t<F&, process&>, task<started>>) {
      run_ = std::move(start);
    } else {
      run_ = [start](process& up) mutable { return detail::start_done(started(start(up))); };
    }
  }
  [[nodiscard]] task<started> operator()(process& supervisor) const { return run_(supervisor); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(run_); }

 private:
  std::function<task<started>(process&)> run_;
};

// The pause before a child is started again: `first`, then twice as long each time, up to `most`; `first` again after
// it has run for longer than `most`. Its restarts count all the same, but a pause keeps them from burning the
// intensity.
struct restart_backoff {
  duration first = duration::zero();  // 0: none
  duration most = std::chrono::seconds(30);
};

struct child_spec {
  std::string id;
  child_start start;
  restart_type restart = restart_type::permanent;
  child_type type = child_type::worker;
  duration stop_within = std::chrono::seconds(5);
  bool significant = false;  // see auto_shutdown; transient or temporary
  restart_backoff backoff{};
};

class supervisor {
 public:
  // `name` is registered; empty for none.
  explicit supervisor(std::string name) : name_(std::move(name)) {}

  supervisor& strategy(strategy_type s) {
    strategy_ = s;
    return *this;
  }
  // 3 in 5 s if not said. 0: the first end that would mean a restart is one too many.
  supervisor& at_most(std::size_t restarts, duration period) {
    restarts_ = restarts;
    period_ = period;
    return *this;
  }
  // Whether it ends (with `shutdown`) when significant children have ended by themselves, and are not restarted.
  supervisor& auto_shutdown(auto_shutdown_type when) {
    auto_shutdown_ = when;
    return *this;
  }
  // An id given twice is a programming error: std::invalid_argument.
  supervisor& child(child_spec spec);
  supervisor& child(std::string id, child_start start);
  supervisor& child(std::string id, supervisor nested);  // stop_within(wait_forever)
  // A server registered under `name`, which is the child's id too. The arguments are copied into each start.
  template <class State, class... Args>
  supervisor& server(std::string name, Args... args) {
    if constexpr (!detail::check_server<State>(typename State::messages{})) return *this;
    auto start = [name, kept = std::tuple<Args...>(std::move(args)...)](process& up) {
      return std::apply([&](const auto&... each) { return start_link<State>(up, name, each...); }, kept);
    };
    return child(name, std::move(start));
  }
  // Of the child added last.
  supervisor& restart(restart_type when);
  supervisor& stop_within(duration limit);
  supervisor& significant();
  supervisor& backoff(duration first, duration most = std::chrono::seconds(30));

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] strategy_type strategy() const noexcept { return strategy_; }
  [[nodiscard]] std::size_t restarts() const noexcept { return restarts_; }
  [[nodiscard]] duration period() const noexcept { return period_; }
  [[nodiscard]] auto_shutdown_type auto_shutdown() const noexcept { return auto_shutdown_; }
  [[nodiscard]] const std::vector<child_spec>& children() const noexcept { return children_; }

 private:
  std::string name_;
  strategy_type strategy_ = strategy_type::one_for_one;
  std::size_t restarts_ = 3;
  duration period_ = std::chrono::seconds(5);
  auto_shutdown_type auto_shutdown_ = auto_shutdown_type::never;
  std::vector<child_spec> children_;
};

[[nodiscard]] inline supervisor supervise(std::string name) { return supervisor(std::move(name)); }

// supervisor:check_childspecs. bad_argument names the child and what is wrong: no start function, a negative time, a
// significant child that is permanent, or whose supervisor has auto_shutdown never. A start checks it too.
[[nodiscard]] result<void> check(const supervisor& plan);
[[nodiscard]] result<void> check(const child_spec& spec, auto_shutdown_type of = auto_shutdown_type::any_significant);

// Linked to the caller, whose end ends it; finished when every child has started.
[[nodiscard]] task<started> start_supervisor(process& self, supervisor plan);
// From a thread of the program; waits. Never inside a process.
[[nodiscard]] started start_supervisor(node& where, supervisor plan);

// -- at run time. Each is a call: `.within(time)`, `.or_exit()`. Lua and other languages send the messages below.

struct child_info {
  std::string id;
  std::optional<troupe::pid> pid;  // none: undefined or restarting
  std::string status;              // "running", "restarting", "undefined"
  std::string type;                // "worker", "supervisor"
  std::string restart;             // "permanent", "transient", "temporary"
  TROUPE_FIELDS(child_info, id, pid, status, type, restart)
};
struct child_counts {
  std::uint64_t specs = 0, active = 0, supervisors = 0, workers = 0;
  TROUPE_FIELDS(child_counts, specs, active, supervisors, workers)
};

struct ask_which_children {  // in the order of starting
  using reply = std::vector<child_info>;
  TROUPE_MESSAGE(ask_which_children, "supervisor.which_children")
};
struct ask_count_children {
  using reply = child_counts;
  TROUPE_MESSAGE(ask_count_children, "supervisor.count_children")
};
struct ask_restart_child {  // nothing when the start said ignore
  std::string id;
  using reply = std::optional<pid>;
  TROUPE_MESSAGE(ask_restart_child, "supervisor.restart_child", id)
};
struct ask_terminate_child {
  std::string id;
  using reply = void;
  TROUPE_MESSAGE(ask_terminate_child, "supervisor.terminate_child", id)
};
struct ask_delete_child {
  std::string id;
  using reply = void;
  TROUPE_MESSAGE(ask_delete_child, "supervisor.delete_child", id)
};
struct child_spec_info {
  std::string id, restart, type;
  std::int64_t stop_within_ms = 0;  // -1: for ever
  bool significant = false;
  std::int64_t backoff_ms = 0;  // the first pause
  TROUPE_FIELDS(child_spec_info, id, restart, type, stop_within_ms, significant, backoff_ms)
};
struct ask_childspec {
  std::string id;
  using reply = child_spec_info;
  TROUPE_MESSAGE(ask_childspec, "supervisor.get_childspec", id)
};
struct ask_start_child {  // nothing when the start said ignore
  std::string id;
  using troupe_inside_node = void;
  std::shared_ptr<const child_spec> spec;  // does not travel
  using reply = std::optional<pid>;
  TROUPE_MESSAGE(ask_start_child, "supervisor.start_child", id)
};

[[nodiscard]] call_awaiter<std::vector<child_info>> which_children(process& self, address supervisor);
[[nodiscard]] call_awaiter<child_counts> count_children(process& self, address supervisor);
// nullopt when the start said ignore. errc: running, restarting, not_found, already_started (the text is the pid), or
// exited with the reason of the start that failed.
[[nodiscard]] call_awaiter<std::optional<pid>> restart_child(process& self, address supervisor, std::string id);
// Stops it and keeps its specification (a temporary child's goes). errc: not_found.
[[nodiscard]] call_awaiter<void> terminate_child(process& self, address supervisor, std::string id);
// Forgets the specification of a child without a process. errc: running, restarting, not_found.
[[nodiscard]] call_awaiter<void> delete_child(process& self, address supervisor, std::string id);
// errc: not_found.
[[nodiscard]] call_awaiter<child_spec_info> get_childspec(process& self, address supervisor, std::string id);
// Adds a child behind the others. errc: already_started (the text is the pid) or name_taken (known, not running) when
// the id is there; exited with the reason of a start that failed, which leaves no specification. A specification gets a
// name first (await_safe).
[[nodiscard]] call_awaiter<std::optional<pid>> start_child(process& self, address supervisor, const child_spec& spec);
call_awaiter<std::optional<pid>> start_child(process& self, address supervisor, child_spec&& spec) = delete;

}  // namespace troupe
