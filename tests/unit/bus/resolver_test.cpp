// Host names: looked up beside everything else, all their addresses tried, and no answer reaches who is gone.
#include <condition_variable>

#include <gtest/gtest.h>

#include "resolver.hpp"
#include "unit/bus/hub_fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;
using bus::endpoint;
using bus::internal::resolver;
using bus::internal::socket_address;

endpoint parsed(const std::string& text) { return endpoint::parse(text).value(); }

// A name server: it knows some names, and says nothing about the others until it ends.
class name_server {
 public:
  explicit name_server(std::vector<std::string> addresses) {
    resolver::instead([state = state_, addresses](const endpoint& where) -> result<std::vector<socket_address>> {
      if (where.host == "nobody.test") return error(errc::noconnection, where.text() + ": not known");
      std::unique_lock lock(state->mutex);
      ++state->asked;
      if (where.host == "dead.test") state->answers.wait(lock, [&] { return state->over; });
      std::vector<socket_address> out;
      for (const std::string& each : addresses) {
        endpoint one = where;
        one.host = each;
        out.push_back(bus::internal::numeric_address(one).value());
      }
      return out;
    });
  }
  ~name_server() {
    resolver::instead({});
    std::lock_guard lock(state_->mutex);
    state_->over = true;
    state_->answers.notify_all();
  }
  int asked() const {
    std::lock_guard lock(state_->mutex);
    return state_->asked;
  }

 private:
  struct state {
    std::mutex mutex;
    std::condition_variable answers;
    int asked = 0;
    bool over = false;
  };
  std::shared_ptr<state> state_ = std::make_shared<state>();
};

class Names : public testing::TestWithParam<channel_case> {
 protected:
  bus::hub_options listening(std::string_view name) { return options(name, acceptor_of(GetParam())); }
  bus::hub_options dialling(std::string_view name) { return options(name, dialler_of(GetParam())); }
  bus::hub_options options(std::string_view name, transport_kind carrier) {
    auto out = world_.options(name, 1, carrier);
    out.security.cookie = "a7b2c6d3e5f4g2h3i4j5k6l7m2n3o4p5";
    out.security.plain_text_allowed = GetParam().encrypted ? plain_text::nowhere : plain_text::anywhere;
    return out;
  }
  world world_{form::tcp};
};

INSTANTIATE_TEST_SUITE_P(Endpoints, Names, testing::ValuesIn(channel_cases),
                         [](const auto& info) { return to_string(info.param); });

TEST_P(Names, HoldUpTheirOwnDialAlone) {
  name_server names({"127.0.0.1"});
  test_node a(listening("a@host"));
  test_node b(dialling("b@host"));
  endpoint where = a.listen(world_.address());
  endpoint dead = where;
  dead.host = "dead.test";
  b.hub->dial(dead);
  ASSERT_TRUE(world_.until([&] { return names.asked() == 1; }));
  where.host = "alive.test";
  b.hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return b.events.first() != 0; }));
  EXPECT_EQ(b.events.ups()[0].encrypted, GetParam().encrypted);
  ASSERT_TRUE(world_.until([&] { return b.events.failed().size() == 1; }));  // its own deadline
  endpoint unknown = where;
  unknown.host = "nobody.test";
  b.hub->dial(unknown);
  ASSERT_TRUE(world_.until([&] { return b.events.failed().size() == 2; }));
  EXPECT_TRUE(b.events.failed()[1].reason.text().contains("not known")) << b.events.failed()[1].reason.text();
  EXPECT_TRUE(b.events.downs().empty());
}

TEST_P(Names, EachAddressIsTried) {
  name_server names({"127.0.0.77", "::1", "127.0.0.1"});  // nobody listens at the first two
  test_node a(listening("a@host"));
  test_node b(dialling("b@host"));
  endpoint where = a.listen(world_.address());
  where.host = "three.test";
  b.hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return b.events.first() != 0 || !b.events.failed().empty(); }));
  ASSERT_TRUE(b.events.failed().empty()) << b.events.failed()[0].reason.message();
  a.hub->unlisten(parsed("tcp://127.0.0.1:" + std::to_string(where.port)));
  test_node c(dialling("c@host"));
  c.hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return !c.events.failed().empty(); }));
  EXPECT_TRUE(c.events.failed()[0].reason.text().contains("three.test")) << c.events.failed()[0].reason.text();
}

TEST_P(Names, CanBeListenedAt) {
  name_server names({"127.0.0.1"});
  test_node a(listening("a@host"));
  const endpoint where = a.listen("tcp://name.test:*");
  EXPECT_EQ(where.host, "name.test");
  EXPECT_NE(where.port, 0);
  test_node b(dialling("b@host"));
  b.hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return b.events.first() != 0; }));
  a.hub->unlisten(where);
  test_node c(dialling("c@host"));
  c.hub->dial(where);
  ASSERT_TRUE(world_.until([&] { return !c.events.failed().empty(); }));
  EXPECT_EQ(c.events.failed()[0].reason, errc::noconnection);
  EXPECT_FALSE(a.hub->listen(parsed("tcp://nobody.test:*")));
}

TEST(Resolver, WhoIsGoneIsToldNothing) {
  auto names = std::make_unique<name_server>(std::vector<std::string>{"127.0.0.1"});
  {
    auto loop = bus::make_loop();
    auto asker = std::make_unique<resolver>(*loop);
    loop->run([&] {
      static_cast<void>(asker->ask(parsed("tcp://dead.test:1"), [](auto) { FAIL(); }));
      static_cast<void>(asker->ask(parsed("tcp://dead.test:1"), [](auto) { FAIL(); }));
    });
    ASSERT_TRUE(wait_until([&] { return names->asked() == 1; }));  // both share one question
    loop->run([&] { asker.reset(); });
  }
  names.reset();  // the answer comes now, and there is neither resolver nor loop
}

TEST(Resolver, ThreadsAndQuestionsAreBounded) {
  name_server names({"127.0.0.1"});
  auto loop = bus::make_loop();
  auto asker = std::make_unique<resolver>(*loop);
  std::atomic<int> refused = 0;
  std::vector<resolver::ticket> tickets;
  const std::size_t count = resolver::most_threads + resolver::most_waiting + 10;
  // Ports make them different names.
  const auto ask = [&](std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
      tickets.push_back(asker->ask(parsed("tcp://dead.test:" + std::to_string(i + 1)), [&](auto found) {
        if (!found && found.error() == errc::overloaded) ++refused;
      }));
    }
  };
  loop->run([&] { ask(0, resolver::most_threads); });
  ASSERT_TRUE(wait_until([&] { return names.asked() == static_cast<int>(resolver::most_threads); }));
  loop->run([&] { ask(resolver::most_threads, count); });
  EXPECT_TRUE(wait_until([&] { return refused == 10; }));
  EXPECT_EQ(names.asked(), static_cast<int>(resolver::most_threads));
  loop->run([&] {
    for (const auto one : tickets) asker->cancel(one);
    ask(0, 1);  // there is room again, though every thread still waits
  });
  loop->run([] {});
  EXPECT_EQ(refused, 10);
  loop->run([&] { asker.reset(); });
}

}  // namespace
}  // namespace troupe::test
