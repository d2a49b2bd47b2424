#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

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
  std::filesystem::create_symlink(file, home / "link");  // followed, to what is refused all the same
  EXPECT_EQ(bus::load_cookie({.file = (home / "link").string()}).error(), errc::not_allowed);
  EXPECT_EQ(bus::load_cookie({.environment = "secret-token"})->value, "secret-token");  // good for one host
  EXPECT_EQ(bus::load_cookie({.environment = "  "}).error(), errc::bad_argument);
  const auto blanks = bus::load_cookie({.environment = "with blanks in its middle"});
  EXPECT_EQ(blanks.error(), errc::bad_argument);
  EXPECT_FALSE(blanks.error().text().contains("its middle"));
}

// A cleaner of tmp: systemd-tmpfiles asks for this lock and passes by what it does not get.
TEST_F(RunDirectory, ACleanerFindsItLockedWhileANodeLives) {
  const auto exclusive = [this] {
    const int fd = ::open((folder_ / "run").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool got = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
    ::close(fd);
    return got;
  };
  auto a = directory_.claim("a@host", *random_);
  auto b = directory_.claim("b@host", *random_);
  ASSERT_TRUE(a && b);
  EXPECT_FALSE(exclusive());
  a->reset();
  EXPECT_FALSE(exclusive());
  b->reset();
  EXPECT_TRUE(exclusive());
}

TEST_F(RunDirectory, ANameIsHeldWithoutItsFiles) {
  auto claim = directory_.claim("a@host", *random_);
  ASSERT_TRUE(claim);
  for (const bool folder_too : {false, true}) {
    if (folder_too) std::filesystem::remove_all(folder_ / "run");
    else std::filesystem::remove(folder_ / "run/a@host.lock");
    auto again = run_directory::open((folder_ / "run").string());
    ASSERT_TRUE(again);
    const auto second = again->claim("a@host", *random_, 50ms);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error(), errc::name_taken);
    EXPECT_TRUE(second.error().text().contains(std::to_string(::getpid()))) << second.error().text();
    EXPECT_TRUE(again->claim("b@host", *random_, 0ms));
  }
  claim->reset();
  EXPECT_TRUE(directory_.claim("a@host", *random_, 0ms));
}

TEST_F(RunDirectory, WhatIsMissingIsMadeAgain) {
  using loss = bus::name_claim::loss;
  auto made = directory_.claim("a@host", *random_);
  ASSERT_TRUE(made);
  bus::name_claim& claim = **made;
  const auto announce = [&] {
    std::ofstream(claim.ipc().host) << "socket";
    ASSERT_TRUE(claim.announce({.creation = 9, .endpoints = {claim.ipc()}}));
  };
  announce();
  EXPECT_EQ(claim.look_after().value(), loss::none);
  for (const char* ending : {"node", "key", "lock"}) {
    std::filesystem::remove(folder_ / "run" / (std::string("a@host.") + ending));
    EXPECT_FALSE(directory_.lookup("a@host")) << ending;
    EXPECT_EQ(claim.look_after().value(), loss::files) << ending;
    announce();
    EXPECT_TRUE(directory_.lookup("a@host")) << ending;
    EXPECT_EQ(claim.look_after().value(), loss::none) << ending;
  }
  std::filesystem::remove(claim.ipc().host);
  EXPECT_EQ(claim.look_after().value(), loss::socket);
  std::filesystem::remove_all(folder_ / "run");
  EXPECT_EQ(claim.look_after().value(), loss::socket);
  announce();
  EXPECT_EQ(claim.look_after().value(), loss::none);
  EXPECT_TRUE(directory_.lookup("a@host"));
  EXPECT_FALSE(directory_.claim("a@host", *random_, 0ms));
}

// `work` as a user without rights, in a process of its own; true when it says so.
bool as_user(uid_t user, const std::function<bool()>& work) {
  const pid_t child = ::fork();
  if (child == 0) std::_Exit(::setuid(user) == 0 && work() ? 0 : 1);
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(RunDirectory, AUsersNodesAreInTheSessionsFolder) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  constexpr uid_t user = 54'321;
  ::chmod(folder_.str().c_str(), 0755);
  const auto session = folder_ / "session";
  std::filesystem::create_directory(session);
  ASSERT_EQ(::chown(session.c_str(), user, user), 0);
  ::chmod(session.c_str(), 0700);
  const std::string fallback = "/tmp/troupe-" + std::to_string(user);
  std::filesystem::remove_all(fallback);
  ::unsetenv("TROUPE_RUN_DIR");
  EXPECT_TRUE(as_user(user, [&] {
    ::setenv("XDG_RUNTIME_DIR", session.c_str(), 1);
    return run_directory::default_path() == session.string() + "/troupe" && run_directory::open();
  }));
  EXPECT_TRUE(as_user(user, [&] {
    ::setenv("XDG_RUNTIME_DIR", folder_.str().c_str(), 1);  // not that user's
    return run_directory::default_path() == fallback;
  }));
  // One that cron has started is found from the session, and its name is taken there.
  EXPECT_TRUE(as_user(user, [&] {
    ::unsetenv("XDG_RUNTIME_DIR");
    auto old = run_directory::open();
    auto random = seeded_random(2);
    auto held = old->claim("a@host", *random);
    if (!held || !(*held)->announce({.creation = 9})) return false;
    ::setenv("XDG_RUNTIME_DIR", session.c_str(), 1);
    auto now = run_directory::open();
    return now && now->path() != old->path() && now->lookup("a@host") && now->list()->size() == 1 &&
           !now->claim("a@host", *random, 0ms) && now->claim("b@host", *random, 0ms);
  }));
  std::filesystem::remove_all(fallback);
}

TEST_F(RunDirectory, RootLooksAndAsksEverywhereButHasItsNodesElsewhere) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  constexpr uid_t user = 54'322;
  ::chmod(folder_.str().c_str(), 0755);
  const auto run = folder_ / "theirs";
  std::filesystem::create_directory(run);
  ASSERT_EQ(::chown(run.c_str(), user, user), 0);
  ::chmod(run.c_str(), 0700);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto random = seeded_random(2);
    char byte = 0;
    if (::setuid(user) != 0) std::_Exit(1);
    auto theirs = run_directory::open(run.string());
    auto held = theirs->claim("a@host", *random);
    const bool told = held && (*held)->announce({.creation = 9});
    (void)!::write(ends[1], told ? "y" : "n", 1);
    ::close(ends[1]);
    for (;;) ::pause();
    std::_Exit(byte);
  }
  ::close(ends[1]);
  char told = 0;
  ASSERT_EQ(::read(ends[0], &told, 1), 1);
  ::close(ends[0]);
  EXPECT_EQ(told, 'y');
  auto directory = run_directory::open(run.string());
  ASSERT_TRUE(directory) << directory.error().message();
  const auto found = directory->lookup("a@host");
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_FALSE(found->control_key.empty());
  const auto refused = directory->claim("b@host", *random_, 0ms);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::not_allowed);
  // And that user's advice is right when it is the other way round.
  EXPECT_TRUE(as_user(user + 1, [&] {
    const auto closed = run_directory::open(run.string());
    return !closed && closed.error().text().contains("root");
  }));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace troupe::test
