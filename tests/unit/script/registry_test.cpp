// registry.*: Elixir's Registry from a shell, on this node and from another.
#include "cluster.hpp"

#include <troupe/keyed_registry.hpp>

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

class LuaRegistry : public LuaCluster {
 protected:
  void SetUp() override {
    LuaCluster::SetUp();
    EXPECT_EQ(eval("connect('two@test')"), "true");
    EXPECT_EQ(eval("node(registry.start_link('rooms'))"), "\"one@test\"");
  }
};

TEST_F(LuaRegistry, UniqueKeysAreElixirs) {
  EXPECT_EQ(eval("registry.register('rooms', 'lobby', {topic = 'all'})"), "\"ok\"");
  EXPECT_EQ(eval("registry.whereis_name('rooms', 'lobby') == self()"), "true");
  EXPECT_EQ(eval("registry.whereis_name('rooms', 'none')"), "nil");
  EXPECT_EQ(eval("e = registry.lookup('rooms', 'lobby'); return #e, e[1].pid == self(), e[1].value"),
            "1, true, {topic = \"all\"}");
  EXPECT_EQ(eval("registry.lookup('rooms', 'none')"), "{}");
  EXPECT_EQ(eval("why, who = registry.register('rooms', 'lobby'); return why, who == self()"),
            "\"already_registered\", true");
  EXPECT_EQ(eval("registry.update_value('rooms', 'lobby', function(v) sleep(1) return {topic = v.topic .. '!'} end)"),
            "{topic = \"all!\"}, {topic = \"all\"}");
  EXPECT_EQ(eval("registry.register('rooms', {'room', 1}, 5); return registry.count('rooms')"), "2");
  EXPECT_EQ(eval("registry.keys('rooms', self())"), "{\"lobby\", {\"room\", 1}}");
  EXPECT_EQ(eval("registry.values('rooms', {'room', 1}, self())"), "{5}");
  EXPECT_EQ(eval("all = registry.select('rooms'); return #all, all[1].key"), "2, \"lobby\"");
  EXPECT_EQ(eval("registry.unregister_match('rooms', {'room', 1}, 6); return registry.count('rooms')"), "2");
  EXPECT_EQ(eval("registry.unregister_match('rooms', {'room', 1}, 5); return registry.count('rooms')"), "1");
  EXPECT_EQ(eval("registry.unregister('rooms', 'lobby'), registry.count('rooms')"), "\"ok\", 0");
  // It goes with its process.
  EXPECT_EQ(eval("me = self(); p = spawn(function() registry.register('rooms', 'lobby') send(me, 'in') receive() end)"),
            "");
  EXPECT_EQ(eval("receive('in', 10000)"), "\"in\"");
  EXPECT_EQ(eval("why, who = registry.register('rooms', 'lobby'); return why, who == p"),
            "\"already_registered\", true");
  EXPECT_TRUE(has(eval("registry.update_value('rooms', 'lobby', function(v) return v end)"), "not_found"));
  EXPECT_EQ(eval("r = monitor(p); exit(p, 'kill'); return receive({'DOWN', r}, 10000)[5]"), "\"killed\"");
  EXPECT_EQ(eval("registry.whereis_name('rooms', 'lobby')"), "nil");
  EXPECT_EQ(eval("registry.register('rooms', 'lobby')"), "\"ok\"");
}

// Whom the name or pid leads to may be something else.
TEST_F(LuaRegistry, AnEmptyListAndAnEmptyMapAreTwoKeys) {
  EXPECT_EQ(eval("return registry.register('rooms', {}, 'list'), registry.register('rooms', map{}, 'map')"),
            "\"ok\", \"ok\"");
  EXPECT_EQ(eval("return registry.lookup('rooms', {})[1].value, registry.lookup('rooms', map{})[1].value"),
            "\"list\", \"map\"");
  EXPECT_EQ(eval("return registry.keys('rooms', self())"), "{map{}, {}}");
  EXPECT_EQ(eval("return registry.unregister('rooms', {}), registry.keys('rooms', self())"), "\"ok\", {map{}}");
}

TEST_F(LuaRegistry, AnAnswerOfAnotherProcessIsAnError) {
  eval("p = spawn(function() while true do local _, from = receive() server.reply(from, 5) end end)");
  for (const char* call :
       {"registry.lookup(p, 'k')", "registry.whereis_name(p, 'k')", "registry.values(p, 'k', self())",
        "registry.dispatch(p, 'k', print)", "registry.update_value(p, 'k', print)"}) {
    const std::string said = eval(call);
    EXPECT_TRUE(has(said, "bad_message")) << call << ": " << said;
  }
}

TEST_F(LuaRegistry, DuplicateKeysAreDispatched) {
  EXPECT_EQ(eval("register(self(), 'ear'); "
                 "return node(registry.start_link('topics', {keys = 'duplicate', listeners = {'ear'}}))"),
            "\"one@test\"");
  EXPECT_EQ(eval("registry.register('topics', 'news', 1), registry.register('topics', 'news', 2)"), "\"ok\", \"ok\"");
  EXPECT_EQ(eval("m = receive({'register'}, 10000); return m[2], m[3], m[4] == self(), m[5]"),
            "\"topics\", \"news\", true, 1");
  EXPECT_EQ(eval("sum = 0; said = registry.dispatch('topics', 'news', function(all) for _, e in ipairs(all) do "
                 "sleep(1) send(e.pid, {'hi', e.value}) sum = sum + e.value end end); return said, sum"),
            "\"ok\", 3");
  EXPECT_EQ(eval("receive({'hi'}, 10000)[2], receive({'hi'}, 10000)[2]"), "1, 2");
  EXPECT_EQ(eval("registry.dispatch('topics', 'none', function() error('never') end)"), "\"ok\"");
  EXPECT_TRUE(has(eval("registry.dispatch('topics', 'news', function() error('broken', 0) end)"), "broken"));
  EXPECT_TRUE(has(eval("registry.update_value('topics', 'news', function(v) return v end)"), "unsupported"));
  EXPECT_EQ(eval("registry.put_meta('topics', 'limit', 7), registry.meta('topics', 'limit')"), "\"ok\", 7");
  EXPECT_EQ(eval("registry.meta('topics', 'none')"), "nil");
}

TEST_F(LuaRegistry, OfAnotherNodeIsRead) {
  console there(*two_.machine);
  EXPECT_EQ(eval("registry.register('rooms', 'lobby', 'here')"), "\"ok\"");
  EXPECT_EQ(there.eval("node(registry.whereis_name({'rooms', 'one@test'}, 'lobby'))"), "\"one@test\"");
  EXPECT_EQ(there.eval("registry.lookup({'rooms', 'one@test'}, 'lobby')[1].value"), "\"here\"");
  EXPECT_EQ(there.eval("registry.count({'rooms', 'one@test'})"), "1");
  EXPECT_TRUE(has(there.eval("registry.register({'rooms', 'one@test'}, 'mine')"), "not_allowed: <two@test#"));
  EXPECT_TRUE(has(there.eval("registry.lookup('rooms', 'lobby')"), "noproc"));
}

TEST_F(LuaRegistry, WhatIsWrongIsNamed) {
  EXPECT_TRUE(has(eval("registry.start_link('rooms')"), "name_taken: \"rooms\" is held by <one@test#"));
  EXPECT_TRUE(has(eval("registry.start_link('x', {key = 'unique'})"), "keys or listeners expected, \"key\" given"));
  EXPECT_TRUE(has(eval("registry.start_link('x', {keys = 'many'})"), "\"unique\" or \"duplicate\""));
  EXPECT_TRUE(has(eval("registry.start_link('x', {listeners = 'ear'})"), "a list of names"));
  EXPECT_TRUE(has(eval("registry.register('rooms', nil)"), "a key expected"));
  EXPECT_TRUE(has(eval("registry.register('none', 1)"), "noproc"));
}

// One of a C++ program, which the shell and the program see alike.
TEST_F(LuaRegistry, OfAProgramIsTheSame) {
  const keyed_registry names("names");
  start_supervisor(*one_.machine, supervise("top").child(names.spec())).or_exit();
  EXPECT_EQ(eval("registry.register('names', 'shell', 5)"), "\"ok\"");
  ASSERT_EQ(names.lookup("shell").size(), 1u);
  EXPECT_EQ(names.lookup("shell").front().content, value(5));
  names.meta("limit", 3);
  EXPECT_EQ(eval("registry.meta('names', 'limit')"), "3");
}

}  // namespace
}  // namespace troupe::test
