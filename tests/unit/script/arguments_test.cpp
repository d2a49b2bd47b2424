// Every function of ours, with a wrong value at each of its arguments: what it raises is a table with a code.
#include "shell.hpp"

namespace troupe::test {

using namespace std::chrono_literals;

namespace {

// `good`: arguments that a function takes before the one that is wrong. Where it names none, the first is tried alone.
constexpr const char* every_argument = R"lua(
local wrong = coroutine.create(print)  -- no function takes one, and no message holds one
local none = {}  -- without an argument, or with one that may be anything
for name in ([[self flush processes make_ref registered alive print inspect help any null node nodes dbg
  global.registered_names global.members]]):gmatch('%S+') do none[name] = true end
local lua = {}
for name in ([[assert collectgarbage error getmetatable ipairs load next pairs pcall rawequal rawget rawlen rawset
  select setmetatable tonumber tostring type warn xpcall string table math utf8 os coroutine _G]]):gmatch('%S+') do
  lua[name] = true
end
local me, here, f = self(), node(), function() end
local good = {
  send = {me, 1}, receive = {'x', 0}, spawn = {f, 1}, spawn_link = {f, 1}, spawn_monitor = {f, 1},
  spawn_checked = {f, 1}, exit = {me, 1}, mailbox_limit = {5, 5}, register = {'arguments', me},
  process_info = {me, 'queue'}, monitor_node = {'x@y', true}, connect = {'x@y', 5},
  ['timer.send_after'] = {5, me, 1}, ['timer.send_interval'] = {5, me, 1},
  ['server.call'] = {'nobody', 1, 5}, ['server.cast'] = {'nobody', 1}, ['server.abcast'] = {{here}, 'nobody', 1},
  ['server.multi_call'] = {{here}, 'nobody', 1, 5}, ['server.stop'] = {'nobody', 1, 5},
  ['sys.get_state'] = {'nobody', 5}, ['sys.get_status'] = {'nobody', 5}, ['sys.replace_state'] = {'nobody', 1, 5},
  ['sys.suspend'] = {'nobody', 5}, ['sys.resume'] = {'nobody', 5}, ['sys.log'] = {'nobody', 5, 5},
  ['sys.statistics'] = {'nobody', true, 5},
  ['supervisor.which_children'] = {'nobody', 5}, ['supervisor.count_children'] = {'nobody', 5},
  ['supervisor.restart_child'] = {'nobody', 'x', 5}, ['supervisor.terminate_child'] = {'nobody', 'x', 5},
  ['supervisor.delete_child'] = {'nobody', 'x', 5}, ['supervisor.get_childspec'] = {'nobody', 'x', 5},
  ['supervisor.start_child'] = {'nobody', 'x', {}, 'temporary', 5},
  ['task.start_child'] = {'nobody', 'x', {}}, ['task.terminate_child'] = {'nobody', me},
  ['pg.join'] = {'x', me, 'x'}, ['pg.leave'] = {'x', me, 'x'}, ['pg.get_members'] = {'x', 'x'},
  ['pg.broadcast'] = {'x', 1, 'x'}, ['pg.monitor'] = {'x', 'x'},
  ['registry.register'] = {'x', 'x', 1}, ['registry.lookup'] = {'x', 'x'}, ['registry.keys'] = {'x', me},
  ['registry.update_value'] = {'x', 'x', f}, ['registry.dispatch'] = {'x', 'x', f},
  ['registry.put_meta'] = {'x', 'x', 1}, ['registry.start_link'] = {'x', {}},
  ['rpc.call'] = {here, 'node', {}, 5}, ['rpc.cast'] = {here, 'node', {}}, ['rpc.multicall'] = {{here}, 'node', {}, 5},
  ['rpc.async'] = {here, 'node', {}},
  ['global.register_name'] = {'x', me, 'oldest', 5}, ['global.whereis_name'] = {'x', 5}, ['global.send'] = {'x', 1},
  ['global.set_lock'] = {'x', 5}, ['global.trans'] = {'x', f, 5},
  ['port.open'] = {'true', {}}, ['port.command'] = {me, 'x', 5}, ['port.connect'] = {me, me, 5},
  ['port.signal'] = {me, 15, 5}, ['system.cmd'] = {'true', {}, {}},
}
local found, count = {}, 0
local function try(name, called)
  local arguments = good[name] or {1}
  for at = 1, #arguments do
    local given = table.move(arguments, 1, #arguments, 1, {})
    given[at] = wrong
    local fine, what = pcall(called, table.unpack(given))
    count = count + 1
    if fine or type(what) ~= 'table' or not what.code then
      found[#found + 1] = name .. '#' .. at .. ': ' .. (fine and 'no error' or tostring(what))
    end
  end
end
for name, one in pairs(_G) do
  if not lua[name] and not none[name] then
    if type(one) == 'function' then try(name, one) end
    if type(one) == 'table' then
      for inner, called in pairs(one) do
        if type(called) == 'function' and not none[name .. '.' .. inner] then try(name .. '.' .. inner, called) end
      end
    end
  end
end
table.sort(found)
return count > 150 and table.concat(found, '\n') or 'only ' .. count
)lua";

}  // namespace

TEST(Arguments, AWrongOneRaisesATableWithACode) {
  shell s;
  EXPECT_EQ(s.eval(every_argument), "\"\"");
}

TEST(Arguments, TheErrorSaysWhichAndWhere) {
  shell s;
  EXPECT_EQ(
      s.eval("ok, e = pcall(function() link(5) end) return type(e), e.code, e.text, e.place, e.maybe_executed"),
      "\"table\", \"bad_argument\", \"bad argument #1 to 'link' (pid expected, got number)\", \"shell:1\", false");
  EXPECT_EQ(s.eval("tostring(e)"), "\"shell:1: bad_argument: bad argument #1 to 'link' (pid expected, got number)\"");
  EXPECT_EQ(s.eval("e .. '!'"), "\"shell:1: bad_argument: bad argument #1 to 'link' (pid expected, got number)!\"");
  EXPECT_EQ(s.eval("link(5)"), "error: shell:1: bad_argument: bad argument #1 to 'link' (pid expected, got number)");
  EXPECT_EQ(s.eval("select(2, pcall(send)).text"),
            "\"bad argument #1 to '?' (pid, name or {name, node} expected, got no value)\"");
  EXPECT_EQ(s.eval("ok, e = pcall(send, 'nobody', 1) return e.code"), "\"noproc\"");
  EXPECT_EQ(s.eval("ok, e = pcall(send, self(), print) return e.code"), "\"bad_argument\"");
}

// Lua's own functions raise what Lua raises.
TEST(Arguments, LuasOwnRaiseTexts) {
  shell s;
  EXPECT_EQ(s.eval("ok, e = pcall(string.rep) return type(e), type(select(2, pcall(string.find, 'x')))"),
            "\"string\", \"string\"");
}

}  // namespace troupe::test
