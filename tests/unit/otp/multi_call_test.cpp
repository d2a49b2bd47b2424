// The server of one name on several nodes: a reason for each that gives no answer, one deadline for all.
#include <troupe/multi_call.hpp>
#include <troupe/supervisor.hpp>

#include "unit/dist/fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct Add {
  std::int64_t amount = 0;
  TROUPE_MESSAGE(Add, "add", amount)
};
struct Read {
  bool hang = false;
  TROUPE_MESSAGE(Read, "read", hang)
};

struct Store {
  using messages = handles<Add, Read>;
  std::int64_t total = 0;
  bool slow = false;
  explicit Store(bool slow_given) : slow(slow_given) {}
  void on(const Add& add) { total += add.amount; }
  task<std::int64_t> on(process& self, Read read) {
    if (read.hang && slow) co_await self.sleep(patience);
    co_return total;
  }
};

class MultiCallTest : public cluster_fixture {};

TEST_F(MultiCallTest, EachNodeHasItsReason) {
  member one = start("one@test"), two = start("two@test"), three = start("three@test");
  start_server<Store>(*one.machine, {.name = "store"}, false).or_exit();
  start_server<Store>(*two.machine, {.name = "store"}, true).or_exit();
  const auto got = one.run([](process& self) -> task<std::string> {
    for (const char* other : {"two@test", "three@test"}) {
      auto met = co_await connect(self, other);
      met.or_exit();
    }
    abcast(self, "store", Add(5));
    const std::vector<std::string> some{"two@test", "nobody@test", "three@test"};
    abcast(self, some, "store", Add(2));
    const std::vector<std::string> all{"one@test", "two@test", "three@test", "nobody@test"};
    auto asking = multi_call<std::int64_t>(self, all, "store", Read());
    auto replies = co_await std::move(asking);
    std::string out;
    for (const auto& one : replies)
      out += one.node + "=" + (one.reply ? std::to_string(*one.reply) : one.reply.error().name()) + " ";
    auto late = multi_call<std::int64_t>(self, all, "store", Read(true), 100ms);
    auto second = co_await std::move(late);
    co_return out + std::to_string(second[0].reply.value_or(-1)) + " " + second[1].reply.error().name();
  });
  EXPECT_EQ(got, "one@test=5 two@test=7 three@test=noproc nobody@test=noconnection 5 timeout");
}

}  // namespace
}  // namespace troupe::test
