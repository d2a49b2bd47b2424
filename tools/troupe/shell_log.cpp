#include "troupe/shell_log.hpp"

#include <chrono>
#include <iostream>

#include <troupe/script.hpp>

#include "observe/log_text.hpp"

namespace troupe::tool {

void shell_log::to(std::function<void(std::string)> show) {
  std::lock_guard guard(mutex_);
  show_ = std::move(show);
}

void shell_log::log(log_level level, std::string_view message, map fields) noexcept {
  try {
    bool report = false;
    for (const auto& [key, item] : fields) {
      if (key == value("report")) report = true;
      // How a typed line ended is told as its result.
      if (key == value("label") && item == value(script::evaluator_label)) return;
    }
    internal::log_event event{level, std::chrono::system_clock::now(), std::string(message), {}};
    if (!report) event.fields = std::move(fields);  // of a report the first line says enough
    std::string line = internal::text_line(event, {.depth = 4, .width = 512});
    if (!line.ends_with('\n')) line += '\n';
    std::lock_guard guard(mutex_);
    if (show_) show_(std::move(line));
    else std::cerr << line;
  } catch (const std::exception&) {
    return;  // out of memory: there is nobody to tell
  }
}

}  // namespace troupe::tool
