#include <troupe/ids.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "life_table.hpp"

namespace troupe {
namespace {

const node_life* life(std::string_view name, std::uint64_t creation) { return intern_life(name, creation).value(); }

TEST(NodeName, LegalAndNot) {
  EXPECT_TRUE(check_node_name("a@b"));
  EXPECT_TRUE(check_node_name("node-1_x.y@host.example.org"));
  EXPECT_TRUE(check_node_name(std::string(100, 'a') + "@" + std::string(100, 'b')));
  for (std::string bad : {"", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "ä@b", "a/b@c"}) {
    EXPECT_EQ(check_node_name(bad).error().code(), errc::bad_name) << bad;
  }
  EXPECT_FALSE(check_node_name(std::string(101, 'a') + "@b"));
  EXPECT_FALSE(check_node_name("a@" + std::string(101, 'b')));
  const std::string hostile = check_node_name(std::string(100'000, '\x1b')).error().text();
  EXPECT_LT(hostile.size(), 300u);
  EXPECT_EQ(hostile.find('\x1b'), std::string::npos);
}

TEST(NodeName, Completed) {
  EXPECT_EQ(complete_node_name("exercise").value(), "exercise@localhost");
  EXPECT_EQ(complete_node_name("a@b").value(), "a@b");
  EXPECT_EQ(complete_node_name("").error().code(), errc::bad_name);
  EXPECT_EQ(complete_node_name("a b").error().code(), errc::bad_name);
}

TEST(Life, EqualLivesHaveOneAddress) {
  const node_life* one = life("one@host", 7);
  EXPECT_EQ(one, life("one@host", 7));
  EXPECT_NE(one, life("one@host", 8));
  EXPECT_NE(one, life("two@host", 7));
  EXPECT_EQ(one->name, "one@host");
  EXPECT_EQ(one->creation, 7u);
  EXPECT_EQ(intern_life("no name", 1).error().code(), errc::bad_name);
}

TEST(Life, TableIsBoundedAndForgetsWhatNothingHolds) {
  internal::life_table table(3);
  const node_life* held = table.intern("a@h", 0, true).value();
  const node_life* old = table.intern("a@h", 1).value();
  const std::uint64_t old_key = old->key;
  ASSERT_TRUE(table.intern("a@h", 2));
  const node_life* third = table.intern("a@h", 3).value();  // in place of one of the two
  EXPECT_EQ(table.find(old_key), nullptr);
  EXPECT_NE(third->key, old_key);
  EXPECT_EQ(table.find(third->key), third);
  EXPECT_EQ(table.intern("a@h", 0).value(), held);
  EXPECT_NE(table.intern("a@h", 1).value()->key, old_key);  // a key is never given again
}

TEST(Life, ALifeInUseStays) {
  internal::life_table table(3);
  const node_life* used = table.intern("used@h", 0).value();
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(table.intern("tool@h", i));
    table.seen(used);
  }
  EXPECT_EQ(table.find(used->key), used);
}

TEST(Life, OfANodeThatWasConnectedGoesLast) {
  internal::life_table table(8);
  const node_life* node = table.intern("node@h", 1).value();
  const std::uint64_t key = node->key;
  table.spare(node);
  for (std::uint64_t i = 0; i < 1000; ++i) ASSERT_TRUE(table.intern("tool@h", i));
  EXPECT_EQ(table.find(key), node);
  EXPECT_EQ(table.intern("node@h", 1).value(), node) << "under its old key";
  // They are bounded as well: what is left to others stays a quarter.
  for (std::uint64_t i = 2; i < 1000; ++i) {
    auto next = table.intern("node@h", i);
    ASSERT_TRUE(next);
    table.spare(*next);
    ASSERT_TRUE(table.intern("tool@h", i));
  }
  EXPECT_EQ(table.find(key), nullptr);
}

TEST(Pid, OfANodeThatWasConnectedIsTheSameAfterAnyNumberOfTools) {
  internal::spare_life("spared@host", 7);
  const pid before(life("spared@host", 7), 4);
  const std::string text = before.text();
  for (std::uint64_t i = 0; i < 3 * life_limit; ++i) ASSERT_TRUE(intern_life("mob@host", i));
  EXPECT_EQ(before.text(), text);
  EXPECT_EQ(before, pid(life("spared@host", 7), 4));
  EXPECT_EQ(pid::parse(text).value(), before);
}

TEST(Life, TableFullOfHeldLivesRefuses) {
  internal::life_table table(2);
  const node_life* first = table.intern("a@h", 0, true).value();
  ASSERT_TRUE(table.intern("a@h", 1, true));
  EXPECT_EQ(table.intern("a@h", 2).error().code(), errc::system_limit);
  table.release(first);
  EXPECT_TRUE(table.intern("a@h", 2));
}

TEST(Pid, OfAForgottenLifeIsNobodysButItself) {
  const pid early(life("early@host", 1), 4);
  for (std::uint64_t i = 0; i < 3 * life_limit; ++i) ASSERT_TRUE(intern_life("crowd@host", i));
  EXPECT_TRUE(early);
  EXPECT_EQ(early.life(), nullptr);
  EXPECT_EQ(early.node(), nonode);
  EXPECT_EQ(early.text(), "<nonode@nohost#0.4>");
  EXPECT_EQ(early, pid(early));
  EXPECT_NE(early, pid(life("early@host", 1), 4));
  EXPECT_NE(early, pid(life(nonode, 0), 4));
}

TEST(Life, ThreadsAgree) {
  constexpr std::size_t creations = 200;
  std::vector<std::vector<const node_life*>> seen(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : seen) {
      threads.emplace_back([&mine] {
        for (std::size_t i = 0; i < creations; ++i) mine.push_back(life("threads@host", i));
      });
    }
  }
  for (const auto& mine : seen) EXPECT_EQ(mine, seen.front());
}

TEST(PidText, ThereAndBack) {
  const pid p(life("node1@host", 0x5f3a), 42);
  EXPECT_EQ(p.text(), "<node1@host#5f3a.42>");
  EXPECT_EQ(pid::parse(p.text()).value(), p);
  const pid most(life("node1@host", UINT64_MAX), UINT64_MAX);
  EXPECT_EQ(pid::parse(most.text()).value(), most);
  EXPECT_EQ(pid().text(), "<nobody#0.0>");
  EXPECT_EQ(pid::parse(pid().text()).value(), pid());
  const pid unnamed(life(nonode, 0), 3);
  EXPECT_EQ(pid::parse(unnamed.text()).value(), unnamed);
}

TEST(PidText, IsStrict) {
  for (std::string bad : {"",
                          "<",
                          "<>",
                          "<a@b>",
                          "<a@b#1>",
                          "<a@b#1.>",
                          "<a@b#.1>",
                          "<a@b#1.2",
                          "a@b#1.2>",
                          "<a@b#1.2> ",
                          "<a@b#x.2>",
                          "<a@b#1.f>",
                          "<a@b#01.2>",
                          "<a@b#1.02>",
                          "<a@b#1.-2>",
                          "<a@b#+1.2>",
                          "<a@b#A.2>",
                          "<a@b#1.18446744073709551616>",
                          "<nobody#1.2>",
                          "#ref<a@b#1.2>"}) {
    EXPECT_EQ(pid::parse(bad).error().code(), errc::bad_argument) << bad;
  }
  EXPECT_EQ(pid::parse("<a b@c#1.2>").error().code(), errc::bad_name);
}

TEST(RefText, ThereAndBack) {
  const ref r(life("node1@host", 255), 9);
  EXPECT_EQ(r.text(), "#ref<node1@host#ff.9>");
  EXPECT_EQ(ref::parse(r.text()).value(), r);
  EXPECT_EQ(ref::parse(ref().text()).value(), ref());
  EXPECT_EQ(ref::parse("<node1@host#ff.9>").error().code(), errc::bad_argument);
}

TEST(Pid, OrderedByLifeAndIdWhateverIsForgotten) {
  const std::vector<pid> sorted{pid(), pid(life("order-b@h", 1), 5), pid(life("order-b@h", 1), 6),
                                pid(life("order-b@h", 2), 1), pid(life("order-a@h", 0), 0)};
  std::vector<pid> shuffled{sorted[3], sorted[4], sorted[0], sorted[2], sorted[1]};
  std::ranges::sort(shuffled);
  EXPECT_EQ(shuffled, sorted);
  EXPECT_FALSE(pid());
  EXPECT_TRUE(sorted[4]);
  EXPECT_EQ(std::hash<pid>{}(sorted[1]), std::hash<pid>{}(pid(life("order-b@h", 1), 5)));
  for (std::uint64_t i = 0; i < 3 * life_limit; ++i) ASSERT_TRUE(intern_life("throng@host", i));
  EXPECT_EQ(sorted[1].life(), nullptr);
  EXPECT_TRUE(std::ranges::is_sorted(sorted));
}

}  // namespace
}  // namespace troupe
