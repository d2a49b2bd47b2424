#pragma once
// A node with an observer and nothing else, for the tests of this layer.
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <troupe/node.hpp>
#include <troupe/trace.hpp>

#include "observe/observer.hpp"
#include "observe/system_functions.hpp"
#include "runtime/core.hpp"
#include "support/wait.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

struct Poke {
  std::int64_t number = 0;
  TROUPE_MESSAGE(Poke, "lab.poke", number)
};
struct Ask {
  std::int64_t number = 0;
  TROUPE_MESSAGE(Ask, "lab.ask", number)
};
struct Crash {
  std::string why;
  TROUPE_MESSAGE(Crash, "lab.crash", why)
};
struct Answer {
  std::int64_t number = 0;
  TROUPE_MESSAGE(Answer, "lab.answer", number)
};

// Remembers what was logged.
class memory_log final : public log_sink {
 public:
  struct line {
    log_level level;
    std::string message;
    map fields;
  };
  [[nodiscard]] bool enabled(log_level) const noexcept override { return true; }
  void log(log_level level, std::string_view message, map fields) noexcept override {
    std::lock_guard lock(mutex_);
    lines_.push_back({level, std::string(message), std::move(fields)});
  }
  [[nodiscard]] std::vector<line> lines() const {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<line> lines_;
};

// Answers Ask, takes Poke, throws on Crash.
task<> worker(process& self);

class lab {
 public:
  explicit lab(std::shared_ptr<log_sink> log = nullptr, std::string name = "lab@localhost");
  ~lab();

  detail::core& core() { return node->core(); }
  process& self() { return here->self(); }
  pid start(const char* name = nullptr);
  // The worker has handled everything sent to it before.
  void settle(const address& worker);
  // The next message as a T; fails the test when another or none comes.
  template <class T>
  T next(std::string_view what = {}) {
    auto got = here->receive(20s);
    if (!got) {
      ADD_FAILURE() << "nothing came: " << got.error().message() << " " << what;
      return {};
    }
    if (auto* content = got->get<T>()) return *content;
    ADD_FAILURE() << "came " << got->to_value().print() << " " << what;
    return {};
  }
  result<value> call(std::string_view function, list arguments = {});

  std::unique_ptr<troupe::node> node;
  internal::observer* watching = nullptr;
  std::unique_ptr<handle> here;
};

}  // namespace troupe::test
