#include "observe/json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace troupe::internal {
namespace {

value round_trip(const value& from) { return from_json(to_json(from)).or_exit(); }

TEST(Json, PlainValuesComeBackAsTheyWere) {
  const value nested = map_of({{"a", 1}, {"b", list_of({1.5, "x", nullptr, true})}, {"z", map_of({})}});
  EXPECT_EQ(to_json(nested), R"({"a":1,"b":[1.5,"x",null,true],"z":{}})");
  EXPECT_EQ(round_trip(nested), nested);
  EXPECT_EQ(to_json(value(1.0)), "1.0");
  EXPECT_EQ(round_trip(value(1.0)), value(1.0));
  EXPECT_EQ(round_trip(value(1)), value(1));
  const value huge(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(to_json(huge), "18446744073709551615");
  EXPECT_EQ(round_trip(huge), huge);
  EXPECT_EQ(round_trip(value(std::numeric_limits<std::int64_t>::min())),
            value(std::numeric_limits<std::int64_t>::min()));
}

TEST(Json, WhatJsonHasNotComesBackToo) {
  for (std::size_t size = 0; size < 8; ++size) {
    bytes data;
    for (std::size_t i = 0; i < size; ++i) data.push_back(static_cast<std::byte>(250 + i));
    EXPECT_EQ(round_trip(value(data)), value(data)) << size;
  }
  EXPECT_EQ(to_json(value(bytes{std::byte{'h'}, std::byte{'i'}})), R"({"$bytes":"aGk="})");
  EXPECT_EQ(round_trip(value(std::numeric_limits<double>::infinity())), value(std::numeric_limits<double>::infinity()));
  EXPECT_TRUE(std::isnan(*round_trip(value(std::nan(""))).real()));
  extension ext;
  ext.type = -7;
  ext.data = {std::byte{1}, std::byte{2}};
  EXPECT_EQ(round_trip(value(ext)), value(ext));
  const value odd(map{{value(1), value("one")}, {value("two"), value(2)}});
  EXPECT_EQ(to_json(odd), R"({"$map":[[1,"one"],["two",2]]})");
  EXPECT_EQ(round_trip(odd), odd);
  const value twice(map{{value("k"), value(1)}, {value("k"), value(2)}});
  EXPECT_EQ(round_trip(twice), twice);
}

TEST(Json, PidsAndRefsAreTheirText) {
  const auto* life = intern_life("json@localhost", 31).or_exit();
  EXPECT_EQ(to_json(value(pid(life, 5))), "\"" + pid(life, 5).text() + "\"");
  EXPECT_EQ(to_json(value(ref(life, 6))), "\"" + ref(life, 6).text() + "\"");
}

TEST(Json, HostileTextIsNoCrash) {
  EXPECT_EQ(from_json("{").error(), errc::bad_message);
  EXPECT_EQ(from_json("").error(), errc::bad_message);
  EXPECT_EQ(from_json(std::string(100'000, '[')).error(), errc::too_large);
  EXPECT_EQ(from_json(R"({"$bytes":"=a=="})").or_exit(), map_of({{"$bytes", "=a=="}}));
  EXPECT_EQ(from_json(R"("[[[[")").or_exit(), value("[[[["));
  EXPECT_EQ(to_json(value(std::string("a\xff\n"))), "\"a\xef\xbf\xbd\\n\"");
  value deep;
  for (int i = 0; i < 1000; ++i) deep = list_of({deep});
  EXPECT_NE(to_json(deep).find("…"), std::string::npos);
}

}  // namespace
}  // namespace troupe::internal
