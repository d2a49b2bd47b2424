#include "global/membership.hpp"

#include <gtest/gtest.h>

#include "unit/global/row_cluster.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
using internal::membership;

struct cluster : row_cluster {
  cluster(std::initializer_list<const char*> ids, partition_policy policy = partition_policy::islands)
      : row_cluster(ids, policy) {}
  void wait(duration time) {
    now += time;
    for (int round = 0; round < 4; ++round) {
      for (auto& [name, one] : all) {
        for (const std::string& id : one->settle(now)) probed.insert(name + ">" + id);
      }
      tell();
    }
  }
  std::set<std::string> view(const std::string& name) { return all[name]->view(); }
  bool confirmed(const std::string& name) { return all[name]->confirmed(); }

  std::set<std::string> probed;
};

using ids = std::set<std::string>;

TEST(Membership, AgreesWhenAllSeeAll) {
  cluster c{"a#1", "b#1", "c#1"};
  EXPECT_TRUE(c.confirmed("a#1"));
  c.link("a#1", "b#1");
  EXPECT_TRUE(c.confirmed("a#1") && c.confirmed("b#1"));
  c.link("b#1", "c#1");
  EXPECT_FALSE(c.confirmed("b#1"));
  c.link("a#1", "c#1");
  for (const char* one : {"a#1", "b#1", "c#1"}) {
    EXPECT_TRUE(c.confirmed(one));
    EXPECT_EQ(c.view(one), (ids{"a#1", "b#1", "c#1"}));
    EXPECT_EQ(c.all[one]->arbiter("some key"), c.all["a#1"]->arbiter("some key"));
  }
}

TEST(Membership, FallsIntoIslandsByName) {
  cluster c{"a#1", "b#1", "c#1", "d#1"};
  c.link_all();
  c.cut("b#1", "d#1");
  EXPECT_FALSE(c.confirmed("a#1"));
  c.wait(250ms);
  EXPECT_TRUE(c.probed.contains("a#1>d#1") && c.probed.contains("a#1>b#1"));
  EXPECT_FALSE(c.confirmed("a#1"));
  c.wait(3s);
  for (const char* one : {"a#1", "b#1", "c#1"}) {
    EXPECT_TRUE(c.confirmed(one)) << one;
    EXPECT_EQ(c.view(one), (ids{"a#1", "b#1", "c#1"}));
  }
  EXPECT_TRUE(c.confirmed("d#1"));
  EXPECT_EQ(c.view("d#1"), ids{"d#1"});
  c.link("b#1", "d#1");
  for (const char* one : {"a#1", "b#1", "c#1", "d#1"}) {
    EXPECT_TRUE(c.confirmed(one)) << one;
    EXPECT_EQ(c.view(one).size(), 4u);
  }
}

// Nodes that have not met yet are slow at worst: on a busy machine a probe would part those who are there.
TEST(Membership, ProbesAtOnceOnlyWhoWasLost) {
  cluster c({"a#1", "b#1", "c#1", "d#1"}, partition_policy::keep);
  c.link("a#1", "b#1");
  c.link("a#1", "c#1");
  c.link("a#1", "d#1");
  c.link("c#1", "d#1");
  c.wait(250ms);
  EXPECT_EQ(c.probed, ids{});
  c.cut("c#1", "d#1");
  c.wait(250ms);
  EXPECT_EQ(c.probed, (ids{"a#1>c#1", "a#1>d#1"}));
  c.wait(3s);
  EXPECT_EQ(c.probed, (ids{"a#1>b#1", "a#1>c#1", "a#1>d#1"}));
}

TEST(Membership, AgreesAlsoAmongManyThatComeAndGo) {
  std::vector<std::string> names;
  for (int i = 0; i < 70; ++i) names.push_back("n" + std::to_string(i) + "#1");  // more than a word of slots
  cluster c{};
  for (const auto& name : names) c.all.emplace(name, std::make_unique<membership>(name, partition_policy::islands));
  auto link = [&c](const std::string& a, const std::string& b) {
    c.all[a]->up(b, c.now);
    c.all[b]->up(a, c.now);
  };
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) link(names[i], names[k]);
  }
  c.tell();
  for (const auto& name : names) {
    ASSERT_TRUE(c.confirmed(name)) << name;
    EXPECT_EQ(c.view(name).size(), names.size());
  }
  // Another life in the place of each second one.
  for (std::size_t i = 0; i < names.size(); i += 2) {
    for (const auto& other : names) {
      if (other != names[i]) c.all[other]->down(names[i], false, c.now);
    }
    c.all.erase(names[i]);
    names[i].back() = '2';
    c.all.emplace(names[i], std::make_unique<membership>(names[i], partition_policy::islands));
    for (const auto& other : names) {
      if (other != names[i] && c.all.contains(other)) link(other, names[i]);
    }
  }
  c.tell();
  for (const auto& name : names) {
    ASSERT_TRUE(c.confirmed(name)) << name;
    EXPECT_EQ(c.view(name), (ids{names.begin(), names.end()}));
  }
}

TEST(Membership, KeepsWaitingByPolicy) {
  cluster c({"a#1", "b#1", "c#1"}, partition_policy::keep);
  c.link_all();
  c.cut("b#1", "c#1");
  c.wait(1h);
  EXPECT_FALSE(c.confirmed("a#1"));
  c.link("b#1", "c#1");
  EXPECT_TRUE(c.confirmed("a#1"));
}

TEST(Membership, OnlyTheGreaterPartGoesOnByQuorum) {
  cluster c({"a#1", "b#1", "c#1"}, partition_policy::quorum);
  c.link_all();
  c.cut("a#1", "c#1");
  c.cut("b#1", "c#1");
  EXPECT_TRUE(c.all["a#1"]->may_grant() && c.all["b#1"]->may_grant());
  EXPECT_FALSE(c.all["c#1"]->may_grant());
  // A planned leave lessens what is counted.
  c.all["a#1"]->down("b#1", true, c.now);
  EXPECT_FALSE(c.all["a#1"]->may_grant());  // one of two: the lost one still counts
}

TEST(Membership, WaitsForWhoHasNotSpokenButNotForEver) {
  membership a("a#1", partition_policy::islands);
  time_point now{1s};
  a.up("b#1", now);
  EXPECT_FALSE(a.confirmed());
  now += 4s;
  EXPECT_EQ(a.settle(now), std::vector<std::string>{"b#1"});
  EXPECT_TRUE(a.confirmed());
  EXPECT_EQ(a.next(), time_point::max());
}

TEST(Membership, GoesOnWithoutAMemberThatDoesNotFollow) {
  for (const auto policy : {partition_policy::islands, partition_policy::keep}) {
    cluster c({"a#1", "b#1", "c#1", "d#1"}, policy);
    c.link_all();
    c.mute = {"c#1"};
    for (const char* one : {"a#1", "b#1", "c#1"}) c.cut(one, "d#1");
    EXPECT_FALSE(c.confirmed("a#1"));
    EXPECT_NE(c.all["a#1"]->next() == time_point::max(), policy == partition_policy::islands);
    c.wait(9s);
    EXPECT_FALSE(c.confirmed("a#1"));
    c.wait(1s);
    c.wait(4s);
    EXPECT_EQ(c.confirmed("a#1"), policy == partition_policy::islands);
    if (policy == partition_policy::islands) {
      EXPECT_EQ(c.view("b#1"), (ids{"a#1", "b#1"}));
    }
    c.mute.clear();
    c.tell();
    for (const char* one : {"a#1", "b#1", "c#1"}) {
      EXPECT_TRUE(c.confirmed(one));
      EXPECT_EQ(c.view(one), (ids{"a#1", "b#1", "c#1"}));
    }
  }
}

TEST(Membership, SpreadsKeysAndMovesFew) {
  cluster c{"a#1", "b#1", "c#1", "d#1", "e#1"};
  c.link_all();
  std::map<std::string, int> before;
  std::map<int, std::string> whose;
  for (int i = 0; i < 1000; ++i) ++before[whose[i] = c.all["a#1"]->arbiter("key" + std::to_string(i))];
  for (const auto& [id, n] : before) EXPECT_TRUE(n > 120 && n < 280) << id << " " << n;
  for (const char* one : {"a#1", "b#1", "c#1", "d#1"}) c.cut(one, "e#1");
  for (int i = 0; i < 1000; ++i) {
    const std::string now = c.all["a#1"]->arbiter("key" + std::to_string(i));
    EXPECT_TRUE(now == whose[i] || whose[i] == "e#1");
  }
}

}  // namespace
}  // namespace troupe::test
