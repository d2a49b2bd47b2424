#include <troupe/dynamic_supervisor.hpp>
#include <troupe/task_supervisor.hpp>

#include <thread>

#include "otp/dynamic_state.hpp"

namespace troupe {
namespace {

server_options options_of(const dynamic_supervisor& plan) {
  return {.name = plan.name(), .start_within = wait_forever};
}

// FNV-1a: the same on every machine and in every release.
std::uint64_t hash_of(std::string_view text) noexcept {
  std::uint64_t out = 14695981039346656037ull;
  for (const char c : text) out = (out ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return out;
}

}  // namespace

task<started> start_supervisor(process& self, dynamic_supervisor plan) {
  const server_options options = options_of(plan);
  return start_link<internal::dynamic_state>(self, options, std::move(plan));
}
started start_supervisor(node& where, dynamic_supervisor plan) {
  server_options options = options_of(plan);
  return start_server<internal::dynamic_state>(where, std::move(options), std::move(plan));
}

dynamic_supervisor::operator child_start() const {
  return [plan = *this](process& up) { return start_supervisor(up, plan); };
}
child_spec dynamic_supervisor::spec() const {
  return {.id = name_.empty() ? "dynamic" : name_,
          .start = *this,
          .type = child_type::supervisor,
          .stop_within = wait_forever};
}

call_awaiter<void> terminate_child(process& self, address supervisor, pid child) {
  return call(self, std::move(supervisor), ask_terminate_process(child));
}

partitions::partitions(std::string name, std::size_t count)
    : name_(std::move(name)), count_(count ? count : std::max(1u, std::thread::hardware_concurrency())) {}

std::size_t partitions::index(const value& key) const {
  if (const auto number = key.integer()) {
    const std::uint64_t size =
        *number < 0 ? 0 - static_cast<std::uint64_t>(*number) : static_cast<std::uint64_t>(*number);
    return size % count_;
  }
  if (const std::string* text = key.text()) return hash_of(*text) % count_;
  return hash_of(key.print(100, static_cast<std::size_t>(-1))) % count_;
}

// -- <troupe/task_supervisor.hpp>

namespace {

dynamic_supervisor plan_of(std::string name, const task_supervisor_options& options) {
  dynamic_supervisor plan(std::move(name));
  plan.max_children(options.max_children).of_tasks(options.stop_within);
  return plan;
}

}  // namespace

child_spec task_supervisor(std::string name, task_supervisor_options options) {
  return plan_of(std::move(name), options).spec();
}
task<started> start_task_supervisor(process& self, std::string name, task_supervisor_options options) {
  return start_supervisor(self, plan_of(std::move(name), options));
}

namespace {

task<result<std::vector<pid>>> children_of(process& self, address supervisor) {
  auto asked = co_await which_children(self, std::move(supervisor));
  if (!asked) co_return asked.error();
  std::vector<pid> out;
  for (const child_info& one : *asked) {
    if (one.pid) out.push_back(*one.pid);
  }
  co_return out;
}

}  // namespace

task<result<std::vector<pid>>> task_children(process& self, address supervisor) {
  return children_of(self, std::move(supervisor));
}

}  // namespace troupe
