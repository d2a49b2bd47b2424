// What a node tells others to dial, and the numbers that it tells them for its calls.
#include <gtest/gtest.h>

#include <set>

#include "dist/call_numbers.hpp"
#include "dist/reach.hpp"

namespace troupe::test {
namespace {

using internal::call_numbers;

bus::endpoint at(const char* text) { return bus::endpoint::parse(text).or_exit(); }

TEST(Reach, WildcardsAreToldToNobody) {
  for (const char* text : {"tcp://0.0.0.0:4370", "tcp://*:4370", "tcp://[::]:4370", "tcp://0:4370", "tcp://[0::0]:4370",
                           "tcp://[::ffff:0.0.0.0]:4370"}) {
    EXPECT_TRUE(internal::is_wildcard(at(text))) << text;
    EXPECT_FALSE(internal::is_dialable_elsewhere(at(text))) << text;
    for (const bus::endpoint& one : internal::with_interfaces({at(text)})) {
      EXPECT_TRUE(internal::is_dialable_elsewhere(one)) << one.text();
      EXPECT_FALSE(one.is_local()) << one.text();
      EXPECT_EQ(one.port, 4370);
      EXPECT_TRUE(bus::endpoint::parse(one.text())) << one.text();
    }
  }
  EXPECT_FALSE(internal::is_dialable_elsewhere(at("ipc:///tmp/x")));
  EXPECT_FALSE(internal::is_dialable_elsewhere(at("tcp://hosta:0")));
  const std::vector<bus::endpoint> named{at("tcp://hosta:4370"), at("tcp://[fd00::1]:4370")};
  EXPECT_EQ(internal::with_interfaces(named), named);
}

// Speck64/128 as its authors published it.
TEST(CallNumbers, AreTheCipher) {
  const call_numbers numbers({0x03020100, 0x0b0a0908, 0x13121110, 0x1b1a1918});
  EXPECT_EQ(numbers.outside(0x3b7265747475432dull), 0x8c6fa548454e028bull);
  EXPECT_EQ(numbers.inside(0x8c6fa548454e028bull), 0x3b7265747475432dull);
}

TEST(CallNumbers, ComeBackAndDifferByLife) {
  auto random = seeded_random(7);
  const call_numbers one(*random), other(*random);
  std::set<std::uint64_t> told;
  for (std::uint64_t id = 1; id <= 10'000; ++id) {
    EXPECT_EQ(one.inside(one.outside(id)), id);
    EXPECT_NE(one.outside(id), other.outside(id));
    told.insert(one.outside(id));
  }
  EXPECT_EQ(told.size(), 10'000u);
}

}  // namespace
}  // namespace troupe::test
