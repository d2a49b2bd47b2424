#include <set>

#include "unit/global/fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

class GlobalLocks : public global_fixture {
 protected:
  void SetUp() override {
    one_ = start_global("one@test");
    two_ = start_global("two@test");
    join(one_, two_);
  }
  // A process that takes the lock, says so with its number, and holds it until it is told to go or to die.
  static task<> keeper_of(process& self, value resource, pid told) {
    auto asking = lock::acquire(self, resource, patience);
    auto held = co_await std::move(asking);
    if (!held) co_return;
    self.send(told, list_of({"held", self.id(), held->fence()}));
    auto word = co_await self.receive(wait_forever);
    if (word->to_value() == value("die")) self.exit(exit_reason("died"));
  }
  static task<result<std::int64_t>> try_lock(process& self, lock::id what, duration within) {
    auto asking = lock::set_lock(self, std::move(what), within);
    auto got = co_await std::move(asking);
    co_return got;
  }
  member one_, two_;
};

TEST_F(GlobalLocks, AreHeldByOneAndGoOnInOrder) {
  one_.run([&](process& self) -> task<> {
    std::int64_t before = 0;
    for (const char* way : {"go", "die"}) {
      std::vector<pid> line;
      for (int i = 0; i < 6; ++i) {
        // In the queue before the next one asks.
        line.push_back(i % 2 == 0 ? spawn(self, &keeper_of, value("disk"), self.id())
                                  : spawn(*two_.machine, &keeper_of, value("disk"), self.id()).or_exit());
        for (;;) {
          auto looking = lock::survey(self);
          const value seen = co_await std::move(looking);
          if (seen.find("locks")->items()->size() == static_cast<std::size_t>(i) + 1) break;
        }
      }
      for (const pid expected : line) {
        auto told = co_await self.receive(patience);
        const value said = told->to_value();
        const list& parts = *said.items();
        EXPECT_EQ(parts[1], value(expected));
        EXPECT_GT(*parts[2].integer(), before);
        before = *parts[2].integer();
        auto early = co_await self.receive(20ms);
        EXPECT_FALSE(early) << "two hold it";
        self.send(expected, value(way));
      }
    }
  });
}

TEST_F(GlobalLocks, EndWithTheirTime) {
  one_.run([&](process& self) -> task<> {
    const pid holder = spawn(*two_.machine, &keeper_of, value("disk"), self.id()).or_exit();
    auto told = co_await self.receive(patience);
    EXPECT_TRUE(told);
    auto asking = lock::acquire(self, "disk", 50ms);
    auto late = co_await std::move(asking);
    EXPECT_TRUE(!late && late.error() == errc::timeout);
    self.send(holder, value("go"));
    auto again = lock::acquire(self, "disk", patience);
    auto held = co_await std::move(again);
    EXPECT_TRUE(held) << held.error().message();
    EXPECT_EQ(held->resource(), value("disk"));
    auto own = lock::acquire(self, "troupe.x", patience);
    auto refused = co_await std::move(own);
    EXPECT_TRUE(!refused && refused.error() == errc::not_allowed);
  });
}

// A key falls to either node: a few resources, so that both arbiters are asked, from both sides.
TEST_F(GlobalLocks, WithinZeroIsTriedOnceAndAnsweredAtOnce) {
  for (member* here : {&one_, &two_}) {
    here->run([&](process& self) -> task<> {
      for (int i = 0; i < 8; ++i) {
        const lock::id what(list_of({"disk", i, self.id()}), self.id());
        auto taking = try_lock(self, what, 0ms);
        auto got = co_await std::move(taking);
        EXPECT_TRUE(got) << i << ": " << got.error().message();
        auto* there = here == &one_ ? &two_ : &one_;
        auto refused = there->door->run(patience, [&](process& other) -> task<std::string> {
          const time_point before = other.now();
          auto trying = try_lock(other, lock::id(what.resource(), other.id()), 0ms);
          auto none = co_await std::move(trying);
          if (none) co_return "given";
          if (other.now() - before > 3s) co_return "late";
          co_return none.error().name() + " " + none.error().text();
        });
        EXPECT_TRUE(refused);
        EXPECT_TRUE(refused->starts_with("timeout the lock ") && refused->ends_with("is held by " + self.id().text()))
            << *refused;
        auto giving = lock::del_lock(self, what);
        auto gone = co_await std::move(giving);
        EXPECT_TRUE(gone && *gone);
      }
      // Less than nothing is nothing, not for ever.
      auto trying = try_lock(self, lock::id(list_of({"disk", self.id()}), self.id()), -5ms);
      auto got = co_await std::move(trying);
      EXPECT_TRUE(got);
    });
  }
}

TEST_F(GlobalLocks, AreSharedByOneRequesterAndCounted) {
  one_.run([&](process& self) -> task<> {
    const lock::id ours("disk", "team"), theirs("disk", "others");
    for (int i = 0; i < 2; ++i) {
      auto taking = try_lock(self, ours, patience);
      auto got = co_await std::move(taking);
      EXPECT_TRUE(got);
    }
    // A process of another node in the name of the same requester.
    auto shared = two_.door->run(patience, [&](process& there) -> task<bool> {
      auto taking = try_lock(there, ours, patience);
      auto got = co_await std::move(taking);
      auto refusing = try_lock(there, theirs, 20ms);
      auto refused = co_await std::move(refusing);
      auto giving = lock::del_lock(there, ours);
      auto gone = co_await std::move(giving);
      co_return got && !refused && gone && *gone;
    });
    EXPECT_TRUE(shared && *shared);
    for (int i = 0; i < 3; ++i) {
      auto refusing = try_lock(self, theirs, 20ms);
      auto refused = co_await std::move(refusing);
      EXPECT_EQ(static_cast<bool>(refused), i == 2) << "given back " << i << " times";
      auto giving = lock::del_lock(self, ours);
      auto gone = co_await std::move(giving);
      EXPECT_TRUE(gone && *gone == (i < 2));
    }
  });
}

TEST_F(GlobalLocks, TransGivesBackHoweverItEnds) {
  one_.run([&](process& self) -> task<> {
    const lock::id mine("disk", self.id());
    auto body = [](process& inner) -> task<int> {
      co_await inner.yield();
      co_return 7;
    };
    auto running = lock::trans(self, mine, body, patience);
    auto got = co_await std::move(running);
    EXPECT_TRUE(got && *got == 7);
    auto throwing = [](process& inner) -> task<int> {
      co_await inner.yield();
      throw std::runtime_error("broken");
    };
    bool thrown = false;
    try {
      auto failing = lock::trans(self, mine, throwing, patience);
      auto never = co_await std::move(failing);
      (void)never;
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    auto free = two_.door->run(patience, [](process& there) -> task<bool> {
      auto taking = lock::acquire(there, "disk", patience);
      auto held = co_await std::move(taking);
      auto never = [](process&) -> task<> { co_return; };
      auto waiting = lock::trans(there, lock::id("disk", "x"), never, 20ms);
      auto aborted = co_await std::move(waiting);
      co_return held && !aborted && aborted.error() == errc::timeout;
    });
    EXPECT_TRUE(free && *free) << (free ? "not so" : free.error().message());
  });
}

TEST_F(GlobalLocks, ShowWhoWaitsForWhomInACircle) {
  one_.run([&](process& self) -> task<> {
    auto both = [](process& me, value first, value second, pid told) -> task<> {
      auto taking = lock::acquire(me, first, patience);
      auto mine = co_await std::move(taking);
      me.send(told, value("first"));
      auto go = co_await me.receive(patience);
      auto wanting = lock::acquire(me, second, patience);
      auto never = co_await std::move(wanting);
      (void)never;
    };
    const pid left = spawn(self, both, value("x"), value("y"), self.id());
    const pid right = spawn(*two_.machine, both, value("y"), value("x"), self.id()).or_exit();
    for (int i = 0; i < 2; ++i) {
      auto ready = co_await self.receive(patience);
      EXPECT_TRUE(ready);
    }
    self.send(left, value("go"));
    self.send(right, value("go"));
    for (;;) {
      auto looking = lock::survey(self);
      const value seen = co_await std::move(looking);
      const list& cycles = *seen.find("cycles")->items();
      if (cycles.empty()) continue;
      EXPECT_EQ(cycles.size(), 1u);
      std::set<pid> who;
      for (const value& one : *cycles.front().items()) who.insert(*one.process());
      EXPECT_EQ(who, (std::set<pid>{left, right}));
      break;
    }
    self.exit(left, exit_reason::kill());
    self.exit(right, exit_reason::kill());
  });
}

TEST_F(GlobalLocks, OfTwoSidesOneStaysWhenTheyMeet) {
  ASSERT_TRUE(disconnect(*one_.machine, "two@test"));
  ASSERT_TRUE(wait_until([&] { return !sees(one_, two_) && !sees(two_, one_); }));
  one_.run([&](process& self) -> task<> {
    auto taking = lock::acquire(self, "disk", patience);
    auto first = co_await std::move(taking);
    EXPECT_TRUE(first);
    auto there = two_.door->run(patience, [](process& me) -> task<std::int64_t> {
      auto also = lock::set_lock(me, lock::id("disk", "two"), patience);
      auto got = co_await std::move(also);
      co_return got ? *got : 0;
    });
    EXPECT_TRUE(there && *there != 0 && *there != first->fence());
    // That process has ended, and its lock with it: one that stays.
    const pid stays = spawn(*two_.machine, &keeper_of, value("disk"), self.id()).or_exit();
    auto theirs = [this, stays] {
      const auto held = two_.core().find<internal::global_service>()->held(true);
      for (const auto& one : held) {
        if (one.what.holder == stays) return one.what.fence;
      }
      return std::int64_t{0};
    };
    EXPECT_TRUE(wait_until([&] { return theirs() != 0; }));
    const std::int64_t other = theirs();
    EXPECT_NE(other, first->fence());
    const ref watch = self.monitor(stays);  // it ends when it is told anything
    auto joined = co_await connect(self, "two@test");
    EXPECT_TRUE(joined);
    auto outcome = [](const message& m) { return m.tag() == "lock_lost" || m.tag() == "DOWN"; };
    auto told = co_await self.receive_if(outcome, patience);
    EXPECT_TRUE(told);
    if (const auto* lost = told->get<lock::lock_lost>()) {
      EXPECT_EQ(lost->fence, first->fence());
      EXPECT_GT(other, first->fence());
    } else {
      EXPECT_EQ(told->as<down>().monitor, watch);
      EXPECT_LT(other, first->fence());
    }
    self.exit(stays, exit_reason::kill());
  });
}

}  // namespace
}  // namespace troupe::test
