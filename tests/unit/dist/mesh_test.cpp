// Who connects to whom.
#include "fixture.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

class Mesh : public cluster_fixture {
 protected:
  static member_options in_mesh() {
    member_options out;
    out.mesh = mesh_policy::automatic;
    out.knows_all = false;
    return out;
  }
  static bool sees(member& who, std::vector<std::string> others) { return nodes(*who.machine) == others; }
  // By a connection that `from` makes; `to` must be in its address book.
  static result<void> join(member& from, const std::string& to) {
    return from.door->run(patience, [to](process& self) -> task<result<void>> { co_return co_await connect(self, to); })
        .or_exit();
  }
};

TEST_F(Mesh, WhoJoinsOneJoinsAll) {
  member_options knowing = in_mesh();
  knowing.knows_all = true;
  member one = start("one@test", in_mesh());
  member two = start("two@test", knowing);
  member three = start("three@test", knowing);
  ASSERT_TRUE(join(two, "one@test"));
  ASSERT_TRUE(join(three, "two@test"));
  EXPECT_TRUE(wait_until([&] { return sees(three, {"one@test", "two@test"}); }));
  EXPECT_TRUE(wait_until([&] { return sees(one, {"three@test", "two@test"}); }));
  EXPECT_TRUE(wait_until([&] { return sees(two, {"one@test", "three@test"}); }));
}

// What is told is what was said to be told, by the node itself and by those who have it from the node.
TEST_F(Mesh, ANodeIsDialledWhereItSaysItIs) {
  member_options first = in_mesh();
  first.listen = {"door"};
  first.advertise = {"door"};
  member_options knowing = in_mesh();
  knowing.knows_all = true;
  member_options unreached = in_mesh();  // so that it is this one that dials
  unreached.address_book = {"two@test"};
  unreached.advertise = {"nowhere"};
  member one = start("one@test", first);
  member two = start("two@test", knowing);
  member three = start("three@test", unreached);
  ASSERT_TRUE(join(two, "one@test"));
  ASSERT_TRUE(join(three, "two@test"));
  ASSERT_TRUE(wait_until([&] { return sees(three, {"one@test", "two@test"}); }));
  const value info = three.network->info();
  EXPECT_EQ(*info.find("advertised"), value(list{value("inproc://nowhere")}));
  for (const value& peer : *info.find("peers")->items()) {
    if (peer.text_at("name") == "one@test") {
      EXPECT_EQ(peer.text_at("endpoint"), "inproc://door");
    }
  }
}

// Told under another's name: by one that shares a NAT, or by a mistake.
TEST_F(Mesh, WhatANodeSaysOfItselfIsNotDialledByIt) {
  member_options both = in_mesh();
  both.advertise = {"shared"};
  member_options knowing = both;
  knowing.knows_all = true;
  member one = start("one@test", both);
  member two = start("two@test", knowing);
  ASSERT_TRUE(join(two, "one@test"));
  ASSERT_TRUE(wait_until([&] { return sees(one, {"two@test"}); }));
  two.end();
  ASSERT_TRUE(wait_until([&] { return sees(one, {}); }));
  const auto dialled = join(one, "two@test");
  ASSERT_FALSE(dialled);
  EXPECT_NE(dialled.error().text().find("no endpoint is known"), std::string::npos) << dialled.error().message();
}

TEST_F(Mesh, HiddenNodesAreNotToldOf) {
  member_options knowing = in_mesh();
  knowing.knows_all = true;
  member_options unseen = knowing;
  unseen.hidden = true;
  member one = start("one@test", in_mesh());
  member two = start("two@test", unseen);
  member three = start("three@test", knowing);
  ASSERT_TRUE(join(two, "one@test"));
  ASSERT_TRUE(join(three, "one@test"));
  ASSERT_TRUE(wait_until([&] { return sees(one, {"three@test"}); }));
  EXPECT_TRUE(sees(three, {"one@test"}));
  EXPECT_EQ(nodes(*one.machine, node_class::hidden), std::vector<std::string>{"two@test"});
  EXPECT_TRUE(nodes(*three.machine, node_class::hidden).empty());
}

TEST_F(Mesh, ExplicitOnlyDialsNobodyByItself) {
  member_options alone;
  alone.knows_all = true;
  member one = start("one@test", alone);
  member two = start("two@test", alone);
  member three = start("three@test", alone);
  ASSERT_TRUE(join(two, "one@test"));
  ASSERT_TRUE(join(three, "two@test"));
  // Whatever two would have told comes before its answer.
  start_echo(two, "echo");
  three.run([](process& self) -> task<> {
    (co_await call<value>(self, address("echo", "two@test"), value(1)).within(patience)).or_exit();
  });
  EXPECT_TRUE(sees(three, {"two@test"}));
  EXPECT_TRUE(sees(one, {"two@test"}));
}

TEST_F(Mesh, WantedNodesAreConnectedWheneverTheyAreThere) {
  member_options wanting;
  wanting.wanted = {"two@test"};
  member one = start("one@test", wanting);
  for (std::uint64_t life = 1; life <= 3; ++life) {
    member_options options;
    options.creation = life;
    member two = start("two@test", options);
    EXPECT_TRUE(wait_until([&] { return sees(one, {"two@test"}); })) << life;
    two.end();
    EXPECT_TRUE(wait_until([&] { return sees(one, {}); })) << life;
  }
}

// Who polls `nodes` and then asks for a global name must find the node counted in: the replicas are told first.
TEST_F(Mesh, ANodeIsListedOnceTheReplicasKnow) {
  struct early final : internal::peer_watcher {
    explicit early(const node& given) : here(given) {}
    void peer_up(const internal::peer_event& who) override {
      const auto up = nodes(here, node_class::connected);
      listed = listed || std::find(up.begin(), up.end(), who.name) != up.end();
      ++told;
    }
    void peer_down(const internal::peer_event&, const error&) override {}
    const node& here;
    bool listed = false;
    std::atomic<int> told = 0;
  };
  member one = start("one@test"), two = start("two@test");
  early watcher(*one.machine);
  one.network->watch(watcher);
  EXPECT_TRUE(join(one, "two@test"));
  EXPECT_EQ(watcher.told, 1);
  EXPECT_FALSE(watcher.listed);
  EXPECT_TRUE(sees(one, {"two@test"}));
  one.network->unwatch(watcher);
}

// One list of peers for all nodes names each of them too.
TEST_F(Mesh, ANodeThatIsToldToWantItselfDoesNotDial) {
  member_options wanting;
  wanting.wanted = {"one@test", "two@test"};
  member one = start("one@test", wanting);
  member two = start("two@test", wanting);
  EXPECT_TRUE(wait_until([&] { return sees(one, {"two@test"}) && sees(two, {"one@test"}); }));
  for (member* each : {&one, &two}) EXPECT_EQ(each->network->info().find("peers")->items()->size(), 1u);
}

TEST_F(Mesh, DisconnectEndsTheWish) {
  member_options wanting;
  wanting.wanted = {"two@test"};
  member one = start("one@test", wanting);
  member two = start("two@test");
  ASSERT_TRUE(wait_until([&] { return sees(one, {"two@test"}); }));
  EXPECT_TRUE(disconnect(*one.machine, "two@test"));
  ASSERT_TRUE(wait_until([&] { return sees(one, {}); }));
  // Longer than the first retry would take.
  const auto since = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait_until([&] { return std::chrono::steady_clock::now() - since > 150ms; }));
  EXPECT_TRUE(sees(one, {}));
}

TEST_F(Mesh, LeaveIsPlannedAndHolds) {
  member_options knowing = in_mesh();
  knowing.knows_all = true;
  member one = start("one@test", knowing);
  member two = start("two@test", knowing);
  member three = start("three@test", knowing);
  ASSERT_TRUE(join(one, "two@test"));
  ASSERT_TRUE(join(three, "two@test"));
  ASSERT_TRUE(wait_until([&] { return sees(one, {"three@test", "two@test"}); }));
  two.run([&](process& self) -> task<> {
    monitor_nodes(self, true);
    leave(*one.machine);
    auto event = co_await self.receive(patience);
    const value told = event->to_value();
    EXPECT_EQ(told.items()->at(1), value("one@test"));
    EXPECT_EQ(told.items()->at(2).text_at("reason"), "closed");
  });
  EXPECT_TRUE(wait_until([&] { return sees(one, {}) && sees(two, {"three@test"}) && sees(three, {"two@test"}); }));
  ASSERT_TRUE(join(one, "three@test"));
  EXPECT_TRUE(wait_until([&] { return sees(one, {"three@test", "two@test"}); }));
}

TEST_F(Mesh, WhoIsNotAllowedIsToldSoInBothDirections) {
  member_options choosy;
  choosy.allow = {"t*@test"};
  choosy.deny = {"three@*"};
  member one = start("one@test", choosy);
  member two = start("two@test");
  member three = start("three@test");
  EXPECT_TRUE(join(two, "one@test"));
  EXPECT_EQ(join(three, "one@test").error(), errc::not_allowed);
  const error refused = join(one, "three@test").error();
  EXPECT_EQ(refused, errc::not_allowed);
  EXPECT_EQ(refused.text(), "one@test denies three@test");
  allow_nodes(*one.machine, {"three@test"});
  EXPECT_TRUE(wait_until([&] { return sees(one, {}); }));
  EXPECT_TRUE(join(three, "one@test"));
  EXPECT_EQ(join(two, "one@test").error(), errc::not_allowed);
}

TEST_F(Mesh, FiftyNodesOfOneProcess) {
  std::vector<member> all;
  auto name = [](int i) { return "m" + std::to_string(i) + "@test"; };
  for (int i = 0; i < 50; ++i) {
    member_options options = in_mesh();
    if (i > 0) options.address_book = {name(0)};  // each knows the first alone
    if (i > 0) options.wanted = {name(0)};
    all.push_back(start(name(i), std::move(options)));
  }
  const auto full = [&] {
    return std::all_of(all.begin(), all.end(), [](member& m) { return nodes(*m.machine).size() == 49; });
  };
  if (wait_until(full, 30s)) return;
  for (member& one : all) {
    const auto seen = nodes(*one.machine);
    for (int i = 0; i < 50; ++i) {
      const bool there = one.name() == name(i) || std::find(seen.begin(), seen.end(), name(i)) != seen.end();
      EXPECT_TRUE(there) << one.name() << " does not see " << name(i);
    }
  }
}

}  // namespace troupe::test
