// Simulations run on one thread: one that starts another fails here, with EAGAIN. So ThreadSanitizer has nothing to
// find in them, and `tools/dev/check --preset tsan` leaves them out.
#include "support/threads.hpp"

#ifndef TROUPE_SANITIZED
namespace troupe::test {
namespace {

const threads_left none(0);

}  // namespace
}  // namespace troupe::test
#endif
