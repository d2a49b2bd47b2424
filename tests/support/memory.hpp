#pragma once
// How much memory this program uses, for tests that show that something does not grow.
#include <unistd.h>

#include <cstdint>
#include <fstream>

#ifdef TROUPE_SANITIZED
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // GCC has no header for it
#endif

namespace troupe::test {

// What is resident. A sanitizer keeps freed memory for long: there, what is allocated.
inline std::int64_t memory_in_use() {
#ifdef TROUPE_SANITIZED
  return static_cast<std::int64_t>(__sanitizer_get_current_allocated_bytes());
#else
  std::ifstream in("/proc/self/statm");
  std::int64_t total = 0;
  std::int64_t resident = 0;
  in >> total >> resident;
  return resident * ::getpagesize();
#endif
}

}  // namespace troupe::test
