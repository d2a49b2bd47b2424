#include "dist/leading.hpp"

namespace troupe::internal {

leading::leading(std::shared_ptr<scheduler> workers, std::shared_ptr<bus::loop> loop)
    : workers_(std::move(workers)), loop_(std::move(loop)) {
  if (!workers_->set_idle_work(this)) return;
  joined_ = loop_->lend(this);
  if (!joined_) static_cast<void>(workers_->set_idle_work(nullptr));
}

leading::~leading() {
  if (!joined_) return;
  static_cast<void>(loop_->lend(nullptr));
  static_cast<void>(workers_->set_idle_work(nullptr));
}

bool leading::neglected() {
  const std::uint64_t turns = loop_->turns();
  return std::exchange(turns_seen_, turns) == turns && !loop_->led();
}

}  // namespace troupe::internal
