#include "unit/global/fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

class GlobalNames : public global_fixture {
 protected:
  void SetUp() override {
    one_ = start_global("one@test");
    two_ = start_global("two@test");
    join(one_, two_);
  }
  member one_, two_;
};

TEST_F(GlobalNames, AreFoundFromEveryNodeAndTakenOnce) {
  const pid mine = start_echo(one_, "a");
  const pid other = start_echo(two_, "b");
  EXPECT_TRUE(register_at(one_, "ledger", mine));
  auto seen = whereis_at(two_, "ledger");
  ASSERT_TRUE(seen) << seen.error().message();
  EXPECT_EQ(*seen, mine);

  auto refused = register_at(two_, "ledger", other);
  EXPECT_FALSE(refused);
  EXPECT_EQ(refused.error(), errc::name_taken);
  EXPECT_EQ(refused.holder(), mine);
  EXPECT_NE(refused.error().text().find(mine.text()), std::string::npos);

  // Again by its own holder, under a second name, and of a process of another node.
  EXPECT_TRUE(register_at(one_, "ledger", mine));
  EXPECT_TRUE(register_at(one_, list_of({"todo_list", "bob"}), mine));
  EXPECT_TRUE(register_at(one_, "far", other));
  EXPECT_EQ(*whereis_at(one_, "far"), other);
  EXPECT_TRUE(wait_until([&] { return global::registered_names(*two_.machine).size() == 3; }));
  EXPECT_EQ(global::registered_names(*one_.machine), global::registered_names(*two_.machine));
}

TEST_F(GlobalNames, AnEmptyListAndAnEmptyMapAreTwo) {
  const pid first = start_echo(one_, "a"), second = start_echo(two_, "b");
  EXPECT_TRUE(register_at(one_, list(), first));
  EXPECT_TRUE(register_at(two_, value(map()), second));
  for (member* where : {&one_, &two_}) {
    EXPECT_EQ(*whereis_at(*where, list()), first);
    EXPECT_EQ(*whereis_at(*where, value(map())), second);
  }
}

TEST_F(GlobalNames, AreFreeWhenTheHolderEnds) {
  for (int round = 0; round < 30; ++round) {
    const pid first = start_echo(one_, "a");
    const pid next = start_echo(two_, "b");
    ASSERT_TRUE(register_at(one_, "ledger", first));
    // Whoever has seen the holder end gets its name: from another node than the holder's too.
    two_.run([&](process& self) -> task<> {
      const ref watch = self.monitor(first);
      self.exit(first, exit_reason::kill());
      auto ended = co_await self.receive<down>(patience);
      EXPECT_TRUE(ended && ended->monitor == watch);
      auto asking = global::register_name(self, "ledger", next);
      auto got = co_await std::move(asking);
      EXPECT_TRUE(got) << got.error().message();
    });
    EXPECT_TRUE(wait_until([&] { return known_at(one_, "ledger", next); }));
    two_.machine->exit(next, exit_reason::kill());
    EXPECT_TRUE(wait_until([&] { return known_at(one_, "ledger", {}) && known_at(two_, "ledger", {}); }));
    EXPECT_TRUE(wait_until([&] { return !one_.machine->exists(first) && !two_.machine->exists(next); }));
  }
}

TEST_F(GlobalNames, MoveAndGo) {
  const pid first = start_echo(one_, "a");
  const pid next = start_echo(two_, "b");
  ASSERT_TRUE(register_at(one_, 5, first));
  two_.run([&](process& self) -> task<> {
    auto moving = global::re_register_name(self, 5, next);
    auto moved = co_await std::move(moving);
    EXPECT_TRUE(moved) << moved.error().message();
  });
  EXPECT_TRUE(wait_until([&] { return *whereis_at(one_, 5) == next; }));
  EXPECT_TRUE(one_.machine->exists(first));
  one_.run([&](process& self) -> task<> {
    auto going = global::unregister_name(self, 5);
    auto gone = co_await std::move(going);
    EXPECT_TRUE(gone && *gone);
    auto again = global::unregister_name(self, 6);
    auto none = co_await std::move(again);
    EXPECT_TRUE(none && !*none);
  });
  EXPECT_TRUE(wait_until([&] { return !whereis_at(one_, 5) && !whereis_at(two_, 5); }));
}

TEST_F(GlobalNames, AreAddresses) {
  const pid echo = start_echo(one_, "a");
  ASSERT_TRUE(register_at(one_, "echo", echo));
  ASSERT_TRUE(wait_until([&] { return known_at(two_, "echo", echo); }));
  two_.run([&](process& self) -> task<> {
    auto answer = co_await call<value>(self, global::name("echo"), value(7));
    EXPECT_TRUE(answer && *answer == list_of({"echo", 7}));
    auto nobody = co_await call<value>(self, global::name("nobody"), value(7));
    EXPECT_TRUE(!nobody && nobody.error() == errc::noproc) << nobody.error().message();
    EXPECT_NE(nobody.error().text().find("\"nobody\""), std::string::npos) << nobody.error().text();
    EXPECT_TRUE(global::send(self, global::name("echo"), list_of({"ping", self.id()})));
    auto back = co_await self.receive(patience);
    EXPECT_TRUE(back && back->to_value() == list_of({"ping", echo}));
    auto missed = global::send(self, global::name("nobody"), value(1));
    EXPECT_TRUE(!missed && missed.error() == errc::noproc);
    const ref watch = self.monitor(global::name("echo"));
    self.send(global::name("echo"), list_of({"die", "done"}));
    auto ended = co_await self.receive<down>(patience);
    EXPECT_TRUE(ended && ended->monitor == watch && ended->reason.is("done"));
    self.monitor(global::name("nobody"));
    auto never = co_await self.receive<down>(patience);
    EXPECT_TRUE(never && never->reason.is("noproc"));
  });
}

TEST_F(GlobalNames, OfALostNodeAreGoneBeforeAnybodyIsTold) {
  const pid there = start_echo(two_, "b");
  const pid here = start_echo(one_, "a");
  ASSERT_TRUE(register_at(two_, "ledger", there));
  ASSERT_TRUE(wait_until([&] { return known_at(one_, "ledger", there); }));
  one_.run([&](process& self) -> task<> {
    monitor_nodes(self, true);
    self.monitor(there);
    EXPECT_TRUE(disconnect(self, "two@test"));
    auto ended = co_await self.receive<down>(patience);
    EXPECT_TRUE(ended && ended->reason.is("noconnection") && known_at(one_, "ledger", {}));
    auto event = co_await self.receive(patience);
    EXPECT_TRUE(event && event->tag() == "nodedown");
    auto asking = global::register_name(self, "ledger", here);
    auto got = co_await std::move(asking);
    EXPECT_TRUE(got) << got.error().message();
  });
  EXPECT_EQ(*whereis_at(one_, "ledger"), here);
}

TEST_F(GlobalNames, RefuseWhatIsWrong) {
  const pid mine = start_echo(one_, "a");
  EXPECT_EQ(register_at(one_, value(), mine).error(), errc::bad_name);
  EXPECT_EQ(register_at(one_, "troupe.x", mine).error(), errc::not_allowed);
  EXPECT_EQ(register_at(one_, "x", mine, global::register_options().resolver("coin")).error(), errc::undef);
  EXPECT_EQ(register_at(one_, "x", pid()).error(), errc::noproc);
  const pid dead(one_.machine->life(), (std::uint64_t{77} << 32) | 7);
  EXPECT_EQ(register_at(one_, "x", dead).error(), errc::noproc);
  EXPECT_EQ(register_at(two_, "x", dead).error(), errc::noproc);
  const auto never = held_life::hold("three@test", 9).or_exit();
  EXPECT_EQ(register_at(one_, "x", pid(never.get(), 5)).error(), errc::noconnection);
  EXPECT_EQ(whereis_at(one_, "x").error(), errc::noproc);
  member alone = start("three@test");
  EXPECT_EQ(register_at(alone, "x", start_echo(alone, "c")).error(), errc::noproc);
  EXPECT_EQ(whereis_at(alone, "x").error(), errc::unsupported);
}

TEST_F(GlobalNames, MeetAgain) {
  // Each side gives the name; the older holder keeps it, the other is told and lives on.
  ASSERT_TRUE(disconnect(*one_.machine, "two@test"));
  ASSERT_TRUE(wait_until([&] { return global::members(*one_.machine).size() == 1; }));
  ASSERT_TRUE(wait_until([&] { return global::members(*two_.machine).size() == 1; }));
  const pid older = start_echo(one_, "a");
  ASSERT_TRUE(register_at(one_, "ledger", older));
  std::optional<pid> loser;
  std::jthread side([&] {
    two_.run([&](process& self) -> task<> {
      auto asking = global::register_name(self, "ledger", self.id());
      auto got = co_await std::move(asking);
      EXPECT_TRUE(got) << got.error().message();
      loser = self.id();
      auto joined = co_await connect(self, "one@test");
      EXPECT_TRUE(joined);
      auto told = co_await self.receive<global::global_name_conflict>(patience);
      EXPECT_TRUE(told && told->name == value("ledger") && told->winner == older);
    });
  });
  side.join();
  EXPECT_TRUE(wait_until([&] { return known_at(one_, "ledger", older) && known_at(two_, "ledger", older); }));
}

}  // namespace
}  // namespace troupe::test
