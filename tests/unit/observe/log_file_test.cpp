// The log's file: rotated by us or by others, moved, removed, on a full disk.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include <troupe/utf8.hpp>

#include "observe/json.hpp"
#include "observe/log_output.hpp"
#include "observe/log_text.hpp"
#include "observe/log_writer.hpp"
#include "support/temp_dir.hpp"

namespace troupe::internal {
namespace {

using namespace std::chrono_literals;
using test::read_file;
using test::temp_dir;
namespace fs = std::filesystem;

mode_t mode_of(const fs::path& path) {
  struct stat about{};
  return ::stat(path.c_str(), &about) == 0 ? about.st_mode & 07777 : 0;
}

class LogFile : public testing::Test {
 protected:
  void write(std::string_view line) { ASSERT_TRUE(out_->write(log_level::notice, line, 0, 0)) << line; }
  void limit(std::size_t bytes, std::size_t count = 2) { out_ = file_output(path_, bytes, count); }

  temp_dir dir_;
  fs::path path_ = dir_ / "node.log";
  std::unique_ptr<log_output> out_ = file_output(path_, 1u << 20, 2);
};

TEST_F(LogFile, IsMadeAgainWhenItIsGone) {
  write("one");
  fs::remove(path_);
  write("two");
  EXPECT_EQ(read_file(path_), "two\n");
  fs::rename(path_, dir_ / "elsewhere");  // logrotate
  write("three");
  EXPECT_EQ(read_file(path_), "three\n");
  EXPECT_EQ(read_file(dir_ / "elsewhere"), "two\n");
  fs::rename(path_, dir_ / "third");  // and it has made the new one itself
  dir_.write("node.log", "by hand\n");
  write("four");
  EXPECT_EQ(read_file(path_), "by hand\nfour\n");
}

TEST_F(LogFile, IsMadeAgainWithItsFolder) {
  path_ = dir_ / "a" / "b" / "node.log";
  limit(1u << 20);
  write("one");
  fs::remove_all(dir_ / "a");
  write("two");
  EXPECT_EQ(read_file(path_), "two\n");
}

TEST_F(LogFile, GoesOnInTheOldOneWhereNoneCanBeMade) {
  path_ = dir_ / "a" / "node.log";
  limit(1u << 20);
  write("one");
  fs::rename(dir_ / "a", dir_ / "b");
  dir_.write("a", "no folder");
  write("two");
  EXPECT_EQ(read_file(dir_ / "b" / "node.log"), "one\ntwo\n");
}

TEST_F(LogFile, KeepsItsMode) {
  const mode_t before = umask(022);
  limit(100);
  write("one");
  EXPECT_EQ(mode_of(path_), 0640u);
  ::chmod(path_.c_str(), 0600);
  write(std::string(90, 'x'));
  write(std::string(90, 'y'));
  EXPECT_TRUE(fs::exists(dir_ / "node.log.1"));
  EXPECT_EQ(mode_of(path_), 0600u);
  ::chmod(path_.c_str(), 0664);
  write(std::string(90, 'z'));  // opened since the mode was changed
  EXPECT_EQ(mode_of(path_), 0664u);
  fs::remove(path_);
  write("two");
  EXPECT_EQ(mode_of(path_), 0664u);
  umask(before);
}

TEST_F(LogFile, StandardErrorGoesWithIt) {
  limit(100);
  write("one");
  const int kept = ::dup(STDERR_FILENO);
  const int log = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  ASSERT_GE(log, 0);
  ::dup2(log, STDERR_FILENO);
  ::close(log);
  write(std::string(98, 'x'));  // rotates
  (void)!::write(STDERR_FILENO, "last words\n", 11);
  const std::string rotated = read_file(path_);
  fs::rename(path_, dir_ / "elsewhere");
  write("two");
  (void)!::write(STDERR_FILENO, "more\n", 5);
  ::dup2(kept, STDERR_FILENO);
  ::close(kept);
  EXPECT_NE(rotated.find("last words\n"), std::string::npos);
  EXPECT_EQ(read_file(path_), "two\nmore\n");
}

TEST_F(LogFile, CountsWhatOthersWriteThere) {
  limit(100);
  write("one");
  const int other = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  const std::string much(200, 'o');
  ASSERT_EQ(::write(other, much.data(), much.size()), 200);
  ::close(other);
  write("two");
  EXPECT_EQ(read_file(path_), "two\n");
}

// As where the folder cannot be written: what stands at the new name cannot be replaced.
TEST_F(LogFile, ThrowsNothingAwayWhereItCannotRotate) {
  limit(100, 1);
  dir_.write("node.log.1/something", "");
  testing::internal::CaptureStderr();
  for (int i = 0; i < 10; ++i) write(std::string(49, 'x'));
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_EQ(read_file(path_).size(), 500u);
  EXPECT_NE(told.find("cannot be rotated"), std::string::npos) << told;
  EXPECT_EQ(told.find("cannot be rotated"), told.rfind("cannot be rotated")) << "said once: " << told;
  fs::remove_all(dir_ / "node.log.1");
  for (int i = 0; i < 10 && !fs::exists(dir_ / "node.log.1"); ++i) write(std::string(49, 'y'));
  EXPECT_TRUE(fs::is_regular_file(dir_ / "node.log.1"));
  EXPECT_GT(fs::file_size(dir_ / "node.log.1"), 400u);
}

// No file of this program may grow over so many bytes: a disk that is full in the middle of a line.
class full_disk {
 public:
  explicit full_disk(rlim_t bytes) : before_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &limit_);
    const rlimit less{bytes, limit_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &less);
  }
  ~full_disk() {
    ::setrlimit(RLIMIT_FSIZE, &limit_);
    ::signal(SIGXFSZ, before_);
  }
  full_disk(const full_disk&) = delete;
  full_disk& operator=(const full_disk&) = delete;

 private:
  rlimit limit_{};
  sighandler_t before_;
};

TEST_F(LogFile, AFullDiskJoinsNoLinesAndTheLossIsTold) {
  log_config config;
  config.console = log_config::form::none;
  config.file = path_;
  config.burst = 0;
  testing::internal::CaptureStderr();
  log_writer log(config);
  const std::string text(60, 'x');
  {
    const full_disk full(250);
    for (int i = 0; i < 10; ++i) {
      log.log(log_level::notice, text, {});
      ASSERT_TRUE(log.flush(20s));
    }
  }
  log.log(log_level::notice, "there is room again", {});
  ASSERT_TRUE(log.stop(20s));
  testing::internal::GetCapturedStderr();
  const std::string all = read_file(path_);
  // Two whole lines of 97 bytes, the beginning of the third, and eight lost.
  EXPECT_NE(all.find("\n2"), std::string::npos);
  EXPECT_NE(all.find(" 8 log lines are missing here"), std::string::npos) << all;
  EXPECT_TRUE(all.ends_with("there is room again\n")) << all;
  std::size_t lines = 0;
  for (std::size_t at = 0; at < all.size(); at = all.find('\n', at) + 1, ++lines) {
    EXPECT_TRUE(all.substr(at).starts_with("20")) << "begins with a time: " << all.substr(at);
  }
  EXPECT_EQ(lines, 5u) << all;
}

TEST(LogLine, IsUtf8AndTurnsNothingAround) {
  const std::string hostile =
      "a\xff\xc3(b\xc2\x9b"
      "31m \xe2\x80\xae"
      "c\xe2\x81\xa6 \xe2\x80\xa8 d\x7f \xf0\x9f\x98\x80 ü\r";
  log_event event;
  event.message = hostile;
  event.fields.emplace_back(value("text"), value(hostile));
  event.fields.emplace_back(value(hostile), value(1));
  const std::string text = text_line(event, {});
  EXPECT_TRUE(is_utf8(text)) << text;
  const std::string json = json_line(event, {});
  EXPECT_TRUE(is_utf8(json)) << json;
  ASSERT_TRUE(from_json(json)) << json;
  for (const std::string& line : {text, json}) {
    for (const char* bad : {"\xff", "\xc2\x9b", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x80\xa8", "\x7f", "\r", "\n"})
      EXPECT_EQ(line.find(bad), std::string::npos) << bad << " in " << line;
    EXPECT_NE(line.find("\xf0\x9f\x98\x80 ü"), std::string::npos) << line;
  }
  EXPECT_NE(text.find("a\\xff\\xc3(b\\xc2\\x9b31m \\xe2\\x80\\xaec"), std::string::npos) << text;
}

TEST(EscapeLine, ShowsWhatATerminalWouldObeyAndIndentsLines) {
  EXPECT_EQ(escape_line("plain ü\t\xf0\x9f\x98\x80", 200), "plain ü\t\xf0\x9f\x98\x80");
  EXPECT_EQ(escape_line("a\n\nb", 200), "a\n    \n    b");
  EXPECT_EQ(escape_line("\u009b31m\u202efdp\u2066\u200b\r", 200),
            R"(\xc2\x9b31m\xe2\x80\xaefdp\xe2\x81\xa6\xe2\x80\x8b\x0d)");
  EXPECT_EQ(escape_line("\xff\xc3", 200), R"(\xff\xc3)");
  EXPECT_EQ(escape_line("ab\u202e", 4), "ab…");
}

TEST(LogLine, IsNotCutWithinACharacter) {
  for (const std::string character : {"x", "ü", "€", "\xf0\x9f\x98\x80"}) {
    std::string text;
    while (text.size() < 100) text += character;
    for (std::size_t width = 1; width < 60; ++width) {
      log_form form;
      form.width = width;
      log_event event;
      event.message = text;
      event.fields.emplace_back(value("field"), value(text));
      for (const std::string& line : {text_line(event, form), json_line(event, form)}) {
        EXPECT_TRUE(is_utf8(line)) << width << line;
        EXPECT_EQ(line.find("\\x"), std::string::npos) << "half a character at " << width << ": " << line;
        EXPECT_EQ(line.find("\xef\xbf\xbd"), std::string::npos) << "half a character at " << width << ": " << line;
      }
    }
  }
}

}  // namespace
}  // namespace troupe::internal
