// What whoever starts a program leaves it with: closed descriptors, variables of another start, a name in `ps`.
#include "tools_support.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "observe/json.hpp"

namespace {

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

class Daemon : public ToolTest {
 protected:
  // `sh -c 'exec "$0" "$@" HOW' sample WORDS…`: as somebody's script would.
  outcome sample_by(const std::string& how, std::vector<std::string> words,
                    std::map<std::string, std::optional<std::string>> variables = {}) {
    words.insert(words.begin(), {"/bin/sh", "-c", "exec \"$0\" \"$@\" " + how, sample_path()});
    program_options options = environment();
    for (auto& [name, text] : variables) options.environment[name] = text;
    return run_program(words, options);
  }
  pid_t holder() {
    auto shown = internal::from_json(tool({"names", "--json"}).out);
    return shown && shown->items() && !shown->items()->empty()
               ? static_cast<pid_t>(shown->items()->front().integer_at("pid"))
               : 0;
  }
  static std::string opened(pid_t pid, int fd) {
    std::error_code failed;
    auto out = std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd), failed);
    return failed ? failed.message() : out.string();
  }
  std::string log() const { return home_.str() + "/sample.log"; }
};

TEST_F(Daemon, StartsWithItsDescriptorsClosed) {
  for (const char* closed : {"<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"}) {
    outcome got = sample_by(closed, {"--daemon", "--log-file", log()});
    ASSERT_EQ(got.exit_code, 0) << closed << got.out << got.err;
    const pid_t os_pid = holder();
    ASSERT_GT(os_pid, 0) << closed;
    EXPECT_EQ(opened(os_pid, 0), "/dev/null") << closed;
    EXPECT_EQ(opened(os_pid, 1), log()) << closed;
    EXPECT_EQ(opened(os_pid, 2), log()) << closed;
    EXPECT_EQ(tool({"stop", "sample"}).exit_code, 0);
  }
}

TEST_F(Daemon, AProgramInTheForegroundWritesItsLogIntoNothingOfItsOwn) {
  program node({"/bin/sh", "-c", "exec \"$0\" <&- >&- 2>&-", sample_path()}, environment());
  ASSERT_TRUE(wait_until([&] { return tool({"ping", "sample"}).exit_code == 0; }));
  for (int fd = 0; fd <= 2; ++fd) EXPECT_EQ(opened(node.pid(), fd), "/dev/null") << fd;
  node.signal(SIGTERM);
  EXPECT_EQ(node.wait_exit(), 0);
}

TEST_F(Daemon, TheVariablesOfAnotherStartAreNotItsOwn) {
  // 9 is nobody's; 0 is no pipe of ours; and a daemon that starts a daemon.
  for (const char* number : {"9", "0", "nonsense", "3"}) {
    outcome got =
        sample_by("", {"--daemon", "--log-file", log()}, {{"TROUPE_READY_FD", number}, {"TROUPE_DAEMON", ""}});
    ASSERT_EQ(got.exit_code, 0) << number << got.out << got.err;
    EXPECT_NE(got.out.find("sample@localhost is ready"), std::string::npos) << got.out;
    EXPECT_EQ(tool({"stop", "sample"}).exit_code, 0);
  }
}

// Where a crash's last words go: into the log that there is now, whoever rotated it.
TEST_F(Daemon, ItsStandardErrorStaysTheLog) {
  ASSERT_EQ(sample_by("", {"--daemon", "--log-file", log()}).exit_code, 0);
  const pid_t os_pid = holder();
  ASSERT_GT(os_pid, 0);
  std::filesystem::rename(log(), log() + ".moved");
  kill(os_pid, SIGHUP);  // it logs that
  ASSERT_TRUE(wait_until(
      [&] { return std::filesystem::exists(log()) && read_file(log()).find("SIGHUP") != std::string::npos; }));
  EXPECT_EQ(opened(os_pid, 1), log());
  EXPECT_EQ(opened(os_pid, 2), log());
  EXPECT_EQ(tool({"stop", "sample"}).exit_code, 0);
}

TEST_F(Daemon, IsNamedAfterItsProgram) {
  ASSERT_EQ(sample_by("", {"--daemon", "--log-file", log()}).exit_code, 0);
  const pid_t os_pid = holder();
  ASSERT_GT(os_pid, 0);
  const std::string expected = std::filesystem::path(sample_path()).filename().string().substr(0, 15);
  EXPECT_EQ(read_file("/proc/" + std::to_string(os_pid) + "/comm"), expected + "\n");
  EXPECT_TRUE(read_file("/proc/" + std::to_string(os_pid) + "/cmdline").starts_with(sample_path()));
  EXPECT_EQ(tool({"stop", "sample"}).exit_code, 0);
}

// systemd-tmpfiles with an age on the folder, or somebody's rm.
TEST_F(Daemon, IsFoundAgainWhenItsFilesWereRemoved) {
  auto node = start_sample();
  for (const bool folder_too : {false, true}) {
    if (folder_too) std::filesystem::remove_all(run_.path());
    for (const auto& each : {"lock", "node", "key", "sock"})
      std::filesystem::remove(run_ / (std::string("sample@localhost.") + each));
    const outcome second = run_program({sample_path()}, environment());
    EXPECT_EQ(second.exit_code, 1);
    EXPECT_NE(second.err.find("name_taken"), std::string::npos) << second.err;
    EXPECT_TRUE(wait_until([&] { return tool({"ping", "sample"}).exit_code == 0; })) << node->out();
    EXPECT_EQ(tool({"ps", "sample"}).exit_code, 0);
  }
  EXPECT_NE(node->out().find("it has announced itself again"), std::string::npos) << node->out();
  EXPECT_EQ(tool({"stop", "sample"}).exit_code, 0);
  EXPECT_EQ(node->wait_exit(), 0);
}

}  // namespace
