#include "observe/log_writer.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "observe/json.hpp"
#include "observe/log_text.hpp"
#include "support/temp_dir.hpp"
#include "support/wait.hpp"

namespace troupe::internal {
namespace {

using namespace std::chrono_literals;
using test::read_file;
using test::temp_dir;

map fields(std::initializer_list<std::pair<std::string_view, value>> given) {
  map out;
  for (const auto& [key, item] : given) out.emplace_back(value(key), item);
  return out;
}

// Nothing on the console, and limits out of the way.
log_config quiet() {
  log_config config;
  config.console = log_config::form::none;
  config.drop_at = config.refuse_at = 1'000'000;
  config.burst = 0;
  return config;
}

// A file whose reader does not read: the log thread is held at its first flush of more than a pipe's worth.
class stuck_pipe {
 public:
  explicit stuck_pipe(const temp_dir& dir) : path_(dir / "stuck") {
    EXPECT_EQ(mkfifo(path_.c_str(), 0600), 0);
    fd_ = ::open(path_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    const std::string page(4096, 'x');
    while (::write(fd_, page.data(), page.size()) > 0) {
    }
  }
  ~stuck_pipe() { ::close(fd_); }
  [[nodiscard]] std::string path() const { return path_; }
  void drain() const {
    char page[65536];
    while (::read(fd_, page, sizeof page) > 0) {
    }
  }

 private:
  std::string path_;
  int fd_ = -1;
};

TEST(LogText, OneEventIsOneLine) {
  log_event event;
  event.level = log_level::error;
  event.at = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'763'686'923'456));
  event.message = "stored\n[info] forged \x1b[31m";
  event.fields = fields({{"key", "a b"}, {"version", 3}, {"name", "exercise.calculator"}, {"odd key", 1}});
  log_form form;
  form.utc = true;
  EXPECT_EQ(text_line(event, form),
            "2025-11-21 01:02:03.456 [error] stored\n    [info] forged \\x1b[31m key=\"a b\" version=3 "
            "name=exercise.calculator \"odd key\"=1");
  const value back = from_json(json_line(event, form)).or_exit();
  EXPECT_EQ(back.text_at("time"), "2025-11-21T01:02:03.456Z");
  EXPECT_EQ(back.text_at("level"), "error");
  EXPECT_EQ(back.text_at("message"), event.message);
  EXPECT_EQ(*back.find("fields"), value(event.fields));
}

TEST(LogText, ReportsStandBelowEachOtherAndValuesAreCut) {
  log_event event;
  event.at = {};
  event.message = "process <a> ended";
  event.fields =
      fields({{"report", "crash"}, {"reason", list_of({"exception", std::string(500, 'y')})}, {"label", ""}});
  log_form form;
  form.utc = true;
  form.width = 100;
  const std::string text = text_line(event, form);
  EXPECT_EQ(text.find("1970-01-01 00:00:00.000 [notice] process <a> ended\n    reason: {\"exception\", \"yyy"), 0u)
      << text;
  EXPECT_LT(text.size(), 250u);
  EXPECT_EQ(text.find("label"), std::string::npos);
  EXPECT_LT(json_line(event, form).size(), 400u);
}

TEST(Log, KeepsOrderAndLevels) {
  const temp_dir dir;
  log_config config = quiet();
  config.file = dir / "node.log";
  config.level = log_level::notice;
  log_writer log(config);
  EXPECT_FALSE(log.enabled(log_level::info));
  for (int i = 0; i < 1000; ++i) log.log(i % 2 ? log_level::notice : log_level::info, "line " + std::to_string(i), {});
  log.level(log_level::debug);
  log.log(log_level::debug, "last", {});
  ASSERT_TRUE(log.flush(20s));
  const std::string text = read_file(config.file);
  std::size_t at = 0;
  for (int i = 1; i < 1000; i += 2) {
    at = text.find("[notice] line " + std::to_string(i) + "\n", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_EQ(text.find("line 10\n"), std::string::npos);
  EXPECT_NE(text.find("[debug] last", at), std::string::npos);
  EXPECT_EQ(log.counters().written, 501u);
}

TEST(Log, DropsTheNewestAndSaysSo) {
  const temp_dir dir;
  const stuck_pipe pipe(dir);
  log_config config = quiet();
  config.file = pipe.path();
  config.file_count = 0;
  config.file_bytes = 1u << 30;
  config.drop_at = 10;
  config.refuse_at = 20;
  log_writer log(config);
  // An error is flushed at once: the writer is held in it and the queue fills.
  log.log(log_level::error, "first", {});
  const bool filled = test::wait_until([&] {
    log.log(log_level::notice, "mild", {});
    return log.counters().dropped_queue > 0;
  });
  ASSERT_TRUE(filled);
  for (int i = 0; i < 100; ++i) log.log(log_level::error, "severe " + std::to_string(i), {});
  const auto before = log.counters();
  EXPECT_GE(before.dropped_queue, 90u);
  EXPECT_FALSE(log.flush(1ms));
  ASSERT_TRUE(test::wait_until([&] {
    pipe.drain();
    return log.flush(10ms);
  }));
  const auto lines = log.recent(1000);
  std::string all;
  for (const auto& line : lines) all += line + "\n";
  EXPECT_NE(all.find("severe 0"), std::string::npos) << "errors still find room where milder lines do not";
  EXPECT_EQ(all.find("severe 99"), std::string::npos);
  EXPECT_NE(all.find("dropped "), std::string::npos) << all;
  EXPECT_NE(all.find(" log lines"), std::string::npos);
}

TEST(Log, StopIsBoundedWhenAnOutputIsStuck) {
  const temp_dir dir;
  const stuck_pipe pipe(dir);
  log_config config = quiet();
  config.file = pipe.path();
  config.file_bytes = 1u << 30;
  log_writer log(config);
  log.log(log_level::error, "stuck", {});
  EXPECT_FALSE(log.stop(50ms));
  log.log(log_level::error, "after the end", {});
  EXPECT_EQ(log.counters().dropped_queue, 1u);
  pipe.drain();
}

TEST(Log, BurstIsLimited) {
  log_config config = quiet();
  config.burst = 5;
  config.burst_time = 1h;
  log_writer log(config);
  for (int i = 0; i < 50; ++i) log.log(log_level::error, "x", {});
  ASSERT_TRUE(log.stop(20s));
  EXPECT_EQ(log.counters().dropped_burst, 45u);
  // Told in one line or several, as the writer keeps up.
  int told = 0;
  for (const auto& line : log.recent(100)) {
    const auto at = line.find("[warning] dropped ");
    if (at != std::string::npos) told += std::stoi(line.substr(at + 18));
  }
  EXPECT_EQ(told, 45);
}

TEST(Log, RingKeepsTheLastLines) {
  log_config config = quiet();
  config.ring_lines = 3;
  log_writer log(config);
  for (int i = 0; i < 10; ++i) log.log(log_level::notice, "n" + std::to_string(i), {});
  ASSERT_TRUE(log.flush(20s));
  const auto lines = log.recent(100);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_NE(lines[0].find("n7"), std::string::npos);
  EXPECT_EQ(log.recent(1).front(), lines[2]);
  EXPECT_TRUE(log.recent(0).empty());
}

TEST(Log, FilesRotateBySizeAndCount) {
  const temp_dir dir;
  log_config config = quiet();
  config.file = dir / "node.log";
  config.file_bytes = 1000;
  config.file_count = 2;
  log_writer log(config);
  for (int i = 0; i < 100; ++i) log.log(log_level::notice, std::string(100, 'z'), {});
  ASSERT_TRUE(log.stop(20s));
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    EXPECT_LE(entry.file_size(), 1000u) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 3u);
}

TEST(Log, AFailingOutputStopsNothing) {
  const temp_dir dir;
  log_config config = quiet();
  config.file = "/dev/full";
  config.file_count = 0;
  config.report_file = dir / "reports.log";
  testing::internal::CaptureStderr();
  {
    log_writer log(config);
    for (int i = 0; i < 5; ++i) log.log(log_level::error, "boom", fields({{"report", "crash"}}));
    ASSERT_TRUE(log.stop(20s));
    EXPECT_GE(log.counters().failed_writes, 5u);
    EXPECT_EQ(log.counters().written, 5u);
    EXPECT_EQ(log.recent(10).size(), 5u);
  }
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_NE(told.find("/dev/full"), std::string::npos) << told;
  EXPECT_EQ(told.find("troupe:"), told.rfind("troupe:")) << "said once: " << told;
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 1);
  EXPECT_NE(read_file(config.report_file).find("boom"), std::string::npos);
}

TEST(Log, AFileThatCannotBeOpenedHealsWhenItCan) {
  const temp_dir dir;
  log_config config = quiet();
  config.file = dir / "later" / "node.log";
  dir.write("later", "a file where the folder should be");
  testing::internal::CaptureStderr();
  log_writer log(config);
  log.log(log_level::error, "lost", {});
  ASSERT_TRUE(log.flush(20s));
  EXPECT_GE(log.counters().failed_writes, 1u);
  std::filesystem::remove(dir / "later");
  log.log(log_level::error, "found", {});
  ASSERT_TRUE(log.stop(20s));
  testing::internal::GetCapturedStderr();
  EXPECT_NE(read_file(config.file).find("found"), std::string::npos);
}

TEST(Log, ConsoleFormsAndJournalPrefixes) {
  log_config config = quiet();
  config.console = log_config::form::text;
  config.journal_prefixes = true;
  testing::internal::CaptureStderr();
  {
    log_writer log(config);
    log.log(log_level::error, "two\nlines", {});
    ASSERT_TRUE(log.stop(20s));
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("<3>"), 0u) << text;
  EXPECT_NE(text.find("\n<3>    lines\n"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << "no colour but on a terminal";

  config.console = log_config::form::json;
  config.console_stdout = true;
  config.journal_prefixes = false;
  testing::internal::CaptureStdout();
  {
    log_writer log(config);
    log.log(log_level::warning, "hello", fields({{"n", 1}}));
    ASSERT_TRUE(log.stop(20s));
  }
  const value line = from_json(testing::internal::GetCapturedStdout()).or_exit();
  EXPECT_EQ(line.text_at("message"), "hello");
  EXPECT_EQ(line.find("fields")->integer_at("n"), 1);
}

TEST(Log, ReportsCanBeSwitchedOff) {
  log_config config = quiet();
  config.progress_reports = false;
  log_writer log(config);
  log.log(log_level::notice, "started", fields({{"report", "progress"}}));
  log.log(log_level::error, "crashed", fields({{"report", "crash"}}));
  ASSERT_TRUE(log.flush(20s));
  ASSERT_EQ(log.recent(10).size(), 1u);
  EXPECT_NE(log.recent(1)[0].find("crashed"), std::string::npos);
}

}  // namespace
}  // namespace troupe::internal
