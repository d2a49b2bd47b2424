#pragma once
// Timers of one loop, in the order of their time and then of their making.
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include <troupe/bus/loop.hpp>
#include <troupe/expect.hpp>

namespace troupe::bus::internal {

// Owner: a loop; its thread alone.
class timer_queue {
 public:
  timer_id add(time_point when, std::move_only_function<void()> work) {
    const timer_id id = ++last_;
    when_.emplace(id, when);  // first: should there be no memory for the other, nothing fires
    due_.emplace(std::pair(when, id), std::move(work));
    return id;
  }
  void cancel(timer_id id) {
    auto found = when_.find(id);
    if (found == when_.end()) return;
    const std::size_t erased = due_.erase({found->second, id});
    TROUPE_EXPECT(erased == 1, "timer", id);  // each timer is in both tables
    when_.erase(found);
  }
  [[nodiscard]] std::optional<time_point> next() const {
    if (due_.empty()) return std::nullopt;
    return due_.begin()->first.first;
  }
  // Runs what is due; timers that these make wait for the next call.
  void run(time_point now) {
    const timer_id newest = last_;
    auto it = due_.begin();
    while (it != due_.end() && it->first.first <= now) {
      if (it->first.second > newest) {
        ++it;
        continue;
      }
      auto work = std::move(it->second);
      const std::size_t erased = when_.erase(it->first.second);
      TROUPE_EXPECT(erased == 1, "timer", it->first.second);
      due_.erase(it);
      work();
      it = due_.begin();  // it may have cancelled any other
    }
  }
  void clear() {
    due_.clear();
    when_.clear();
  }

 private:
  std::map<std::pair<time_point, timer_id>, std::move_only_function<void()>> due_;
  std::unordered_map<timer_id, time_point> when_;
  timer_id last_ = 0;
};

}  // namespace troupe::bus::internal
