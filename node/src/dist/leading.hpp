#pragma once
// Joins the scheduler and the bus's loop: a worker with nothing to do leads the loop.
#include <memory>

#include <troupe/bus/loop.hpp>

#include "sched/scheduler.hpp"

namespace troupe::internal {

// Owner: the distribution. Made and destroyed on a thread that is neither a worker nor leads the loop. It does nothing
// when another node has joined one of the two already, when there are no workers, or when the loop is simulated.
class leading final : public idle_work, private bus::leaders {
 public:
  leading(std::shared_ptr<scheduler> workers, std::shared_ptr<bus::loop> loop);
  ~leading() override;
  leading(const leading&) = delete;
  leading& operator=(const leading&) = delete;

 private:
  // -- idle_work
  bool turn() override { return loop_->lead(); }
  void interrupt() override { loop_->interrupt(); }
  void reclaim() override { loop_->reclaim(); }
  bool neglected() override;
  void step_in() override { loop_->step_in(); }
  // -- bus::leaders
  std::optional<duration> rest() noexcept override { return workers_->rest(); }
  void rested() noexcept override { workers_->rested(); }
  bool here() const noexcept override { return workers_->on_worker(); }
  bool idle() const noexcept override { return workers_->has_sleepers(); }
  void wanted() noexcept override { workers_->wake_one(); }

  std::shared_ptr<scheduler> workers_;
  std::shared_ptr<bus::loop> loop_;
  bool joined_ = false;
  std::uint64_t turns_seen_ = 0;  // the watch's
};

}  // namespace troupe::internal
