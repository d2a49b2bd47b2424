#include <troupe/error.hpp>

#include <gtest/gtest.h>

#include <troupe/codec.hpp>
#include <troupe/log_sink.hpp>

namespace troupe {
namespace {

TEST(Error, NamesAndKinds) {
  for (unsigned n = 0; n <= static_cast<unsigned>(errc::not_responding); ++n) {
    const auto code = static_cast<errc>(n);
    EXPECT_EQ(errc_from(to_string(code)), code) << n;
  }
  EXPECT_EQ(errc_from("nonsense"), errc::none);
  EXPECT_EQ(error(errc::timeout).message(), "timeout");
  EXPECT_EQ(error(errc::timeout, "no answer").message(), "timeout: no answer");
  EXPECT_EQ(error(static_cast<errc>(999)).name(), "error_999");
  EXPECT_EQ(kind_of(errc::timeout), error_kind::retry_later);
  EXPECT_EQ(kind_of(errc::noconnection), error_kind::reconnect);
  EXPECT_EQ(error(errc::noproc, "a"), error(errc::noproc, "b"));
  EXPECT_EQ(error(errc::noproc, "a"), errc::noproc);
}

TEST(Error, IsOneWordWithOrWithoutAText) {
  EXPECT_EQ(sizeof(error), sizeof(void*));
  error bare(errc::timeout);
  error with(errc::noproc, "who");
  for (const bool maybe : {true, false}) {
    EXPECT_EQ(bare.set_maybe_executed(maybe).maybe_executed(), maybe);
    EXPECT_EQ(with.set_maybe_executed(maybe).maybe_executed(), maybe);
    EXPECT_EQ(bare.code(), errc::timeout);
    EXPECT_EQ(with.code(), errc::noproc);
  }
  error copy = with;
  error moved = std::move(with);
  EXPECT_EQ(with.code(), errc::none);  // NOLINT(bugprone-use-after-move): it is a good error again
  EXPECT_EQ(copy.text(), "who");
  EXPECT_EQ(moved.message(), "noproc: who");
  copy = bare;
  EXPECT_TRUE(copy.text().empty());
  copy = static_cast<const error&>(copy);
  EXPECT_EQ(copy, errc::timeout);
  EXPECT_EQ(error(static_cast<errc>(65'535)).code(), static_cast<errc>(65'535));
  EXPECT_EQ(error(), errc::none);
}

TEST(Error, TravelsWhole) {
  error sent(static_cast<errc>(999), "from a newer peer");
  sent.set_maybe_executed(true);
  const error got = from_wire<error>(to_wire(sent)).value();
  EXPECT_EQ(got.name(), "error_999");
  EXPECT_EQ(got.text(), "from a newer peer");
  EXPECT_TRUE(got.maybe_executed());
  EXPECT_EQ(to_value(error(errc::timeout, "x")).print(),
            R"({code = 1, name = "timeout", text = "x", maybe_executed = false})");
  const value future = map_of({{"code", 3}, {"colour", list_of({1})}});
  EXPECT_EQ(from_value<error>(future).value(), errc::noconnection);
  EXPECT_EQ(from_value<error>(map_of({{"code", "x"}})).error().text(), "code: integer expected, text found");
  EXPECT_EQ(from_value<error>(map_of({{"code", 70000}})).error().code(), errc::bad_message);
}

TEST(Result, OrExit) {
  EXPECT_EQ(result<int>(5).or_exit(), 5);
  EXPECT_THROW((void)result<int>(errc::noproc).or_exit(), detail::exit_by_error);
  EXPECT_NO_THROW(result<void>().or_exit());
  try {
    (void)result<int>(errc::timeout, "late").or_exit();
    FAIL();
  } catch (const detail::exit_by_error& e) {
    EXPECT_EQ(e.cause.message(), "timeout: late");
    EXPECT_NE(std::string_view(e.where.file_name()).find("error_test"), std::string_view::npos);
  }
}

TEST(LogLevel, Text) {
  for (int n = 0; n < 8; ++n) {
    const auto level = static_cast<log_level>(n);
    EXPECT_EQ(parse_log_level(to_string(level)).value(), level);
  }
  EXPECT_EQ(to_string(log_level::warning), "warning");
  EXPECT_EQ(parse_log_level("loud").error().code(), errc::bad_argument);
  EXPECT_FALSE(parse_log_level(""));
}

}  // namespace
}  // namespace troupe
