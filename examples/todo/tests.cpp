// Lists on three nodes: found by name from each, one for each person, all reached by their group, swept by one at a
// time.
#include <troupe/global.hpp>
#include <troupe/handle.hpp>
#include <troupe/rpc.hpp>
#include <troupe/testing.hpp>

#include "todo.hpp"

namespace todo {
namespace {

using namespace std::chrono_literals;
using texts = std::vector<std::string>;

class Lists : public testing::Test {
 protected:
  Lists() {
    nodes.push_back(cluster.start("one", TODO_PROGRAM).or_exit());
    const std::string first = "node.wait_for=" + nodes[0]->name();
    for (const char* name : {"two", "three"}) {
      nodes.push_back(cluster.start(name, TODO_PROGRAM, {"--set", first}).or_exit());
    }
  }
  // As that node would be asked by `troupe rpc`.
  template <class R, class... Args>
  troupe::result<R> ask(std::size_t node, std::string function, Args... args) {
    auto call = [](troupe::process& self, std::string name, std::string what,
                   Args... given) -> troupe::task<troupe::result<R>> {
      auto answer = co_await troupe::rpc::call<R>(self, name, what, given...);
      co_return answer;
    };
    auto begin = [&](troupe::process& self) { return call(self, nodes[node]->name(), function, args...); };
    auto asked = door->run(20s, begin);
    return asked ? *asked : troupe::result<R>(asked.error());
  }
  // Asks until that node has heard: what others hold is told, not asked for.
  template <class R>
  bool comes_to(std::size_t node, const std::string& function, const R& wanted) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    for (;;) {
      const auto got = ask<R>(node, function);
      if (got && *got == wanted) return true;
      if (std::chrono::steady_clock::now() > end) return false;
    }
  }

  troupe::testing::cluster cluster;
  std::unique_ptr<troupe::node> here = cluster.join("tester").or_exit();
  std::unique_ptr<troupe::handle> door = here->make_handle().or_exit();
  std::vector<std::shared_ptr<troupe::testing::peer>> nodes;
};

TROUPE_TEST_F(Lists, AreOneForEachPersonFoundFromAnywhere, "distributed") {
  const std::string bob = "bob", alice = "alice", milk = "milk", bread = "bread";
  EXPECT_EQ(ask<std::string>(0, "todo.open", bob).value(), nodes[0]->name());
  EXPECT_EQ(ask<std::string>(1, "todo.open", bob).value(), nodes[0]->name());  // there already
  EXPECT_EQ(ask<std::string>(2, "todo.open", alice).value(), nodes[2]->name());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(comes_to(i, "todo.people", texts{"alice", "bob"}));
  EXPECT_EQ(ask<std::uint64_t>(1, "todo.add", bob, milk).value(), 1u);
  EXPECT_EQ(ask<std::uint64_t>(2, "todo.add", bob, bread).value(), 2u);
  EXPECT_EQ(ask<texts>(0, "todo.items", bob).value(), (texts{"milk", "bread"}));
}

TROUPE_TEST_F(Lists, AreSweptUnderALockWhoseNumberGrows, "distributed") {
  const std::string bob = "bob", alice = "alice", milk = "milk";
  ASSERT_TRUE(ask<std::string>(0, "todo.open", bob));
  ASSERT_TRUE(ask<std::string>(2, "todo.open", alice));
  for (std::size_t i = 0; i < 3; ++i) ASSERT_TRUE(comes_to(i, "todo.people", texts{"alice", "bob"}));
  ASSERT_TRUE(ask<std::uint64_t>(0, "todo.add", bob, milk));
  ASSERT_TRUE(ask<std::uint64_t>(0, "todo.add", alice, milk));
  const auto first = ask<std::int64_t>(1, "todo.sweep", milk);
  ASSERT_TRUE(first) << first.error().message();
  const auto second = ask<std::int64_t>(2, "todo.sweep", milk);
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_LT(*first, *second);
  auto is_empty = [this](const std::string& person) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < end) {
      if (const auto left = ask<texts>(1, "todo.items", person); left && left->empty()) return true;
    }
    return false;
  };
  EXPECT_TRUE(is_empty(bob));
  EXPECT_TRUE(is_empty(alice));
}

TROUPE_TEST_F(Lists, GoWithTheirNode, "distributed") {
  const std::string bob = "bob";
  ASSERT_TRUE(ask<std::string>(0, "todo.open", bob));
  nodes[0]->kill();
  EXPECT_TRUE(comes_to(1, "todo.people", texts{}));
  const auto gone = ask<texts>(1, "todo.items", bob);
  ASSERT_FALSE(gone);
  EXPECT_EQ(ask<std::string>(1, "todo.open", bob).value(), nodes[1]->name());
}

}  // namespace
}  // namespace todo

int main(int argc, char** argv) { return troupe::testing::run(argc, argv); }
