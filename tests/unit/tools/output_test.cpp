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

// Whatever a text from elsewhere holds, a terminal gets printable characters, line breaks and tabs.
TEST(ForTerminal, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(for_terminal("plain ü\t€ 😀\n"), "plain ü\t€ 😀\n");
  EXPECT_EQ(for_terminal("\x1b[2J\a\r\x7f"), R"(\x1b[2J\x07\x0d\x7f)");
  EXPECT_EQ(for_terminal("\u009b31m"), R"(\xc2\x9b31m)");
  EXPECT_EQ(for_terminal("\u202efdp.exe\u2066\u061c\u200f"), R"(\xe2\x80\xaefdp.exe\xe2\x81\xa6\xd8\x9c\xe2\x80\x8f)");
  EXPECT_EQ(for_terminal("\xff\xc0\x80 \xe2\x82"), R"(\xff\xc0\x80 \xe2\x82)");
  EXPECT_EQ(for_terminal(std::string_view("a\0b", 3)), R"(a\x00b)");
}

TEST(ForTerminal, LeavesNothingOfAnyCharacterOrByte) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (unsigned code = 0x80; code < 0x800; ++code) {
    all += static_cast<char>(0xc0 | code >> 6);
    all += static_cast<char>(0x80 | (code & 0x3f));
  }
  for (std::string_view rest = all; !rest.empty(); rest.remove_prefix(1)) {
    const std::string shown = for_terminal(rest.substr(0, 64));
    EXPECT_EQ(for_terminal(shown), shown);
  }
}

TEST(Json, IsJsonAndSafeToShow) {
  const value given = map_of({{"\u202ekey", value("\u009b31m \x1b \x7f ü 😀 \U000e0041")}, {"broken", value("\xff")}});
  const std::string text = internal::to_json(given);
  EXPECT_EQ(text, R"({"\u202ekey":"\u009b31m \u001b \u007f ü 😀 \udb40\udc41","broken":"�"})");
  EXPECT_EQ(for_terminal(text), text);
  const auto back = internal::from_json(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->text_at("\u202ekey"), given.text_at("\u202ekey"));
  EXPECT_EQ(for_terminal(internal::to_json(given, 2)), internal::to_json(given, 2));
}

// Read back by Lua as what it was.
TEST(Printed, EscapesWhatTurnsTheOrder) { EXPECT_EQ(value("a\u202eb\u009b").print(), R"("a\226\128\174b\194\155")"); }

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
