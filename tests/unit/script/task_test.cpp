// task.*, pg.*, and what servers and supervisors got beside call and cast, typed over two nodes.
#include <troupe/dynamic_supervisor.hpp>
#include <troupe/task_supervisor.hpp>

#include "cluster.hpp"
#include "global/group_service.hpp"

#include <stdexcept>

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct Add {
  std::int64_t amount = 0;
  TROUPE_MESSAGE(Add, "add", amount)
};
struct Total {
  TROUPE_MESSAGE(Total, "total")
};
struct Hang {
  TROUPE_MESSAGE(Hang, "hang")
};
struct Counter {
  using messages = handles<Add, Total, Hang>;
  std::int64_t total = 0;
  void on(const Add& add) { total += add.amount; }
  std::int64_t on(const Total&) const { return total; }
  task<> on(process& self, Hang) { co_await self.sleep(500ms); }
  TROUPE_FIELDS(Counter, total)
};

class LuaTasks : public cluster_fixture {
 protected:
  void SetUp() override {
    one_ = begin("one@test");
    two_ = begin("two@test");
    for (member* each : {&one_, &two_}) {
      auto tree = supervise("top")
                      .child(task_supervisor("tasks", {.max_children = 4}))
                      .child(dynamic_supervisor("many").spec())
                      .child("counter",
                             [](process& up) {
                               server_options options{.name = "counter", .replace_state = true};
                               return start_link<Counter>(up, options);
                             })
                      .restart(transient)
                      .stop_within(2s);
      start_supervisor(*each->machine, tree).or_exit();
    }
    console_.emplace(*one_.machine);
    EXPECT_EQ(eval("connect('two@test')"), "true");
  }
  void TearDown() override {
    console_.reset();
    one_.end();
    two_.end();
  }
  member begin(const std::string& name) {
    member_options options;
    options.features = {internal::groups_feature};
    options.offers.function("chat.receive", [](process& self, std::string text) -> task<std::string> {
      self.print(text);
      co_return "ok";
    });
    options.offers.function("bad.throw", []() -> int { throw std::runtime_error("thrown"); });
    options.offers.process("idle", [](process& self) -> task<> { (void)co_await self.receive(wait_forever); });
    offer_script(options.offers);
    internal::offer_system_functions(options.offers);
    options.services = [](node& here) { internal::start_groups(here).or_exit(); };
    return start(name, std::move(options));
  }
  std::string eval(const std::string& source) { return console_->eval(source); }
  std::string failure(const std::string& call) {
    return eval("ok, e = pcall(function() return " + call + " end) return ok, e.code");
  }

  member one_, two_;
  std::optional<console> console_;
};

TEST_F(LuaTasks, AreAwaitedNearAndFar) {
  EXPECT_EQ(eval("task.await(task.async(function(a, b) return a + b, node() end, {2, 3}))"), "5, \"one@test\"");
  EXPECT_EQ(eval("task.await(task.async('math.abs', {-1}))"), "1");
  EXPECT_EQ(eval("task.await(task.async({'tasks', 'two@test'}, 'chat.receive', {'hey'}))"), "\"ok\"");
  EXPECT_EQ(
      eval("n = 7; return task.await(task.async({'tasks', 'two@test'}, function(a) return node(), a + n end, {1}))"),
      "\"two@test\", 8");
  EXPECT_EQ(eval("task.await(task.async('tasks', 'math.abs', {-2}))"), "2");
  EXPECT_EQ(
      eval("t = {}; for i = 1, 3 do t[i] = task.async(function() return i * i end) end; return task.await_many(t)"),
      "{1, 4, 9}");
  EXPECT_EQ(failure("task.await(task.async({'none', 'two@test'}, 'chat.receive', {'x'}))"), "false, \"noproc\"");
  EXPECT_EQ(failure("task.await(task.async({'tasks', 'nobody@test'}, 'chat.receive', {'x'}))"),
            "false, \"noconnection\"");
  EXPECT_EQ(failure("task.await(task.async('tasks', 'no.such'))"), "false, \"undef\"");
  EXPECT_EQ(failure("task.await(task.async_nolink('tasks', 'bad.throw'))"), "false, \"exited\"");
  EXPECT_EQ(eval("t = task.async(function() return 1 end) task.await(t) ok, e = pcall(task.await, t) return e.code"),
            "\"cancelled\"");
}

TEST_F(LuaTasks, YieldShutdownAndIgnore) {
  EXPECT_EQ(eval("t = task.async(receive); return task.yield(t, 5)"), "nil");
  EXPECT_EQ(eval("task.shutdown(t)"), "nil");
  EXPECT_EQ(eval("task.yield_or_shutdown(task.async(receive), 5)"), "nil");
  EXPECT_EQ(eval("task.yield_or_shutdown(task.async(function() return 1, 2 end), 5000)"), "\"ok\", 1, 2");
  EXPECT_EQ(eval("task.shutdown(task.async(receive), 'brutal_kill')"), "nil");
  EXPECT_TRUE(eval("task.yield(task.async_nolink('tasks', 'bad.throw'))").starts_with("\"exit\", "));
  EXPECT_EQ(eval("task.ignore(task.async(function() sleep(10) end))"), "nil");
  EXPECT_EQ(eval("a, b = task.async(function() return 'a' end), task.async(receive); "
                 "r = task.yield_many({a, b}, 200); task.shutdown(b); return r"),
            "{{\"ok\", \"a\"}, false}");
  EXPECT_EQ(eval("p = task.start_child({'tasks', 'two@test'}, receive); c = task.children({'tasks', 'two@test'}); "
                 "return #c == 1 and c[1] == p"),
            "true");
  EXPECT_EQ(eval("task.terminate_child({'tasks', 'two@test'}, p)"), "\"ok\"");
  EXPECT_TRUE(eval("task.terminate_child({'tasks', 'two@test'}, p)").find("not_found") != std::string::npos);
  // As of OTP: a task that crashes ends the session's process, which another follows.
  (void)eval("trap_exit(true); t = task.async(function() exit('boom') end)");
  EXPECT_EQ(eval("m = receive({'EXIT', any, any}, 5000); return m[3]"), "\"boom\"");
}

TEST_F(LuaTasks, StreamsAreLoopedOver) {
  EXPECT_EQ(eval("out = {}; for status, n in task.async_stream({3, 1, 2}, function(n) sleep(n) return n * n end, "
                 "{max_concurrency = 2}) do out[#out + 1] = status .. n end; return out"),
            "{\"ok9\", \"ok1\", \"ok4\"}");
  EXPECT_EQ(eval("out = {}; for status, n in task.async_stream({300, 1}, function(n) sleep(n) return n end, "
                 "{max_concurrency = 2, ordered = false}) do out[#out + 1] = n end; return out"),
            "{1, 300}")
      << "as they come";
  EXPECT_EQ(eval("out = {}; for status, n, there in task.async_stream({'tasks', 'two@test'}, {-1, 2}, "
                 "function(n) return math.abs(n), node() end) do out[#out + 1] = n .. there end; return out"),
            "{\"1two@test\", \"2two@test\"}");
  EXPECT_EQ(eval("out = {}; for status, got in task.async_stream({'tasks', 'two@test'}, {'a', 'b'}, 'chat.receive') do "
                 "out[#out + 1] = got end; return out"),
            "{\"ok\", \"ok\"}");
  EXPECT_EQ(eval("for _ in task.async_stream({}, 'math.abs') do error('no') end"), "");
  // A crash is an outcome of that one alone.
  EXPECT_EQ(eval("out = {}; for status, why in task.async_stream_nolink({1, 2}, "
                 "function(n) if n == 1 then exit('boom') end return n end) do out[#out + 1] = {status, why} end; "
                 "return out"),
            "{{\"exit\", \"\\\"boom\\\"\"}, {\"ok\", 2}}");
}

TEST_F(LuaTasks, AStreamWhoseTaskIsLate) {
  EXPECT_EQ(eval("out = {}; for status, what in task.async_stream({math.huge, 1}, sleep, "
                 "{timeout = 20, on_timeout = 'kill_task', max_concurrency = 1}) do "
                 "out[#out + 1] = status .. ' ' .. what:sub(1, 7) end; return out"),
            "{\"exit timeout\", \"ok ok\"}");
  EXPECT_EQ(failure("(function() for _ in task.async_stream({math.huge, math.huge}, sleep, "
                    "{timeout = 20, max_concurrency = 2}) do end end)()"),
            "false, \"timeout\"");
  // A loop that is left ends what runs; a stream is its owner's alone.
  EXPECT_EQ(eval("for _, pid in task.async_stream('tasks', {1, 2}, function(n) if n == 2 then sleep(math.huge) end "
                 "return n end, {max_concurrency = 2}) do break end"),
            "");
  EXPECT_TRUE(wait_until([&] { return eval("collectgarbage(); return #task.children('tasks')") == "0"; }));
  EXPECT_EQ(eval("next_one = task.async_stream('tasks', {1, math.huge}, sleep, {max_concurrency = 2}); "
                 "return next_one()"),
            "\"ok\", \"ok\"");
  EXPECT_TRUE(has(eval("exit(self(), 'kill') sleep(10000)"), "ended"));
  EXPECT_EQ(failure("next_one()"), "false, \"not_allowed\"");
  EXPECT_EQ(eval("next_one = nil; collectgarbage(); return 1"), "1");
  // One that runs on when the session, and then the node, ends.
  EXPECT_EQ(eval("left = task.async_stream_nolink('tasks', {1, math.huge}, sleep, {max_concurrency = 2}); "
                 "return left()"),
            "\"ok\", \"ok\"");
  for (const char* wrong :
       {"task.async_stream({1}, 'math.abs', {max = 1})", "task.async_stream({1}, 'math.abs', {max_concurrency = 0})",
        "task.async_stream({1}, 'math.abs', {on_timeout = 'no'})", "task.async_stream({a = 1}, 'math.abs')",
        "task.async_stream({1}, 'math.abs', {ordered = 1})", "task.async_stream(1, 'math.abs')"}) {
    EXPECT_EQ(eval("return (pcall(function() return " + std::string(wrong) + " end))"), "false") << wrong;
  }
}

TEST_F(LuaTasks, GroupsOverTwoNodes) {
  EXPECT_EQ(eval("pg.create({'todo_list', 'bob'})"), "\"ok\"");
  EXPECT_EQ(eval("pg.get_closest_pid({'todo_list', 'bob'})"), "nil, \"no_process\"");
  EXPECT_EQ(eval("pg.get_closest_pid('none')"), "nil, \"no_such_group\"");
  EXPECT_EQ(eval("pg.start('keys'); return pg.join({}, self(), 'keys')"), "\"ok\"");
  EXPECT_EQ(eval("return #pg.get_members({}, 'keys'), #pg.get_members(map{}, 'keys')"), "1, 0");
  console there(*two_.machine);
  EXPECT_TRUE(wait_until([&] { return there.eval("pg.which_groups()") == "{{\"todo_list\", \"bob\"}}"; }));
  EXPECT_EQ(there.eval("ref, all = pg.monitor('room'); return #all"), "0");
  EXPECT_EQ(eval("pg.join('room', self())"), "\"ok\"");
  EXPECT_EQ(there.eval("m = receive({ref, any, any, any}, 10000); return m[2], m[3], node(m[4][1])"),
            "\"join\", \"room\", \"one@test\"");
  EXPECT_EQ(there.eval("pg.get_members('room')[1] == pg.get_closest_pid('room')"), "true");
  EXPECT_EQ(there.eval("#pg.get_local_members('room')"), "0");
  EXPECT_EQ(there.eval("pg.broadcast('room', {'hi', 5})"), "1");
  EXPECT_EQ(eval("receive({'hi', any}, 10000)[2]"), "5");
  EXPECT_EQ(eval("pg.leave('room', self())"), "\"ok\"");
  EXPECT_EQ(eval("pg.leave('room', self())"), "\"not_joined\"");
  EXPECT_EQ(there.eval("receive({ref, any, any, any}, 10000)[2]"), "\"leave\"");
  EXPECT_EQ(there.eval("pg.demonitor(ref), pg.demonitor(ref)"), "true, false");
  EXPECT_TRUE(eval("pg.join('room', self(), 'chat')").find("not_found") != std::string::npos);
  EXPECT_EQ(eval("pg.start('chat'); pg.join('room', {self(), self()}, 'chat'); return #pg.get_members('room', 'chat')"),
            "2");
  EXPECT_EQ(eval("pg.which_local_groups('chat')"), "{\"room\"}");
  EXPECT_EQ(eval("r, all = pg.monitor_scope('chat'); return all[1].group, #all[1].members"), "\"room\", 2");
  EXPECT_EQ(eval("pg.delete({'todo_list', 'bob'})"), "\"ok\"");
  EXPECT_TRUE(eval("pg.join(nil, self())").find("a group expected") != std::string::npos);
}

TEST_F(LuaTasks, ServersSysAndSupervisors) {
  EXPECT_EQ(eval("server.abcast('counter', {'add', {amount = 2}})"), "\"abcast\"");
  EXPECT_TRUE(wait_until([&] {
    return eval("r = server.multi_call('counter', {'total', {}}); return r[1].reply, r[2].node, r[2].reply") ==
           "2, \"two@test\", 2";
  }));
  EXPECT_EQ(eval("r = server.multi_call({'two@test', 'nobody@test'}, 'counter', {'total', {}}); "
                 "return r[1].reply, r[2].error.code"),
            "2, \"noconnection\"");
  EXPECT_EQ(eval("sys.replace_state('counter', {total = 40}); return sys.get_state('counter').total"), "40");
  EXPECT_EQ(eval("sys.log('counter', true); server.call('counter', {'total', {}}); "
                 "l = sys.log('counter', 'get'); return l[1].message[1], l[1].call"),
            "\"total\", true");
  EXPECT_EQ(eval("sys.statistics('counter', true); server.call('counter', {'total', {}}); "
                 "return sys.statistics('counter', 'get').calls_in"),
            "1");
  EXPECT_EQ(eval("sys.suspend('counter'); return sys.get_status('counter').status, sys.resume('counter')"),
            "\"suspended\", \"ok\"");
  EXPECT_TRUE(
      eval("server.cast('counter', {'hang', {}}); return sys.get_state('counter', 10)").find("not_responding") !=
      std::string::npos);
  EXPECT_EQ(eval("s = supervisor.get_childspec('top', 'counter'); return s.restart, s.stop_within_ms"),
            "\"transient\", 2000");
  EXPECT_EQ(eval("server.stop('counter', 'shutdown')"), "\"ok\"");
  EXPECT_EQ(eval("p = supervisor.start_child({'many', 'two@test'}, 'idle'); return node(p)"), "\"two@test\"");
  EXPECT_EQ(eval("supervisor.count_children({'many', 'two@test'}).active"), "1");
  EXPECT_EQ(eval("supervisor.terminate_child({'many', 'two@test'}, p)"), "nil");
  EXPECT_EQ(eval("supervisor.count_children({'many', 'two@test'}).active"), "0");
  EXPECT_EQ(eval("supervisor.delete_child('top', 'counter'); return #supervisor.which_children('top')"), "2");
}

}  // namespace
}  // namespace troupe::test
