// Whoever sends to the wrong address ends nobody: each behaviour of the node under every known tag with random fields.
#include "otp_test.hpp"

#include <cstdlib>
#include <random>

#include <troupe/dynamic_supervisor.hpp>
#include <troupe/keyed_registry.hpp>
#include <troupe/task_supervisor.hpp>

#include "program_support.hpp"
#include "support/strange_messages.hpp"

namespace troupe::test {
namespace {

task<> stay(process& self) { co_await self.sleep(wait_forever); }

class StrangersTest : public OtpTest {
 protected:
  StrangersTest() {
    const char* given = std::getenv("TROUPE_SEED");
    seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::printf("TROUPE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  }
  void send_all(process& self, const std::vector<address>& to, const std::vector<std::string>& without = {}) const {
    strange_messages strange(*node, seed, node->processes(), {"top", "many", "rooms", "tasks", "child", "lobby"});
    send_strange_messages(self, to, strange, 20, without);
  }
  bool answers(const address& whom) { return here->call(whom, sys_get_state(), 20s).has_value(); }
  std::uint64_t refused() const { return node->core().counters().not_understood.load(); }
  std::uint64_t seed = 0;
};

TEST_F(StrangersTest, EndNoSupervisorAndNoRegistry) {
  keyed_registry rooms("rooms");
  auto child = [](process& up) { return spawn_link(up, &stay); };
  const pid top = start_supervisor(*node, supervise("top")
                                              .at_most(0, 1h)
                                              .child("child", child)
                                              .child(rooms.spec())
                                              .child(dynamic_supervisor("many").spec())
                                              .child(task_supervisor("tasks")))
                      .or_exit();
  const std::vector<child_info> before = here->call<std::vector<child_info>>("top", ask_which_children()).or_exit();
  const pid in_rooms = spawn(*node, [rooms](process& self) -> task<> {
                         (void)rooms.add(self, value("lobby"), value());
                         co_await self.sleep(wait_forever);
                       }).or_exit();
  ASSERT_TRUE(wait_until([&] { return rooms.whereis(value("lobby")).has_value(); }));
  // A child by its id or pid may be stopped, and the supervisors may be told to: that is no mistake that they can see.
  send_all(here->self(), {"top", "rooms", "many", "tasks"},
           {"supervisor.terminate_child", "supervisor.delete_child", "supervisor.terminate_process"});
  for (const char* name : {"top", "rooms", "many", "tasks"}) EXPECT_TRUE(answers(name)) << name;
  EXPECT_EQ(pid_of("top"), top);
  const std::vector<child_info> after = here->call<std::vector<child_info>>("top", ask_which_children()).or_exit();
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_EQ(after[i].pid, before[i].pid) << after[i].id;
  EXPECT_EQ(rooms.whereis(value("lobby")), in_rooms);
  EXPECT_GT(refused(), 1000u);
  EXPECT_EQ(node->core().counters().crashed.load(), 0u);
  EXPECT_GT(log->count("message that no handler takes"), 100u);
}

TEST_F(StrangersTest, AnOrderOfAnotherKindOfSupervisorIsAnError) {
  start_supervisor(*node, supervise("top").child("child", [](process& up) { return spawn_link(up, &stay); })).or_exit();
  for (const value& order :
       {list_of({"supervisor.terminate_process", map_of({{"process", here->id()}})}),
        list_of({"supervisor.start_from", map_of({{"entry", "x"}})}), list_of({"task.run", map_of({})}),
        list_of({"registry.count", map_of({})}), list_of({"program.close", map_of({})}), list_of({"multi", 5})}) {
    auto got = here->call("top", order);
    ASSERT_FALSE(got) << order.print();
    EXPECT_EQ(got.error(), errc::bad_message) << order.print();
    EXPECT_NE(got.error().text().find("top takes no such call: "), std::string::npos) << got.error().text();
  }
  EXPECT_TRUE(answers("top"));
}

// Whoever has another's message, and sends it on, does not end a supervisor with its parent's name.
TEST_F(StrangersTest, AForgedEndIsNone) {
  auto parent = [](process& self) -> task<> {
    self.trap_exits(true);
    auto plan = supervise("top").at_most(0, 1h).child("child", [](process& up) { return spawn_link(up, &stay); });
    auto starting = start_supervisor(self, std::move(plan));
    (void)co_await std::move(starting);
    co_await self.sleep(wait_forever);
  };
  const pid up = spawn(*node, parent).or_exit();
  ASSERT_TRUE(wait_until([&] { return static_cast<bool>(pid_of("top")); }));
  const pid child = *here->call<std::vector<child_info>>("top", ask_which_children()).or_exit().front().pid;
  for (const pid from : {up, child, pid_of("top"), here->id()}) {
    here->send("top", exit_message(from, exit_reason("made up")));
    here->send("top", list_of({"EXIT", from, "made up"}));
    here->send("top", down(ref(node->core().life(), 5), from, exit_reason("made up")));
  }
  EXPECT_TRUE(answers("top"));
  EXPECT_EQ(here->call<std::vector<child_info>>("top", ask_which_children()).or_exit().front().pid, child);
  EXPECT_EQ(refused(), 12u);
  const pid top = pid_of("top");
  node->exit(up, exit_reason::kill());
  EXPECT_TRUE(wait_until([&] { return !node->exists(top) && !node->exists(child); }));
}

TEST_F(StrangersTest, EndNoTaskAndDecideNoOutcome) {
  auto outcome = here->run(60s, [&](process& self) -> task<result<int>> {
    self.trap_exits(true);
    const pid me = self.id();
    auto work = async(self, [me](process& worker) -> task<int> {
      worker.send(me, value(worker.id()));
      auto told = co_await worker.receive(wait_forever);
      co_return static_cast<int>(*told->to_value().integer());
    });
    auto ready = co_await self.receive(20s);
    const pid worker = *ready->to_value().process();
    // Its owner may end it: a stranger sends.
    (void)spawn_monitor(self, [this, to = work.process()](process& stranger) -> task<> {
      send_all(stranger, {to});
      co_return;
    });
    auto sent = co_await self.receive<down>(20s);
    EXPECT_TRUE(sent && sent->reason.is_normal());
    const ref watch = self.monitor(work.process());
    auto ended = co_await self.receive<down>(50ms);
    EXPECT_FALSE(ended) << ended->reason.text();
    self.demonitor(watch);
    self.send(worker, value(5));
    auto waiting = work.await(self, 20s);
    auto got = co_await std::move(waiting);
    co_return got;
  });
  ASSERT_TRUE(outcome);
  ASSERT_TRUE(*outcome) << outcome->error().message();
  EXPECT_EQ(**outcome, 5);
}

TEST_F(StrangersTest, EndNoProgram) {
  auto said = here->run(60s, [&](process& self) -> task<std::string> {
    command what = sh("read line; echo \"$line\"").input();
    auto starting = start_program(self, what);
    auto made = co_await std::move(starting);
    if (!made) co_return made.error().message();
    program cat = *made;
    send_all(self, {cat.id()},
             {"program.close", "program.signal", "program.end_input", "program.write", "program.connect"});
    auto written = co_await cat.write(self, "alive\n");
    if (!written) co_return written.error().message();
    for (;;) {
      auto got = co_await self.receive<program_output>(20s);
      if (!got) co_return got.error().message();
      co_return got->data;
    }
  });
  ASSERT_TRUE(said);
  EXPECT_EQ(*said, "alive");
}

}  // namespace
}  // namespace troupe::test
