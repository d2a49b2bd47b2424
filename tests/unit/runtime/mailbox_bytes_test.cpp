// What waits in a mailbox is counted in bytes too: shown as memory, and bounded.
#include "runtime_support.hpp"

#include "sched/scheduler.hpp"

#include <map>
#include <optional>
#include <vector>

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct Letter {
  std::int64_t number = 0;
  std::string text;
  std::vector<std::string> lines;
  TROUPE_MESSAGE(Letter, "letter", number, text, lines)
};

struct MailboxBytes : testing::Test {
  std::unique_ptr<node> still = detail::make_bare_node({.name = "still@localhost", .workers = 0});
  void run_all() {
    while (still->core().scheduler().run_one()) {
    }
  }
  std::size_t memory(pid p) { return still->core().summary(p).value().memory; }
  std::size_t queued(pid p) { return still->core().summary(p).value().queued; }
  std::uint64_t refused() { return still->core().counters().mailbox_refused.load(); }
  static task<> wait_for_stop(process& self) {
    for (;;) (co_await self.receive<Pong>(wait_forever)).or_exit();
  }
  static task<> read_all(process& self) {
    for (;;) static_cast<void>(co_await self.receive(wait_forever));
  }
};

TEST_F(MailboxBytes, HeapBytesAreWhatTheContentHolds) {
  const auto bytes = [](const auto& of) { return detail::heap_bytes(of); };
  EXPECT_EQ(bytes(std::int64_t{5}), 0u);
  EXPECT_EQ(bytes(std::string("short")), 0u);
  EXPECT_NEAR(bytes(std::string(1000, 'x')), 1000, 32);
  EXPECT_NEAR(bytes(std::vector<std::int64_t>(1000)), 8000, 32);
  EXPECT_NEAR(bytes(std::vector<std::string>(10, std::string(1000, 'x'))), 10'000 + 320, 400);
  EXPECT_NEAR(bytes(std::optional<std::string>(std::string(1000, 'x'))), 1000, 32);
  EXPECT_GT(bytes(std::map<std::string, std::int64_t>{{"a", 1}, {"b", 2}}), 2 * sizeof(std::string));
  EXPECT_NEAR(bytes(Letter{1, std::string(1000, 'x'), {std::string(500, 'y')}}), 1000 + 32 + 500, 100);
  EXPECT_NEAR(bytes(list_of({"x", std::string(1000, 'x')})), 1000 + 2 * sizeof(value), 100);
  EXPECT_NEAR(bytes(down(ref(), pid(), exit_reason(value(std::string(1000, 'x'))))), 1000, 32);
  // Beyond so many parts it is estimated, and costs no more.
  const std::vector<std::string> many(100'000, std::string(100, 'x'));
  const std::size_t exact = many.size() * (sizeof(std::string) + 112);
  EXPECT_NEAR(bytes(many), exact, exact / 10);
}

TEST_F(MailboxBytes, MemoryHoldsWhatWaits) {
  const pid waits = *spawn(*still, &wait_for_stop);
  run_all();
  const std::size_t before = memory(waits);
  for (int i = 0; i < 100; ++i) still->send(waits, Letter{i, std::string(10'000, 'x'), {}});
  EXPECT_NEAR(memory(waits), before + 100 * 10'000, 100 * 300);
  run_all();  // looked at, and left
  EXPECT_NEAR(memory(waits), before + 100 * 10'000, 100 * 300);
  EXPECT_EQ(queued(waits), 100u);
  const pid reads = *spawn(*still, &read_all);
  run_all();
  const std::size_t empty = memory(reads);
  for (int i = 0; i < 100; ++i) still->send(reads, list_of({i, std::string(10'000, 'x')}));
  EXPECT_NEAR(memory(reads), empty + 100 * 10'000, 100 * 300);
  for (int i = 0; i < 100; ++i) still->send(reads, Pong{i});
  EXPECT_EQ(queued(reads), 200u);
  run_all();
  EXPECT_EQ(queued(reads), 0u);
  EXPECT_EQ(memory(reads), empty);
}

TEST_F(MailboxBytes, ALimitInBytesRefusesAndCounts) {
  spawn_options bounded;
  bounded.mailbox_bytes = 50'000;
  const pid waits = spawn(*still, std::move(bounded), &wait_for_stop).or_exit();
  run_all();
  for (int i = 0; i < 10; ++i) still->send(waits, Letter{i, std::string(20'000, 'x'), {}});
  EXPECT_EQ(refused(), 7u);  // the third finds 40 KB waiting, the fourth 60
  run_all();
  EXPECT_EQ(queued(waits), 3u);
  // One that is longer than the limit is taken by an empty mailbox.
  spawn_options small;
  small.mailbox_bytes = 1000;
  const pid reads = spawn(*still, std::move(small), &read_all).or_exit();
  run_all();
  for (int i = 0; i < 3; ++i) {
    still->send(reads, Letter{i, std::string(20'000, 'x'), {}});
    run_all();
  }
  EXPECT_EQ(refused(), 7u);
}

TEST_F(MailboxBytes, TheNodesLimitHoldsForThoseThatNameNone) {
  detail::bare_node_options options{.name = "bounded@localhost", .workers = 0};
  options.node.mailbox_bytes = 50'000;
  auto bounded = detail::make_bare_node(std::move(options));
  const pid waits = *spawn(*bounded, &wait_for_stop);
  for (int i = 0; i < 10; ++i) bounded->send(waits, Letter{i, std::string(20'000, 'x'), {}});
  EXPECT_EQ(bounded->core().counters().mailbox_refused.load(), 7u);
  EXPECT_EQ(bounded->core().summary(waits)->queued, 3u);
}

TEST_F(MailboxBytes, MessagesOfOtherNodesCountTheirBytes) {
  const pid waits = *spawn(*still, &wait_for_stop);
  run_all();
  const std::size_t before = memory(waits);
  wire_buffer out;
  wire_writer(out)->put_value(list_of({"word", std::string(5000, 'x')}));
  for (int i = 0; i < 10; ++i)
    static_cast<void>(still->core().deliver(waits, detail::make_wire_envelope(detail::signal::message, out.data())));
  run_all();
  EXPECT_NEAR(memory(waits), before + 50'000, 10 * 200);
}

}  // namespace
}  // namespace troupe::test
