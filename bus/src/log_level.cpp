#include <troupe/log_sink.hpp>

#include <array>

#include "quoted.hpp"

namespace troupe {
namespace {

constexpr std::array<std::string_view, 8> names{"emergency", "alert",  "critical", "error",
                                                "warning",   "notice", "info",     "debug"};

}  // namespace

std::string_view to_string(log_level level) noexcept {
  const auto index = static_cast<std::size_t>(level);
  return index < names.size() ? names[index] : "unknown";
}

result<log_level> parse_log_level(std::string_view text) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<log_level>(i);
  }
  return error(
      errc::bad_argument,
      internal::quoted(text) + " is no log level (emergency, alert, critical, error, warning, notice, info, debug)");
}

}  // namespace troupe
