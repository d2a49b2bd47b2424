#pragma once
// A host that has no more threads. Not under sanitizers, which have a pthread_create of their own.

#ifndef TROUPE_SANITIZED
namespace troupe::test {

// While it stands `count` more threads start in this process, and then none: pthread_create gives EAGAIN.
class threads_left {
 public:
  explicit threads_left(int count);
  ~threads_left();
  threads_left(const threads_left&) = delete;
  threads_left& operator=(const threads_left&) = delete;
};

}  // namespace troupe::test
#endif
