// Servers under a global name.
#include <troupe/server.hpp>

#include "unit/global/fixture.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct Ask {
  std::int64_t number = 0;
  TROUPE_MESSAGE(Ask, "test.ask", number)
};

struct Doubler {
  using messages = handles<Ask>;
  // Registered before init returns: whoever is asked from here finds it.
  task<> init(process& self) {
    auto looking = global::whereis_name(self, "doubler");
    auto found = co_await std::move(looking);
    EXPECT_TRUE(found && *found == self.id());
  }
  std::int64_t on(const Ask& asked) { return asked.number * 2; }
};

class GlobalServer : public global_fixture {
 protected:
  void SetUp() override {
    one_ = start_global("one@test");
    two_ = start_global("two@test");
    join(one_, two_);
  }
  member one_, two_;
};

TEST_F(GlobalServer, StartsOnceInTheCluster) {
  one_.run([&](process& self) -> task<> {
    self.trap_exits(true);
    auto first = co_await start_link<Doubler>(self, global::name("doubler"));
    EXPECT_TRUE(first) << first.text();
    server_options options{.name = global::name("doubler")};
    auto here = co_await start_link<Doubler>(self, options);
    EXPECT_EQ(here.what(), started::kind::already_started);
    EXPECT_EQ(here.process(), first.process());
    const pid holder = first.process();
    two_.run([&](process& there) -> task<> {
      auto again = co_await start_server<Doubler>(there, global::name("doubler"));
      EXPECT_EQ(again.what(), started::kind::already_started) << again.text();
      EXPECT_EQ(again.process(), holder);
      EXPECT_TRUE(wait_until([&] { return known_at(two_, "doubler", holder); }));
      auto answer = co_await call<std::int64_t>(there, global::name("doubler"), Ask(21));
      EXPECT_TRUE(answer && *answer == 42);
    });
    auto stopping = stop_server(self, global::name("doubler"));
    auto stopped = co_await std::move(stopping);
    EXPECT_TRUE(stopped) << stopped.error().message();
    auto next = co_await start_link<Doubler>(self, global::name("doubler"));
    EXPECT_TRUE(next) << next.text();
  });
}

TEST_F(GlobalServer, FailsToStartWithoutADirectory) {
  member alone = start("three@test");
  alone.run([&](process& self) -> task<> {
    self.trap_exits(true);
    auto made = co_await start_link<Doubler>(self, global::name("doubler"));
    EXPECT_EQ(made.what(), started::kind::failed);
    EXPECT_NE(made.text().find("noproc"), std::string::npos) << made.text();
  });
}

}  // namespace
}  // namespace troupe::test
