#include "boot/standard_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace troupe::internal {

void open_standard_files() noexcept {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    int made = open("/dev/null", O_RDWR | O_NOCTTY);
    // Without /dev anything that takes the number is good enough: writing there fails, which is all it need do.
    if (made < 0) made = open("/", O_RDONLY | O_DIRECTORY);
    if (made >= 0 && made != fd) {
      dup2(made, fd);
      close(made);
    }
  }
}

}  // namespace troupe::internal
