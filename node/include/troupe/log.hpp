#pragma once
// Structured log lines: a message and fields, which stay values until the log thread formats them (node/DESIGN.md,
// Logs).
//     self.log().info("stored", {{"key", key}, {"version", 3}});
#include <initializer_list>
#include <string_view>
#include <utility>

#include <troupe/log_sink.hpp>

namespace troupe {

// A cheap value: the node's sink and the metadata that goes with every line (pid, registered name, the process's own).
class logger {
 public:
  using field = std::pair<std::string_view, value>;
  using fields = std::initializer_list<field>;

  logger() = default;
  explicit logger(log_sink* sink, map metadata = {}) : sink_(sink), metadata_(std::move(metadata)) {}

  [[nodiscard]] bool enabled(log_level level) const noexcept { return sink_ && sink_->enabled(level); }
  void log(log_level level, std::string_view text, fields extra = {}) const;
  void emergency(std::string_view text, fields extra = {}) const { log(log_level::emergency, text, extra); }
  void alert(std::string_view text, fields extra = {}) const { log(log_level::alert, text, extra); }
  void critical(std::string_view text, fields extra = {}) const { log(log_level::critical, text, extra); }
  void error(std::string_view text, fields extra = {}) const { log(log_level::error, text, extra); }
  void warning(std::string_view text, fields extra = {}) const { log(log_level::warning, text, extra); }
  void notice(std::string_view text, fields extra = {}) const { log(log_level::notice, text, extra); }
  void info(std::string_view text, fields extra = {}) const { log(log_level::info, text, extra); }
  void debug(std::string_view text, fields extra = {}) const { log(log_level::debug, text, extra); }

 private:
  log_sink* sink_ = nullptr;
  map metadata_;
};

}  // namespace troupe
