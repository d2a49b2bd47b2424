#include "observe/log_output.hpp"

#include <spdlog/details/log_msg.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>

#include <cstdio>

namespace troupe::internal {
namespace {

spdlog::level::level_enum spdlog_level(log_level level) noexcept {
  switch (level) {
    case log_level::emergency:
    case log_level::alert:
    case log_level::critical: return spdlog::level::critical;
    case log_level::error: return spdlog::level::err;
    case log_level::warning: return spdlog::level::warn;
    case log_level::notice:
    case log_level::info: return spdlog::level::info;
    case log_level::debug: return spdlog::level::debug;
  }
  return spdlog::level::info;
}

// Lines come finished: text from a peer never is a format string.
class finished_line : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    out.append(message.payload.data(), message.payload.data() + message.payload.size());
    out.push_back('\n');
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<finished_line>(); }
};

spdlog::details::log_msg make_message(log_level level, std::string_view line) {
  return {spdlog::string_view_t(), spdlog_level(level), spdlog::string_view_t(line.data(), line.size())};
}

class console final : public log_output {
 public:
  explicit console(bool to_stdout) : stream_(to_stdout ? stdout : stderr) {
    if (to_stdout) sink_ = std::make_unique<spdlog::sinks::ansicolor_stdout_sink_st>();
    else sink_ = std::make_unique<spdlog::sinks::ansicolor_stderr_sink_st>();
    sink_->set_formatter(std::make_unique<finished_line>());
  }
  result<void> write(log_level level, std::string_view line, std::size_t colour_at, std::size_t coloured) override {
    auto message = make_message(level, line);
    message.color_range_start = colour_at;
    message.color_range_end = colour_at + coloured;
    std::clearerr(stream_);
    sink_->log(message);  // flushes; says nothing of failures, the stream does
    if (std::ferror(stream_)) return error(errc::io, "the console cannot be written");
    return {};
  }
  result<void> flush() override { return {}; }

 private:
  std::FILE* stream_;
  std::unique_ptr<spdlog::sinks::sink> sink_;
};

}  // namespace

std::unique_ptr<log_output> console_output(bool to_stdout) { return std::make_unique<console>(to_stdout); }

}  // namespace troupe::internal
