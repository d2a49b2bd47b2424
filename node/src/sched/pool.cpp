#include "sched/pool.hpp"

#include <array>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

// Design notes
// * A thread's cache holds up to `most_kept` blocks of a class: all of a fresh chunk, and two batches. From there on
//   each block too many sends one batch to the class's central list, from where other threads refill. A thread that
//   only frees (a consumer of messages) thus feeds the one that only takes, a batch per lock.
// * Chunks are carved once and kept: memory of this kind is reused, not returned.
// * A thread that has destroyed its cache may still take and give (destructors of other thread-local or static
//   objects): then each block passes the central list.
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
constexpr std::size_t most_kept = chunk_bytes / pool_step + 2 * batch;

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

// Trivial: both can be read whatever of the thread has been destroyed.
thread_local cache* current = nullptr;
thread_local bool gone = false;

cache::~cache() {
  current = nullptr;
  gone = true;
  for (std::size_t i = 0; i < classes; ++i) {
    if (block* first = std::exchange(sizes[i].first, nullptr)) give_batch(i, first);
  }
}

// Null when the thread's own has been destroyed.
[[gnu::noinline]] cache* make_cache() {
  if (gone) return nullptr;
  thread_local cache mine;
  return current = &mine;
}

inline cache* own_cache() {
  cache* c = current;
  return c ? c : make_cache();
}

void* take_central(std::size_t index) {
  central_class& c = shared().sizes[index];
  {
    std::lock_guard lock(c.mutex);
    if (block* taken = c.batches) {
      c.batches = taken->next ? taken->next : taken->next_batch;
      if (taken->next) taken->next->next_batch = taken->next_batch;
      return taken;
    }
  }
  if (void* made = std::malloc((index + 1) * pool_step)) return made;  // a block like others from here on
  throw std::bad_alloc();
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
  cache* mine = own_cache();
  if (!mine) [[unlikely]]
    return take_central(index);
  cache::entry& entry = mine->sizes[index];
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
  cache* mine = own_cache();
  auto* b = static_cast<block*>(given);
  if (!mine) [[unlikely]] {
    b->next = nullptr;
    give_batch(index, b);
    return;
  }
  cache::entry& entry = mine->sizes[index];
  b->next = entry.first;
  entry.first = b;
  if (++entry.count > most_kept) overflow(entry, index);
}

#endif

}  // namespace troupe::internal
