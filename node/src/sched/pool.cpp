#include "sched/pool.hpp"

#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "sched/trim.hpp"

// Design notes
// * A thread's cache holds up to `most_kept` blocks of a class: all of a fresh chunk, and two batches. From there on
//   each block too many sends one batch to the class's central list, from where other threads refill. A thread that
//   only frees (a consumer of messages) thus feeds the one that only takes, a batch per lock.
// * Chunks are carved from regions of the system's own, aligned, so that a block knows its chunk. `pool_trim` counts
//   which chunks lie whole in the central lists, hands their pages back, and carves them anew, for any class, when they
//   are needed; what a thread's cache holds keeps its chunk. Regions themselves are kept.
// * A thread that has destroyed its cache may still take and give (destructors of other thread-local or static
//   objects): then each block passes the central list.
namespace troupe::internal {

#ifdef TROUPE_SANITIZED

void* pool_take(std::size_t bytes) {
  if (void* block = std::malloc(bytes)) return block;
  throw std::bad_alloc();
}
void pool_give(void* block, std::size_t) noexcept { std::free(block); }
void pool_trim() noexcept {}

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

// At the head of a chunk. `seen`: of its blocks, in the trim `round`.
struct alignas(pool_step) chunk {
  std::uint32_t blocks;
  std::uint32_t round;
  std::uint32_t seen;
};
static_assert(sizeof(chunk) == pool_step);
constexpr std::size_t region_chunks = 64;

struct central {
  std::array<central_class, classes> sizes;
  std::mutex chunks_mutex;
  std::vector<void*> spare;  // chunks without pages, or without blocks yet
  std::mutex trim_mutex;
  std::uint32_t round = 0;
};

// Never destroyed: threads may still free during program exit.
central& central_lists() {
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

// Its memory is zero or was a chunk of another class.
void* take_chunk() {
  central& all = central_lists();
  std::lock_guard lock(all.chunks_mutex);
  if (all.spare.empty()) {
    all.spare.reserve(all.spare.capacity() + region_chunks);  // so that `pool_trim` can give back all without failing
    constexpr std::size_t size = (region_chunks + 1) * chunk_bytes;
    void* region = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED) throw std::bad_alloc();
    const auto start = (reinterpret_cast<std::uintptr_t>(region) + chunk_bytes - 1) / chunk_bytes * chunk_bytes;
    for (std::size_t i = region_chunks; i > 0; --i)
      all.spare.push_back(reinterpret_cast<void*>(start + (i - 1) * chunk_bytes));
  }
  void* taken = all.spare.back();
  all.spare.pop_back();
  return taken;
}

chunk& chunk_of(block* b) noexcept {
  return *reinterpret_cast<chunk*>(reinterpret_cast<std::uintptr_t>(b) / chunk_bytes * chunk_bytes);
}

// All the blocks of a new chunk, as a list.
block* carve(std::size_t index, std::size_t& count) {
  const std::size_t size = (index + 1) * pool_step;
  auto* memory = static_cast<char*>(take_chunk());
  block* first = nullptr;
  count = 0;
  for (std::size_t at = pool_step; at + size <= chunk_bytes; at += size, ++count) {
    auto* b = reinterpret_cast<block*>(memory + at);
    b->next = first;
    first = b;
  }
  ::new (memory) chunk{static_cast<std::uint32_t>(count), 0, 0};
  return first;
}

void give_batch(std::size_t index, block* first) noexcept {
  central_class& c = central_lists().sizes[index];
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
  central_class& c = central_lists().sizes[index];
  {
    std::lock_guard lock(c.mutex);
    if (block* taken = c.batches) {
      c.batches = taken->next ? taken->next : taken->next_batch;
      if (taken->next) taken->next->next_batch = taken->next_batch;
      return taken;
    }
  }
  std::size_t count = 0;
  block* first = carve(index, count);
  if (first->next) give_batch(index, first->next);
  return first;
}

void refill(cache::entry& entry, std::size_t index) {
  central_class& c = central_lists().sizes[index];
  {
    std::lock_guard lock(c.mutex);
    if (c.batches) {
      entry.first = c.batches;
      c.batches = c.batches->next_batch;
      for (block* b = entry.first; b; b = b->next) ++entry.count;
      return;
    }
  }
  // All of a chunk goes to one thread; what it does not need leaves in batches as it is freed.
  entry.first = carve(index, entry.count);
}

[[gnu::noinline]] void overflow(cache::entry& entry, std::size_t index) noexcept {
  block* first = entry.first;
  block* last = first;
  for (std::size_t i = 1; i < batch; ++i) last = last->next;
  entry.first = last->next;
  last->next = nullptr;
  entry.count -= batch;
  give_batch(index, first);
  note_freed(batch * (index + 1) * pool_step);
}

// -- giving back

template <class Look>
void each_block(block* batches, Look&& look) {
  while (batches) {
    block* b = std::exchange(batches, batches->next_batch);
    while (b) look(*std::exchange(b, b->next));
  }
}

// Those of `batches` whose chunk is not whole, in batches again; the whole chunks to `free`.
block* sort_out(block* batches, std::uint32_t round, block*& whole) {
  each_block(batches, [round](block& b) {
    chunk& of = chunk_of(&b);
    if (of.round != round) of = {of.blocks, round, 0};
    ++of.seen;
  });
  block* kept = nullptr;
  std::size_t in_first = batch;  // a new batch begins with the next one
  each_block(batches, [&](block& b) {
    chunk& of = chunk_of(&b);
    if (of.seen == of.blocks) {
      if (reinterpret_cast<std::uintptr_t>(&b) % chunk_bytes != pool_step) return;
      b.next = std::exchange(whole, &b);  // the first of each stands for all
    } else if (in_first == batch) {
      b.next = nullptr;
      b.next_batch = std::exchange(kept, &b);
      in_first = 1;
    } else {
      b.next_batch = kept->next_batch;
      b.next = std::exchange(kept, &b);
      ++in_first;
    }
  });
  return kept;
}

}  // namespace

void pool_trim() noexcept {
  central& all = central_lists();
  std::lock_guard one_at_a_time(all.trim_mutex);
  ++all.round;
  for (central_class& c : all.sizes) {
    block* batches = nullptr;
    {
      std::lock_guard lock(c.mutex);
      batches = std::exchange(c.batches, nullptr);
    }
    block* whole = nullptr;
    block* kept = sort_out(batches, all.round, whole);
    if (kept) {
      block* last = kept;
      while (last->next_batch) last = last->next_batch;
      std::lock_guard lock(c.mutex);
      last->next_batch = std::exchange(c.batches, kept);
    }
    while (whole) {
      void* memory = &chunk_of(std::exchange(whole, whole->next));
      ::madvise(memory, chunk_bytes, MADV_DONTNEED);
      std::lock_guard lock(all.chunks_mutex);
      all.spare.push_back(memory);  // there is room: see take_chunk
    }
  }
}

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
