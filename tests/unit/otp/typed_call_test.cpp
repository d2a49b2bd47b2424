// Messages that name their reply: what each way to call gives, and what their handlers may return. What does not
// compile is in tests/refused.
#include <troupe/multi_call.hpp>
#include <troupe/supervisor.hpp>

#include "unit/dist/fixture.hpp"

namespace troupe::test::typed {
namespace {

using namespace std::chrono_literals;

struct Total {
  std::int64_t total = 0;
  TROUPE_FIELDS(Total, total)
};
struct Add {
  std::string name;
  std::int64_t amount = 0;
  using reply = void;
  TROUPE_MESSAGE(Add, "add", name, amount)
};
struct Read {
  std::string name;
  using reply = Total;
  TROUPE_MESSAGE(Read, "read", name)
};
struct Later {
  std::string name;
  using reply = Total;
  TROUPE_MESSAGE(Later, "later", name)
};
struct Names {
  using reply = std::vector<std::string>;
  TROUPE_MESSAGE(Names, "names")
};
struct Untyped {
  TROUPE_MESSAGE(Untyped, "untyped")
};

// One handler of each form that may answer a message with a reply.
struct Counter {
  using messages = handles<Add, Read, Later, Names, Untyped>;
  std::map<std::string, std::int64_t> totals;

  continuing<std::monostate> on(const Add& add) {
    totals[add.name] += add.amount;
    return then_continue();
  }
  void on_continue(process&) {}
  task<result<Total>> on(process& self, Read read) {
    co_await self.yield();
    if (!totals.contains(read.name)) co_return error(errc::not_found, read.name);
    co_return Total(totals[read.name]);
  }
  void on(process& self, Later later, message& request) {
    auto answerer = [total = totals[later.name], asked = std::move(request)](process& me) mutable -> task<> {
      co_await me.yield();
      me.reply(asked, Total(total));
    };
    spawn(self, std::move(answerer));
  }
  stopping<result<std::vector<std::string>>> on(process&, const Names&, message&) {
    std::vector<std::string> out;
    for (const auto& [name, total] : totals) out.push_back(name);
    return then_stop(result<std::vector<std::string>>(std::move(out)));
  }
  std::int64_t on(Untyped) { return static_cast<std::int64_t>(totals.size()); }
};

template <class Call, class Given>
concept gives = std::same_as<Call, Given>;

static_assert(gives<decltype(call(std::declval<process&>(), "counter", Read("apples"))), call_awaiter<Total>>);
static_assert(gives<decltype(call<Total>(std::declval<process&>(), "counter", Read("apples"))), call_awaiter<Total>>);
static_assert(gives<decltype(call(std::declval<process&>(), "counter", Add("apples", 1))), call_awaiter<void>>);
static_assert(gives<decltype(call(std::declval<process&>(), "counter", Untyped())), call_awaiter<value>>);
static_assert(
    gives<decltype(call<std::int64_t>(std::declval<process&>(), "counter", Untyped())), call_awaiter<std::int64_t>>);
static_assert(gives<decltype(call(std::declval<process&>(), "counter", value(5))), call_awaiter<value>>);
static_assert(
    gives<decltype(call<int>(std::declval<process&>(), "counter", std::declval<message>())), call_awaiter<int>>);
static_assert(gives<decltype(std::declval<handle>().call("counter", Read("apples"))), result<Total>>);
static_assert(gives<decltype(std::declval<handle>().call("counter", Untyped())), result<value>>);
static_assert(gives<decltype(multi_call(std::declval<process&>(), {}, "counter", Read("apples"))),
                    task<std::vector<node_reply<Total>>>>);
static_assert(gives<decltype(multi_call<int>(std::declval<process&>(), {}, "counter", Untyped())),
                    task<std::vector<node_reply<int>>>>);

class TypedCallTest : public cluster_fixture {};

TEST_F(TypedCallTest, EachWayToCallGivesTheReplyThatTheMessageNames) {
  member one = start("one@test"), two = start("two@test");
  start_server<Counter>(*one.machine, {.name = "counter"}).or_exit();
  start_server<Counter>(*two.machine, {.name = "counter"}).or_exit();
  const auto got = one.run([](process& self) -> task<std::string> {
    auto met = co_await connect(self, "two@test");
    met.or_exit();
    auto added = co_await call(self, "counter", Add("apples", 3));
    auto by_name = co_await call(self, "counter", Read("apples"));
    auto by_pid = co_await call(self, self.node().whereis("counter").or_exit(), Read("apples")).within(patience);
    auto later = co_await call(self, "counter", Later("apples"));
    co_await call(self, address("counter", "two@test"), Add("apples", 4)).or_exit();
    Total far = co_await call(self, address("counter", "two@test"), Read("apples")).or_exit();
    auto unknown = co_await call(self, address("counter", "two@test"), Read("pears"));
    const std::vector<std::string> nodes{"one@test", "two@test"};
    auto asking = multi_call(self, nodes, "counter", Read("apples"), patience);
    auto each = co_await std::move(asking);
    value untyped = co_await call(self, "counter", Untyped()).or_exit();
    auto names = co_await call(self, address("counter", "two@test"), Names());
    co_return std::string(added ? "added " : "not added ") + std::to_string(by_name->total) + " " +
        std::to_string(by_pid->total) + " " + std::to_string(later->total) + " " + std::to_string(far.total) + " " +
        unknown.error().name() + " " + std::to_string(each[0].reply->total) + " " +
        std::to_string(each[1].reply->total) + " " + std::to_string(*untyped.integer()) + " " + names->at(0);
  });
  EXPECT_EQ(got, "added 3 3 3 4 not_found 3 4 1 apples");

  auto here = one.machine->make_handle().or_exit();
  EXPECT_EQ(here->call("counter", Read("apples"), patience)->total, 3);
  EXPECT_TRUE(here->call("counter", Add("apples", 1), patience));
  EXPECT_EQ(here->call("counter", Read("pears"), patience).error().code(), errc::not_found);
}

// A server of an older version: what comes is looked at, whatever the message names.
TEST_F(TypedCallTest, AnotherReplyThanTheNamedOneIsBadMessage) {
  member one = start("one@test");
  const auto got = one.run([](process& self) -> task<std::string> {
    pid other = spawn_link(self, [](process& me) -> task<> {
      auto asked = co_await me.receive(wait_forever);
      me.reply(*asked, std::string("three"));
    });
    auto total = co_await call(self, other, Read("apples"));
    co_return total.error().name();
  });
  EXPECT_EQ(got, "bad_message");
}

}  // namespace
}  // namespace troupe::test::typed
