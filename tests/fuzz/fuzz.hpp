#pragma once
// What the targets and their driver share.
#include <cstdio>
#include <cstdlib>

// The target says here that its decoder took the last input: so the driver finds samples that are none any more.
inline bool fuzz_accepted = false;

[[noreturn]] inline void broken(const char* target, const char* what) {
  std::fprintf(stderr, "%s: %s\n", target, what);
  std::abort();
}
