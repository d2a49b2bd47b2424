// Messages that are not for them end neither the process of the global names nor that of the groups.
#include <cstdlib>
#include <random>

#include <troupe/group.hpp>

#include "global/group_service.hpp"
#include "support/strange_messages.hpp"
#include "unit/global/fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

class GlobalStrangers : public global_fixture {
 protected:
  member start_all(const std::string& name) {
    member_options given;
    given.features = {internal::global_feature, internal::groups_feature};
    given.workers = 2;
    given.services = [](node& here) {
      internal::start_global(here).or_exit();
      internal::start_groups(here).or_exit();
    };
    return start(name, std::move(given));
  }
};

TEST_F(GlobalStrangers, EndNeitherNamesNorGroups) {
  const char* given = std::getenv("TROUPE_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("TROUPE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  member one = start_all("one@test"), two = start_all("two@test");
  join(one, two);
  std::vector<pid> own;
  for (const member* each : {&one, &two}) {
    for (const char* name : {internal::keeper_name, internal::groups_name})
      own.push_back(each->machine->whereis(name).or_exit());
  }
  // From a process of that node, and from one of another: locks and names it may take and give, groups it may tell.
  const std::vector<address> here{internal::keeper_name, internal::groups_name};
  const std::vector<address> there{address(internal::keeper_name, "two@test"),
                                   address(internal::groups_name, "two@test")};
  one.run([&](process& self) -> task<> {
    strange_messages strange(*one.machine, seed, {own.begin(), own.end()}, {"disk", "one@test", "two@test"});
    for (int round = 0; round < 10; ++round) {
      send_strange_messages(self, here, strange, 1);
      send_strange_messages(self, there, strange, 1);
      (void)co_await self.receive(0ms);
    }
  });
  const pid holder = spawn(*two.machine, [](process& self) -> task<> { co_await self.sleep(wait_forever); }).or_exit();
  EXPECT_TRUE(register_at(two, "after it all", holder));
  EXPECT_EQ(whereis_at(one, "after it all").value_or(pid()), holder);
  std::size_t at = 0;
  for (const member* each : {&one, &two}) {
    for (const char* name : {internal::keeper_name, internal::groups_name})
      EXPECT_EQ(each->machine->whereis(name).value_or(pid()), own[at++]) << name << " on " << each->name();
    EXPECT_EQ(each->core().counters().crashed.load(), 0u);
    EXPECT_GT(each->core().counters().not_understood.load(), 500u);
  }
}

}  // namespace
}  // namespace troupe::test
