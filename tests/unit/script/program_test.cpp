// port.* and system.*, typed.
#include "cluster.hpp"

#include "support/temp_dir.hpp"

namespace troupe::test {
namespace {

class LuaPrograms : public ::testing::Test {
 protected:
  std::string eval(const std::string& source) { return s.eval(source); }
  shell s;
};

TEST_F(LuaPrograms, PortsTellLinesAndTheEnd) {
  eval("exe = system.find_executable('sh')");
  eval(
      "p = port.open({'spawn_executable', exe}, {'binary', 'exit_status', "
      "{'args', {'-c', 'read go; echo one; printf abcdefgh; echo oops >&2; exit 3'}}, {'env', {{'A', 'b'}}}, {'line', "
      "5}})");
  eval("ref = port.monitor(p) port.command(p, 'go\\n')");
  EXPECT_EQ(eval("receive({p, {'data'}}, 20000)[2]"), R"({"data", {"eol", "one"}})");
  EXPECT_EQ(eval("receive({p, {'data'}}, 20000)[2]"), R"({"data", {"noeol", "abcde"}})");
  EXPECT_EQ(eval("receive({p, {'data'}}, 20000)[2]"), R"({"data", {"noeol", "fgh"}})");
  EXPECT_EQ(eval("receive({p, {'stderr'}}, 20000)[2]"), R"({"stderr", {"eol", "oops"}})");
  EXPECT_EQ(eval("receive({p}, 20000)[2]"), R"({"exit_status", 3})");
  EXPECT_EQ(eval("local d = receive({'DOWN', ref}, 20000) return d[4] == p, d[5]"),
            R"(true, {"shutdown", {"exit_status", 3}})");
  EXPECT_EQ(eval("receive(0)"), "nil, \"timeout\"");
  eval("p = port.open('sh', {args = {'-c', 'kill -9 $$'}})");
  EXPECT_EQ(eval("receive({p}, 20000)[2]"), R"({"exit_status", 137, "SIGKILL"})");
}

TEST_F(LuaPrograms, PortsReadCommands) {
  eval("p = port.open('cat', {line = 100})");
  EXPECT_EQ(eval("port.command(p, 'hello\\n')"), "true");
  EXPECT_EQ(eval("receive({p}, 20000)[2]"), R"({"data", {"eol", "hello"}})");
  EXPECT_EQ(eval("port.command(p, '\\xff\\n')"), "true");
  // What comes as bytes can be written as such.
  EXPECT_EQ(eval("port.command(p, receive({p}, 20000)[2][2][2]) and port.command(p, '\\n')"), "true");
  EXPECT_EQ(eval("receive({p}, 20000)[2][2][2]:string() == '\\xff'"), "true");
  EXPECT_EQ(eval("local i = port.info(p) return i.words[1], i.owner == self(), i.events, i.paused, i.os_pid > 1"),
            R"("cat", true, 3, false, true)");
  EXPECT_EQ(eval("port.end_input(p)"), "true");
  EXPECT_EQ(eval("receive({p}, 20000)[2]"), R"({"exit_status", 0})");
  EXPECT_TRUE(has(eval("port.command(p, 'x')"), "noproc"));
  EXPECT_EQ(eval("q = port.open('sleep', {args = {'1000'}}) return port.close(q)"), "true");
  EXPECT_EQ(eval("is_alive(q), receive(0)"), "false, nil, \"timeout\"");
  EXPECT_TRUE(has(eval("port.close(q)"), "noproc"));
  EXPECT_EQ(eval("q = port.open('sleep', {args = {'1000'}}) port.signal(q, 15) return receive({q}, 20000)[2]"),
            R"({"exit_status", 143, "SIGTERM"})");
}

// What the seed means: a handler of its own gets the lines, of which it keeps the last ones; it logs the exit status,
// or closes the port when nothing comes for a while.
TEST_F(LuaPrograms, AHandlerKeepsTheLastLines) {
  eval(
      "function start_node(cmd_args, env, limit) "
      "  local shell = self() "
      "  local handler = spawn(function() "
      "    local p = receive()[2] "
      "    local ref = port.monitor(p) "
      "    local buffer = {} "
      "    while true do "
      "      local m = receive(nil, limit) "
      "      if m == nil then send(shell, {'timeout', #buffer, port.close(p)}) "
      "      elseif m[1] == p and m[2][1] == 'data' then "
      "        buffer[#buffer + 1] = m[2][2][2] "
      "        if #buffer > 1000 then table.remove(buffer, 1) end "
      "      elseif m[1] == p then send(shell, {'exited', m[2][2], #buffer, buffer[1], buffer[#buffer]}) "
      "      elseif m[1] == 'DOWN' then send(shell, {'down', m[5]}) return end "
      "    end "
      "  end) "
      "  local p = port.open('sh', {'binary', 'exit_status', args = cmd_args, env = env, line = 1024, "
      "owner = handler}) "
      "  send(handler, {'port', p}) "
      "  return p "
      "end");
  eval("start_node({'-c', 'seq $FROM 3000; exit 4'}, {FROM = '1'}, 30000)");
  EXPECT_EQ(eval("receive(30000)"), R"({"exited", 4, 1000, "2001", "3000"})");
  EXPECT_EQ(eval("receive(30000)"), R"({"down", {"shutdown", {"exit_status", 4}}})");
  eval("p = start_node({'-c', 'echo $GREETING; exec sleep 1000'}, {GREETING = 'hi'}, 500)");
  EXPECT_EQ(eval("receive(30000)"), R"({"timeout", 1, true})");
  EXPECT_EQ(eval("receive({'down'}, 30000)"), R"({"down", "normal"})");
}

TEST_F(LuaPrograms, PortsHaveBounds) {
  eval("p = port.open('yes', {line = 10, most_waiting = 20})");
  EXPECT_EQ(eval("while not port.info(p).paused do sleep(1) end return port.info(p).events"), "20");
  EXPECT_EQ(eval("for i = 1, 5000 do local m = receive({p}, 20000) if m[2][2][2] ~= 'y' then error(i) end end "
                 "return port.close(p)"),
            "true");
  eval("p = port.open('sh', {args = {'-c', 'seq 1 5000'}, line = 10, keep_last = 10})");
  EXPECT_EQ(eval("while port.info(p).events < 5000 do sleep(1) end "
                 "local count, lost, last = 0, 0 "
                 "while true do local m = receive({p}, 20000) "
                 "if m[2][1] == 'exit_status' then break end "
                 "count = count + 1 lost = lost + (m[2][3] or 0) last = m[2][2][2] end "
                 "return count + lost, count <= 20, last"),
            R"(5000, true, "5000")");
  eval("p = port.open('sleep', {args = {'1000'}, idle = 30, stop_within = 1000}) ref = port.monitor(p)");
  EXPECT_EQ(eval("receive({'DOWN', ref}, 20000)[5]"), R"({"shutdown", {"timeout", "nothing was written for 30 ms"}})");
}

TEST_F(LuaPrograms, CommandsRunToTheirEnd) {
  temp_dir folder;
  EXPECT_EQ(eval("system.cmd('echo', {'hello'})"), R"("hello\n", 0, "")");
  EXPECT_EQ(eval("system.cmd('sh', {'-c', 'echo $A; pwd; echo err >&2; exit 3'}, {env = {A = 'b'}, cd = '/'})"),
            R"("b\n/\n", 3, "err\n")");
  EXPECT_EQ(eval("system.cmd('sh', {'-c', 'echo err >&2; kill -9 $$'}, {stderr_to_stdout = true})"),
            R"("err\n", 137, "")");
  EXPECT_EQ(eval("system.cmd('cat', {}, {input = 'typed'})"), R"("typed", 0, "")");
  EXPECT_EQ(eval("local ok, e = pcall(system.cmd, 'sleep', {'1000'}, {timeout = 50}) return ok, e.code, e.text"),
            R"(false, "timeout", "\"sleep\" did not end within 50 ms: it is stopped")");
  EXPECT_EQ(eval("local ok, e = pcall(system.cmd, 'yes', {}, {most_bytes = 1000}) return ok, e.code"),
            R"(false, "too_large")");
  EXPECT_EQ(eval("system.find_executable('no-such-program')"), "nil");
  EXPECT_EQ(eval("system.find_executable('sh'):sub(1, 1)"), R"("/")");
}

TEST_F(LuaPrograms, WrongUseIsNamed) {
  EXPECT_EQ(eval("local ok, e = pcall(port.open, 'no-such-program') return ok, e.code"), R"(false, "not_found")");
  EXPECT_TRUE(has(eval("port.open('echo', {liens = 5})"), "bad_argument: no option \"liens\"; there are args"));
  EXPECT_TRUE(has(eval("system.cmd('echo', {}, {line = 5})"), "no option \"line\"; there are cd"));
  EXPECT_TRUE(has(eval("port.open('echo', {line = 0})"), "line: an integer above 0 expected, 0 found"));
  EXPECT_TRUE(has(eval("port.open('echo', {env = {['A=B'] = 'c'}})"), "\"A=B\""));
  EXPECT_TRUE(has(eval("port.open('echo', {env = 5})"), "env: a table"));
  EXPECT_TRUE(has(eval("port.open('echo', {args = {{}}})"), "args: a string expected, list found"));
  EXPECT_TRUE(has(eval("port.open('echo', {idle = 'x'})"), "idle: milliseconds expected"));
  EXPECT_TRUE(has(eval("port.open('echo', {owner = 'x'})"), "owner: a pid expected"));
  EXPECT_TRUE(has(eval("port.open('echo', {cd = '/nowhere'})"), "not_found: working directory \"/nowhere\""));
  EXPECT_TRUE(has(eval("port.open({'spawn', 'x'})"), "spawn_executable"));
  EXPECT_TRUE(has(eval("port.command(self())"), "string or bytes expected"));
  EXPECT_TRUE(has(eval("port.command(self(), {1})"), "string or bytes expected"));
}

// A program of another node, whose output comes here, no faster than it is taken; and which ends with its owner.
class FarPrograms : public LuaCluster {};
TEST_F(FarPrograms, TheOwnerMayBeFar) {
  EXPECT_EQ(eval("connect('two@test')"), "true");
  eval("p = rpc.call('two@test', 'port.open', {'cat', {line = 100, owner = self()}})");
  EXPECT_EQ(eval("node(p)"), "\"two@test\"");
  EXPECT_EQ(eval("port.command(p, 'hello\\n')"), "true");
  EXPECT_EQ(eval("receive({p}, 20000)[2]"), R"({"data", {"eol", "hello"}})");
  EXPECT_EQ(eval("ref = port.monitor(p) port.end_input(p) return receive({p}, 20000)[2]"), R"({"exit_status", 0})");
  EXPECT_EQ(eval("receive({'DOWN', ref}, 20000)[5]"), "\"normal\"");
  eval(
      "shell = self() owner = spawn(function() local p = rpc.call('two@test', 'port.open', {'sleep', {args = {'1000'}, "
      "owner = self()}}) send(shell, {'opened', p}) receive() end)");
  eval("p = receive({'opened'}, 20000)[2] ref = port.monitor(p)");
  eval("send(owner, 'go')");
  EXPECT_EQ(eval("receive({'DOWN', ref}, 20000)[5]"), "\"normal\"");
  EXPECT_EQ(eval("rpc.call('two@test', 'system.cmd', {'echo', {'far'}})"), R"("far\n", 0, "")");
}

}  // namespace
}  // namespace troupe::test
