#pragma once
// The log of a node: a bounded queue, one writer thread, and the outputs that the configuration asks for
// (node/DESIGN.md, Logs).
//
// Make it after the program has become a daemon: a thread does not survive a fork.
//
// No worker ever waits for it. Where OTP's handler first makes the caller wait (10 queued), drops (200) and then throws
// the whole queue away (1000), this one drops the newest from 200 waiting if they are below a warning, and every newest
// from 1000. More than 500 events within a second are dropped too. What was dropped is counted, and told in a line.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <troupe/log_sink.hpp>
#include <troupe/time.hpp>

namespace troupe::internal {

struct log_config {
  enum class form : std::uint8_t { none, text, json };
  log_level level = log_level::notice;
  form console = form::text;
  bool console_stdout = false;    // else stderr
  bool journal_prefixes = false;  // "<3>" before each line of the console, as journald reads it
  std::filesystem::path file;     // empty: none
  form file_form = form::text;
  std::size_t file_bytes = 10u << 20, file_count = 5;  // rotated beyond, that many old ones kept
  std::filesystem::path report_file;                   // crash, supervisor and progress reports once more, alone
  bool report_file_errors_only = false;
  bool crash_reports = true, supervisor_reports = true, progress_reports = true;
  std::size_t value_depth = 16, value_width = 4096;  // a printed value is cut there
  std::size_t ring_lines = 500;                      // kept in memory for `troupe.logs`
  std::size_t drop_at = 200, refuse_at = 1000, queue_bytes = 16u << 20;
  std::size_t burst = 500;  // events per burst_time; 0: unbounded
  std::chrono::milliseconds burst_time{1000};
  std::shared_ptr<troupe::clock> clock;  // empty: the system's
};

struct log_counters {
  std::uint64_t written = 0, dropped_queue = 0, dropped_burst = 0, failed_writes = 0;
};

// Thread-safe. Owner: the node and whoever configured it; outlives every process that logs.
class log_writer final : public log_sink {
 public:
  explicit log_writer(log_config config);
  ~log_writer() override;  // stop(2 s)
  log_writer(const log_writer&) = delete;
  log_writer& operator=(const log_writer&) = delete;

  [[nodiscard]] bool enabled(log_level level) const noexcept override;
  void log(log_level level, std::string_view message, map fields) noexcept override;

  [[nodiscard]] log_level level() const noexcept;
  void level(log_level level) noexcept;
  // The last lines as text, oldest first; a report is one of them.
  [[nodiscard]] std::vector<std::string> recent(std::size_t count) const;
  [[nodiscard]] log_counters counters() const noexcept;
  // True when all that was logged before has been written within `limit`.
  bool flush(duration limit);
  // Writes what waits and ends the thread. False when an output was still stuck at `limit`: the thread is then left to
  // it, and takes nothing more. Idempotent.
  bool stop(duration limit);

 private:
  struct state;
  std::shared_ptr<state> state_;  // the thread's too, for the case that it is left behind
};

}  // namespace troupe::internal
