#pragma once
// The log of a node that a shell is: warnings and what is worse, one line each, where the person at the shell sees
// them.
#include <functional>
#include <mutex>
#include <string>

#include <troupe/log_sink.hpp>

namespace troupe::tool {

// Thread-safe. Owner: the session and its node.
class shell_log final : public log_sink {
 public:
  // `show` is called on any thread with a line and its end, and must not wait. Without one: standard error.
  void to(std::function<void(std::string)> show);

  [[nodiscard]] bool enabled(log_level level) const noexcept override { return level <= log_level::warning; }
  void log(log_level level, std::string_view message, map fields) noexcept override;

 private:
  std::mutex mutex_;
  std::function<void(std::string)> show_;
};

}  // namespace troupe::tool
