#include <sys/stat.h>

#include <gtest/gtest.h>

#include <troupe/bus/security.hpp>

#include "support/temp_dir.hpp"
#include "tools/troupe/command.hpp"

namespace {

using namespace troupe;

struct outcome {
  int status;
  std::string out, err;
};

outcome keygen(std::vector<std::string> words) {
  words.insert(words.begin(), "keygen");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  outcome got;
  got.status = tool::dispatch(tool::commands(), std::move(words));
  got.out = testing::internal::GetCapturedStdout();
  got.err = testing::internal::GetCapturedStderr();
  return got;
}

TEST(Keygen, PrintsAnotherCookieEachTime) {
  const outcome one = keygen({});
  const outcome two = keygen({});
  EXPECT_EQ(one.status, internal::exit_ok);
  EXPECT_EQ(one.out.size(), 53u);
  EXPECT_TRUE(one.out.ends_with('\n'));
  EXPECT_TRUE(bus::check_strength(one.out.substr(0, 52)));
  EXPECT_NE(one.out, two.out);
  EXPECT_EQ(one.err + two.err, "");
}

TEST(Keygen, WritesAFileForItsOwnerAndNeverOverOne) {
  test::temp_dir folder;
  const std::string path = (folder / "cookie").string();
  const outcome made = keygen({"--file", path});
  EXPECT_EQ(made.status, internal::exit_ok);
  EXPECT_EQ(made.out + made.err, "");  // the cookie is nowhere else
  struct stat about{};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
  const auto kept = bus::load_cookie({.file = path});
  ASSERT_TRUE(kept) << kept.error().message();
  EXPECT_TRUE(bus::check_strength(kept->value));

  const outcome again = keygen({"--file", path});
  EXPECT_EQ(again.status, internal::exit_refused);
  EXPECT_NE(again.err.find(path + " exists"), std::string::npos) << again.err;
  EXPECT_EQ(bus::load_cookie({.file = path})->value, kept->value);
  const outcome nowhere = keygen({"--file", (folder / "missing" / "cookie").string()});
  EXPECT_EQ(nowhere.status, internal::exit_failed);
  EXPECT_NE(nowhere.err.find("No such file or directory"), std::string::npos) << nowhere.err;
}

TEST(Keygen, UsageAndHelp) {
  EXPECT_EQ(keygen({"--fil", "x"}).status, internal::exit_usage);
  EXPECT_EQ(keygen({"word"}).status, internal::exit_usage);
  const outcome help = keygen({"--help"});
  EXPECT_EQ(help.status, internal::exit_ok);
  EXPECT_NE(help.out.find("troupe keygen --file"), std::string::npos);
}

}  // namespace
