// The node's own processes: they go on while users' hold all workers, and no signal of a process ends a pillar.
#include "runtime_support.hpp"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "runtime/own.hpp"
#include "support/wait.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

class warnings final : public log_sink {
 public:
  bool enabled(log_level) const noexcept override { return true; }
  void log(log_level level, std::string_view, map) noexcept override { count += level == log_level::warning; }
  std::atomic<int> count{0};
};

task<> answer_calls(process& self) {
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (got && got->is_call()) self.reply(*got, value("here"));
  }
}

class Own : public testing::Test {
 protected:
  Own() { begin(2); }
  void begin(unsigned workers) {
    detail::bare_node_options options;
    options.name = "own@localhost";
    options.workers = workers;
    options.log = log_;
    options.node.stall_after = 0s;
    node_ = detail::make_bare_node(std::move(options));
  }
  pid start(detail::own_kind kind, std::string name = {}) {
    spawn_options how;
    how.name = std::move(name);
    return detail::spawn_own(kind, node_->core(), nullptr, std::move(how), &answer_calls).or_exit().process;
  }
  bool answers(pid who) {
    auto door = node_->make_handle();
    return (*door)->call<value>(who, value("where"), 1s) == value("here");
  }

  std::shared_ptr<warnings> log_ = std::make_shared<warnings>();
  std::unique_ptr<node> node_;
};

TEST_F(Own, AnswersWithinASecondWhileAllWorkersAreHeld) {
  std::atomic<bool> go{false};
  std::atomic<int> held{0};
  std::vector<pid> holders;
  const pid keeper = start(detail::own_kind::pillar, "keeper");
  for (int i = 0; i < 2; ++i) {
    holders.push_back(spawn(*node_, [&](process&) -> task<> {
                        ++held;
                        while (!go) std::this_thread::sleep_for(1ms);
                        co_return;
                      }).or_exit());
  }
  ASSERT_TRUE(wait_until([&] { return held == 2; }));
  EXPECT_TRUE(answers(keeper));
  const pid worker = start(detail::own_kind::worker);
  EXPECT_TRUE(answers(worker)) << "also one that is only started now";
  ASSERT_TRUE(wait_until([&] {
    std::set<std::size_t> workers;
    for (const detail::holding& one : detail::holders(node_->core())) {
      const bool ours = std::ranges::find(holders, one.about.id) != holders.end();
      if (ours && one.held > 20ms) workers.insert(one.worker);
    }
    return workers == std::set<std::size_t>{0, 1};
  })) << "who holds which worker is seen";
  EXPECT_EQ(held, 2);
  go = true;
  // They look at what lies on this stack.
  EXPECT_TRUE(wait_until([&] { return std::ranges::none_of(holders, [&](pid one) { return node_->exists(one); }); }));
}

TEST_F(Own, APillarObeysNoProcess) {
  const pid keeper = start(detail::own_kind::pillar, "keeper");
  EXPECT_TRUE(detail::is_pillar(node_->core(), keeper));
  const pid killer = spawn(*node_, [keeper](process& self) -> task<> {
                       self.exit(keeper, exit_reason::kill());
                       self.exit(keeper, exit_reason("bad"));
                       self.link(keeper);
                       self.exit(exit_reason("and bad by a link"));
                       co_return;
                     }).or_exit();
  ASSERT_TRUE(wait_until([&] { return !node_->exists(killer); }));
  EXPECT_TRUE(answers(keeper)) << "all that came before it has been looked at";
  EXPECT_TRUE(wait_until([&] { return log_->count == 3; })) << log_->count;
}

TEST_F(Own, ByForceItEndsAndItsPlaceIsAsAnyOther) {
  begin(1);  // the worker that has ended it has its block
  const pid keeper = start(detail::own_kind::pillar, "keeper");
  node_->exit(keeper, exit_reason::kill());
  ASSERT_TRUE(wait_until([&] { return !node_->exists(keeper); }));
  const auto here = node_->make_handle().or_exit();
  // Free a moment after it is gone: whoever takes another one meanwhile is in nobody's way.
  pid next;
  ASSERT_TRUE(wait_until([&] {
    next = here->run(patience, [](process& self) -> task<pid> { co_return spawn(self, answer_calls); }).or_exit();
    return static_cast<std::uint32_t>(next.id()) == static_cast<std::uint32_t>(keeper.id());
  })) << "the same block";
  ASSERT_TRUE(node_->core().register_name(next, "keeper"));
  EXPECT_FALSE(detail::is_pillar(node_->core(), next));
  const pid killer = spawn(*node_, [next](process& self) -> task<> {
                       self.exit(next, exit_reason::kill());
                       co_return;
                     }).or_exit();
  EXPECT_TRUE(wait_until([&] { return !node_->exists(next) && !node_->exists(killer); }));
}

TEST_F(Own, AWorkerCanBeKilledAndAStopEndsAll) {
  const pid worker = start(detail::own_kind::worker);
  EXPECT_FALSE(detail::is_pillar(node_->core(), worker));
  spawn(*node_, [worker](process& self) -> task<> {
    self.exit(worker, exit_reason::kill());
    co_return;
  }).or_exit();
  EXPECT_TRUE(wait_until([&] { return !node_->exists(worker); }));
  const pid keeper = start(detail::own_kind::pillar, "keeper");
  EXPECT_TRUE(node_->stop(5s));
  EXPECT_FALSE(node_->exists(keeper));
}

}  // namespace
}  // namespace troupe::test
