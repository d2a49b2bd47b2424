#pragma once
// Supervisors whose children come at run time, and supervisors of many equal ones.
//     supervise("images").child("resizers", dynamic_supervisor("images.resizers").max_children(100))
//     auto worker = co_await troupe::start_child(self, "images.resizers", child_spec{…});             // near
//     auto there = co_await troupe::start_child_from(self, {"images.resizers", node}, "image.worker", "a.png");
//
// Semantics are Elixir's DynamicSupervisor and PartitionSupervisor. Of a dynamic one: ids are for the reader alone and
// may repeat; more than max_children is errc::system_limit; a start that answers `ignore` leaves nothing; all children
// are stopped at once. which_children and count_children work as for any supervisor.
#include <string>
#include <string_view>

#include <troupe/rpc.hpp>
#include <troupe/supervisor.hpp>

namespace troupe {

class dynamic_supervisor {
 public:
  // `name` is registered; empty for none.
  explicit dynamic_supervisor(std::string name) : name_(std::move(name)) {}
  dynamic_supervisor& max_children(std::size_t most) {
    most_ = most;
    return *this;
  }
  dynamic_supervisor& at_most(std::size_t restarts, duration period) {  // 3 in 5 s if not said
    restarts_ = restarts;
    period_ = period;
    return *this;
  }
  // Its children are tasks (<troupe/task_supervisor.hpp>), which share this time when it stops.
  dynamic_supervisor& of_tasks(duration stop_within) {
    tasks_ = true;
    stop_within_ = stop_within;
    return *this;
  }
  operator child_start() const;  // NOLINT(google-explicit-constructor): so it stands where a start function does
  [[nodiscard]] child_spec spec() const;  // id: its name, or "dynamic"

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::size_t most() const noexcept { return most_; }
  [[nodiscard]] std::size_t restarts() const noexcept { return restarts_; }
  [[nodiscard]] duration period() const noexcept { return period_; }
  [[nodiscard]] bool tasks() const noexcept { return tasks_; }
  [[nodiscard]] duration stop_within() const noexcept { return stop_within_; }

 private:
  std::string name_;
  std::size_t most_ = static_cast<std::size_t>(-1), restarts_ = 3;
  duration period_ = std::chrono::seconds(5), stop_within_ = std::chrono::seconds(5);
  bool tasks_ = false;
};

[[nodiscard]] task<started> start_supervisor(process& self, dynamic_supervisor plan);
[[nodiscard]] started start_supervisor(node& where, dynamic_supervisor plan);

struct ask_start_from {  // a process of the supervisor's catalogue
  std::string entry;
  value arguments;
  std::string restart;  // "permanent", "transient", "temporary"; empty: temporary
  using reply = pid;
  TROUPE_MESSAGE(ask_start_from, "supervisor.start_from", entry, arguments, restart)
};
struct ask_terminate_process {
  troupe::pid process;
  using reply = void;
  TROUPE_MESSAGE(ask_terminate_process, "supervisor.terminate_process", process)
};

// A process of the catalogue of the node where the supervisor is. errc: undef, bad_argument, system_limit.
template <detail::rpc_argument... Args>
[[nodiscard]] call_awaiter<pid> start_child_from(process& self, address supervisor, std::string entry,
                                                 const Args&... args) {
  return call(self, std::move(supervisor), ask_start_from(std::move(entry), detail::argument_list(args...), {}));
}
// Of a dynamic supervisor or a task supervisor. errc: not_found.
[[nodiscard]] call_awaiter<void> terminate_child(process& self, address supervisor, pid child);

// N equal children under names of their own, "NAME.0" to "NAME.N-1", and which of them a key belongs to: always the
// same, on every node and in every run.
//     inline const troupe::partitions caches{"images.cache", 8};
//     supervise("images").child("caches", caches.supervisor<Cache>())
//     auto hit = co_await troupe::call(self, caches.at(path), Look(path));
class partitions {
 public:
  explicit partitions(std::string name, std::size_t count = 0);  // 0: the machine's cores
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::string name(std::size_t index) const { return name_ + "." + std::to_string(index); }
  // An integer: its absolute value modulo the count; text and all else: a hash of their bytes.
  [[nodiscard]] std::size_t index(const value& key) const;
  [[nodiscard]] address at(const value& key) const { return {name(index(key))}; }
  [[nodiscard]] address at(const value& key, std::string node) const { return {name(index(key)), std::move(node)}; }

  template <class State, class... Args>
  [[nodiscard]] troupe::supervisor supervisor(const Args&... args) const {
    troupe::supervisor plan(name_);
    for (std::size_t i = 0; i < count_; ++i) plan.server<State>(name(i), args...);
    return plan;
  }
  // Children of another kind; `start(index, name)` gives the start function of each.
  template <class Start>
  [[nodiscard]] troupe::supervisor supervisor_of(Start start) const {
    troupe::supervisor plan(name_);
    for (std::size_t i = 0; i < count_; ++i) plan.child(name(i), child_start(start(i, name(i))));
    return plan;
  }

 private:
  std::string name_;
  std::size_t count_;
};

}  // namespace troupe
