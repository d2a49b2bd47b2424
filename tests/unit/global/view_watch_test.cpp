#include "global/view_watch.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "unit/global/row_cluster.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
using internal::membership;
using internal::view_watch;
using names = std::vector<std::string>;

// And one watch for each.
struct cluster : row_cluster {
  cluster(std::initializer_list<const char*> ids) : row_cluster(ids, partition_policy::keep) {}
  // Step by step, as the keeper does: questions are answered at once by those who are asked.
  void wait(duration time) {
    const time_point end = now + time;
    for (;;) {
      for (auto& [id, one] : all) turn(id);
      if (now >= end) return;
      time_point next = end;
      for (auto& [id, watch] : watches) next = std::min(next, watch.next());
      ASSERT_LT(++rounds, 100'000) << "a watch that never rests";
      now = std::max(now, next);
    }
  }
  void turn(const std::string& id) {
    const auto due = watches[id].turn(*all[id], now);
    for (const auto& one : due.news) news[id].push_back(one);
    for (const auto& question : due.questions) {
      ++questions;
      names answer;
      for (const auto& [other, who] : all) {
        if (std::ranges::find(question.hashes, internal::stable_hash(other)) != question.hashes.end()) {
          answer.push_back(other);
        }
      }
      if (answers) watches[id].named(*all[id], question.id, answer);
    }
  }

  std::map<std::string, view_watch> watches;
  std::map<std::string, std::vector<view_watch::difference>> news;
  int questions = 0, rounds = 0;
  bool answers = true;
};

TEST(ViewWatch, TellsBothSidesOnceWhenItLasts) {
  cluster c{"a@h#1", "b@h#1", "c@h#1"};
  c.link("a@h#1", "b@h#1");
  c.link("b@h#1", "c@h#1");
  c.wait(view_watch::told_after - 1ms);
  EXPECT_TRUE(c.news.empty());
  for (auto& [id, watch] : c.watches) EXPECT_TRUE(watch.lasting(*c.all[id], c.now).empty());
  c.wait(1h);
  // `a` and `c` each miss what `b` sees; `b` sees what neither does.
  ASSERT_EQ(c.news["a@h#1"].size(), 1u);
  EXPECT_EQ(c.news["a@h#1"][0].node, "b@h");
  EXPECT_EQ(c.news["a@h#1"][0].only_there, names{"c@h"});
  EXPECT_TRUE(c.news["a@h#1"][0].only_here.empty());
  EXPECT_EQ(c.news["a@h#1"][0].unnamed, 0u);
  ASSERT_EQ(c.news["b@h#1"].size(), 2u);
  EXPECT_EQ(c.news["b@h#1"][0].only_here, names{"c@h"});
  EXPECT_EQ(c.news["b@h#1"][1].only_here, names{"a@h"});
  ASSERT_EQ(c.news["c@h#1"].size(), 1u);
  EXPECT_EQ(c.watches["b@h#1"].lasting(*c.all["b@h#1"], c.now).size(), 2u);
  EXPECT_EQ(c.watches["a@h#1"].unseen(*c.all["a@h#1"]), names{"c@h"});
  EXPECT_TRUE(c.watches["b@h#1"].unseen(*c.all["b@h#1"]).empty());

  c.link("a@h#1", "c@h#1");
  c.wait(1min);
  for (auto& [id, told] : c.news) EXPECT_TRUE(told.back().over) << id;
  for (auto& [id, watch] : c.watches) EXPECT_TRUE(watch.lasting(*c.all[id], c.now).empty());
}

TEST(ViewWatch, SaysNothingOfWhatPasses) {
  cluster c{"a@h#1", "b@h#1", "c@h#1"};
  c.link("a@h#1", "b@h#1");
  for (int i = 0; i < 20; ++i) {
    c.link("b@h#1", "c@h#1");
    c.wait(1s);
    c.link("a@h#1", "c@h#1");
    c.wait(1s);
    c.cut("a@h#1", "c@h#1");
    c.wait(1s);
    c.cut("b@h#1", "c@h#1");
    c.wait(1s);
  }
  c.wait(1h);
  EXPECT_TRUE(c.news.empty());
  EXPECT_EQ(c.questions, 0);
}

// A difference that another node's coming and going touches is told of again, but in measure.
TEST(ViewWatch, TellsChangesInMeasure) {
  cluster c{"a@h#1", "b@h#1", "c@h#1", "d@h#1"};
  c.link("a@h#1", "b@h#1");
  c.link("b@h#1", "c@h#1");
  for (int i = 0; i < 600; ++i) {
    c.link("b@h#1", "d@h#1");
    c.wait(50ms);
    c.cut("b@h#1", "d@h#1");
    c.wait(50ms);
  }
  EXPECT_GE(c.news["a@h#1"].size(), 1u);
  EXPECT_LE(c.news["a@h#1"].size(), 12u) << "a minute";
}

TEST(ViewWatch, CountsWhoIsNotNamed) {
  cluster c{"a@h#1", "b@h#1", "c@h#1"};
  c.answers = false;
  c.link("a@h#1", "b@h#1");
  c.link("b@h#1", "c@h#1");
  c.wait(1min);
  ASSERT_EQ(c.news["a@h#1"].size(), 1u);
  EXPECT_TRUE(c.news["a@h#1"][0].only_there.empty());
  EXPECT_EQ(c.news["a@h#1"][0].unnamed, 1u);
  EXPECT_EQ(c.questions, 2) << "one each, of a and of c";
  // Names that nobody asked for, or that are none, are not kept.
  c.watches["a@h#1"].named(*c.all["a@h#1"], "b@h#1", {"x@h#1", "\x1b[2J#1", "c@h#1"});
  const auto shown = c.watches["a@h#1"].lasting(*c.all["a@h#1"], c.now);
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_EQ(shown[0].only_there, names{"c@h"});
}

TEST(ViewWatch, ForgetsWhoIsGone) {
  cluster c{"a@h#1", "b@h#1", "c@h#1"};
  c.link("a@h#1", "b@h#1");
  c.link("b@h#1", "c@h#1");
  c.wait(1min);
  c.news.clear();
  c.cut("a@h#1", "b@h#1");
  c.wait(1min);
  EXPECT_TRUE(c.news["a@h#1"].empty());
  EXPECT_TRUE(c.watches["a@h#1"].lasting(*c.all["a@h#1"], c.now).empty());
}

}  // namespace
}  // namespace troupe::test
