#include "descriptor_reserve.hpp"

#include <sys/eventfd.h>

namespace troupe::bus::internal {
namespace {

constexpr std::size_t most = 16;
constexpr duration patience = std::chrono::milliseconds(100);

}  // namespace

descriptor_reserve::~descriptor_reserve() {
  loop_.run([this] {
    if (later_ != 0) loop_.cancel(later_);
  });
}

void descriptor_reserve::fill() {
  while (kept_.size() < most) {
    troupe::internal::unique_fd one(::eventfd(0, EFD_CLOEXEC));
    if (!one) return fill_later();
    kept_.push_back(std::move(one));
  }
}

bool descriptor_reserve::lend() {
  if (kept_.empty()) return false;
  kept_.pop_back();
  fill_later();
  return true;
}

void descriptor_reserve::fill_later() {
  if (later_ != 0) return;
  later_ = loop_.at(loop_.now() + patience, [this] {
    later_ = 0;
    fill();
  });
}

}  // namespace troupe::bus::internal
