// Long buffers are used again, and only so many are kept.
#include <vector>

#include <gtest/gtest.h>

#include "sched/long_buffers.hpp"

namespace troupe::internal {
namespace {

void drain() {
  while (take_long_buffer().capacity() != 0) {
  }
}

bytes room(std::size_t size) {
  bytes out;
  out.reserve(size);
  return out;
}

TEST(LongBuffers, AreUsedAgain) {
  drain();
  bytes one = room(1u << 20);
  one.resize(10);
  const std::byte* at = one.data();
  give_long_buffer(std::move(one));
  const bytes again = take_long_buffer(600u << 10);
  EXPECT_EQ(again.data(), at);
  EXPECT_TRUE(again.empty());
  EXPECT_EQ(take_long_buffer().capacity(), 0u);
}

TEST(LongBuffers, GiveTheSmallestThatIsLongEnough) {
  drain();
  for (const std::size_t size : {3u << 20, 1u << 20, 2u << 20}) give_long_buffer(room(size));
  EXPECT_EQ(take_long_buffer((1u << 20) + 1).capacity(), 2u << 20);
  EXPECT_GE(take_long_buffer(4u << 20).capacity(), 4u << 20) << "none that lies there is";
  EXPECT_EQ(take_long_buffer().capacity(), 1u << 20);
  EXPECT_EQ(take_long_buffer(1000).capacity(), 1000u) << "a short one is not worth it";
  drain();
}

TEST(LongBuffers, KeepNoMoreThanTheirMeasure) {
  drain();
  give_long_buffer(room(1000));
  give_long_buffer(room(most_long_buffers_keep));
  EXPECT_EQ(take_long_buffer().capacity(), 0u) << "too short, and too long";
  for (int i = 0; i < 100; ++i) give_long_buffer(room(1u << 20));
  std::size_t kept = 0;
  for (bytes one = take_long_buffer(); one.capacity() != 0; one = take_long_buffer()) kept += one.capacity();
  EXPECT_EQ(kept, most_long_buffers_keep);
}

}  // namespace
}  // namespace troupe::internal
