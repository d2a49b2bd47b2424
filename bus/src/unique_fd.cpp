#include "unique_fd.hpp"

#include <unistd.h>

namespace troupe::internal {

void unique_fd::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

}  // namespace troupe::internal
