#include "tools/troupe/output.hpp"

#include <gtest/gtest.h>

#include "observe/json.hpp"

namespace {

using namespace troupe;
using namespace troupe::tool;

TEST(Table, AlignsTextLeftAndNumbersRight) {
  table shown({"NAME", "QUEUE", "WHAT"});
  shown.row({"a", "5", "x"});
  shown.row({"longer", "1000", ""});
  EXPECT_EQ(shown.text(),
            "NAME    QUEUE  WHAT\n"
            "a           5  x\n"
            "longer   1000\n");
}

TEST(Table, CountsCharactersNotBytes) {
  table shown({"A", "B"});
  shown.row({"äöü", "x"});
  shown.row({"abcd", "y"});
  EXPECT_EQ(shown.text(), "A     B\näöü   x\nabcd  y\n");
}

TEST(Table, WithoutRowsHasItsHead) { EXPECT_EQ(table({"NAME", "PID"}).text(), "NAME  PID\n"); }

TEST(Plain, TextsHaveNoQuotesAndNilIsEmpty) {
  EXPECT_EQ(plain(value("x y")), "x y");
  EXPECT_EQ(plain(value()), "");
  EXPECT_EQ(plain(value(5)), "5");
  EXPECT_EQ(plain(list_of({1, "x"})), "{1, \"x\"}");
}

TEST(LinesOf, NestedMapsAreIndented) {
  value shown = map_of({{"name", "x"}, {"counters", map_of({{"sent", 5}, {"received", 12}})}, {"n", 1}});
  EXPECT_EQ(lines_of(shown),
            "name      x\n"
            "counters\n"
            "  sent      5\n"
            "  received  12\n"
            "n         1\n");
}

TEST(ParseArgument, JsonElseText) {
  EXPECT_EQ(parse_argument("5"), value(5));
  EXPECT_EQ(parse_argument("-1.5"), value(-1.5));
  EXPECT_EQ(parse_argument("true"), value(true));
  EXPECT_EQ(parse_argument("null"), value());
  EXPECT_EQ(parse_argument("[1, \"x\"]"), list_of({1, "x"}));
  EXPECT_EQ(parse_argument("{\"a\": 1}"), map_of({{"a", 1}}));
  EXPECT_EQ(parse_argument("\"5\""), value("5"));
  EXPECT_EQ(parse_argument("hello world"), value("hello world"));
  EXPECT_EQ(parse_argument("+"), value("+"));
  EXPECT_EQ(parse_argument(""), value(""));
  EXPECT_EQ(parse_argument("[1,"), value("[1,"));
  EXPECT_EQ(parse_argument("exercise.calculator"), value("exercise.calculator"));
}

TEST(ParseArgument, APidIsAPid) {
  auto life = intern_life("exercise@localhost", 0x1f);
  ASSERT_TRUE(life);
  pid p(*life, 5);
  EXPECT_EQ(parse_argument(p.text()), value(p));
  EXPECT_EQ(parse_argument("<not a pid>"), value("<not a pid>"));
}

TEST(ByteCount, HasUnits) {
  EXPECT_EQ(byte_count(512), "512 B");
  EXPECT_EQ(byte_count(1536), "1.5 KiB");
  EXPECT_EQ(byte_count(3u << 20), "3.0 MiB");
}

}  // namespace
