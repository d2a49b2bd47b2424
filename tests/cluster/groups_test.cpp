// Groups and tasks among real programs: membership over sockets, work under another program's supervisor, a killed
// node.
#include <troupe/group.hpp>
#include <troupe/node.hpp>
#include <troupe/task_supervisor.hpp>

#include "observe/json.hpp"
#include "observer.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

using GroupsNodes = ObserverTest;

// Has that node's counter join "todo" twice.
task<bool> join_there(process& self, std::string node) {
  auto counter = co_await rpc::call<pid>(self, node, "troupe.whereis", "sample.counter").within(20s);
  if (!counter) co_return false;
  list members;
  members.emplace_back(*counter);
  members.emplace_back(*counter);
  list given;
  given.emplace_back("todo");
  given.emplace_back(std::move(members));
  auto said = co_await rpc::call<value>(self, node, "troupe.lua_call", "pg.join", given).within(20s);
  co_return said && said->items() && said->items()->front() == value("ok");
}

TEST_F(GroupsNodes, MembersAndTasksOfARealNodeEndWithIt) {
  auto sample = start_node("sample", {"--peer", "observer"});
  auto other = start_node("other", {"--peer", "observer"});
  ASSERT_TRUE(sample->wait_output("ready")) << sample->out() << sample->err();
  ASSERT_TRUE(other->wait_output("ready")) << other->out() << other->err();
  for (const char* name : {"sample@localhost", "other@localhost"}) {
    auto joined = door_->run(60s, [name](process& self) -> task<bool> {
      auto joining = join_there(self, name);
      co_return co_await std::move(joining);
    });
    ASSERT_TRUE(joined && *joined) << name;
  }
  group::join(door_->self(), "todo", door_->id()).or_exit();
  ASSERT_TRUE(wait_until([&] { return group::members(*here_, "todo").size() == 5; }));
  EXPECT_EQ(group::closest(*here_, "todo"), door_->id());
  const outcome shown = tool({"registry", "sample", "groups"});
  EXPECT_NE(shown.out.find("todo"), std::string::npos) << shown.out << shown.err;
  EXPECT_TRUE(wait_until([&] {
    const auto all = internal::from_json(tool({"registry", "sample", "groups", "--json"}).out);
    return all && all->items() && all->items()->size() == 1 &&
           all->items()->front().find("members")->items()->size() == 5;
  })) << "each node sees all five";

  const pid_t os_pid = sample->pid();
  auto ended = door_->run(60s, [os_pid](process& self) -> task<std::string> {
    std::string out;
    auto quick = async<value>(self, {"sample.tasks", "sample@localhost"}, "sample.add_one", 41);
    auto answer = co_await quick.await(self);
    out += (answer ? answer->print() : answer.error().message()) + " ";
    auto slow = async_nolink<value>(self, {"sample.tasks", "sample@localhost"}, "troupe.lua_call", "sleep",
                                    list_of({1'000'000}));
    auto late = co_await slow.yield(self, 100ms);
    out += late ? "early " : "late ";
    monitor_nodes(self, true);
    ::kill(os_pid, SIGKILL);
    for (;;) {
      auto event = co_await self.receive(30s);
      if (!event || event->tag() == "nodedown") break;
    }
    out += std::to_string(group::members(self, "todo").size()) + " ";
    auto lost = co_await slow.await(self, 30s);
    co_return out + (lost ? "done" : lost.error().name());
  });
  ASSERT_TRUE(ended) << ended.error().message();
  EXPECT_EQ(*ended, "42 late 3 noconnection");
}

}  // namespace
}  // namespace troupe::test
