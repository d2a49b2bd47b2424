#include <gtest/gtest.h>

#include "unit/bus/hub_fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

class Hub : public testing::TestWithParam<form> {
 protected:
  // `a` listens, `b` has dialled it and is up on both sides.
  void connect(test_node& a, test_node& b) {
    const auto where = a.listen(world_.address());
    b.hub->dial(where);
    ASSERT_TRUE(world_.until([&] { return a.events.first() != 0 && b.events.first() != 0; }));
  }

  world world_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Forms, Hub, testing::ValuesIn(forms), [](const auto& info) { return to_string(info.param); });

TEST_P(Hub, ConnectsAndTellsBothSidesWhoTheOtherIs) {
  auto options = world_.options("a@host", 11);
  options.self.application = "exercise";
  options.self.features = {"trace"};
  options.limits.tick = 5s;
  test_node a(std::move(options));
  auto other = world_.options("b@host", 22);
  other.self.hidden = true;
  other.limits.credit_bytes = 4096;
  test_node b(std::move(other));
  connect(a, b);

  const auto seen_by_a = a.events.ups().front();
  EXPECT_EQ(seen_by_a.who.name, "b@host");
  EXPECT_EQ(seen_by_a.who.creation, 22u);
  EXPECT_TRUE(seen_by_a.who.hidden);
  EXPECT_FALSE(seen_by_a.dialled_by_us);
  EXPECT_EQ(seen_by_a.theirs.credit_bytes, 4096u);
  EXPECT_EQ(seen_by_a.tick, 5s);
  const auto seen_by_b = b.events.ups().front();
  EXPECT_EQ(seen_by_b.who.name, "a@host");
  EXPECT_EQ(seen_by_b.who.application, "exercise");
  EXPECT_EQ(seen_by_b.who.features, std::vector<std::string>{"trace"});
  EXPECT_TRUE(seen_by_b.dialled_by_us);
  EXPECT_NE(seen_by_b.dial, 0u);
  EXPECT_EQ(seen_by_b.tick, 5s);
}

TEST_P(Hub, FramesKeepTheirOrderBothWays) {
  test_node a(world_.options("a@host"));
  test_node b(world_.options("b@host"));
  connect(a, b);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(a.hub->send(a.events.first(), bytes_of("a" + std::to_string(i))));
    ASSERT_TRUE(b.hub->send(b.events.first(), bytes_of("b" + std::to_string(i))));
  }
  ASSERT_TRUE(world_.until([&] { return a.events.frame_count() == 1000 && b.events.frame_count() == 1000; }));
  const auto at_a = a.events.frames();
  const auto at_b = b.events.frames();
  for (std::size_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(at_a[i].second, "b" + std::to_string(i));
    ASSERT_EQ(at_b[i].second, "a" + std::to_string(i));
  }
}

}  // namespace
}  // namespace troupe::test
