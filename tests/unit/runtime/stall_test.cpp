// A process that holds its worker is told of while it does.
#include "runtime_support.hpp"

#include <atomic>
#include <mutex>
#include <thread>

#include <troupe/blocking.hpp>

#include "support/wait.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

class catcher final : public log_sink {
 public:
  bool enabled(log_level) const noexcept override { return true; }
  void log(log_level level, std::string_view message, map fields) noexcept override {
    std::lock_guard lock(mutex_);
    if (level == log_level::warning) lines_.emplace_back(std::string(message), value(std::move(fields)));
  }
  std::vector<std::pair<std::string, value>> lines() const {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, value>> lines_;
};

struct watched_node {
  explicit watched_node(duration stall_after) {
    detail::bare_node_options options;
    options.name = "held@localhost";
    options.workers = 2;
    options.log = log;
    options.node.stall_after = stall_after;
    n = detail::make_bare_node(std::move(options));
  }
  [[nodiscard]] std::uint64_t stalls() const { return n->core().counters().stalls.load(); }
  // A process that holds its worker until the condition holds.
  pid hold(std::atomic<bool>& go, std::string name = {}) const {
    spawn_options how;
    how.name = std::move(name);
    how.entry = "test.hold";
    return spawn(*n, std::move(how),
                 [&go](process&) -> task<> {
                   while (!go) std::this_thread::yield();
                   co_return;
                 })
        .or_exit();
  }
  std::shared_ptr<catcher> log = std::make_shared<catcher>();
  std::unique_ptr<node> n;
};

TEST(Stall, IsToldWithPidNameAndEntryWhileItLasts) {
  watched_node here(20ms);
  std::atomic<bool> go{false};
  const pid held = here.hold(go, "the.hog");
  EXPECT_TRUE(wait_until([&] { return !here.log->lines().empty(); }));
  EXPECT_TRUE(here.n->exists(held)) << "while it does";
  go = true;
  ASSERT_FALSE(here.log->lines().empty());
  const auto [text, fields] = here.log->lines().front();
  EXPECT_TRUE(text.starts_with("process the.hog holds its worker for 0.")) << text;
  EXPECT_EQ(fields.text_at("report"), "stall");
  EXPECT_EQ(*fields.find("pid"), value(held));
  EXPECT_EQ(fields.text_at("name"), "the.hog");
  EXPECT_EQ(fields.text_at("entry"), "test.hold");
  EXPECT_GE(fields.integer_at("held_ms"), 20);
}

TEST(Stall, ManyAreCountedButNotAllTold) {
  watched_node here(1ms);
  for (std::uint64_t i = 1; i <= 12; ++i) {
    std::atomic<bool> go{false};
    const pid held = here.hold(go);
    EXPECT_TRUE(wait_until([&] { return here.stalls() >= i; }));
    go = true;
    EXPECT_TRUE(wait_until([&] { return !here.n->exists(held); }));
  }
  EXPECT_GE(here.stalls(), 12u);
  EXPECT_LT(here.log->lines().size(), 12u);  // 5 in 10 s; on a very slow machine there may be two such windows
}

TEST(Stall, CanBeSwitchedOff) {
  watched_node off(0ms), on(5ms);
  std::atomic<bool> go{false};
  off.hold(go);
  on.hold(go);
  EXPECT_TRUE(wait_until([&] { return on.stalls() >= 2; }));  // after 5 ms, and after 50
  EXPECT_EQ(off.stalls(), 0u);
  go = true;
}

TEST(Stall, WhatHoldsAThreadIsNamed) {
  watched_node here(0ms);
  std::atomic<bool> go{false};
  const pid held = here.hold(go);
  auto waits = [&go](process& self) -> task<> {
    auto work = [&go] {
      while (!go) std::this_thread::yield();
    };
    co_await blocking(self, work);
  };
  const pid blocked = spawn(*here.n, waits).or_exit();
  std::vector<std::string> holders;
  EXPECT_TRUE(wait_until([&] {  // the second holds a worker too, until its work has begun
    holders = here.n->core().held_threads();
    return holders.size() == 2 && holders[1].starts_with("blocking work");
  }));
  go = true;
  ASSERT_EQ(holders.size(), 2u);
  EXPECT_TRUE(holders[0].starts_with("process " + held.text() + " (test.hold), for ")) << holders[0];
  EXPECT_TRUE(holders[1].starts_with("blocking work of " + blocked.text() + " (process), for ")) << holders[1];
}

}  // namespace
}  // namespace troupe::test
