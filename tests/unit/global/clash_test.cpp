// Who stays when two sides have given one name.
#include "unit/global/fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

enum class stays : std::uint8_t { older, newer, nobody };
struct choice {
  const char* resolver;
  stays who;
};

class GlobalClash : public global_fixture, public testing::WithParamInterface<choice> {
 protected:
  void SetUp() override {
    one_ = start_global("one@test", {.offers = offers()});
    two_ = start_global("two@test", {.offers = offers()});
  }
  static catalogue offers() {
    catalogue all;
    all.function("pick.second", [](value, pid, pid newer) { return newer; });
    all.function("pick.none", [](value, pid, pid) { return value(); });
    all.function("pick.nonsense", [](value, pid, pid) { return value("heads"); });
    all.function("pick.throws", [](value, pid, pid) -> pid { throw std::runtime_error("broken"); });
    all.function("pick.hangs", [](process& self, value, pid older, pid) -> task<pid> {
      co_await self.sleep(1h);
      co_return older;
    });
    return all;
  }
  // Registers itself, and tells what it is told.
  static task<> holder(process& self, std::string resolver, pid told) {
    auto asking = global::register_name(self, "ledger", self.id(), global::register_options().resolver(resolver));
    auto got = co_await std::move(asking);
    EXPECT_TRUE(got) << got.error().message();
    self.send(told, value("ready"));
    auto conflict = co_await self.receive<global::global_name_conflict>(wait_forever);
    self.send(told, list_of({"lost", self.id(), conflict->winner}));
    auto never = co_await self.receive(wait_forever);
    (void)never;
  }
  member one_, two_;
};

TEST_P(GlobalClash, IsSettledOnceByTheOldersResolver) {
  pid older, newer;
  std::vector<value> told;
  one_.run([&](process& self) -> task<> {
    older = spawn(*one_.machine, &holder, std::string(GetParam().resolver), self.id()).or_exit();
    auto said = co_await self.receive(patience);
    EXPECT_TRUE(said && said->to_value() == value("ready"));
    // What that one says connects the nodes: both have the name by then.
    newer = spawn(*two_.machine, &holder, std::string(GetParam().resolver), self.id()).or_exit();
    const std::size_t losers = GetParam().who == stays::nobody ? 2 : 1;
    while (told.size() < losers) {
      auto next = co_await self.receive(patience);
      EXPECT_TRUE(next);
      if (!next) break;
      if (next->tag() == "lost") told.push_back(next->to_value());
    }
  });
  const pid expected = GetParam().who == stays::older ? older : GetParam().who == stays::newer ? newer : pid();
  EXPECT_TRUE(wait_until([&] { return known_at(one_, "ledger", expected) && known_at(two_, "ledger", expected); }));
  for (const value& one : told) {
    EXPECT_NE((*one.items())[1], value(expected));
    EXPECT_EQ((*one.items())[2], value(expected));
  }
  EXPECT_TRUE(one_.machine->exists(older) && two_.machine->exists(newer));  // nobody is ended for it
}

INSTANTIATE_TEST_SUITE_P(Resolvers, GlobalClash,
                         testing::Values(choice{"oldest", stays::older}, choice{"newest", stays::newer},
                                         choice{"lowest_node", stays::older}, choice{"notify_all", stays::nobody},
                                         choice{"pick.second", stays::newer}, choice{"pick.none", stays::nobody},
                                         choice{"pick.nonsense", stays::nobody}, choice{"pick.throws", stays::nobody},
                                         choice{"pick.hangs", stays::nobody}),
                         [](const auto& given) {
                           std::string name = given.param.resolver;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace troupe::test
