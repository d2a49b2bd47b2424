#include <troupe/value.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace troupe {
namespace {

bytes raw(std::initializer_list<int> numbers) {
  bytes made;
  for (int n : numbers) made.push_back(static_cast<std::byte>(n));
  return made;
}

TEST(Value, KindsAndContents) {
  EXPECT_TRUE(value().is_nil());
  EXPECT_EQ(value(nullptr).type(), value::kind::nil);
  EXPECT_EQ(value(true).type(), value::kind::boolean);
  EXPECT_EQ(value(5).type(), value::kind::integer);
  EXPECT_EQ(value(5u).type(), value::kind::integer);
  EXPECT_EQ(value(UINT64_MAX).type(), value::kind::unsigned_integer);
  EXPECT_EQ(value(static_cast<std::uint64_t>(INT64_MAX)).type(), value::kind::integer);
  EXPECT_EQ(value(1.5f).type(), value::kind::real);
  EXPECT_EQ(value("x").type(), value::kind::text);
  EXPECT_EQ(value(raw({1})).type(), value::kind::bytes);
  EXPECT_EQ(value(list{}).type(), value::kind::list);
  EXPECT_EQ(value(map{}).type(), value::kind::map);
  EXPECT_EQ(value(pid()).type(), value::kind::pid);
  EXPECT_EQ(value(ref()).type(), value::kind::ref);
  EXPECT_EQ(value(extension{5, {}}).type(), value::kind::ext);
  EXPECT_EQ(to_string(value::kind::unsigned_integer), "integer");
  EXPECT_EQ(to_string(value::kind::ext), "extension");
}

TEST(Value, Equality) {
  EXPECT_EQ(value(5u), value(5));
  EXPECT_FALSE(value(1) == value(1.0));
  EXPECT_FALSE(value("a") == value(raw({'a'})));
  EXPECT_EQ(list_of({1, "x", list_of({2.5})}), list_of({1, "x", list_of({2.5})}));
  EXPECT_FALSE(map_of({{"a", 1}, {"b", 2}}) == map_of({{"b", 2}, {"a", 1}}));
}

TEST(Value, CopiesDeeply) {
  value a = list_of({1, map_of({{"k", "v"}})});
  value b = a;
  b.items()->at(0) = 2;
  EXPECT_EQ(*a.items()->at(0).integer(), 1);
  value c = std::move(b);
  EXPECT_EQ(c.items()->size(), 2u);
  c = value(c.items()->at(1));  // from inside itself, by way of a copy
  EXPECT_EQ(c.text_at("k"), "v");
}

TEST(Value, Lookup) {
  const value v = map_of({{"name", "x"}, {"amount", 5}, {"half", 0.5}});
  EXPECT_EQ(v.text_at("name"), "x");
  EXPECT_EQ(v.text_at("amount", "none"), "none");
  EXPECT_EQ(v.integer_at("amount"), 5);
  EXPECT_EQ(v.integer_at("missing", -1), -1);
  EXPECT_EQ(v.find("half")->number(), 0.5);
  EXPECT_EQ(v.find("amount")->number(), 5.0);
  EXPECT_EQ(v.find("name")->number(), std::nullopt);
  EXPECT_EQ(value("text").find("x"), nullptr);
}

TEST(ValuePrint, Scalars) {
  EXPECT_EQ(value().print(), "nil");
  EXPECT_EQ(value(true).print(), "true");
  EXPECT_EQ(value(-7).print(), "-7");
  EXPECT_EQ(value(INT64_MIN).print(), "math.mininteger");
  EXPECT_EQ(value(UINT64_MAX).print(), "18446744073709551615");
  EXPECT_EQ(value(1.0).print(), "1.0");
  EXPECT_EQ(value(-0.0).print(), "-0.0");
  EXPECT_EQ(value(0.1).print(), "0.1");
  EXPECT_EQ(value(1e100).print(), "1e+100");
  EXPECT_EQ(value(std::numeric_limits<double>::infinity()).print(), "math.huge");
  EXPECT_EQ(value(-std::numeric_limits<double>::infinity()).print(), "-math.huge");
  EXPECT_EQ(value(std::nan("")).print(), "0/0");
  EXPECT_EQ(value(raw({1, 0xff})).print(), "bytes(\"\\x01\\xff\")");
  EXPECT_EQ(value(extension{-1, raw({0xab})}).print(), "ext(-1, \"\\xab\")");
  EXPECT_EQ(value(pid(*intern_life("n@h", 16), 3)).print(), "<n@h#10.3>");
  EXPECT_EQ(value(ref(*intern_life("n@h", 16), 3)).print(), "#ref<n@h#10.3>");
}

TEST(ValuePrint, TextIsEscaped) {
  EXPECT_EQ(value("a\"b\\c\nd\te").print(), R"("a\"b\\c\nd\te")");
  EXPECT_EQ(value(std::string("\0\x1b[31m\x7f", 7)).print(), R"("\000\027[31m\127")");
  EXPECT_EQ(value("grün €").print(), "\"grün €\"");
  EXPECT_EQ(value("\xff\xc3").print(), R"("\255\195")");
  EXPECT_EQ(value("\xc2\x9b").print(), R"("\194\155")");          // C1: some terminals take it for an escape
  EXPECT_EQ(value("\xed\xa0\x80").print(), R"("\237\160\128")");  // a surrogate
}

TEST(ValuePrint, Containers) {
  EXPECT_EQ(list_of({}).print(), "{}");
  EXPECT_EQ(list_of({1, "x", nullptr}).print(), "{1, \"x\", nil}");
  const value v(map{{"name", "x"}, {"a b", 1}, {"end", 2}, {5, true}, {list_of({1}), 1.0}});
  EXPECT_EQ(v.print(), R"({name = "x", ["a b"] = 1, ["end"] = 2, [5] = true, [{1}] = 1.0})");
}

TEST(ValuePrint, IsCut) {
  EXPECT_EQ(list_of({1, list_of({2, list_of({3})})}).print(2), "{1, {2, …}}");
  EXPECT_EQ(value(std::string(100, 'x')).print(16, 10), "\"xxxxxxxxx…");
  EXPECT_EQ(value("ä\nä").print(16, 4), "\"ä…");  // neither a character nor an escape in two
  value deep;
  for (int i = 0; i < 1000; ++i) {
    list around;
    around.push_back(std::move(deep));
    deep = value(std::move(around));
  }
  EXPECT_EQ(deep.print(3), "{{{…}}}");
  const value wide(list(1'000'000, value(1)));
  EXPECT_LE(wide.print().size(), 4096u + 3);
}

}  // namespace
}  // namespace troupe
