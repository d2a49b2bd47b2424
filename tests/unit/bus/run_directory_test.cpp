#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <troupe/bus/run_directory.hpp>
#include <troupe/bus/security.hpp>

#include "support/temp_dir.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
using bus::run_directory;

class RunDirectory : public testing::Test {
 protected:
  temp_dir folder_;
  std::shared_ptr<random_source> random_ = seeded_random(1);
  run_directory directory_ = run_directory::open((folder_ / "run").string()).value();
};

TEST_F(RunDirectory, IsMadePrivate) {
  struct stat about{};
  ASSERT_EQ(::stat((folder_ / "run").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700u);
}

TEST_F(RunDirectory, RefusesWhatOthersCouldReach) {
  std::filesystem::create_directory(folder_ / "open");
  ::chmod((folder_ / "open").c_str(), 0755);
  const auto open = run_directory::open((folder_ / "open").string());
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error(), errc::not_allowed);
  EXPECT_TRUE(open.error().text().contains("chmod 700")) << open.error().text();
  std::filesystem::create_symlink(folder_ / "run", folder_ / "link");
  const auto link = run_directory::open((folder_ / "link").string());
  ASSERT_FALSE(link);
  EXPECT_TRUE(link.error().text().contains("symbolic link"));
  const auto file = run_directory::open(folder_.write("file", "x").string());
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error(), errc::not_allowed);
}

TEST_F(RunDirectory, ANodeIsFoundWhileItLives) {
  auto claim = directory_.claim("a@host", *random_);
  ASSERT_TRUE(claim) << claim.error().message();
  EXPECT_EQ(directory_.lookup("a@host").error(), errc::noconnection);  // not announced yet
  ASSERT_TRUE((*claim)->announce({.creation = 9, .endpoints = {(*claim)->ipc()}, .application = "x", .version = "1"}));
  const auto found = directory_.lookup("a@host");
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->creation, 9u);
  EXPECT_EQ(found->os_pid, ::getpid());
  EXPECT_EQ(found->control_key, (*claim)->control_key());
  EXPECT_EQ(found->control_key.size(), 52u);
  EXPECT_EQ(found->endpoints, std::vector{(*claim)->ipc()});
  EXPECT_EQ(found->application, "x");
  const auto all = directory_.list();
  ASSERT_EQ(all->size(), 1u);
  EXPECT_TRUE(all->at(0).control_key.empty());
  struct stat about{};
  ASSERT_EQ(::stat((folder_ / "run/a@host.key").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);

  claim->reset();
  EXPECT_EQ(directory_.lookup("a@host").error(), errc::noproc);
  EXPECT_TRUE(directory_.list()->empty());
}

TEST_F(RunDirectory, ANameIsHeldOnce) {
  auto claim = directory_.claim("a@host", *random_);
  ASSERT_TRUE(claim);
  const auto second = directory_.claim("a@host", *random_, 50ms);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), errc::name_taken);
  EXPECT_TRUE(second.error().text().contains(std::to_string(::getpid()))) << second.error().text();
  EXPECT_TRUE(directory_.claim("b@host", *random_, 0ms));
  const auto key = (*claim)->control_key();
  claim->reset();
  auto next = directory_.claim("a@host", *random_, 0ms);
  ASSERT_TRUE(next);
  EXPECT_NE((*next)->control_key(), key);
}

TEST_F(RunDirectory, WhatADeadLifeLeftIsNotBelieved) {
  {
    auto claim = directory_.claim("a@host", *random_);
    ASSERT_TRUE((*claim)->announce({.creation = 1}));
    std::filesystem::copy_file(folder_ / "run/a@host.node", folder_ / "kept");
  }
  std::filesystem::copy_file(folder_ / "kept", folder_ / "run/a@host.node");  // as after kill -9
  const auto dead = directory_.lookup("a@host");
  ASSERT_FALSE(dead);
  EXPECT_EQ(dead.error(), errc::noproc);
  EXPECT_TRUE(dead.error().text().contains("without a goodbye"));
  EXPECT_TRUE(directory_.list()->empty());
  auto claim = directory_.claim("a@host", *random_);
  EXPECT_EQ(directory_.lookup("a@host").error(), errc::noconnection);
  folder_.write("run/b@host.node", "\xdd\xff\xff\xff\xff");  // rubbish is passed over
  EXPECT_TRUE(directory_.list());
}

TEST_F(RunDirectory, AMissingNodeNamesThoseThatLive) {
  auto claim = directory_.claim("a@host", *random_);
  ASSERT_TRUE((*claim)->announce({.creation = 1}));
  const auto missing = directory_.lookup("z@host");
  EXPECT_EQ(missing.error(), errc::noproc);
  EXPECT_TRUE(missing.error().text().contains("a@host")) << missing.error().text();
  EXPECT_EQ(directory_.lookup("../etc/passwd").error(), errc::bad_name);
  EXPECT_EQ(directory_.claim("../x@y", *random_).error(), errc::bad_name);
}

TEST_F(RunDirectory, LongPathsGetAShortSocketOrAClearError) {
  const auto middle = run_directory::open((folder_ / std::string(50, 'd')).string());
  ASSERT_TRUE(middle);
  auto claim = middle->claim(std::string(60, 'n') + "@host", *random_);
  ASSERT_TRUE(claim) << claim.error().message();
  EXPECT_LE((*claim)->ipc().host.size(), bus::longest_ipc_path);
  ASSERT_TRUE((*claim)->announce({.creation = 1, .endpoints = {(*claim)->ipc()}}));
  EXPECT_TRUE(middle->lookup(std::string(60, 'n') + "@host"));
  const auto deep = run_directory::open((folder_ / (std::string(100, 'd') + "/x")).string());
  ASSERT_TRUE(deep);
  const auto refused = deep->claim("a@host", *random_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::too_large);
  EXPECT_TRUE(refused.error().text().contains("TROUPE_RUN_DIR"));
}

// What a logout removes is no place for it: XDG_RUNTIME_DIR ends with the last session of a user.
TEST(RunDirectoryPath, DoesNotDependOnTheSession) {
  const char* before = std::getenv("TROUPE_RUN_DIR");
  const std::string chosen = before == nullptr ? "" : before;
  ::unsetenv("TROUPE_RUN_DIR");
  const std::string user = std::to_string(::geteuid());
  for (const char* variable : {"XDG_RUNTIME_DIR", "TMPDIR", "HOME"}) {
    const char* was = std::getenv(variable);
    const std::string kept = was == nullptr ? "" : was;
    ::setenv(variable, "/run/user/of-this-session", 1);
    EXPECT_EQ(bus::run_directory::default_path(), user == "0" ? "/run/troupe" : "/tmp/troupe-" + user) << variable;
    if (was == nullptr) ::unsetenv(variable);
    else ::setenv(variable, kept.c_str(), 1);
  }
  ::setenv("TROUPE_RUN_DIR", "/chosen", 1);
  EXPECT_EQ(bus::run_directory::default_path(), "/chosen");
  if (before == nullptr) ::unsetenv("TROUPE_RUN_DIR");
  else ::setenv("TROUPE_RUN_DIR", chosen.c_str(), 1);
}

TEST(Cookie, ComesFromTheFirstSourceThatIsGiven) {
  temp_dir home;
  auto random = seeded_random(2);
  EXPECT_EQ(bus::load_cookie({.home = home.str()}).error(), errc::not_found);
  const auto made = bus::load_or_create_cookie({.home = home.str()}, *random);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->value.size(), 52u);
  EXPECT_EQ(bus::load_or_create_cookie({.home = home.str()}, *random)->value, made->value);
  EXPECT_EQ(bus::load_cookie({.environment = "0123456789abcdef", .home = home.str()})->value, "0123456789abcdef");
  const auto file = home.write("c", "  fedcba9876543210 \n");
  ::chmod(file.c_str(), 0600);
  EXPECT_EQ(bus::load_cookie({.file = file.string(), .environment = "0123456789abcdef"})->value, "fedcba9876543210");
  EXPECT_EQ(bus::load_cookie({.file = "/nowhere/c", .home = home.str()}).error(), errc::io);
}

TEST(Cookie, RefusesWhatOthersCanReadAndWhatIsNoCookie) {
  temp_dir home;
  const auto file = home.write("c", "fedcba9876543210");
  ::chmod(file.c_str(), 0640);
  const auto readable = bus::load_cookie({.file = file.string()});
  ASSERT_FALSE(readable);
  EXPECT_EQ(readable.error(), errc::not_allowed);
  EXPECT_TRUE(readable.error().text().contains("chmod 600 " + file.string()));
  std::filesystem::create_symlink(file, home / "link");
  EXPECT_EQ(bus::load_cookie({.file = (home / "link").string()}).error(), errc::not_allowed);
  EXPECT_EQ(bus::load_cookie({.environment = "secret-token"})->value, "secret-token");  // good for one host
  EXPECT_EQ(bus::load_cookie({.environment = "  "}).error(), errc::bad_argument);
  const auto blanks = bus::load_cookie({.environment = "with blanks in its middle"});
  EXPECT_EQ(blanks.error(), errc::bad_argument);
  EXPECT_FALSE(blanks.error().text().contains("its middle"));
}

}  // namespace
}  // namespace troupe::test
