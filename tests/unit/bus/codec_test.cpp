#include <troupe/codec.hpp>

#include <gtest/gtest.h>

namespace troupe {
namespace {

using namespace std::chrono_literals;

enum class colour : std::uint8_t { red, green };

struct item {
  std::string name;
  std::int32_t amount = 7;
  TROUPE_FIELDS(item, name, amount)
  bool operator==(const item&) const = default;
};

struct order {
  std::vector<item> items;
  std::optional<double> price;
  std::map<std::string, std::uint16_t> stock;
  colour paint = colour::red;
  std::chrono::milliseconds wait{};
  bytes blob;
  value any;
  map extras;
  std::tuple<int, std::string> pair;
  std::array<bool, 2> flags{};
  TROUPE_FIELDS(order, items, price, stock, paint, wait, blob, any, extras, pair, flags)
  bool operator==(const order&) const = default;
};

struct empty {
  TROUPE_FIELDS(empty)
};

template <class T>
std::string complaint(const value& in) {
  auto by_value = from_value<T>(in);
  auto by_wire = from_wire<T>(to_wire(in));
  EXPECT_FALSE(by_value);
  EXPECT_FALSE(by_wire);
  if (by_value || by_wire) return "";
  EXPECT_EQ(by_wire.error().code(), errc::bad_message);
  EXPECT_EQ(by_value.error().text(), by_wire.error().text());
  return by_wire.error().text();
}

template <class T>
void there_and_back(const T& in) {
  auto by_wire = from_wire<T>(to_wire(in));
  ASSERT_TRUE(by_wire) << by_wire.error().message();
  EXPECT_EQ(*by_wire, in);
  auto by_value = from_value<T>(to_value(in));
  ASSERT_TRUE(by_value) << by_value.error().message();
  EXPECT_EQ(*by_value, in);
  EXPECT_EQ(to_wire(to_value(in)), to_wire(in));  // one canonical form, whichever way
}

TEST(Codec, StructsThereAndBack) {
  order o;
  there_and_back(o);
  o.items = {item("apple", 3), item("", -1)};
  o.price = 2.0;
  o.stock = {{"a", 1}, {"b", 65535}};
  o.paint = colour::green;
  o.wait = 1500ms;
  o.blob = bytes(300, std::byte{9});
  o.any = list_of({1, 2.0, "x", nullptr});
  o.extras = map{{1, "one"}, {"two", list_of({})}};
  o.pair = {5, "five"};
  o.flags = {true, false};
  there_and_back(o);
  EXPECT_TRUE(from_wire<empty>(to_wire(empty())));
}

TEST(Codec, MapsOfValuesAreMaps) {
  EXPECT_EQ(to_value(map{{"a", 1}}), map_of({{"a", 1}}));
  EXPECT_EQ(complaint<map>(list_of({1})), "map expected, list found");
}

TEST(Codec, FieldsMayBeMissingUnknownOrInAnotherOrder) {
  const value unknown =
      map_of({{"colour", list_of({1, map_of({{"deep", 1}})})}, {"amount", 3}, {"more", nullptr}, {"name", "x"}});
  EXPECT_EQ(from_wire<item>(to_wire(unknown)).value(), item("x", 3));
  EXPECT_EQ(from_value<item>(unknown).value(), item("x", 3));
  EXPECT_EQ(from_wire<item>(to_wire(map_of({{"name", "x"}}))).value(), item("x", 7));
  EXPECT_EQ(from_value<item>(map_of({})).value(), item());
}

TEST(Codec, ErrorsNameThePath) {
  const value bad_name = map_of({{"items", list_of({map_of({}), map_of({{"amount", 1}, {"name", 5}})})}});
  EXPECT_EQ(complaint<order>(bad_name), "items[1].name: text expected, integer found");
  EXPECT_EQ(complaint<order>(map_of({{"price", "dear"}})), "price: float expected, text found");
  EXPECT_EQ(complaint<order>(map_of({{"stock", map_of({{"a", -1}})}})),
            "stock[0]: negative integer where none is allowed");
  EXPECT_EQ(complaint<order>(map_of({{"pair", list_of({1})}})), "pair: list of 2 expected, 1 found");
  EXPECT_EQ(complaint<order>(map_of({{"blob", "text"}})), "blob: bytes expected, text found");
  EXPECT_EQ(complaint<order>(map_of({{"flags", list_of({true, 1})}})), "flags[1]: boolean expected, integer found");
  EXPECT_EQ(complaint<item>(list_of({})), "map expected, list found");
  EXPECT_EQ(complaint<item>(value(map{{1, 2}})), "text expected, integer found");
}

TEST(Codec, TypesAreStrict) {
  EXPECT_EQ(complaint<std::string>(value(bytes{})), "text expected, bytes found");
  EXPECT_EQ(complaint<bytes>("x"), "bytes expected, text found");
  EXPECT_EQ(complaint<int>(1.0), "integer expected, float found");
  EXPECT_EQ(complaint<int>(nullptr), "integer expected, nil found");
  EXPECT_EQ(complaint<bool>(1), "boolean expected, integer found");
  EXPECT_EQ(complaint<std::uint8_t>(256), "integer out of range");
  EXPECT_EQ(complaint<std::int8_t>(-129), "integer out of range");
  EXPECT_EQ(complaint<std::uint64_t>(-1), "negative integer where none is allowed");
  EXPECT_EQ(complaint<std::int64_t>(UINT64_MAX), "integer beyond 2^63-1");
  EXPECT_EQ(complaint<pid>(ref()), "pid expected, ref found");
  EXPECT_EQ(complaint<ref>(extension{7, {}}), "ref expected, extension found");
  EXPECT_EQ(complaint<std::monostate>(false), "nil expected, boolean found");
  EXPECT_EQ(from_wire<std::uint64_t>(to_wire(UINT64_MAX)).value(), UINT64_MAX);
  EXPECT_EQ(from_value<std::uint64_t>(value(UINT64_MAX)).value(), UINT64_MAX);
}

TEST(Codec, FloatsStayFloats) {
  EXPECT_EQ(to_wire(1.0), (bytes{std::byte{0xcb}, std::byte{0x3f}, std::byte{0xf0}, {}, {}, {}, {}, {}, {}}));
  EXPECT_EQ(from_wire<value>(to_wire(value(1.0))).value().type(), value::kind::real);
  EXPECT_EQ(from_wire<value>(to_wire(value(1))).value().type(), value::kind::integer);
  EXPECT_EQ(from_wire<double>(to_wire(5)).value(), 5.0);  // people type 5
  EXPECT_EQ(complaint<double>((std::int64_t{1} << 53) + 1), "integer too large for a float");
}

TEST(Codec, KeysAreUnique) {
  const value twice(map{{"a", 1}, {"a", 2}});
  EXPECT_EQ((complaint<std::map<std::string, int>>(twice)), "[1]: key given twice");
}

TEST(Codec, HostileKeysDoNotReachTheErrorRaw) {
  value v = map_of({{std::string(100'000, '\x1b'), 1}});
  for (int i = 0; i < 20; ++i) {
    map around;
    around.emplace_back(value(std::string(1000, '\n')), std::move(v));
    v = value(std::move(around));
  }
  wire_buffer out;
  encode_wire(v, out);
  out.raw().back() = std::byte{0xc1};
  const auto failed = from_wire<value>(out.data());
  ASSERT_FALSE(failed);
  EXPECT_LT(failed.error().text().size(), 600u);
  EXPECT_EQ(failed.error().text().find('\n'), std::string::npos);
}

TEST(ValueReader, WalksAndEnds) {
  const value v = list_of({list_of({}), map_of({{"a", list_of({1})}}), 2});
  auto r = value_reader(v);
  std::size_t count = 0;
  ASSERT_TRUE(r->begin_list(count));
  ASSERT_TRUE(r->begin_list(count));
  EXPECT_EQ(count, 0u);
  ASSERT_TRUE(r->skip());
  std::int64_t number = 0;
  ASSERT_TRUE(r->read_int(number));
  EXPECT_EQ(number, 2);
  EXPECT_FALSE(r->read_int(number));
  EXPECT_FALSE(r->skip());
  EXPECT_EQ(r->failure().code(), errc::bad_message);
  EXPECT_EQ(wire_position(*r), 0u);
}

}  // namespace
}  // namespace troupe
