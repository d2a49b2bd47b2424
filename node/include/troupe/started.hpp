#pragma once
// How a start ends: what start_link answers, and what a server's `init` may answer.
#include <optional>
#include <string>
#include <utility>

#include <troupe/exit_reason.hpp>

namespace troupe {

// The four arms of OTP's start_link.
class started {
 public:
  enum class kind : std::uint8_t { ok, ignore, already_started, failed };

  started() = default;  // failed, with no reason
  started(pid running) : what_(kind::ok), process_(running) {}
  started(result<pid> made);
  [[nodiscard]] static started ok(pid running) { return started(running); }
  [[nodiscard]] static started ignore();
  [[nodiscard]] static started already_started(pid holder);
  [[nodiscard]] static started failed(exit_reason reason);

  [[nodiscard]] explicit operator bool() const noexcept { return what_ == kind::ok; }
  [[nodiscard]] kind what() const noexcept { return what_; }
  [[nodiscard]] pid process() const noexcept { return process_; }  // of ok and already_started
  [[nodiscard]] const exit_reason& reason() const noexcept { return reason_; }
  [[nodiscard]] std::string text() const;  // "ok <pid>", "ignore", "already_started <pid>", "failed: reason"
  // The pid of `ok`. Any other arm ends the calling process with {"already_started", pid}, "ignore" or the reason;
  // outside of a process that is an exception of type exit_reason.
  pid or_exit() const;

 private:
  kind what_ = kind::failed;
  pid process_;
  exit_reason reason_ = exit_reason("failed");
};

// What `init` may answer instead of just returning.
class init_result {
 public:
  init_result() = default;
  [[nodiscard]] static init_result ok() { return {}; }
  [[nodiscard]] static init_result ignore();                  // ends normally; the starter gets `ignore`
  [[nodiscard]] static init_result stop(exit_reason reason);  // the starter gets `failed(reason)`
  [[nodiscard]] bool is_ok() const noexcept { return !ignored_ && !reason_; }
  [[nodiscard]] bool is_ignore() const noexcept { return ignored_; }
  [[nodiscard]] exit_reason reason() const { return reason_.value_or(exit_reason::normal()); }

 private:
  bool ignored_ = false;
  std::optional<exit_reason> reason_;
};

}  // namespace troupe
