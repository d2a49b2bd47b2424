// How a node ends: its applications in reverse order, then whatever still runs.
#include <algorithm>

#include "runtime/process_private.hpp"

namespace troupe::detail {
namespace {

constexpr duration kill_time = std::chrono::seconds(5);
constexpr duration kill_pause = std::chrono::milliseconds(200);  // the longest in which none of the killed ends

}  // namespace

void core::add_root(pid root) {
  std::lock_guard lock(services_mutex_);
  roots_.push_back(root);
}

std::vector<pid> core::roots() const {
  std::lock_guard lock(services_mutex_);
  return roots_;
}

void core::wait_gone(std::span<const pid> which, time_point deadline) {
  auto gone = [&] { return std::none_of(which.begin(), which.end(), [this](pid p) { return exists(p); }); };
  if (scheduler().workers() == 0) {
    while (!gone() && scheduler().run_one()) {
    }
    return;
  }
  std::unique_lock lock(gone_mutex_);
  while (!gone() && clock().now() < deadline) {
    // The deadline is the node's clock's; the condition wakes at each end, the timeout only bounds a lost race.
    gone_.wait_for(lock, std::min<duration>(deadline - clock().now(), std::chrono::milliseconds(20)));
  }
}

bool core::end_processes(time_point deadline) {
  for (;;) {
    std::vector<pid> left = processes();
    std::erase_if(left, [this](pid p) {
      process* at = slot(p.id());
      return at && process_private::is_by_thread(*at);
    });
    if (left.empty()) return true;
    if (clock().now() >= deadline) return false;
    for (pid p : left) {
      envelope* e = make_envelope<exit_reason>(signal::exit_asked, exit_reason::kill());
      deliver(p, e);
    }
    wait_gone(left, deadline);
    if (scheduler().workers() == 0 && !scheduler().run_one() && processes().size() >= left.size()) return false;
  }
}

bool core::stop(duration limit) {
  const time_point deadline = deadline_after(clock().now(), limit);
  std::vector<pid> order = roots();
  std::reverse(order.begin(), order.end());
  bool orderly = true;
  for (pid root : order) {
    envelope* e = make_envelope<exit_reason>(signal::exit_asked, exit_reason::shutdown());
    deliver(root, e);
    pid one[] = {root};
    wait_gone(one, deadline);
    orderly = orderly && !exists(root);
  }
  begin_stop();
  // Past the deadline the killed go on ending as long as they do: who holds its worker does not, and holds up nobody.
  const time_point last = std::max(deadline, deadline_after(clock().now(), kill_time));
  bool ended = false;
  for (std::size_t before = processes().size();;) {
    ended = end_processes(std::max(deadline, deadline_after(clock().now(), kill_pause)));
    const std::size_t left = processes().size();
    if (ended || left >= before || clock().now() >= last) break;
    before = left;
  }
  std::vector<service*> up;
  {
    std::lock_guard lock(services_mutex_);
    for (auto held = services_.rbegin(); held != services_.rend(); ++held) up.push_back(held->second.get());
  }
  for (service* each : up) each->stop(deadline);
  return orderly && ended;
}

}  // namespace troupe::detail
