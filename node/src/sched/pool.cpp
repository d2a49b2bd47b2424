#include "sched/pool.hpp"

#include <array>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

// Design notes
// * A thread's cache holds up to `batch` * 2 blocks of a class; when it overflows, one batch goes to the class's
// central
//   list, from where other threads refill. A thread that only frees (a consumer of messages) thus feeds the one that
//   only takes, a batch per lock.
// * Chunks are carved once and kept: memory of this kind is reused, not returned.
namespace troupe::internal {

#ifdef TROUPE_SANITIZED

void* pool_take(std::size_t bytes) {
  if (void* block = std::malloc(bytes)) return block;
  throw std::bad_alloc();
}
void pool_give(void* block, std::size_t) noexcept { std::free(block); }

#else

namespace {

constexpr std::size_t classes = pool_limit / pool_step;
constexpr std::size_t batch = 64;
constexpr std::size_t chunk_bytes = 64 * 1024;

struct block {
  block* next;        // in its list
  block* next_batch;  // of the first block of a batch in the central list
};

struct central_class {
  std::mutex mutex;
  block* batches = nullptr;
};

struct central {
  std::array<central_class, classes> sizes;
  std::mutex chunks_mutex;
  void* chunks = nullptr;  // each chunk's first word leads to the next: reachable for leak checkers
};

// Never destroyed: threads may still free during program exit.
central& shared() {
  static central* instance = new central;
  return *instance;
}

struct cache {
  struct entry {
    block* first = nullptr;
    std::size_t count = 0;
  };
  std::array<entry, classes> sizes;
  ~cache();
};

void give_batch(std::size_t index, block* first) noexcept {
  central_class& c = shared().sizes[index];
  std::lock_guard lock(c.mutex);
  first->next_batch = c.batches;
  c.batches = first;
}

cache::~cache() {
  for (std::size_t i = 0; i < classes; ++i) {
    if (sizes[i].first) give_batch(i, sizes[i].first);
  }
}

thread_local cache* current = nullptr;

struct cache_owner {
  cache mine;
  cache_owner() { current = &mine; }
  ~cache_owner() { current = nullptr; }
};

[[gnu::noinline]] cache& make_cache() {
  thread_local cache_owner owner;
  // During thread exit the owner may be gone already: then blocks go straight through the central lists.
  current = &owner.mine;
  return owner.mine;
}

inline cache& mine() {
  cache* c = current;
  return c ? *c : make_cache();
}

void refill(cache::entry& entry, std::size_t index) {
  central_class& c = shared().sizes[index];
  {
    std::lock_guard lock(c.mutex);
    if (c.batches) {
      entry.first = c.batches;
      c.batches = c.batches->next_batch;
      for (block* b = entry.first; b; b = b->next) ++entry.count;
      return;
    }
  }
  std::size_t size = (index + 1) * pool_step;
  auto* chunk = static_cast<char*>(std::malloc(chunk_bytes));
  if (!chunk) throw std::bad_alloc();
  {
    std::lock_guard lock(shared().chunks_mutex);
    *reinterpret_cast<void**>(chunk) = shared().chunks;
    shared().chunks = chunk;
  }
  // All of a chunk goes to one thread; what it does not need leaves in batches as it is freed.
  for (std::size_t at = pool_step; at + size <= chunk_bytes; at += size) {
    auto* b = reinterpret_cast<block*>(chunk + at);
    b->next = entry.first;
    entry.first = b;
    ++entry.count;
  }
}

[[gnu::noinline]] void overflow(cache::entry& entry, std::size_t index) noexcept {
  block* first = entry.first;
  block* last = first;
  for (std::size_t i = 1; i < batch; ++i) last = last->next;
  entry.first = last->next;
  last->next = nullptr;
  entry.count -= batch;
  give_batch(index, first);
}

}  // namespace

[[gnu::noinline]] void* pool_take(std::size_t bytes) {
  if (bytes == 0 || bytes > pool_limit) return ::operator new(bytes);
  std::size_t index = (bytes - 1) / pool_step;
  cache::entry& entry = mine().sizes[index];
  if (!entry.first) refill(entry, index);
  block* taken = entry.first;
  entry.first = taken->next;
  --entry.count;
  return taken;
}

[[gnu::noinline]] void pool_give(void* given, std::size_t bytes) noexcept {
  if (bytes == 0 || bytes > pool_limit) {
    ::operator delete(given);
    return;
  }
  std::size_t index = (bytes - 1) / pool_step;
  cache::entry& entry = mine().sizes[index];
  auto* b = static_cast<block*>(given);
  b->next = entry.first;
  entry.first = b;
  // A fresh chunk may hold far more than two batches: only a list that grows past one is trimmed.
  if (++entry.count >= chunk_bytes / pool_step + 2 * batch) overflow(entry, index);
}

#endif

}  // namespace troupe::internal
