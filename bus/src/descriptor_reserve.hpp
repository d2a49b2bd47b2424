#pragma once
// Descriptors that are kept free for this host's own: tools must get in while strangers have taken all others.
#include <vector>

#include "system_loop.hpp"
#include "unique_fd.hpp"

namespace troupe::bus::internal {

// Owner: a transport; the loop's thread, but for the destructor. Filled once the transport listens for other hosts.
class descriptor_reserve {
 public:
  explicit descriptor_reserve(system_loop& loop) : loop_(loop) {}
  ~descriptor_reserve();
  descriptor_reserve(const descriptor_reserve&) = delete;
  descriptor_reserve& operator=(const descriptor_reserve&) = delete;

  void fill();
  // One is free now; filled up again as soon as others become free. False when none is left.
  bool lend();

 private:
  void fill_later();

  system_loop& loop_;
  std::vector<troupe::internal::unique_fd> kept_;
  timer_id later_ = 0;
};

}  // namespace troupe::bus::internal
