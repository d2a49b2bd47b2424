// TROUPE_FIELDS by itself: which constructors it gives, and how many fields it takes.
#include <troupe/codec.hpp>

#include <gtest/gtest.h>

namespace troupe::test::fields {
namespace {

struct nothing {
  TROUPE_FIELDS(nothing)
};
struct single {
  std::string text;
  TROUPE_FIELDS(single, text)
};
struct couple {
  std::string text;
  std::int64_t number = 0;
  TROUPE_FIELDS(couple, text, number)
};

static_assert(nothing::troupe_field_count() == 0 && single::troupe_field_count() == 1);
static_assert(!std::is_aggregate_v<nothing> && !std::is_aggregate_v<single> && !std::is_aggregate_v<couple>);
static_assert(std::is_constructible_v<single, std::string> && !std::is_convertible_v<std::string, single>);
static_assert(std::is_constructible_v<single, const char*> && !std::is_convertible_v<const char*, single>);
static_assert(std::is_convertible_v<single, single>);

couple from_list() { return {"several fields are named by the type that is returned", 1}; }

#define TEN(x) x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9
#define FIFTY(x) TEN(x##0), TEN(x##1), TEN(x##2), TEN(x##3), TEN(x##4)
#define FIELDS FIFTY(a), FIFTY(b), FIFTY(c), FIFTY(d), FIFTY(e), e50, e51, e52, e53, e54, e55
struct widest {
  std::int64_t FIELDS;
  TROUPE_FIELDS(widest, FIELDS)
};
static_assert(widest::troupe_field_count() == 256);
#undef TEN
#undef FIFTY
#undef FIELDS

TEST(Fields, SeveralConvertFromAList) { EXPECT_EQ(from_list().number, 1); }

TEST(Fields, TwoHundredAndFiftySixTravel) {
  widest in{};
  std::int64_t number = 0;
  widest::troupe_each(in, [&number](std::string_view, std::int64_t& field) {
    field = ++number;
    return true;
  });
  const auto out = from_wire<widest>(to_wire(in));
  ASSERT_TRUE(out) << out.error().message();
  EXPECT_EQ(out->a00, 1);
  EXPECT_EQ(out->c00, 101);
  EXPECT_EQ(out->e55, 256);
}

}  // namespace
}  // namespace troupe::test::fields
