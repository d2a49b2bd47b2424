#pragma once
// What a log event looks like: for people one line (a report: one line a field), for machines one JSON object.
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include <troupe/log_sink.hpp>

namespace troupe::internal {

struct log_event {
  log_level level = log_level::notice;
  std::chrono::system_clock::time_point at;
  std::string message;
  map fields;
};

struct log_form {
  std::size_t depth = 16;    // of one value
  std::size_t width = 4096;  // bytes of one value, and of the message
  bool utc = false;          // else local time; JSON is always UTC
};

// 2026-11-21 01:02:03.456 [error] message key=value …
// Reports (field "report": crash or supervisor) print their fields one below the other. Bytes that would steer a
// terminal, turn its text around or start a line that looks like another event are escaped: messages may come from
// strangers. The line is UTF-8, whatever went in.
[[nodiscard]] std::string text_line(const log_event& event, const log_form& form);
// {"time": "2026-11-21T01:02:03.456Z", "level": "error", "message": "…", "fields": {…}}
[[nodiscard]] std::string json_line(const log_event& event, const log_form& form);
// "2026-11-21 01:02:03.456", with `precision` digits after the dot (3, 6 or 9).
[[nodiscard]] std::string format_time(std::chrono::system_clock::time_point at, bool utc, int precision);
// At most `width` bytes of it, never a part of a character.
[[nodiscard]] std::string escape_line(std::string_view text, std::size_t width);

}  // namespace troupe::internal
