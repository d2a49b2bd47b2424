// A broken invariant ends the program with place, values and who ran; one that holds costs nothing to look at.
#include <troupe/expect.hpp>

#include <gtest/gtest.h>

namespace troupe {
namespace {

enum class phase : std::uint8_t { asleep = 3 };

TEST(Expect, EvaluatesTheConditionOnceAndItsValuesNever) {
  int looks = 0, shown = 0;
  TROUPE_EXPECT(++looks == 1, "shown", ++shown);
  TROUPE_EXPECT(looks == 1);
  EXPECT_EQ(looks, 1);
  EXPECT_EQ(shown, 0);
}

TEST(ExpectDeathTest, SaysConditionPlaceAndValues) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const std::string name = "apples";
  EXPECT_DEATH(TROUPE_EXPECT(name.empty(), "name", name, "size", name.size(), "found", false, "phase", phase::asleep),
               "broken invariant: name.empty\\(\\)\n"
               "  at .*expect_test\\.cpp:[0-9]+ in .*\n"
               "  with name = \"apples\", size = 6, found = false, phase = 3\n"
               "This is a bug of Troupe");
}

TEST(ExpectDeathTest, SaysWhoRan) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  detail::set_who_runs([]() -> std::string { return "process <n@h#1.2> (Counter) of node n@h"; });
  EXPECT_DEATH(TROUPE_EXPECT(1 + 1 == 3), "  in process <n@h#1.2> \\(Counter\\) of node n@h\n");
  detail::set_who_runs(nullptr);
}

}  // namespace
}  // namespace troupe
