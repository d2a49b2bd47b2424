#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include <troupe/inspect.hpp>
#include <troupe/supervisor.hpp>

#include "lab.hpp"
#include "observe/log_writer.hpp"

namespace troupe::test {
namespace {

struct Stack {
  using messages = handles<Poke>;
  std::vector<std::int64_t> numbers;
  void on(const Poke& poke) { numbers.push_back(poke.number); }
  [[nodiscard]] std::vector<std::int64_t> state() const { return numbers; }
};

TEST(SystemFunctions, PsListsSortsAndLimits) {
  lab lab;
  const pid busy = lab.here->spawn([](process& self) -> task<> {
    for (;;) co_await self.receive<Ask>(wait_forever);  // leaves the rest where it is
  });
  lab.start("lab.one");
  lab.start("lab.two");
  for (int i = 0; i < 5; ++i) lab.here->send(busy, Poke(i));
  const value by_queue = lab.call("troupe.ps", {map_of({{"sort", "queue"}, {"limit", 1}})}).or_exit();
  ASSERT_EQ(by_queue.items()->size(), 1u);
  const value& first = by_queue.items()->front();
  EXPECT_EQ(*first.find("pid"), value(busy)) << by_queue.print();
  EXPECT_EQ(first.integer_at("queue"), 5);
  const value named = lab.call("troupe.ps", {map_of({{"name", "lab.*"}})}).or_exit();
  ASSERT_EQ(named.items()->size(), 2u);
  EXPECT_EQ((*named.items())[0].text_at("name"), "lab.one");
  EXPECT_EQ((*named.items())[0].text_at("entry"), "lab.worker");
  EXPECT_GT((*named.items())[0].integer_at("memory"), 0);
  EXPECT_GE(lab.call("troupe.ps").or_exit().items()->size(), 4u);
  EXPECT_EQ(lab.call("troupe.ps", {map_of({{"sort", "size"}})}).error(), errc::bad_argument);
  EXPECT_EQ(lab.call("troupe.ps", {1, 2}).error(), errc::bad_argument);
}

TEST(SystemFunctions, PsAnswersAtOnceWithManyProcesses) {
  lab lab;
  constexpr std::size_t many = 100'000;
  for (std::size_t i = 0; i < many; ++i) lab.start();
  const auto began = std::chrono::steady_clock::now();
  const value top = lab.call("troupe.ps", {map_of({{"sort", "memory"}, {"limit", 10}})}).or_exit();
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_EQ(top.items()->size(), 10u);
  EXPECT_LT(took, 10s);  // generous: a loaded machine, sanitizers
  EXPECT_GE(lab.call("troupe.info").or_exit().integer_at("processes"), static_cast<std::int64_t>(many));
}

TEST(SystemFunctions, InfoTellsTheNodeAndItsCounters) {
  lab lab;
  lab.here->send("nobody.here", Poke(1));
  const value info = lab.call("troupe.info").or_exit();
  EXPECT_EQ(info.text_at("name"), "lab@localhost");
  EXPECT_EQ(info.text_at("application"), "lab");
  EXPECT_EQ(info.text_at("version"), "1.2.3");
  EXPECT_GT(info.integer_at("memory"), 0);
  EXPECT_EQ(info.find("counters")->integer_at("dead_letters_noname"), 1);
  EXPECT_EQ(info.find("trace")->integer_at("sessions"), 0);
}

TEST(SystemFunctions, ProcessInfoLooksInside) {
  lab lab;
  const pid one = lab.start("lab.one");
  const ref watch = lab.self().monitor(one);
  lab.settle(one);
  const auto parked = [&] { return lab.core().summary(one)->status == detail::process_status::waiting; };
  ASSERT_TRUE(wait_until(parked)) << "it answers before it waits again";
  const value all = lab.call("troupe.process_info", {"lab.one"}).or_exit();
  EXPECT_EQ(*all.find("pid"), value(one));
  EXPECT_EQ(all.text_at("status"), "waiting");
  EXPECT_EQ(all.text_at("at").substr(0, 13), "lab_test.cpp:") << all.print();
  EXPECT_EQ(*all.find("monitored_by"), list_of({lab.here->id()}));
  EXPECT_FALSE(all.find("messages"));
  const value some = lab.call("troupe.process_info", {value(one.text()), list_of({"queue", "name"})}).or_exit();
  EXPECT_EQ(some.print(), "{queue = 0, name = \"lab.one\"}");
  EXPECT_EQ(lab.call("troupe.process_info", {"lab.one", list_of({"height"})}).error(), errc::bad_argument);
  EXPECT_EQ(lab.call("troupe.process_info", {"lab.none"}).error(), errc::noproc);
  EXPECT_EQ(lab.call("troupe.process_info", {5}).error(), errc::bad_argument);
  lab.self().demonitor(watch);
  EXPECT_TRUE(lab.call("troupe.exit", {value(one)}).or_exit() == value(true));
  ASSERT_TRUE(wait_until([&] { return !lab.node->exists(one); }));
  EXPECT_EQ(lab.call("troupe.process_info", {value(one)}).error(), errc::noproc);
}

TEST(SystemFunctions, CallsShowWhoWaitsForWhoseAnswer) {
  lab lab;
  const auto ask = [](process& self, pid whom) -> task<> {
    auto never = co_await call(self, whom, Ask(1)).within(1min);
    (void)never;
  };
  const auto deaf = [](process& self) -> task<> {
    for (;;) co_await self.receive<Poke>(wait_forever);
  };
  const pid idle = lab.here->spawn(deaf);
  const pid waits = lab.here->spawn(ask, idle);
  const auto seen = [&] { return lab.call("troupe.calls").or_exit(); };
  ASSERT_TRUE(wait_until([&] { return seen().items()->size() == 1; })) << seen().print();
  const value one = seen().items()->front();
  EXPECT_EQ(*one.find("pid"), value(waits));
  EXPECT_EQ(*one.find("to"), value(idle));
  EXPECT_EQ(one.text_at("at").substr(0, 26), "system_functions_test.cpp:");
  const value about = lab.call("troupe.process_info", {value(waits), list_of({"calls"})}).or_exit();
  EXPECT_EQ(*about.find("calls"), value(idle));
  const value other = lab.call("troupe.process_info", {value(idle), list_of({"calls"})}).or_exit();
  EXPECT_TRUE(other.find("calls")->is_nil());
  lab.self().exit(waits, exit_reason::kill());
  ASSERT_TRUE(wait_until([&] { return seen().items()->empty(); }));
}

TEST(SystemFunctions, ProcessInfoShowsMessagesWhenAsked) {
  lab lab;
  const pid deaf = lab.here->spawn([](process& self) -> task<> {
    for (;;) co_await self.receive<Ask>(wait_forever);
  });
  for (int i = 0; i < 150; ++i) lab.here->send(deaf, Poke(i));
  const value got = lab.call("troupe.process_info", {value(deaf), list_of({"messages", "queue"})}).or_exit();
  ASSERT_EQ(got.find("messages")->items()->size(), 100u);
  EXPECT_EQ(got.find("messages")->items()->front().print(), "{\"lab.poke\", {number = 0}}");
}

TEST(SystemFunctions, ABusyProcessIsShownFromOutside) {
  lab lab;
  std::atomic<bool> go_on{true};
  std::atomic<bool> runs{false};
  const pid busy = lab.here->spawn([&go_on, &runs](process&) -> task<> {
    runs = true;
    while (go_on) std::this_thread::yield();
    co_return;
  });
  ASSERT_TRUE(wait_until([&] { return runs.load(); }));
  auto seen = lab.call("troupe.process_info", {value(busy)});
  go_on = false;
  const value got = std::move(seen).or_exit();
  EXPECT_EQ(*got.find("busy"), value(true));
  EXPECT_EQ(got.text_at("status"), "running");
}

TEST(SystemFunctions, NamesFunctionsAndMessages) {
  lab lab;
  const pid one = lab.start("lab.one");
  EXPECT_EQ(lab.call("troupe.whereis", {"lab.one"}).or_exit(), value(one));
  EXPECT_EQ(lab.call("troupe.whereis", {"lab.none"}).error(), errc::noproc);
  const value names = lab.call("troupe.registry", {"local"}).or_exit();
  EXPECT_NE(names.print().find("lab.one"), std::string::npos);
  EXPECT_EQ(lab.call("troupe.registry", {"galaxy"}).error(), errc::unsupported);
  const value offered = lab.call("troupe.functions", {"troupe.p"}).or_exit();
  ASSERT_EQ(offered.items()->size(), 2u);
  EXPECT_EQ(offered.items()->front().text_at("name"), "troupe.process_info");
  EXPECT_EQ(lab.call("troupe.send", {value(lab.here->id()), list_of({"lab.poke", map_of({{"number", 8}})})}).or_exit(),
            value(true));
  EXPECT_EQ(lab.next<Poke>().number, 8);
  EXPECT_EQ(lab.call("troupe.stop", {"now"}).error(), errc::unsupported);
  EXPECT_EQ(lab.call("troupe.logs").error(), errc::unsupported);
}

class remembering_stopper final : public detail::node_stopper {
 public:
  duration request_stop(std::string why) override {
    asked = std::move(why);
    return 1500ms;
  }
  std::string asked;
};

TEST(SystemFunctions, TheTreeKnowsASupervisorByWhatItDoes) {
  lab lab;
  pid plain;
  auto plan = supervise("lab.top").child("plain", [&plain](process& up) {
    plain = spawn_link(up, worker);
    return plain;
  });
  ASSERT_TRUE(start_supervisor(*lab.node, std::move(plan)));
  const value tree = lab.call("troupe.tree", {"lab.top"}).or_exit();
  EXPECT_EQ(tree.text_at("type"), "supervisor");
  ASSERT_EQ(tree.find("children")->items()->size(), 1u);
  EXPECT_EQ(lab.call("troupe.tree", {plain}).error(), errc::unsupported);
  // The question that a supervisor alone understands was not asked of it.
  EXPECT_EQ(lab.core().summary(plain)->queued, 0u);
  EXPECT_EQ(lab.core().summary(plain)->entry, "process");
}

TEST(SystemFunctions, StopAsksTheProgram) {
  lab lab;
  auto made = std::make_unique<remembering_stopper>();
  auto& stopper = *made;
  lab.core().attach<detail::node_stopper>(std::move(made));
  EXPECT_EQ(lab.call("troupe.stop", {"upgrade"}).or_exit(), value(1500)) << "milliseconds";
  EXPECT_EQ(stopper.asked, "upgrade");
}

TEST(SystemFunctions, LogsGivesTheLastLines) {
  internal::log_config config;
  config.console = internal::log_config::form::none;
  auto log = std::make_shared<internal::log_writer>(config);
  lab lab(log);
  for (int i = 0; i < 5; ++i) lab.self().log().notice("line " + std::to_string(i));
  ASSERT_TRUE(log->flush(20s));
  const value last = lab.call("troupe.logs", {2}).or_exit();
  ASSERT_EQ(last.items()->size(), 2u);
  EXPECT_NE(last.items()->back().text()->find("line 4"), std::string::npos);
  EXPECT_EQ(lab.call("troupe.log_level").or_exit(), value("notice"));
  EXPECT_EQ(lab.call("troupe.log_level", {"debug"}).or_exit(), value("debug"));
  EXPECT_TRUE(log->enabled(log_level::debug));
}

TEST(SystemFunctions, StateOfServersAlone) {
  lab lab;
  server_options options;
  options.name = "lab.stack";
  const pid server = start_server<Stack>(*lab.node, options).or_exit();
  lab.here->send(server, Poke(4));
  EXPECT_EQ(lab.call("troupe.state", {"lab.stack"}).or_exit(), list_of({4}));
  const pid plain = lab.start();
  EXPECT_EQ(lab.call("troupe.state", {value(plain)}).error(), errc::unsupported);
  EXPECT_EQ(lab.core().summary(plain)->queued, 0u) << "it was never asked";
  EXPECT_EQ(lab.call("troupe.state", {"lab.none"}).error(), errc::noproc);
}

TEST(SystemFunctions, TreeWalksSupervisors) {
  lab lab;
  auto inner = supervise("lab.inner").server<Stack>("lab.low");
  auto outer = supervise("lab.outer").server<Stack>("lab.high").child("lab.inner", inner);
  const pid root = start_supervisor(*lab.node, outer).or_exit();
  lab.node->add_root(root);
  const value all = lab.call("troupe.tree").or_exit();
  ASSERT_EQ(all.items()->size(), 1u);
  const value one = lab.call("troupe.tree", {"lab.outer"}).or_exit();
  EXPECT_EQ(all.items()->front(), one);
  EXPECT_EQ(one.text_at("type"), "supervisor");
  const list& children = *one.find("children")->items();
  ASSERT_EQ(children.size(), 2u);
  EXPECT_EQ(children[0].text_at("name"), "lab.high");
  EXPECT_EQ(children[0].text_at("type"), "worker");
  EXPECT_EQ(children[1].text_at("name"), "lab.inner");
  EXPECT_EQ(children[1].find("children")->items()->front().text_at("name"), "lab.low");
  EXPECT_EQ(lab.call("troupe.tree", {"lab.high"}).error(), errc::unsupported) << "asking it would end it";
  EXPECT_TRUE(lab.node->whereis("lab.high"));
}

}  // namespace
}  // namespace troupe::test
