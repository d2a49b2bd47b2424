// Lua functions that are spawned on another node.
#include "cluster.hpp"

#include <random>

#include "script/ship.hpp"

namespace troupe::test {
namespace {

TEST_F(LuaCluster, AFunctionRunsThereAndPrintsHere) {
  EXPECT_TRUE(
      starts(eval("spawn('two@test', function() print('Hello from ' .. node() .. '!') end)"), "pid(\"<two@test#1."));
  EXPECT_TRUE(console_->printed("Hello from two@test!\n"));
  // Before a function the name alone is enough.
  EXPECT_EQ(eval("p, e = spawn_checked('two', function() end) return e.text:match('two@localhost')"),
            "\"two@localhost\"");
}

TEST_F(LuaCluster, CapturedValuesTravel) {
  EXPECT_EQ(eval("caller = self() for number = 1, 10 do spawn('two@test', function() "
                 "send(caller, {'response', 10 * number}) end) end "
                 "local sum = 0 for i = 1, 10 do sum = sum + receive{'response'}[2] end return sum"),
            "550");
  EXPECT_EQ(eval("local t = {n = 1} t.self = t local me = self() "
                 "spawn('two@test', function() send(me, {t.self.self == t, t.n}) end) return receive()"),
            "{true, 1}");
  EXPECT_EQ(eval("local count, me = 0, self() local function add() count = count + 1 end "
                 "local function show() return count end "
                 "spawn('two@test', function() add() add() send(me, {show(), count}) end) return receive(), count"),
            "{2, 2}, 0");
  EXPECT_EQ(eval("local abs, fmt, me = math.abs, string.format, self() "
                 "spawn('two@test', function(x) send(me, fmt('%d', abs(x))) end, -7) return receive()"),
            "\"7\"");
  EXPECT_EQ(eval("local function fact(n) return n < 2 and 1 or n * fact(n - 1) end local me = self() "
                 "spawn('two@test', function() send(me, fact(10)) end) return receive()"),
            "3628800");
  EXPECT_EQ(eval("local b, s, r, me = bytes('\\xff\\0'), '\\xfe', make_ref(), self() "
                 "spawn('two@test', function() send(me, {b == bytes('\\xff\\0'), s == '\\xfe', r, 1.0, null}) end) "
                 "local m = receive() return m[1], m[2], m[3] == r, math.type(m[4]), m[5]"),
            "true, true, true, \"float\", null");
  EXPECT_EQ(eval("me = self() Class = {} Class.__index = Class function Class:hi() return 'hi ' .. self.n end "
                 "spawn('two@test', function(o) send(me, o:hi()) end, setmetatable({n = 5}, Class)) return receive()"),
            "\"hi 5\"");
}

TEST_F(LuaCluster, ItReceivesAndReplies) {
  eval("Remote = {} function Remote.chat() local m = receive{'hi'} send(m[2], 'sup?') end");
  EXPECT_TRUE(starts(eval("rpid = spawn_link('two@test', function() Remote.chat() end) return rpid"), "pid("));
  EXPECT_EQ(eval("send(rpid, {'hi', self()})[1]"), "\"hi\"");
  EXPECT_EQ(eval("receive()"), "\"sup?\"");
}

TEST_F(LuaCluster, RefusesWhatCannotTravel) {
  EXPECT_TRUE(has(eval("local co = coroutine.create(print) spawn('two@test', function() return co end)"),
                  "a coroutine cannot be copied"));
  EXPECT_TRUE(has(eval("spawn('two@test', coroutine.wrap(print))"), "without a name"));
  EXPECT_TRUE(has(eval("spawn('two@test', 5)"), "function expected"));
  EXPECT_TRUE(has(eval("spawn('two@test', 'no.entry')"), "error: undef: "));
  EXPECT_TRUE(has(eval("local f = function() end return pcall(spawn, 'a b@test', f)"), "bad_name"));
  member_options without;
  member three = start("three@test", std::move(without));
  EXPECT_TRUE(has(eval("spawn('three@test', function() end)"), "\"troupe.lua\" is not offered by three@test"));
  EXPECT_EQ(eval("p, e = spawn_checked('three@test', function() end) return p, e.code"), "nil, \"undef\"");
  three.end();
}

TEST_F(LuaCluster, LinksAndMonitorsAcross) {
  EXPECT_EQ(eval("p, r = spawn_monitor('two@test', function() exit('done') end) m = receive{'DOWN', r} "
                 "return m[4] == p, m[5]"),
            "true, \"done\"");
  EXPECT_EQ(eval("p, r = spawn_monitor('two@test', function() error('boom', 0) end) m = receive{'DOWN', r} "
                 "return m[5][1], m[5][2].type, m[5][2].text"),
            R"("exception", "lua", "boom")");
  EXPECT_EQ(eval("trap_exit(true) p = spawn_link('two@test', function() receive() exit('gone') end) send(p, 1) "
                 "m = receive{'EXIT'} return m[2] == p, m[3]"),
            R"(true, "gone")");
  EXPECT_EQ(eval("p = spawn_link('two@test', function() receive() end) exit(p, 'kill') return receive{'EXIT', p}[3]"),
            "\"killed\"");
}

TEST_F(LuaCluster, ANodeThatCannotBeReached) {
  // As in OTP: a pid all the same, and links and monitors tell why.
  EXPECT_TRUE(starts(eval("spawn('gone@test', function() end)"), "pid(\"<one@test"));
  EXPECT_EQ(eval("p, r = spawn_monitor('gone@test', function() end) m = receive{'DOWN', r} return m[4] == p, m[5]"),
            "true, \"noconnection\"");
  EXPECT_TRUE(has(eval("spawn_link('gone@test', function() end) receive()"), "noconnection"));
  EXPECT_EQ(eval("trap_exit(true) p = spawn_link('gone@test', 'any.entry') return receive{'EXIT', p}[3]"),
            "\"noconnection\"");
  EXPECT_EQ(eval("p, e = spawn_checked('gone@test', function() end) return p, e.code"), "nil, \"noconnection\"");
  EXPECT_TRUE(starts(eval("spawn_checked('two@test', function() end)"), "pid(\"<two@test"));
}

// -- what may arrive as a function

class Shipped : public LuaCluster {
 protected:
  // What a node gets when it is sent a function: {lua = release, code = bytes}.
  value shipped() {
    auto caught = std::make_shared<std::optional<value>>();
    member_options catcher;
    catcher.offers.process("troupe.lua", [caught](process&, value options) -> task<> {
      *caught = std::move(options);
      co_return;
    });
    member three = start("three@test", std::move(catcher));
    eval(
        "local t = {1, {2}, map{a = null}} t.t = t local n, s = 5, '\\xff' helper = {t} "
        "local function f() n = n + 1 return n, helper, any end "
        "p, r = spawn_monitor('three@test', function(a) f() return t, s, print, a end, 1) return receive{'DOWN', r}");
    three.end();
    return caught->value();
  }
  // Why it was refused, or how its process has ended.
  std::pair<errc, exit_reason> send_there(const value& options) {
    list arguments{options};
    std::pair<errc, exit_reason> out{errc::none, exit_reason::normal()};
    one_.run([&](process& self) -> task<> {
      auto made = co_await spawn_values_on(self, "two@test", "troupe.lua", value(arguments)).monitored();
      if (!made) {
        out.first = made.error().code();
        co_return;
      }
      auto ended = co_await self.receive<down>(patience);
      out.second = ended.or_exit().reason;
    });
    return out;
  }
};

TEST_F(Shipped, AnotherReleaseOfLuaIsRefused) {
  const value good = shipped();
  const value code = *good.find("code");
  const value release = *good.find("lua");
  EXPECT_EQ(send_there(map_of({{"lua", "Lua 5.4.0"}, {"code", code}})).first, errc::unsupported);
  EXPECT_EQ(send_there(map_of({{"code", code}})).first, errc::bad_argument);
  EXPECT_EQ(send_there(map_of({{"lua", release}})).first, errc::bad_argument);
  EXPECT_EQ(send_there(map_of({{"terminal", 5}})).first, errc::bad_argument);
  EXPECT_EQ(send_there(value("print(1)")).first, errc::bad_argument);
  EXPECT_EQ(send_there(good).first, errc::none);
  EXPECT_EQ(send_there(good).second, exit_reason::normal());
}

// Anything but bytecode, which nobody can check.
void spoil(value& item, std::mt19937& random) {
  auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  if (list* items = item.items(); items && !items->empty() && below(4) != 0) {
    const std::size_t at = below(items->size());
    switch (below(5)) {
      case 0: items->erase(items->begin() + static_cast<std::ptrdiff_t>(at)); return;
      case 1: items->push_back((*items)[below(items->size())]); return;
      default: return spoil((*items)[at], random);
    }
  }
  if (map* entries = item.entries(); entries && !entries->empty() && below(8) != 0) {
    const std::size_t at = below(entries->size());
    if (below(8) == 0) entries->erase(entries->begin() + static_cast<std::ptrdiff_t>(at));
    else spoil((*entries)[at].second, random);
    return;
  }
  if (item.binary()) return;
  const value others[] = {value(),
                          value(-1),
                          value(3),
                          value(1 << 30),
                          value(0.5),
                          value("library"),
                          value("object"),
                          value("table"),
                          value("function"),
                          value("math.abs"),
                          value("no.such"),
                          value(list()),
                          value(map()),
                          list_of({"object", 0}),
                          list_of({"object", 99}),
                          list_of({"globals"}),
                          list_of({"boxed"}),
                          list_of({"map"})};
  item = others[below(std::size(others))];
}

TEST_F(Shipped, AMalformedFunctionIsAnErrorAndNoMore) {
  const value original = shipped();
  const value release = *original.find("lua");
  const value image = internal::unship(original).or_exit();
  std::random_device device;
  const char* given = std::getenv("TROUPE_SEED");
  const unsigned seed = given ? static_cast<unsigned>(std::stoul(given)) : device();
  SCOPED_TRACE("TROUPE_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  int malformed = 0;
  for (int round = 0; round < 1000; ++round) {
    value spoiled = image;
    for (int i = 0; i <= round % 4; ++i) spoil(spoiled, random);
    auto [refused, ended] = send_there(internal::ship(spoiled));
    ASSERT_EQ(refused, errc::none);
    malformed += ended.text().find("malformed") != std::string::npos ? 1 : 0;
  }
  EXPECT_GT(malformed, 100);
  EXPECT_LT(malformed, 1000);
  auto no_image = send_there(map_of({{"lua", release}, {"code", value(bytes(5, std::byte{0xc1}))}}));
  EXPECT_TRUE(no_image.second.is("bad_message")) << no_image.second.text();
  EXPECT_EQ(eval("rpc.call('two@test', 'math.abs', {-1})"), "1");
}

}  // namespace
}  // namespace troupe::test
