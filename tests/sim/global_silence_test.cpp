// Nodes whose process `troupe.global` does not run while their connections are sound: the others' requests end, and the
// others go on. In virtual time, under a seed.
#include <gtest/gtest.h>

#include <map>

#include <troupe/bus/simulation.hpp>
#include <troupe/global.hpp>
#include <troupe/lock.hpp>

#include "global/service.hpp"
#include "runtime/process_private.hpp"
#include "sim/run_hosts.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

// What a request may take although its caller would wait for ever.
constexpr duration bound = 6s, lookup_bound = 11s;
// A killed node is noticed, a mute member is taken for one that has said nothing, and is counted out.
constexpr duration membership_time = internal::membership::mute_after + internal::membership::island_after + 2s;

class counting_log final : public log_sink {
 public:
  bool enabled(log_level) const noexcept override { return true; }
  void log(log_level level, std::string_view text, map) noexcept override {
    silent += level == log_level::warning && text.find("does not answer") != std::string_view::npos;
  }
  int silent = 0;
};

struct outcome_of {
  bool done = false;
  error why;  // none: it was given
  duration took{};
};
using outcomes = std::map<std::string, outcome_of>;

struct listening_host {
  std::unique_ptr<node> machine;
  internal::global_service* service = nullptr;
  std::shared_ptr<counting_log> log = std::make_shared<counting_log>();
};

class Silence : public testing::TestWithParam<std::uint64_t> {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b", "c"}) start(name);
    run_for(3s);
    for (const auto& [name, one] : hosts_) ASSERT_EQ(one.service->members().size(), 3u) << name;
  }
  void start(const std::string& name) {
    listening_host made;
    detail::bare_node_options options = options_on(*sim_, name);
    options.log = made.log;
    options.node.mesh = mesh_policy::explicit_only;
    made.machine = detail::make_bare_node(std::move(options));
    internal::distribution_options network = network_on(*sim_, name);
    network.features = {internal::global_feature};
    for (const std::string other : {"a", "b", "c"}) {
      if (other == name) continue;
      network.peers[other + "@sim"] = {place_of(other)};
      network.wanted.push_back(other + "@sim");
    }
    auto* attached = internal::attach_distribution(made.machine->core(), std::move(network)).or_exit();
    made.service = internal::start_global(*made.machine).or_exit();
    attached->open().or_exit();
    hosts_[name] = std::move(made);
  }
  void run_for(duration time) { run_hosts(*sim_, hosts_, times_, time); }
  void suspend(const std::string& name) {
    detail::core& core = hosts_[name].machine->core();
    const pid keeper = core.whereis(internal::keeper_name).or_exit();
    ASSERT_TRUE(core.inspect(keeper, [](process& p) { ++detail::process_private::held(p); }));
    run_for(10ms);
  }
  void resume(const std::string& name) {
    detail::core& core = hosts_[name].machine->core();
    core.deliver(core.whereis(internal::keeper_name).or_exit(), detail::make_signal(detail::signal::relieved));
  }

  static task<> sleeps(process& self) { co_await self.sleep(wait_forever); }
  static task<> registers(process& self, std::string name, outcomes* out) {
    const auto began = self.now();
    auto asking = global::register_name(self, name, self.id(), global::register_options().within(wait_forever));
    auto got = co_await std::move(asking);
    (*out)["name " + name] = {true, got ? error() : got.error(), self.now() - began};
    co_await self.sleep(wait_forever);
  }
  static task<> moves(process& self, std::string name, outcomes* out) {
    const auto began = self.now();
    auto asking = global::re_register_name(self, name, self.id(), global::register_options().within(wait_forever));
    auto got = co_await std::move(asking);
    (*out)["move " + name] = {true, got ? error() : got.error(), self.now() - began};
  }
  static task<> registers_other(process& self, std::string name, pid who, outcomes* out) {
    const auto began = self.now();
    auto asking = global::register_name(self, name, who, global::register_options().within(wait_forever));
    auto got = co_await std::move(asking);
    (*out)["name " + name] = {true, got ? error() : got.error(), self.now() - began};
  }
  static task<> locks(process& self, std::string name, outcomes* out) {
    const auto began = self.now();
    auto asking = lock::set_lock(self, lock::id(name, self.id()));
    auto got = co_await std::move(asking);
    (*out)["lock " + name] = {true, got ? error() : got.error(), self.now() - began};
    co_await self.sleep(wait_forever);
  }
  static task<> looks(process& self, std::string name, outcomes* out) {
    const auto began = self.now();
    auto asking = global::whereis_name(self, name, wait_forever);
    auto got = co_await std::move(asking);
    (*out)["look " + name] = {true, got ? error() : got.error(), self.now() - began};
  }
  // Each of the three for so many keys, which fall to all members.
  void ask_at(const std::string& where, const std::string& prefix, outcomes& out) {
    node& machine = *hosts_[where].machine;
    for (int i = 0; i < keys; ++i) {
      const std::string name = prefix + std::to_string(i);
      for (const std::string& what : {"name " + name, "lock " + name, "look " + name + " nobody"}) out[what] = {};
      spawn(machine, &Silence::registers, name, &out).or_exit();
      spawn(machine, &Silence::locks, name, &out).or_exit();
      spawn(machine, &Silence::looks, name + " nobody", &out).or_exit();
    }
  }
  bool falls_to(const std::string& key_of, const std::string& host) {
    const std::string name = key_of.substr(5);
    const std::string key = internal::claim_key(key_of.starts_with("lock"), value(name));
    return hosts_["b"].service->arbiter_node(key) == host + "@sim";
  }
  // One that falls to that host.
  std::string name_of(const std::string& host) {
    for (int i = 0;; ++i) {
      std::string one = "x" + std::to_string(i);
      if (falls_to("name " + one, host)) return one;
    }
  }

  static constexpr int keys = 20;
  std::unique_ptr<bus::simulator> sim_ = bus::make_simulator({.seed = GetParam()});
  std::map<std::string, listening_host> hosts_;
  host_times times_;
};

TEST_P(Silence, WhoWaitsForASilentArbiterIsToldSo) {
  suspend("a");
  outcomes seen;
  ask_at("b", "x", seen);
  std::map<std::string, bool> of_silent;
  for (const auto& [what, got] : seen) of_silent[what] = falls_to(what, "a");
  run_for(std::max(bound, lookup_bound));
  int failed = 0;
  for (const auto& [what, got] : seen) {
    ASSERT_TRUE(got.done) << what;
    EXPECT_LE(got.took, what.starts_with("look") ? lookup_bound : bound) << what;
    const errc given = what.starts_with("look") ? errc::noproc : errc::none;
    EXPECT_EQ(got.why.code(), of_silent[what] ? errc::timeout : given) << what << got.why.message();
    failed += of_silent[what];
  }
  EXPECT_GT(failed, 0);
  EXPECT_GT(hosts_["b"].log->silent, 0) << "the log says whom it is about";
  // When it runs again nothing of what was given up is left there.
  resume("a");
  run_for(1s);
  outcomes again;
  ask_at("c", "x", again);
  run_for(2s);
  for (const auto& [what, got] : again) {
    if (what.starts_with("look") || !of_silent[what]) continue;
    EXPECT_TRUE(got.done && got.why == errc::none) << what;
  }
}

TEST_P(Silence, WhoWaitsForALockGoesOnWaitingWhileItsArbiterRuns) {
  outcomes first, second;
  ask_at("b", "x", first);
  run_for(1s);
  ask_at("c", "x", second);
  run_for(1min);
  for (const auto& [what, got] : second) {
    EXPECT_EQ(got.done, !what.starts_with("lock")) << what << " " << got.why.message();
  }
  EXPECT_EQ(hosts_["c"].log->silent, 0);
}

// The view changes, and one of its members does not say that it sees that: without it the others go on.
TEST_P(Silence, AMuteMemberDoesNotHoldUpTheOthers) {
  suspend("c");
  sim_->kill("a");
  hosts_.erase("a");
  run_for(membership_time);
  ASSERT_EQ(hosts_["b"].service->members(), std::vector<std::string>{"b@sim"});
  outcomes seen;
  ask_at("b", "x", seen);
  run_for(1s);
  for (const auto& [what, got] : seen) {
    ASSERT_TRUE(got.done) << what;
    EXPECT_EQ(got.why.code(), what.starts_with("look") ? errc::noproc : errc::none) << what;
  }
  resume("c");
  run_for(1s);
  EXPECT_EQ(hosts_["b"].service->members().size(), 2u);
  EXPECT_TRUE(hosts_["b"].service->agreed());
}

// The node that keeps the process is silent: who registers it from elsewhere is told, and its own node is not.
TEST_P(Silence, WhoRegistersAProcessOfASilentNodeIsToldSo) {
  const pid there = spawn(*hosts_["a"].machine, &Silence::sleeps).or_exit();
  run_for(100ms);
  suspend("a");
  outcomes seen;
  for (int i = 0; i < keys; ++i) {
    const std::string name = "x" + std::to_string(i);
    seen["name " + name] = {};
    spawn(*hosts_["b"].machine, &Silence::registers_other, name, there, &seen).or_exit();
  }
  run_for(bound);
  for (const auto& [what, got] : seen) {
    ASSERT_TRUE(got.done) << what;
    EXPECT_EQ(got.why.code(), errc::timeout) << what << got.why.message();
    EXPECT_NE(got.why.text().find("troupe.global of a@sim"), std::string_view::npos) << got.why.message();
    EXPECT_TRUE(got.why.maybe_executed());
  }
  EXPECT_EQ(hosts_["b"].log->silent, 1);
  // They reach it in the end; whoever asks again has an answer at once.
  resume("a");
  run_for(1s);
  outcomes again;
  again["name x0"] = {};
  spawn(*hosts_["b"].machine, &Silence::registers_other, std::string("x0"), there, &again).or_exit();
  run_for(1s);
  EXPECT_TRUE(again["name x0"].done && again["name x0"].why == errc::none) << again["name x0"].why.message();
}

// A node that is granted a name and does not tell of it holds up nobody else who asks for it.
TEST_P(Silence, WhoWaitsForAHalfGivenNameIsToldSo) {
  const std::string name = name_of("a");
  outcomes first, others;
  spawn(*hosts_["c"].machine, &Silence::registers, name, &first).or_exit();
  for (int i = 0; i < 2000 && hosts_["a"].service->info().integer_at("granting") == 0; ++i) run_for(100us);
  ASSERT_EQ(hosts_["a"].service->info().integer_at("granting"), 1);
  ASSERT_FALSE(first["name " + name].done);
  suspend("c");
  others["name " + name] = others["move " + name] = {};
  spawn(*hosts_["b"].machine, &Silence::registers, name, &others).or_exit();
  spawn(*hosts_["b"].machine, &Silence::moves, name, &others).or_exit();
  run_for(bound);
  for (const auto& [what, got] : others) {
    ASSERT_TRUE(got.done) << what;
    EXPECT_EQ(got.why.code(), errc::timeout) << what << got.why.message();
    EXPECT_NE(got.why.text().find("troupe.global of c@sim"), std::string_view::npos) << got.why.message();
  }
  resume("c");
  run_for(1s);
  EXPECT_TRUE(first["name " + name].done && first["name " + name].why == errc::none) << "it was given all the same";
}

// A name that both sides of a partition have given is taken from who does not answer: whoever moves it meanwhile is
// told.
TEST_P(Silence, WhoMovesANameThatIsBeingSettledIsToldSo) {
  const std::string name = name_of("a");
  sim_->cut("a", "c");
  sim_->cut("b", "c");
  run_for(3min);
  ASSERT_EQ(hosts_["c"].service->members().size(), 1u);
  outcomes first, second, mover;
  spawn(*hosts_["b"].machine, &Silence::registers, name, &first).or_exit();
  run_for(1s);
  spawn(*hosts_["c"].machine, &Silence::registers, name, &second).or_exit();
  run_for(1s);
  ASSERT_TRUE(first["name " + name].done && second["name " + name].done);
  sim_->heal_all();
  const auto settling = [this] { return hosts_["a"].service->info().integer_at("settling") > 0; };
  for (int i = 0; i < 1'000'000 && !settling(); ++i) run_for(100us);
  ASSERT_TRUE(settling());
  suspend("c");
  mover["move " + name] = {};
  spawn(*hosts_["b"].machine, &Silence::moves, name, &mover).or_exit();
  run_for(bound);
  const outcome_of& got = mover["move " + name];
  ASSERT_TRUE(got.done);
  EXPECT_EQ(got.why.code(), errc::timeout) << got.why.message();
  EXPECT_NE(got.why.text().find("troupe.global of c@sim"), std::string_view::npos) << got.why.message();
  resume("c");
  run_for(1s);
  EXPECT_TRUE(hosts_["b"].service->agreed());
}

INSTANTIATE_TEST_SUITE_P(Seeds, Silence, testing::Range<std::uint64_t>(1, 11));

}  // namespace
}  // namespace troupe::test
