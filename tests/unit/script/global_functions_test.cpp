// global.* of Lua: names and locks over two nodes.
#include "cluster.hpp"

#include "unit/global/fixture.hpp"

namespace troupe::test {
namespace {

class LuaGlobal : public global_fixture {
 protected:
  void SetUp() override {
    one_ = begin("one@test");
    two_ = begin("two@test");
    join(one_, two_);
    console_.emplace(*one_.machine);
  }
  void TearDown() override { console_.reset(); }
  member begin(const std::string& name) {
    member_options options;
    offer_script(options.offers);
    internal::offer_system_functions(options.offers);
    return start_global(name, std::move(options));
  }
  std::string eval(const std::string& source) { return console_->eval(source); }

  member one_, two_;
  std::optional<console> console_;
};

TEST_F(LuaGlobal, NamesAreOtps) {
  const std::string holder = "pid(\"" + start_echo(two_, "there").text() + "\")";
  EXPECT_EQ(eval("p = rpc.call('two@test', 'whereis', {'there'}) return global.register_name('ledger', p)"), "\"yes\"");
  EXPECT_EQ(eval("return global.register_name('ledger', self())"), "\"no\", " + holder);
  EXPECT_EQ(eval("return global.register_name({'todo_list', 'bob'}, self(), 'newest')"), "\"yes\"");
  EXPECT_EQ(eval("return global.whereis_name('ledger')"), holder);
  EXPECT_EQ(eval("return global.whereis_name({'todo_list', 'bob'}) == self()"), "true");
  EXPECT_EQ(eval("return global.whereis_name('nobody')"), "nil");
  EXPECT_EQ(eval("return #global.registered_names()"), "2");
  EXPECT_EQ(eval("return global.members()"), "{\"one@test\", \"two@test\"}");
  EXPECT_EQ(eval("return global.sync()"), "\"ok\"");
  EXPECT_EQ(eval("return global.send('ledger', {'ping', self()}) == p"), "true");
  EXPECT_EQ(eval("return receive()[1]"), "\"ping\"");
  EXPECT_EQ(eval("return server.call({global = 'ledger'}, 7)"), "{\"echo\", 7}");
  EXPECT_EQ(eval("return global.re_register_name('ledger', self())"), "\"yes\"");
  EXPECT_EQ(eval("return global.unregister_name('ledger'), global.unregister_name('ledger')"), "true, false");
  for (const char* wrong : {"global.register_name(nil, self())", "global.register_name('x', self(), 'coin')",
                            "global.send('nobody', 1)", "global.register_name('troupe.x', self())"}) {
    EXPECT_EQ(eval("return (pcall(function() return " + std::string(wrong) + " end))"), "false") << wrong;
  }
}

TEST_F(LuaGlobal, AnEmptyListAndAnEmptyMapAreTwo) {
  const std::string holder = "pid(\"" + start_echo(two_, "there").text() + "\")";
  EXPECT_EQ(eval("p = rpc.call('two@test', 'whereis', {'there'}) "
                 "return global.register_name({}, self()), global.register_name(map{}, p)"),
            "\"yes\", \"yes\"");
  EXPECT_EQ(eval("return global.whereis_name({}) == self(), global.whereis_name(map{})"), "true, " + holder);
  EXPECT_EQ(eval("return (global.set_lock({{}, 'one'})), (global.set_lock({map{}, 'another'}, 5000))"), "true, true");
}

TEST_F(LuaGlobal, LocksAreOtps) {
  EXPECT_EQ(eval("local ok, fence = global.set_lock({'disk', self()}) return ok, math.type(fence)"),
            "true, \"integer\"");
  EXPECT_EQ(eval("return global.set_lock({'disk', 'other'}, 20)"), "false");
  EXPECT_EQ(eval("return global.trans({'disk', 'other'}, function() return 1 end, 20)"), "\"aborted\"");
  EXPECT_EQ(eval("local l = global.locks().locks[1] return l.resource, l.state, l.pid == self()"),
            "\"disk\", \"held\", true");
  EXPECT_EQ(eval("return global.del_lock({'disk', self()}), global.del_lock({'disk', self()})"), "true, false");
  EXPECT_EQ(eval("return global.trans('disk', function() sleep(1) return 'in', #global.locks().locks end)"),
            "\"in\", 1");
  EXPECT_EQ(eval("return pcall(global.trans, {'disk', 'x'}, function() error('broken', 0) end)"), "false, \"broken\"");
  EXPECT_EQ(eval("return (global.set_lock({'disk', 'y'}, 5000))"), "true");
}

}  // namespace
}  // namespace troupe::test
