// Sends to a node that takes them slowly: over real sockets, interrupted, and where Lua cannot wait. What is parked and
// what lies here then is sim/script_slow_peer_test.cpp's.
#include "cluster.hpp"

#include "unit/dist/socket_fixture.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

namespace {

struct tally {
  std::mutex mutex;
  std::vector<std::int64_t> numbers;
  std::size_t count() {
    std::lock_guard lock(mutex);
    return numbers.size();
  }
};

task<> sink(process& self, std::shared_ptr<tally> out) {
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    const value content = got->to_value();
    std::lock_guard lock(out->mutex);
    out->numbers.push_back(*content.items()->front().integer());
  }
}

std::shared_ptr<tally> start_sink(member& where) {
  auto out = std::make_shared<tally>();
  spawn_options named;
  named.name = "sink";
  spawn(*where.machine, std::move(named), &sink, out).or_exit();
  return out;
}

std::int64_t unsent(member& of) {
  std::int64_t most = 0;
  const value info = of.network->info();
  for (const value& peer : *info.find("peers")->items()) most = std::max(most, peer.integer_at("queued_bytes"));
  return most;
}

}  // namespace

class LuaSlowSockets : public socket_fixture {};

TEST_F(LuaSlowSockets, NothingIsLost) {
  member one = start("one@test"), two = start("two@test");
  auto seen = start_sink(two);
  std::optional<result<value>> done;
  std::thread sender([&] {
    done = evaluate(*one.machine,
                    "to = {'sink', 'two@test'} "
                    "for i = 1, 30 do send(to, {i, ('x'):rep(1 << 20)}) end "
                    "for i = 31, 3030 do send(to, {i, ('x'):rep(8 << 10)}) end return 'all sent'");
  });
  std::int64_t most = 0;
  EXPECT_TRUE(wait_until([&] {
    most = std::max(most, unsent(one));
    return seen->count() == 3030;
  })) << seen->count();
  sender.join();
  ASSERT_TRUE(done && *done) << (*done ? "" : (*done).error().message());
  EXPECT_LT(most, 16 << 20);
  std::lock_guard lock(seen->mutex);
  for (std::size_t i = 0; i < seen->numbers.size(); ++i) ASSERT_EQ(seen->numbers[i], static_cast<std::int64_t>(i + 1));
}

#ifndef TROUPE_SANITIZED  // there Lua sends more slowly than the slowest of peers takes it
class LuaHeld : public LuaCluster {
 protected:
  void SetUp() override {
    member_options narrow;
    narrow.offers = offers();
    offer_script(narrow.offers);
    narrow.queue_bytes = 64u << 10;
    narrow.sender_bytes = 1u << 20;
    narrow.wire.tick = 60s;
    one_ = start("one@test", std::move(narrow));
    console_.emplace(*one_.machine);
  }
};

TEST_F(LuaHeld, CtrlCEndsAParkedSend) {
  two_ = begin("two@test");
  auto seen = start_sink(two_);
  console_->start("for i = 1, math.huge do send({'sink', 'two@test'}, {i, ('x'):rep(50000)}) end");
  ASSERT_TRUE(wait_until([&] { return one_.network->counters().parked.load() > 3; }));
  console_->interrupt();
  EXPECT_TRUE(has(console_->finish().error, "interrupted"));
  EXPECT_EQ(eval("1 + 1"), "2");
}

// Lua cannot wait inside of table.sort: the process is one that never waits, and ends at the node's bound for those.
TEST_F(LuaHeld, WhereLuaCannotWaitTheBoundOfASenderHolds) {
  member_options slow;
  slow.wire.frame_bytes = 4096;
  slow.wire.credit_bytes = 8192;
  two_ = start("two@test", std::move(slow));
  start_sink(two_);
  EXPECT_EQ(eval("p, watch = spawn_monitor(function() "
                 "  local big, list = ('x'):rep(1 << 20), {} for i = 1, 2000 do list[i] = i % 7 end "
                 "  table.sort(list, function(a, b) send({'sink', 'two@test'}, {1, big}) return a < b end) "
                 "end) return receive({'DOWN', watch}, 20000)[5][1]"),
            "\"overloaded\"");
  EXPECT_EQ(one_.network->counters().ended_overloaded.load(), 1u) << one_.network->info().print();
}
#endif

}  // namespace troupe::test
