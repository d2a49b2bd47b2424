// What the pool does not need goes back, and comes again.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "sched/pool.hpp"
#include "support/memory.hpp"

namespace troupe::test {
namespace {

using internal::pool_give;
using internal::pool_take;
using internal::pool_trim;

TEST(PoolTrim, GivesBackWhatNobodyHolds) {
  const std::int64_t before = memory_in_use();
  std::vector<void*> held, kept;
  for (int i = 0; i < 400'000; ++i) held.push_back(std::memset(pool_take(256), 1, 256));
  for (int i = 0; i < 1000; ++i) kept.push_back(std::memset(pool_take(64), i % 100, 64));
  EXPECT_GT(memory_in_use() - before, 90 << 20);
  for (void* one : held) pool_give(one, 256);
  pool_trim();
  // A thread's own list, whatever chunks that keeps, and the vector above.
  EXPECT_LT(memory_in_use() - before, 20 << 20);
  for (int round = 0; round < 3; ++round) {
    for (void*& one : held) one = std::memset(pool_take(128), 2, 128);  // the same pages, cut otherwise
    for (void* one : held) pool_give(one, 128);
    pool_trim();
  }
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(static_cast<char*>(kept[static_cast<std::size_t>(i)])[63], i % 100);
  for (void* one : kept) pool_give(one, 64);
}

TEST(PoolTrim, WhileOthersTakeAndGive) {
  std::atomic<bool> over{false};
  std::vector<std::jthread> threads;
  for (unsigned char mark = 1; mark <= 3; ++mark) {
    threads.emplace_back([&over, mark] {
      std::vector<unsigned char*> held;
      for (unsigned round = 0; !over; ++round) {
        const std::size_t size = 16 + 16 * (round % 30);
        for (int i = 0; i < 6000; ++i)
          held.push_back(static_cast<unsigned char*>(std::memset(pool_take(size), mark, size)));
        for (unsigned char* one : held) {
          ASSERT_EQ(one[0], mark);
          ASSERT_EQ(one[size - 1], mark);
          pool_give(one, size);
        }
        held.clear();
      }
    });
  }
  for (int i = 0; i < 200; ++i) pool_trim();
  over = true;
}

}  // namespace
}  // namespace troupe::test
