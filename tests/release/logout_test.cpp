// Whoever started a daemon logs out: the terminal is hung up, its session gets SIGHUP, its run directory is removed.
// The daemon lives, is found, and keeps its name.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "support/paths.hpp"
#include "support/program.hpp"
#include "support/temp_dir.hpp"
#include "support/terminal.hpp"

namespace troupe::test {
namespace {

// What /proc/PID/stat says behind the name of the program: its state first.
std::vector<std::string> stat_fields(pid_t pid) {
  std::string text = read_file("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream rest(text.substr(text.rfind(')') + 1));
  std::vector<std::string> out;
  for (std::string word; rest >> word;) out.push_back(word);
  return out;
}

class Logout : public testing::Test {
 protected:
  void TearDown() override { run_program({script_, "stop", "--timeout", "10s", "--kill"}, environment()); }

  // As of a user who has logged in: what belongs to the session lies in a directory that the logout removes.
  program_options environment() const {
    program_options how;
    how.environment["TROUPE_RUN_DIR"] = run_.str();
    how.environment["HOME"] = home_.str();
    how.environment["RELEASE_TMP"] = (home_ / "tmp").string();
    how.environment["XDG_RUNTIME_DIR"] = session_.string();
    how.environment["TMPDIR"] = (session_ / "tmp").string();
    how.environment["PS1"] = "login> ";
    how.environment["TROUPE_COOKIE"] = std::nullopt;
    how.environment["NOTIFY_SOCKET"] = std::nullopt;
    how.directory = home_.str();
    return how;
  }
  std::unique_ptr<terminal> log_in() const {
    std::filesystem::create_directories(session_ / "tmp");
    return std::make_unique<terminal>(std::vector<std::string>{"/bin/sh", "-i"},
                                      terminal_options{.columns = 160, .child = environment()});
  }
  // Closes the terminal, tells everybody of its session, and waits until its shell is gone.
  void log_out(terminal& tty) const {
    const pid_t session = tty.pid();
    tty.hang_up();
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const pid_t pid = std::atoi(entry.path().filename().c_str());
      if (pid > 0 && ::getsid(pid) == session) ::kill(pid, SIGHUP);
    }
    EXPECT_TRUE(tty.wait_exit().has_value());
    std::filesystem::remove_all(session_);
  }
  outcome release(std::vector<std::string> words) const {
    words.insert(words.begin(), script_);
    return run_program(words, environment());
  }
  pid_t daemon() const { return std::atoi(release({"pid"}).out.c_str()); }

  // It serves, is listed, and nobody else gets its name.
  void expect_served() const {
    const outcome pinged = release({"ping"});
    EXPECT_EQ(pinged.exit_code, 0) << pinged.err;
    EXPECT_EQ(release({"rpc", "exercise.calculator.push", "5"}).out, "5.0\n");
    EXPECT_NE(release({"names"}).out.find("exercise@localhost"), std::string::npos);
    const auto next = log_in();  // somebody logs in again
    next->type_line(script_ + " daemon; echo code=$?");
    EXPECT_TRUE(next->wait_text("code=1")) << next->transcript();
    EXPECT_NE(next->transcript().find("name_taken"), std::string::npos) << next->transcript();
    log_out(*next);
    EXPECT_EQ(release({"ping"}).exit_code, 0);
  }

  temp_dir run_, home_;
  std::filesystem::path session_ = home_ / "session";
  std::string script_ = build_dir() + "/rel/exercise/bin/exercise";
};

TEST_F(Logout, OfTheTerminalThatStartedADaemonLeavesItFoundAndItsNameTaken) {
  auto tty = log_in();
  tty->type_line(script_ + " daemon --set exercise.tick=1h; echo code=$?");
  ASSERT_TRUE(tty->wait_text("code=0")) << tty->transcript();
  const pid_t pid = daemon();
  ASSERT_GT(pid, 0);
  // It has nothing of that session: no terminal, no descriptor, no place in it.
  EXPECT_NE(::getsid(pid), tty->pid());
  EXPECT_EQ(stat_fields(pid).at(4), "0");  // tty_nr
  for (const auto& one : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    const std::string to = std::filesystem::read_symlink(one.path()).string();
    EXPECT_FALSE(to.starts_with("/dev/pts/") || to.starts_with(session_.string())) << to;
  }
  log_out(*tty);
  EXPECT_FALSE(std::filesystem::exists(session_));
  expect_served();
  ::kill(pid, SIGHUP);  // were it told too
  expect_served();
  EXPECT_EQ(daemon(), pid);
  const outcome stopped = release({"stop"});
  EXPECT_EQ(stopped.exit_code, 0) << stopped.err;
  EXPECT_EQ(stopped.out, "exercise@localhost: stopped\n");
  EXPECT_FALSE(std::filesystem::exists("/proc/" + std::to_string(pid) + "/exe"));
  EXPECT_EQ(release({"ping"}).exit_code, 3);
}

// `daemon --no-wait` has returned, and what it left in the background may not even have started the node yet.
TEST_F(Logout, AtOnceAfterADaemonWasAskedForDoesNotEndIt) {
  auto tty = log_in();
  tty->type_line(script_ + " daemon --no-wait --set exercise.tick=1h; exit");
  ASSERT_TRUE(tty->wait_exit().has_value());
  log_out(*tty);
  ASSERT_TRUE(wait_until([&] { return release({"ping"}).exit_code == 0; }));
  expect_served();
  EXPECT_EQ(release({"stop"}).exit_code, 0);
}

}  // namespace
}  // namespace troupe::test
