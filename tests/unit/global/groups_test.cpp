// Groups over several nodes: counted membership, scopes, monitors without a gap, one copy for each node, lost nodes.
#include <troupe/group.hpp>

#include <algorithm>
#include <atomic>

#include "global/group_service.hpp"
#include "unit/dist/fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct Refresh {
  std::int64_t number = 0;
  TROUPE_MESSAGE(Refresh, "refresh", number)
};

task<> patient(process& self) { (void)co_await self.receive(wait_forever); }
// Tells `to` each number that it is sent.
task<> counting(process& self, pid to) {
  for (;;) {
    auto got = co_await self.receive<Refresh>(wait_forever);
    if (!got) co_return;
    list line{value(self.id()), value(got->number)};
    self.send(to, value(std::move(line)));
  }
}

class GroupsTest : public cluster_fixture {
 protected:
  member start_groups(const std::string& name, member_options given = {}) {
    given.features = {internal::groups_feature};
    given.services = [](node& here) { internal::start_groups(here).or_exit(); };
    return start(name, std::move(given));
  }
  static void join_nodes(member& here, const member& there) {
    here.run([&](process& self) -> task<bool> {
      auto joined = co_await connect(self, there.name());
      std::move(joined).or_exit();
      co_return true;
    });
  }
  static pid idle(member& where) { return spawn(*where.machine, &patient).or_exit(); }
  static process& at(member& where) { return where.door->self(); }
  static bool sees(member& where, const value& group, std::vector<pid> expected, std::string_view scope = "pg") {
    return wait_until([&] {
      auto seen = group::members(*where.machine, group, scope);
      std::ranges::sort(seen);
      std::ranges::sort(expected);
      return seen == expected;
    });
  }
  // The next change that this handle is told, as "join todo 2".
  static std::string next_change(member& where, ref monitor) {
    auto got = where.door->receive(10s);
    if (!got) return "nothing";
    auto told = group::change_in(*got);
    if (!told) return got->to_value().print();
    if (told->monitor != monitor) return "another monitor";
    return std::string(told->joined ? "join " : "leave ") + told->group.print() + " " +
           std::to_string(told->members.size());
  }
};

TEST_F(GroupsTest, MembershipIsCountedAndLocal) {
  member one = start_groups("one@test");
  const pid a = idle(one), b = idle(one);
  EXPECT_TRUE(group::join(at(one), "todo", std::vector<pid>{a, b, a}));
  EXPECT_EQ(group::members(*one.machine, "todo"), (std::vector<pid>{a, b, a}));
  EXPECT_EQ(group::which_groups(*one.machine), std::vector<value>{"todo"});
  EXPECT_TRUE(group::leave(at(one), "todo", a));
  EXPECT_EQ(group::local_members(*one.machine, "todo"), (std::vector<pid>{b, a}));
  EXPECT_TRUE(group::leave(at(one), "todo", std::vector<pid>{a, b}));
  EXPECT_EQ(group::leave(at(one), "todo", a).error().code(), errc::not_found);
  EXPECT_TRUE(group::which_groups(*one.machine).empty()) << "an empty group is not there";
  EXPECT_EQ(group::closest(*one.machine, "todo"), std::nullopt);
  one.machine->exit(a, exit_reason::kill());
  ASSERT_TRUE(wait_until([&] { return !one.machine->exists(a); }));
  EXPECT_EQ(group::join(at(one), "todo", a).error().code(), errc::noproc);
  EXPECT_EQ(group::join(at(one), "todo", b, "nowhere").error().code(), errc::not_found);
  EXPECT_TRUE(group::join(at(one), list_of({"room", 1}), b));
  EXPECT_TRUE(group::join(at(one), list_of({"room", 1.0}), b));
  EXPECT_EQ(group::which_local_groups(*one.machine).size(), 2u) << "any value is a name";
  one.machine->exit(b, exit_reason::kill());
  EXPECT_TRUE(wait_until([&] { return group::which_groups(*one.machine).empty(); })) << "the dead leave";
}

TEST_F(GroupsTest, AnEmptyListAndAnEmptyMapAreTwoGroups) {
  member one = start_groups("one@test"), two = start_groups("two@test");
  join_nodes(one, two);
  const pid a = idle(one), b = idle(one);
  EXPECT_TRUE(group::join(at(one), list(), a));
  EXPECT_TRUE(group::join(at(one), value(map()), b));
  for (member* where : {&one, &two}) {
    EXPECT_TRUE(sees(*where, list(), {a})) << where->name();
    EXPECT_TRUE(sees(*where, value(map()), {b})) << where->name();
  }
  EXPECT_TRUE(group::leave(at(one), list(), a));
  EXPECT_TRUE(sees(two, list(), {}));
  EXPECT_TRUE(sees(two, value(map()), {b}));
}

TEST_F(GroupsTest, EveryNodeSeesAllAndTheNearestIsChosen) {
  member one = start_groups("one@test"), two = start_groups("two@test"), three = start_groups("three@test");
  const pid a = idle(one), b = idle(two);
  group::join(at(one), "todo", a).or_exit();
  join_nodes(one, two);  // what was joined before is told now
  EXPECT_TRUE(sees(two, "todo", {a}));
  group::join(at(two), "todo", std::vector<pid>{b, b}).or_exit();
  EXPECT_TRUE(sees(one, "todo", {a, b, b}));
  EXPECT_EQ(group::closest(*one.machine, "todo"), a);
  EXPECT_EQ(group::closest(*two.machine, "todo"), b);
  EXPECT_EQ(group::join(at(one), "todo", b).error().code(), errc::not_allowed);
  group::leave(at(one), "todo", a).or_exit();
  EXPECT_TRUE(sees(two, "todo", {b, b}));
  EXPECT_EQ(group::closest(*one.machine, "todo"), b);
  // Not transitive: three knows two alone.
  join_nodes(two, three);
  EXPECT_TRUE(sees(three, "todo", {b, b}));
  group::join(at(one), "other", a).or_exit();
  EXPECT_TRUE(sees(two, "other", {a}));
  EXPECT_TRUE(group::members(*three.machine, "other").empty());
  two.machine->exit(b, exit_reason::kill());
  EXPECT_TRUE(sees(one, "todo", {}));
  EXPECT_TRUE(sees(three, "todo", {}));
}

TEST_F(GroupsTest, MembersOfALostNodeAreGoneBeforeNodedownAndReturn) {
  member one = start_groups("one@test"), two = start_groups("two@test");
  const pid b = idle(two);
  group::join(at(two), "todo", b).or_exit();
  join_nodes(one, two);
  ASSERT_TRUE(sees(one, "todo", {b}));
  for (int round = 0; round < 50; ++round) {
    one.run([&](process& self) -> task<bool> {
      monitor_nodes(self, true);
      const ref watch = self.monitor(b);
      auto watched = group::monitor(self, "todo").or_exit();
      EXPECT_EQ(watched.members.size(), 1u);
      disconnect(*two.machine, "one@test");
      std::string order;
      while (order.find("nodedown") == std::string::npos) {
        auto got = co_await self.receive(10s);
        if (!got) break;
        if (auto told = group::change_in(*got)) {
          order += told->joined ? "join " : "leave ";
          continue;
        }
        // Whoever hears of the loss, by whatever way, finds the group without it.
        EXPECT_TRUE(group::members(self, "todo").empty()) << order;
        if (const auto* ended = got->get<down>()) order += ended->monitor == watch ? "down " : "?";
        else order += *got->to_value().items()->front().text();
      }
      EXPECT_EQ(order, "leave down nodedown");
      auto ending = group::demonitor(self, watched.monitor);
      co_await std::move(ending);
      monitor_nodes(self, false);
      auto back = co_await connect(self, "two@test");
      std::move(back).or_exit();
      co_return true;
    });
    ASSERT_TRUE(sees(one, "todo", {b})) << "announced anew";
  }
}

TEST_F(GroupsTest, MonitorsTellEveryChangeOnce) {
  member one = start_groups("one@test"), two = start_groups("two@test");
  join_nodes(one, two);
  const pid a = idle(one), b = idle(two);
  group::join(at(one), "todo", a).or_exit();
  auto watch = group::monitor(at(one), "todo").or_exit();
  EXPECT_EQ(watch.members, std::vector<pid>{a});
  group::join(at(two), "todo", std::vector<pid>{b, b}).or_exit();
  EXPECT_EQ(next_change(one, watch.monitor), "join \"todo\" 2");
  group::join(at(two), "other", b).or_exit();
  group::leave(at(one), "todo", a).or_exit();
  EXPECT_EQ(next_change(one, watch.monitor), "leave \"todo\" 1");
  ASSERT_TRUE(sees(one, "other", {b}));
  auto whole = group::monitor_scope(at(one)).or_exit();
  EXPECT_EQ(whole.groups.size(), 2u);
  two.machine->exit(b, exit_reason::kill());
  std::vector<std::string> seen;
  for (int i = 0; i < 3; ++i) {
    auto got = one.door->receive(10s).or_exit();
    auto told = group::change_in(got);
    ASSERT_TRUE(told);
    seen.push_back((told->monitor == watch.monitor ? "group " : "scope ") +
                   std::string(told->joined ? "join " : "leave ") + told->group.print() + " " +
                   std::to_string(told->members.size()));
  }
  std::ranges::sort(seen);
  EXPECT_EQ(seen,
            (std::vector<std::string>{"group leave \"todo\" 2", "scope leave \"other\" 1", "scope leave \"todo\" 2"}));
  // Changes that wait already are gone with their monitor.
  const pid c = idle(one);
  const auto left = one.run([&](process& self) -> task<bool> {
    auto mine = group::monitor_scope(self).or_exit();
    group::join(self, "more", c).or_exit();
    auto ending = group::demonitor(self, mine.monitor);
    const bool there = co_await std::move(ending);
    group::leave(self, "more", c).or_exit();
    auto got = co_await self.receive(20ms);
    auto again = group::demonitor(self, mine.monitor);
    const bool twice = co_await std::move(again);
    co_return there && !got && !twice;
  });
  EXPECT_TRUE(left);
}

// Joins and leaves from many processes at once: the snapshot and the changes behind it always add up.
TEST_F(GroupsTest, SnapshotAndChangesHaveNoGap) {
  member one = start_groups("one@test");
  std::vector<pid> many;
  for (int i = 0; i < 8; ++i) many.push_back(idle(one));
  std::atomic<bool> ending{false};
  auto flapping = [&](process& self, pid who) -> task<> {
    while (!ending) {
      group::join(self, "busy", who).or_exit();
      co_await self.yield();
      group::leave(self, "busy", who).or_exit();
    }
    group::join(self, "busy", who).or_exit();
  };
  std::vector<pid> workers;
  for (const pid one_of : many) workers.push_back(spawn(*one.machine, flapping, one_of).or_exit());
  for (int round = 0; round < 20; ++round) {
    const bool whole = one.run([&](process& self) -> task<bool> {
      auto watch = group::monitor(self, "busy").or_exit();
      std::map<pid, int> count;
      for (const pid p : watch.members) ++count[p];
      for (int i = 0; i < 500; ++i) {
        auto got = co_await self.receive(10s);
        auto told = got ? group::change_in(*got) : std::nullopt;
        if (!told) co_return false;
        for (const pid p : told->members) {
          count[p] += told->joined ? 1 : -1;
          if (count[p] < 0 || count[p] > 1) co_return false;  // left before it came, or came twice
        }
      }
      co_return true;
    });
    ASSERT_TRUE(whole) << round;
  }
  ending = true;
  ASSERT_TRUE(wait_until([&] { return std::ranges::none_of(workers, [&](pid p) { return one.machine->exists(p); }); }));
  EXPECT_TRUE(sees(one, "busy", many));
}

TEST_F(GroupsTest, ABroadcastIsOneCopyForEachNode) {
  member one = start_groups("one@test"), two = start_groups("two@test");
  join_nodes(one, two);
  const pid ear = at(one).id();
  std::vector<pid> all;
  for (int i = 0; i < 5; ++i) all.push_back(spawn(*two.machine, &counting, ear).or_exit());
  group::join(at(two), "todo", all).or_exit();
  group::join(at(two), "todo", all.front()).or_exit();  // twice a member, one copy
  const pid here = spawn(*one.machine, &counting, ear).or_exit();
  group::join(at(one), "todo", here).or_exit();
  auto everybody = all;
  everybody.push_back(all.front());
  everybody.push_back(here);
  ASSERT_TRUE(sees(one, "todo", everybody));
  auto signals = [&] {
    const value peers = *one.network->info().find("peers");
    return peers.items()->front().integer_at("signals_out");
  };
  const auto before = signals();
  EXPECT_EQ(group::broadcast(at(one), "todo", Refresh(7)), 2u);
  std::map<pid, int> heard;
  for (int i = 0; i < 6; ++i) {
    auto got = one.door->receive(10s).or_exit().to_value();
    ASSERT_EQ(got.items()->back(), value(7));
    ++heard[*got.items()->front().process()];
  }
  EXPECT_EQ(heard.size(), 6u);
  EXPECT_FALSE(one.door->receive(20ms)) << "each once";
  EXPECT_EQ(signals() - before, 1) << "for five members there";
  EXPECT_EQ(group::broadcast(at(one), "nobody", Refresh(1)), 0u);
}

TEST_F(GroupsTest, ScopesAreOverlaysOfWhoStartsThem) {
  member one = start_groups("one@test"), two = start_groups("two@test");
  const pid a = idle(one), b = idle(two);
  join_nodes(one, two);
  group::start_scope(*one.machine, "chat").or_exit();
  group::join(at(one), "lobby", a, "chat").or_exit();
  group::join(at(two), "lobby", b).or_exit();
  ASSERT_TRUE(sees(one, "lobby", {b}));
  EXPECT_EQ(group::join(at(two), "lobby", b, "chat").error().code(), errc::not_found);
  EXPECT_TRUE(group::members(*two.machine, "lobby", "chat").empty());
  group::start_scope(*two.machine, "chat").or_exit();  // later: what is there is asked for, both ways
  EXPECT_TRUE(sees(two, "lobby", {a}, "chat"));
  group::join(at(two), "lobby", b, "chat").or_exit();
  EXPECT_TRUE(sees(one, "lobby", {a, b}, "chat"));
  EXPECT_EQ(group::members(*one.machine, "lobby"), std::vector<pid>{b});
  EXPECT_EQ(group::scopes(*one.machine), (std::vector<std::string>{"chat", "pg"}));
}

TEST_F(GroupsTest, CreatedGroupsStayWithoutMembers) {
  member one = start_groups("one@test"), two = start_groups("two@test");
  group::create(at(one), list_of({"todo_list", "bob"})).or_exit();
  join_nodes(one, two);
  const value name = list_of({"todo_list", "bob"});
  ASSERT_TRUE(wait_until([&] { return group::which_groups(*two.machine) == std::vector<value>{name}; }));
  EXPECT_TRUE(group::exists(*two.machine, name));
  EXPECT_TRUE(group::members(*two.machine, name).empty());
  group::remove(at(two), name).or_exit();
  EXPECT_TRUE(wait_until([&] { return !group::exists(*one.machine, name); }));
  EXPECT_EQ(group::remove(at(two), name).error().code(), errc::not_found);
}

TEST_F(GroupsTest, TheProcessMayBeKilledAndEveryMemberStays) {
  member one = start_groups("one@test"), two = start_groups("two@test");
  const pid a = idle(one), b = idle(two);
  join_nodes(one, two);
  group::join(at(one), "todo", a).or_exit();
  group::join(at(two), "todo", b).or_exit();
  ASSERT_TRUE(sees(one, "todo", {a, b}) && sees(two, "todo", {a, b}));
  for (int round = 0; round < 10; ++round) {
    const pid keeper = one.machine->whereis(internal::groups_name).or_exit();
    one.machine->exit(keeper, exit_reason::kill());
    const pid more = idle(one);
    group::join(at(one), "more", more).or_exit();  // while there may be nobody to tell of it
    ASSERT_TRUE(wait_until([&] {
      auto now = one.machine->whereis(internal::groups_name);
      return now && *now != keeper;
    }));
    ASSERT_TRUE(sees(two, "more", {more})) << round;
    one.machine->exit(more, exit_reason::kill());  // watched by the new one
    ASSERT_TRUE(sees(two, "more", {}));
    ASSERT_TRUE(sees(one, "todo", {a, b}) && sees(two, "todo", {a, b}));
  }
}

TEST_F(GroupsTest, HiddenNodesHaveGroupsOfTheirOwn) {
  member one = start_groups("one@test");
  member two = start_groups("two@test", {.hidden = true});
  join_nodes(one, two);
  const pid a = idle(one), b = idle(two);
  group::join(at(one), "todo", a).or_exit();
  group::join(at(two), "todo", b).or_exit();
  EXPECT_EQ(group::members(*two.machine, "todo"), std::vector<pid>{b});
  EXPECT_EQ(group::members(*one.machine, "todo"), std::vector<pid>{a});
}

TEST_F(GroupsTest, LargeGroupsTravelInPartsAndAStrangerSaysNothing) {
  member one = start_groups("one@test"), two = start_groups("two@test");
  std::vector<pid> all;
  for (int i = 0; i < 300; ++i) all.push_back(idle(one));
  for (int i = 0; i < 40; ++i) group::join(at(one), value(i), all).or_exit();
  join_nodes(one, two);
  for (int i = 0; i < 40; ++i) EXPECT_TRUE(sees(two, i, all)) << i;
  // A message that is not from the process of that node, or speaks for another's, is nothing.
  const pid b = idle(two);
  at(one).send(address(internal::groups_name, "two@test"), internal::groups_changed("pg", "join", value("lie"), {b}));
  at(one).send(address(internal::groups_name, "two@test"), value("nonsense"));
  group::join(at(one), "truth", all.front()).or_exit();
  EXPECT_TRUE(sees(two, "truth", {all.front()}));
  EXPECT_TRUE(group::members(*two.machine, "lie").empty());
}

}  // namespace
}  // namespace troupe::test
