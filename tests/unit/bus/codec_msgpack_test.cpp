// Our reader and msgpack-cxx must see the same in whatever our writer writes. Its unpacker has no place in the library:
// it trusts the lengths that it reads.
#include <troupe/codec.hpp>

#include <gtest/gtest.h>

// GCC 12 takes the zone's malloc for a `new` once it is inlined.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#include <msgpack.hpp>

#include <cstring>

#include "random_value.hpp"

namespace troupe {
namespace {

bool same(const value& ours, const msgpack::object& theirs) {
  using kind = value::kind;
  auto same_bytes = [](const auto& a, const char* data, std::size_t size) {
    return a.size() == size && (size == 0 || std::memcmp(a.data(), data, size) == 0);
  };
  switch (ours.type()) {
    case kind::nil: return theirs.type == msgpack::type::NIL;
    case kind::boolean: return theirs.type == msgpack::type::BOOLEAN && theirs.via.boolean == *ours.boolean();
    case kind::integer:
      if (*ours.integer() < 0)
        return theirs.type == msgpack::type::NEGATIVE_INTEGER && theirs.via.i64 == *ours.integer();
      return theirs.type == msgpack::type::POSITIVE_INTEGER &&
             theirs.via.u64 == static_cast<std::uint64_t>(*ours.integer());
    case kind::unsigned_integer:
      return theirs.type == msgpack::type::POSITIVE_INTEGER && theirs.via.u64 == *ours.unsigned_integer();
    case kind::real: return theirs.type == msgpack::type::FLOAT64 && theirs.via.f64 == *ours.real();
    case kind::text:
      return theirs.type == msgpack::type::STR && same_bytes(*ours.text(), theirs.via.str.ptr, theirs.via.str.size);
    case kind::bytes:
      return theirs.type == msgpack::type::BIN && same_bytes(*ours.binary(), theirs.via.bin.ptr, theirs.via.bin.size);
    case kind::list: {
      if (theirs.type != msgpack::type::ARRAY || theirs.via.array.size != ours.items()->size()) return false;
      for (std::uint32_t i = 0; i < theirs.via.array.size; ++i) {
        if (!same(ours.items()->at(i), theirs.via.array.ptr[i])) return false;
      }
      return true;
    }
    case kind::map: {
      if (theirs.type != msgpack::type::MAP || theirs.via.map.size != ours.entries()->size()) return false;
      for (std::uint32_t i = 0; i < theirs.via.map.size; ++i) {
        const auto& [key, item] = ours.entries()->at(i);
        if (!same(key, theirs.via.map.ptr[i].key) || !same(item, theirs.via.map.ptr[i].val)) return false;
      }
      return true;
    }
    case kind::pid: return theirs.type == msgpack::type::EXT && theirs.via.ext.type() == 1;
    case kind::ref: return theirs.type == msgpack::type::EXT && theirs.via.ext.type() == 2;
    case kind::ext:
      return theirs.type == msgpack::type::EXT && theirs.via.ext.type() == ours.ext()->type &&
             same_bytes(ours.ext()->data, theirs.via.ext.data(), theirs.via.ext.size);
  }
  return false;
}

TEST(CodecMsgpack, BothReadersAgree) {
  const std::uint64_t seed = testing_bus::test_seed();
  SCOPED_TRACE("TROUPE_SEED=" + std::to_string(seed));
  testing_bus::value_maker maker(seed);
  limits budget;
  budget.value_nodes = 1u << 22;
  for (int i = 0; i < 500; ++i) {
    const bytes wire = to_wire(maker.make());
    const value ours = from_wire<value>(wire, budget).value();
    const auto theirs = msgpack::unpack(reinterpret_cast<const char*>(wire.data()), wire.size());
    ASSERT_TRUE(same(ours, theirs.get())) << ours.print();
  }
}

TEST(CodecMsgpack, WeReadWhatItWrites) {
  const std::tuple<int, std::string, std::vector<double>, std::map<std::string, bool>> sent(-5, "x", {0.5, 2.25},
                                                                                            {{"a", true}});
  msgpack::sbuffer out;
  msgpack::pack(out, sent);
  const auto got = from_wire<std::decay_t<decltype(sent)>>(std::as_bytes(std::span(out.data(), out.size())));
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(*got, sent);
}

}  // namespace
}  // namespace troupe
