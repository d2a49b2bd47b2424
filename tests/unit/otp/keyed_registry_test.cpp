// The local registry: unique and duplicate keys, contents, listeners, dispatch, and what a process that ends leaves.
#include <troupe/keyed_registry.hpp>

#include <atomic>

#include "otp_test.hpp"

namespace troupe::test {
namespace {

class KeyedRegistryTest : public OtpTest {
 protected:
  // A process that is in the registry until it is told to go.
  pid member(const keyed_registry& all, value key, value content = {}) {
    const pid me = here->self().id();
    auto body = [all, key = std::move(key), content = std::move(content), me](process& self) mutable -> task<> {
      auto added = all.add(self, key, content);
      self.send(me, value(added ? std::string("in") : added.error().name() + " " + added.error().text()));
      (void)co_await self.receive(wait_forever);
    };
    const pid out = spawn(*node, std::move(body)).or_exit();
    auto told = here->receive(10s);
    last = told ? *told->to_value().text() : "nothing";
    return out;
  }
  void end(pid who) {
    here->send(who, value("go"));
    (void)end_of(who);
  }
  std::string last;
};

TEST_F(KeyedRegistryTest, AUniqueKeyHasOneHolderUntilThatEnds) {
  keyed_registry rooms("rooms");
  (void)member(rooms, "lobby");
  EXPECT_TRUE(last.starts_with("noproc")) << last;
  start_supervisor(*node, supervise("top").child(rooms.spec())).or_exit();
  const value key = list_of({"room", 1});
  const pid first = member(rooms, key, "a");
  EXPECT_EQ(last, "in");
  (void)member(rooms, key, "b");
  EXPECT_EQ(last, "name_taken " + first.text());
  (void)member(rooms, list_of({"room", 1.0}));
  EXPECT_EQ(last, "in") << "1 and 1.0 are two keys";
  EXPECT_EQ(rooms.whereis(key), first);
  EXPECT_EQ(rooms.values(key, first), std::vector<value>{"a"});
  EXPECT_EQ(rooms.keys_of(first), std::vector<value>{key});
  end(first);
  EXPECT_EQ(rooms.whereis(key), std::nullopt) << "at once: an entry of a dead process is not given out";
  const pid next = member(rooms, key, "c");
  EXPECT_EQ(last, "in");
  EXPECT_EQ(rooms.whereis(key), next);
  EXPECT_TRUE(wait_until([&] { return rooms.count() == 2; }));
}

TEST_F(KeyedRegistryTest, AnEmptyListAndAnEmptyMapAreTwoKeys) {
  keyed_registry rooms("rooms");
  start_supervisor(*node, supervise("top").child(rooms.spec())).or_exit();
  const value keys[] = {value(list()), value(map()), value(list{value(list())}), value(list{value(map())})};
  std::vector<pid> holders;
  for (const value& key : keys) {
    holders.push_back(member(rooms, key));
    EXPECT_EQ(last, "in") << key.print();
  }
  for (std::size_t i = 0; i < holders.size(); ++i) {
    EXPECT_EQ(rooms.whereis(keys[i]), holders[i]) << keys[i].print();
    EXPECT_EQ(rooms.keys_of(holders[i]), std::vector<value>{keys[i]});
  }
  end(holders[0]);
  EXPECT_EQ(rooms.whereis(keys[0]), std::nullopt);
  EXPECT_EQ(rooms.whereis(keys[1]), holders[1]);
}

// By whoever knows its messages, near or far.
TEST_F(KeyedRegistryTest, WatchesWhoHasAnEntryAndEachOnce) {
  keyed_registry rooms("rooms");
  start_supervisor(*node, supervise("top").child(rooms.spec())).or_exit();
  const pid holder = member(rooms, "lobby");
  const pid stranger = spawn(*node, [](process& self) -> task<> { co_await self.sleep(wait_forever); }).or_exit();
  for (int i = 0; i < 100; ++i) {
    for (const pid one : {holder, stranger})
      here->send("rooms", list_of({"registry.watch", map_of({{"process", one}})}));
  }
  EXPECT_EQ(here->call<std::int64_t>("rooms", list_of({"registry.count", map_of({})})), 1);  // behind all of them
  const auto monitors = [&](pid of) {
    std::atomic<std::size_t> out = 1'000;
    EXPECT_TRUE(node->core().inspect(of, [&](process& p) { out = detail::core::details(p, 0).monitored_by.size(); }));
    EXPECT_TRUE(wait_until([&] { return out < 1'000; }));
    return out.load();
  };
  EXPECT_EQ(monitors(holder), 1u);
  EXPECT_EQ(monitors(stranger), 0u);
  end(holder);
  EXPECT_TRUE(wait_until([&] { return rooms.count() == 0; }));
}

TEST_F(KeyedRegistryTest, DuplicateKeysAreDispatched) {
  keyed_registry topics("topics", keyed_registry::duplicate);
  start_supervisor(*node, supervise("top").child(topics.spec())).or_exit();
  const pid a = member(topics, "news", 1), b = member(topics, "news", 2), c = member(topics, "sport", 3);
  std::vector<pid> seen;
  EXPECT_EQ(topics.dispatch("news", [&](const auto& one) { seen.push_back(one.process); }), 2u);
  EXPECT_EQ(seen, (std::vector<pid>{a, b})) << "in the order of their coming";
  EXPECT_EQ(topics.dispatch("none", [](const auto&) { FAIL(); }), 0u);
  EXPECT_EQ(topics.select([](const auto& one) { return *one.content.integer() > 1; }).size(), 2u);
  topics.meta("limit", 7);
  EXPECT_EQ(topics.meta("limit"), value(7));
  EXPECT_EQ(topics.meta("none"), std::nullopt);
  end(b);
  EXPECT_EQ(topics.lookup("news").size(), 1u);
  EXPECT_EQ(topics.keys_of(c), std::vector<value>{"sport"});
}

TEST_F(KeyedRegistryTest, ListenersHearAndTheTableOutlivesItsServer) {
  keyed_registry rooms("rooms");
  start_supervisor(*node, supervise("top").child(rooms.spec())).or_exit();
  here->self().register_name("ear").or_exit();
  rooms.listen("ear");
  const pid me = here->self().id();
  auto body = [rooms, me](process& self) mutable -> task<> {
    rooms.add(self, "lobby", 1).or_exit();
    auto now = rooms.update(self, "lobby", [](const value& old) { return value(*old.integer() + 1); });
    auto none = rooms.update(self, "hall", [](const value& old) { return old; });
    self.send(me, list_of({"now", now.or_exit(), none.error().name()}));
    rooms.remove(self, "lobby");
    rooms.add(self, "lobby").or_exit();
    (void)co_await self.receive(wait_forever);
  };
  const pid holder = spawn(*node, std::move(body)).or_exit();
  std::vector<std::string> heard;
  for (int i = 0; i < 4; ++i) heard.push_back(here->receive(10s).or_exit().to_value().items()->front().print());
  EXPECT_EQ(heard, (std::vector<std::string>{"\"register\"", "\"now\"", "\"unregister\"", "\"register\""}));
  const pid server = pid_of("rooms");
  node->exit(server, exit_reason("boom"));
  ASSERT_TRUE(wait_until([&] { return pid_of("rooms") && pid_of("rooms") != server; }));
  EXPECT_EQ(rooms.whereis("lobby"), holder);
  here->send(holder, value("go"));
  auto gone = here->receive(10s).or_exit().to_value();
  EXPECT_EQ(gone, list_of({"unregister", "rooms", "lobby", holder})) << "the new server watches it too";
  EXPECT_EQ(rooms.count(), 0u);
}

}  // namespace
}  // namespace troupe::test
