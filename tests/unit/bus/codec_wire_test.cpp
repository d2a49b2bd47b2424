// The wire reader against bytes that no writer of ours makes, and the limits of bus/DESIGN.md, Values.
#include <troupe/wire.hpp>

#include <gtest/gtest.h>

#include <troupe/codec.hpp>

#include "random_value.hpp"

namespace troupe {
namespace {

bytes raw(std::initializer_list<int> numbers) {
  bytes made;
  for (int n : numbers) made.push_back(static_cast<std::byte>(n));
  return made;
}

error refused(const bytes& in, const limits& budget = {}) {
  auto got = from_wire<value>(in, budget);
  EXPECT_FALSE(got);
  wire_source skipping(in, budget);
  EXPECT_FALSE(skipping.skip() && skipping.at_end());
  return got ? error() : got.error();
}

TEST(Wire, EveryTypeThereAndBack) {
  const std::uint64_t seed = testing_bus::test_seed();
  SCOPED_TRACE("TROUPE_SEED=" + std::to_string(seed));
  testing_bus::value_maker maker(seed);
  for (int i = 0; i < 2000; ++i) {
    const value v = maker.make();
    const bytes wire = to_wire(v);
    limits budget;
    budget.value_nodes = 1u << 22;
    auto back = from_wire<value>(wire, budget);
    ASSERT_TRUE(back) << back.error().message() << " in " << v.print();
    ASSERT_EQ(*back, v) << v.print();
    wire_source skipping(wire, budget);
    ASSERT_TRUE(skipping.skip() && skipping.at_end()) << v.print();
    value copied;
    auto w = value_writer(copied);
    static_cast<writer&>(*w).writer::put_value(v);  // node by node
    ASSERT_EQ(copied, v);
    auto r = value_reader(v);
    value read;
    ASSERT_TRUE(r->reader::read_value(read));
    ASSERT_EQ(read, v);
  }
}

TEST(Wire, EveryCutIsRefused) {
  const std::uint64_t seed = testing_bus::test_seed();
  SCOPED_TRACE("TROUPE_SEED=" + std::to_string(seed));
  testing_bus::value_maker maker(seed);
  for (int i = 0; i < 100; ++i) {
    bytes wire = to_wire(maker.make(2));
    if (wire.size() > 5000) continue;
    for (std::size_t size = 0; size < wire.size(); ++size) {
      ASSERT_FALSE(from_wire<value>(std::span(wire).first(size)));
    }
    wire.push_back({});
    ASSERT_EQ(from_wire<value>(wire).error().text(), "trailing bytes after the value");
  }
}

TEST(Wire, AnyFormOfAnIntegerIsRead) {
  EXPECT_EQ(from_wire<int>(raw({0xcf, 0, 0, 0, 0, 0, 0, 0, 5})).value(), 5);
  EXPECT_EQ(from_wire<int>(raw({0xd3, 0, 0, 0, 0, 0, 0, 0, 5})).value(), 5);
  EXPECT_EQ(from_wire<unsigned>(raw({0xd1, 0, 5})).value(), 5u);
  EXPECT_EQ(from_wire<int>(raw({0xd0, 0xff})).value(), -1);
  EXPECT_EQ(from_wire<int>(raw({0xd2, 0xff, 0xff, 0xff, 0xfe})).value(), -2);
  EXPECT_EQ(from_wire<int>(raw({0xe0})).value(), -32);
  EXPECT_EQ(from_wire<std::int64_t>(raw({0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0})).value(), INT64_MIN);
  EXPECT_EQ(from_wire<value>(raw({0xcd, 0xff, 0xff})).value(), value(65535));
  EXPECT_EQ(from_wire<double>(raw({0xca, 0x3f, 0x80, 0, 0})).value(), 1.0);
  EXPECT_EQ(to_wire(std::uint64_t{127}).size(), 1u);
  EXPECT_EQ(to_wire(std::int64_t{200}).size(), 2u);
  EXPECT_EQ(to_wire(std::int64_t{-32}).size(), 1u);
}

TEST(Wire, FiveBytesDoNotAllocate) {
  const error e = refused(raw({0xdd, 0x0f, 0xff, 0xff, 0xff}));
  EXPECT_EQ(e.message(), "bad_message: list of 268435455 in 0 bytes");
  EXPECT_EQ(refused(raw({0xdf, 0xff, 0xff, 0xff, 0xff, 1})).code(), errc::bad_message);
  EXPECT_EQ(refused(raw({0xdb, 0xff, 0xff, 0xff, 0xff, 1})).code(), errc::bad_message);
  EXPECT_EQ(refused(raw({0xc6, 0xff, 0xff, 0xff, 0xff, 1})).code(), errc::bad_message);
  EXPECT_EQ(refused(raw({0xc9, 0xff, 0xff, 0xff, 0xff, 1})).code(), errc::bad_message);
  EXPECT_EQ(refused(raw({0x82, 1, 2, 3})).code(), errc::bad_message);  // two entries need four bytes
}

TEST(Wire, DepthIsLimited) {
  EXPECT_EQ(refused(bytes(3'000'000, std::byte{0x91})).code(), errc::too_large);
  bytes nested(64, std::byte{0x91});
  nested.back() = std::byte{0x90};
  EXPECT_TRUE(from_wire<value>(nested));
  nested.insert(nested.begin(), std::byte{0x91});
  EXPECT_EQ(refused(nested).code(), errc::too_large);
  limits generous;
  generous.depth = 1'000'000;  // no more than the reader can follow
  EXPECT_EQ(refused(bytes(3'000'000, std::byte{0x91}), generous).code(), errc::too_large);
  bytes siblings{std::byte{0xdc}, std::byte{0x03}, std::byte{0xe8}};  // a thousand lists beside each other are not deep
  for (int i = 0; i < 1000; ++i) siblings.insert(siblings.end(), {std::byte{0x91}, std::byte{0x90}});
  EXPECT_TRUE(from_wire<value>(siblings));
}

TEST(Wire, NodesAreLimitedOverAllContainers) {
  limits few;
  few.value_nodes = 1000;
  bytes wire{std::byte{0xdc}, std::byte{0x00}, std::byte{0x14}};  // 20 lists of 60: each is under the limit
  for (int i = 0; i < 20; ++i) {
    wire.insert(wire.end(), {std::byte{0xdc}, std::byte{0x00}, std::byte{0x3c}});
    wire.insert(wire.end(), 60, std::byte{0x01});
  }
  EXPECT_EQ(refused(wire, few).code(), errc::too_large);
  EXPECT_TRUE(from_wire<value>(wire));
  bytes huge{std::byte{0xdd}, std::byte{0x00}, std::byte{0x10}, std::byte{0x00}, std::byte{0x00}};
  huge.insert(huge.end(), 1u << 20, std::byte{0xc0});
  EXPECT_EQ(refused(huge).code(), errc::too_large);
}

TEST(Wire, WhatMsgpackNeverUsesIsRefused) {
  EXPECT_EQ(refused(raw({0xc1})).code(), errc::bad_message);
  EXPECT_EQ(refused(raw({0x91, 0xc1})).text(), "[0]: nil expected, byte 0xc1 found, which msgpack never uses");
  EXPECT_EQ(refused({}).text(), "nil expected, end of the bytes found");
}

TEST(Wire, PidsAreChecked) {
  const pid p(*intern_life("n@h", 300), 2);
  const bytes good = to_wire(p);
  EXPECT_EQ(good, raw({0xc7, 9, 1, 0x93, 0xa3, 'n', '@', 'h', 0xcd, 0x01, 0x2c, 2}));
  EXPECT_EQ(from_wire<pid>(good).value(), p);
  EXPECT_EQ(to_wire(pid()), raw({0xd6, 1, 0x93, 0xa0, 0, 0}));
  EXPECT_EQ(from_wire<pid>(to_wire(pid())).value(), pid());
  EXPECT_EQ(from_wire<ref>(to_wire(ref(nullptr, 8))).value(), ref(nullptr, 8));
  for (const bytes& bad :
       {raw({0xc7, 0, 1}), raw({0xd4, 1, 0x93}), raw({0xd6, 1, 0x93, 0xa0, 1, 0}),
        raw({0xc7, 6, 1, 0x93, 0xa1, 'n', 1, 2, 3}), raw({0xc7, 7, 1, 0x93, 0xa3, 'n', '@', 'h', 1, 0xff}),
        raw({0xc7, 7, 1, 0x93, 0xa3, 'n', ' ', 'h', 1, 1}), raw({0xd6, 1, 0x90, 0xa0, 0, 0})}) {
    EXPECT_FALSE(from_wire<value>(bad));
    EXPECT_EQ(from_wire<pid>(bad).error().code(), errc::bad_message);
  }
}

TEST(Wire, UnknownExtensionsAreKept) {
  for (const bytes& wire :
       {raw({0xd4, 5, 1}), raw({0xd6, 0xff, 1, 2, 3, 4}), raw({0xc7, 3, 100, 1, 2, 3}), raw({0xc7, 0, 3})}) {
    auto got = from_wire<value>(wire);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->type(), value::kind::ext);
    EXPECT_EQ(to_wire(*got), wire);
  }
}

TEST(Wire, SeveralValuesInOneBuffer) {
  wire_buffer out;
  encode_wire(1, out);
  encode_wire(list_of({list_of({})}), out);
  encode_wire(std::string("end"), out);
  auto r = wire_reader(out.data());
  std::int64_t number = 0;
  ASSERT_TRUE(r->read_int(number));
  EXPECT_EQ(wire_position(*r), 1u);
  value v;
  ASSERT_TRUE(r->read_value(v));
  EXPECT_EQ(wire_position(*r), 3u);
  ASSERT_TRUE(r->skip());
  EXPECT_EQ(wire_position(*r), out.size());
  EXPECT_FALSE(r->skip());
}

TEST(Wire, TheFirstErrorSticks) {
  const bytes wire = to_wire(list_of({"x", 5}));
  wire_source r(wire);
  std::size_t count = 0;
  std::int64_t number = 0;
  std::string_view text;
  ASSERT_TRUE(r.begin_list(count));
  EXPECT_FALSE(r.read_int(number));
  EXPECT_FALSE(r.read_text(text));
  EXPECT_EQ(r.peek(), value::kind::nil);
  EXPECT_FALSE(r.fail("later"));
  EXPECT_FALSE(r.skip());
  EXPECT_EQ(r.failure().text(), "integer expected, text found");
}

}  // namespace
}  // namespace troupe
