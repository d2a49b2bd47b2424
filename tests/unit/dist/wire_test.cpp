// The signals as bytes: what a stranger's client sends and gets, and what a broken one may not do.
#include "fixture.hpp"

#include <mutex>

#include <troupe/codec.hpp>

namespace troupe::test {

using namespace std::chrono_literals;

// A client that knows only bus/PROTOCOL.md.
class raw_peer final : public bus::hub_events {
 public:
  enum class kind { hidden, visible, tool };
  raw_peer(bus::loop& loop, std::shared_ptr<bus::inproc_network> net, const bus::endpoint& target,
           kind as = kind::hidden) {
    bus::hub_options options;
    options.self.name = "raw@test";
    options.self.creation = 9;
    options.self.hidden = as != kind::visible;
    options.self.tool = as == kind::tool;
    options.self.features = {"signals"};
    options.security.cookie = "a-cookie-for-these-tests";
    options.transport = bus::inproc_transport(loop, std::move(net));
    hub_ = bus::hub::make(std::move(options), *this).or_exit();
    hub_->dial(target);
    EXPECT_TRUE(wait_until([&] { return connection() != 0; }));
  }
  ~raw_peer() override { hub_.reset(); }

  void up(const bus::peer_info& peer) override {
    std::lock_guard lock(mutex_);
    connection_ = peer.id;
    life_ = intern_life(peer.who.name, peer.who.creation).or_exit();
  }
  void frame(bus::connection_id id, std::span<const std::byte> payload) override {
    wire_source r(payload);
    std::lock_guard lock(mutex_);
    while (!r.at_end()) {
      value one;
      if (!r.read_value(one)) break;
      seen_.push_back(std::move(one));
    }
    hub_->consumed(id, payload.size());
  }
  void down(bus::connection_id, const error& reason) override {
    std::lock_guard lock(mutex_);
    ended_ = reason;
  }
  void dial_failed(bus::dial_id, const error& reason) override { ADD_FAILURE() << reason.message(); }

  bus::connection_id connection() {
    std::lock_guard lock(mutex_);
    return connection_;
  }
  void send(const value& signal) { send(to_wire(signal)); }
  void send(bytes payload) { static_cast<void>(hub_->send(connection(), std::move(payload), bus::delivery::must)); }
  value next() {
    value out;
    EXPECT_TRUE(wait_until([&] {
      std::lock_guard lock(mutex_);
      if (read_ >= seen_.size()) return false;
      out = seen_[read_++];
      return true;
    }));
    return out;
  }
  error end() {
    EXPECT_TRUE(wait_until([&] {
      std::lock_guard lock(mutex_);
      return ended_.has_value();
    }));
    std::lock_guard lock(mutex_);
    return ended_.value_or(error());
  }

 private:
  std::mutex mutex_;
  bus::connection_id connection_ = 0;
  const node_life* life_ = nullptr;
  std::vector<value> seen_;
  std::size_t read_ = 0;
  std::optional<error> ended_;
  std::unique_ptr<bus::hub> hub_;
};

using Wire = cluster_fixture;

TEST_F(Wire, AClientWrittenFromThePage) {
  member_options options;
  options.offers.function("math.add", [](std::int64_t a, std::int64_t b) { return a + b; });
  member one = start("one@test", std::move(options));
  const pid echo_pid = start_echo(one, "echo");
  raw_peer raw(*loop_, net_, place("one@test"));
  const std::uint64_t me = 5, far = echo_pid.id();

  raw.send(list_of({2, me, "echo", 1, "hello"}));  // call by name
  EXPECT_EQ(raw.next(), list_of({3, far, me, 1, list_of({"echo", "hello"})}));
  raw.send(list_of({2, me, far, 2, 7, "an item of a newer version"}));
  EXPECT_EQ(raw.next(), list_of({3, far, me, 2, list_of({"echo", 7})}));
  raw.send(list_of({2, me, "nobody", 3, nullptr}));
  value refused = raw.next();
  EXPECT_EQ(refused.items()->at(0), value(4));
  EXPECT_EQ(refused.items()->at(3), value(3));
  EXPECT_EQ(refused.items()->at(4).text_at("name"), "noproc");

  const pid raw_pid(intern_life("raw@test", 9).or_exit(), me);
  raw.send(list_of({1, me, "echo", list_of({"hi", raw_pid})}));
  EXPECT_EQ(raw.next(), list_of({1, far, me, list_of({"hi", echo_pid})}));

  raw.send(list_of({15, me, 4, "math.add", list_of({2, 3}), map_of({{"leader", me}, {"unknown", 1}})}));
  EXPECT_EQ(raw.next().items()->back(), value(5));
  raw.send(list_of({200, "whatever", list_of({})}));  // optional: ignored
  raw.send(list_of({11, me, "echo", 8}));
  raw.send(list_of({8, me, far}));
  raw.send(list_of({1, me, far, list_of({"die", "bye"})}));
  EXPECT_EQ(raw.next(), list_of({6, far, me, "bye"}));
  EXPECT_EQ(raw.next(), list_of({5, far, me, 8, "bye"}));
  raw.send(list_of({11, me, "echo", 9}));
  EXPECT_EQ(raw.next(), list_of({5, nullptr, me, 9, "noproc"}));
  EXPECT_EQ(one.network->counters().ignored_signals.load(), 1u);
  // What is told of the connections.
  const value info = one.network->info();
  ASSERT_EQ(info.find("peers")->items()->size(), 1u);
  const value& peer = info.find("peers")->items()->front();
  EXPECT_EQ(peer.text_at("name"), "raw@test");
  EXPECT_EQ(peer.text_at("class"), "hidden");
  EXPECT_EQ(peer.integer_at("creation"), 9);
  EXPECT_GT(peer.integer_at("bytes_in"), 0);
}

TEST_F(Wire, SignalsInOneFrameAreAllTaken) {
  member one = start("one@test");
  start_echo(one, "echo");
  raw_peer raw(*loop_, net_, place("one@test"));
  bytes frame;
  for (int i = 0; i < 10; ++i) {
    const bytes signal = to_wire(list_of({2, 5, "echo", i, i}));
    frame.insert(frame.end(), signal.begin(), signal.end());
  }
  raw.send(frame);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(raw.next().items()->at(3), value(i));
}

// A call is answered by who was asked, or was passed it. A stranger that knows who calls, and how calls are counted,
// does not know the number that others are told.
TEST_F(Wire, NobodyElseAnswersACall) {
  member one = start("one@test");
  member two = start("two@test");
  start_echo(two, "echo");
  raw_peer raw(*loop_, net_, place("one@test"));
  one.run([&](process& self) -> task<> {
    (co_await connect(self, "two@test")).or_exit();
    const std::uint64_t me = self.id().id(), next = self.make_ref_id();
    for (std::uint64_t id = next > 100 ? next - 100 : 0; id < next + 200; ++id) {
      raw.send(list_of({3, 9, me, id, "forged"}));
      raw.send(list_of({2, self.id(), me, id, "a call in its name"}));
    }
    auto none = co_await call<value>(self, address("echo", "two@test"), value("forget")).within(300ms);
    EXPECT_FALSE(none) << none->print();
    for (std::uint64_t id = next; id < next + 200; ++id) raw.send(list_of({4, 9, me, id, map_of({{"code", 1}})}));
    auto right = co_await call<value>(self, address("echo", "two@test"), value(7)).within(patience);
    EXPECT_TRUE(right && *right == list_of({"echo", 7}));
  });
  EXPECT_TRUE(wait_until([&] { return one.network->counters().late_replies.load() >= 400; }));
}

TEST_F(Wire, ACallThatIsPassedOnIsAnsweredFromThereAndFromHere) {
  member one = start("one@test");
  member two = start("two@test");
  member three = start("three@test");
  auto passes = [](process& self, address to) -> task<> {
    for (;;) {
      auto got = co_await self.receive(wait_forever);
      if (got) self.send(to, std::move(*got));
    }
  };
  start_echo(three, "echo");
  start_echo(one, "back");
  spawn_options away, home;
  away.name = "away";
  home.name = "home";
  spawn(*two.machine, std::move(away), passes, address("echo", "three@test")).or_exit();
  spawn(*two.machine, std::move(home), passes, address("back", "one@test")).or_exit();
  one.run([](process& self) -> task<> {
    (co_await connect(self, "three@test")).or_exit();  // an answer dials nobody
    for (const char* through : {"away", "home"}) {
      auto got = co_await call<value>(self, address(through, "two@test"), value(through)).within(patience);
      EXPECT_TRUE(got && *got == list_of({"echo", through})) << through;
    }
  });
}

// One node's calls do not keep the others waiting, nor fill this one's memory.
TEST_F(Wire, SoManyFunctionsRunForOneNodeAtOnce) {
  member_options busy;
  busy.rpcs_at_once = 5;
  busy.offers.function("wait", [](process& self) -> task<> { co_await self.sleep(1h); });
  busy.offers.function("answer", [] { return 1; });
  member one = start("one@test");
  member two = start("two@test", std::move(busy));
  member three = start("three@test");
  one.run([](process& self) -> task<> {
    for (int i = 0; i < 5; ++i) rpc::cast(self, "two@test", "wait");
    auto more = co_await rpc::call<int>(self, "two@test", "answer").within(patience);
    EXPECT_TRUE(!more && more.error() == errc::overloaded);
  });
  three.run([](process& self) -> task<> {
    auto got = co_await rpc::call<int>(self, "two@test", "answer").within(patience);
    EXPECT_TRUE(got.has_value());
  });
  EXPECT_EQ(two.network->counters().rpc_refused.load(), 1u);
}

// What another node makes this one keep is bounded too: it is told so, and others are not concerned.
TEST_F(Wire, SoManySpawnsMonitorsAndLinksOfOneNode) {
  member_options narrow;
  narrow.spawns_at_once = narrow.monitors_at_once = narrow.links_at_once = 5;
  narrow.offers.process("sleeper", [](process& self) -> task<> { (void)co_await self.receive(wait_forever); });
  member one = start("one@test");
  member two = start("two@test", std::move(narrow));
  member three = start("three@test");
  const pid echo = start_echo(two, "echo");
  const auto refused = [&](const char* counter) { return two.network->info().find("counters")->integer_at(counter); };
  one.run([&](process& self) -> task<> {
    std::vector<pid> made;
    for (int i = 0; i < 5; ++i) {
      auto child = co_await spawn_on(self, "two@test", "sleeper").within(patience);
      made.push_back(child.or_exit());
    }
    auto more = co_await spawn_on(self, "two@test", "sleeper").within(patience);
    EXPECT_TRUE(!more && more.error() == errc::overloaded) << more.error().message();
    // Room for one more as soon as one has ended.
    self.monitor(made.front());
    self.send(made.front(), value("end"));
    auto ended = co_await self.receive<down>(patience);
    EXPECT_TRUE(ended && ended->reason.is_normal());
    auto again = co_await spawn_on(self, "two@test", "sleeper").within(patience);
    EXPECT_TRUE(again);
    for (int i = 0; i < 5; ++i) self.monitor(echo);
    const ref sixth = self.monitor(echo), seventh = self.monitor(address("echo", "two@test"));
    for (const ref expected : {sixth, seventh}) {
      auto told = co_await self.receive<down>(patience);
      EXPECT_TRUE(told && told->monitor == expected && told->reason.is("overloaded")) << told->reason.text();
    }
    self.trap_exits(true);
    for (const pid each : made) {
      if (each != made.front()) self.link(each);
    }
    self.link(echo);
    const pid last = two.machine->whereis("echo").or_exit();
    self.link(last);  // again: it counts once
  });
  EXPECT_EQ(refused("spawns_refused"), 1);
  EXPECT_EQ(refused("monitors_refused"), 2);
  EXPECT_EQ(refused("links_refused"), 0);
  one.run([&](process& self) -> task<> {
    self.trap_exits(true);
    for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
      const pid each = start_echo(two, name);
      self.link(each);
    }
    auto told = co_await self.receive<exit_message>(patience);
    EXPECT_TRUE(told && told->reason.is("overloaded")) << told->reason.text();
  });
  EXPECT_GT(refused("links_refused"), 0);
  three.run([&](process& self) -> task<> {
    auto child = co_await spawn_on(self, "two@test", "sleeper").within(patience);
    EXPECT_TRUE(child);
    self.link(echo);
    self.monitor(echo);
    auto answer = co_await call<value>(self, echo, value("hi")).within(patience);
    EXPECT_TRUE(answer);
  });
  EXPECT_TRUE(two.machine->exists(echo));
}

TEST_F(Wire, GoneToolsAreForgotten) {
  member one = start("one@test");
  {
    raw_peer raw(*loop_, net_, place("one@test"), raw_peer::kind::tool);
    EXPECT_TRUE(wait_until([&] { return !one.network->info().find("peers")->items()->empty(); }));
  }
  EXPECT_TRUE(wait_until([&] { return one.network->info().find("peers")->items()->empty(); }));
}

// So many nodes are kept of what one tells, so many are dialled at once, and no path of this host is.
TEST_F(Wire, GossipIsBounded) {
  member_options options;
  options.mesh = mesh_policy::automatic;
  options.told_at_once = 50;
  options.dials_at_once = 4;
  member one = start("one@test", std::move(options));
  raw_peer raw(*loop_, net_, place("one@test"), raw_peer::kind::visible);
  list known;
  for (int i = 0; i < 500; ++i) {
    list where{value("ipc:///tmp/of-a-stranger"), value("tcp://0.0.0.0:4370"), value("inproc://nowhere")};
    known.emplace_back(list_of({"n" + std::to_string(i) + "@test", value(std::move(where))}));
  }
  raw.send(list_of({128, nullptr, value(std::move(known))}));
  ASSERT_TRUE(wait_until([&] { return one.network->counters().told_refused.load() == 450; }));
  // All of them are tried in turn, a few at once.
  EXPECT_TRUE(wait_until([&] {
    const value info = one.network->info();
    std::size_t failed = 0;
    for (const value& peer : *info.find("peers")->items()) failed += peer.find("last_failure") ? 1 : 0;
    return failed == 50;
  })) << one.network->info().print();
}

class BadSignal : public cluster_fixture, public testing::WithParamInterface<std::pair<const char*, value>> {};

TEST_P(BadSignal, EndsTheConnectionAndNothingElse) {
  member one = start("one@test");
  const pid echo_pid = start_echo(one, "echo");
  raw_peer raw(*loop_, net_, place("one@test"));
  const value& bad = GetParam().second;
  if (bad.binary()) raw.send(*bad.binary());
  else raw.send(bad);
  raw.send(list_of({2, 5, "echo", 1, "not read any more"}));
  const error why = raw.end();
  EXPECT_TRUE(why == errc::bad_message || why == errc::unsupported) << why.message();
  EXPECT_EQ(one.network->counters().bad_signals.load(), 1u);
  EXPECT_TRUE(one.machine->exists(echo_pid));
  EXPECT_TRUE(wait_until([&] { return nodes(*one.machine, node_class::connected).empty(); }));
}

bytes raw_bytes(std::initializer_list<int> given) {
  bytes out;
  for (int b : given) out.push_back(static_cast<std::byte>(b));
  return out;
}

pid third_party() { return {intern_life("third@test", 1).or_exit(), 1}; }

INSTANTIATE_TEST_SUITE_P(
    All, BadSignal,
    testing::Values(std::pair("no_list", value(5)), std::pair("empty_list", value(list{})),
                    std::pair("no_op", list_of({"message"})), std::pair("op_zero", list_of({0, 1, 2})),
                    std::pair("unknown_op", list_of({99, 1, 2})), std::pair("too_short", list_of({2, 5, "echo", 1})),
                    std::pair("bad_from", list_of({1, "me", "echo", 1})),
                    std::pair("nobody", list_of({1, 5, nullptr, 1})), std::pair("empty_name", list_of({1, 5, "", 1})),
                    std::pair("negative", list_of({2, 5, "echo", -1, 1})),
                    std::pair("foreign_link", list_of({8, third_party(), "echo"})),
                    std::pair("foreign_monitor", list_of({11, third_party(), "echo", 1})),
                    std::pair("arguments", list_of({15, 5, 1, "f", 3, map_of({})})),
                    std::pair("order_leader", list_of({15, 5, 1, "f", list_of({}), map_of({{"leader", "x"}})})),
                    std::pair("foreign_spawn",
                              list_of({14, third_party(), 1, "f", list_of({}), map_of({{"link", true}})})),
                    std::pair("cut_off", value(raw_bytes({0x94, 0x01}))),
                    std::pair("gigabytes", value(raw_bytes({0x94, 0x01, 0x05, 0x05, 0xdd, 0x7f, 0xff, 0xff, 0xff}))),
                    std::pair("reserved_byte", value(raw_bytes({0x94, 0x01, 0x05, 0x05, 0xc1})))),
    [](const auto& info) { return std::string(info.param.first); });

}  // namespace troupe::test
