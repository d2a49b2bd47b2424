#pragma once
// A node without network, a handle on it for the test's thread, and a log that the test can read.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <troupe/supervisor.hpp>

#include "runtime/core.hpp"
#include "support/wait.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

struct log_line {
  log_level level;
  std::string text;
  value fields;
};

// Thread-safe.
class log_catcher final : public log_sink {
 public:
  bool enabled(log_level) const noexcept override { return true; }
  void log(log_level level, std::string_view message, map fields) noexcept override {
    std::lock_guard lock(mutex_);
    lines_.push_back({level, std::string(message), value(std::move(fields))});
  }
  [[nodiscard]] std::vector<log_line> lines() const {
    std::lock_guard lock(mutex_);
    return lines_;
  }
  // How many lines have this text in their message, or as the value of a field.
  [[nodiscard]] std::size_t count(std::string_view text) const {
    const std::vector<log_line> all = lines();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const log_line& line) {
      return line.text.find(text) != std::string::npos ||
             line.fields.print(16, 100'000).find(text) != std::string::npos;
    }));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<log_line> lines_;
};

class OtpTest : public ::testing::Test {
 protected:
  OtpTest() {
    detail::bare_node_options options;
    options.workers = 2;
    options.log = log;
    node = detail::make_bare_node(std::move(options));
    here = node->make_handle().or_exit();
  }
  ~OtpTest() override {
    here.reset();
    EXPECT_TRUE(node->stop(20s));
  }
  // Waits for the end of a process and tells its reason.
  exit_reason end_of(const address& who, duration limit = 10s) {
    const ref watch = here->self().monitor(who);
    for (;;) {
      auto got = here->receive(limit);
      if (!got) return exit_reason("it lives");
      if (auto* ended = got->get<down>(); ended && ended->monitor == watch) return ended->reason;
    }
  }
  pid pid_of(const std::string& name) const { return node->whereis(name).value_or(pid()); }

  std::shared_ptr<log_catcher> log = std::make_shared<log_catcher>();
  std::unique_ptr<troupe::node> node;
  std::unique_ptr<handle> here;
};

struct Nothing {
  TROUPE_MESSAGE(Nothing, "nothing")
};

// Tells `observer` how it was ended: "name reason".
struct Noting {
  using messages = handles<Nothing>;
  pid observer;
  std::string name;
  Noting(pid observer_given, std::string name_given) : observer(observer_given), name(std::move(name_given)) {}
  void init(process& self) { self.trap_exits(true); }
  void on(const Nothing&) {}
  void terminate(process& self, const exit_reason& reason) { self.send(observer, value(name + " " + reason.text())); }
};

}  // namespace troupe::test
