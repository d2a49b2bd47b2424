#pragma once
// Where the lower layers say what happened. `node` puts its log behind it; alone, nothing listens.
#include <string_view>

#include <troupe/value.hpp>

namespace troupe {

// The eight levels of syslog, most urgent first, as in OTP's logger.
enum class log_level : std::uint8_t { emergency, alert, critical, error, warning, notice, info, debug };

[[nodiscard]] std::string_view to_string(log_level level) noexcept;
[[nodiscard]] result<log_level> parse_log_level(std::string_view text);

// Thread-safe; never blocks, never throws. `fields` is a map of text keys.
class log_sink {
 public:
  virtual ~log_sink() = default;
  [[nodiscard]] virtual bool enabled(log_level level) const noexcept = 0;
  virtual void log(log_level level, std::string_view message, map fields) noexcept = 0;
};

}  // namespace troupe
