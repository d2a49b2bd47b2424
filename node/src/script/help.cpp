// help: what can be typed here, a line each. node/SHELL.md says more; a test holds the three together: this list, the
// globals, the page.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include <algorithm>

namespace troupe::internal {
namespace {

struct line {
  std::string_view usage;  // begins with the function's name
  std::string_view what;   // without it `usage` is a heading
};

constexpr line lines[] = {
    {"Processes", {}},
    {"self()", "this process"},
    {"send(to, message)", "to a pid, a name or {name, node}"},
    {"receive([what[, ms]])", "the oldest message that fits: a pattern, any, or a function"},
    {"flush()", "prints and removes what waits in the mailbox"},
    {"spawn([node,] function, …)", "a process, here or there; or an \"entry\" of the catalogue"},
    {"spawn_link(…)", "the same, linked"},
    {"spawn_monitor(…)", "the same; its pid and a reference"},
    {"spawn_checked(…)", "the same; nil and the error when it cannot be"},
    {"exit([pid,] reason)", "ends this process, or asks that one to"},
    {"sleep(ms)", ""},
    {"is_alive(pid)", ""},
    {"process_alive(pid)", "the same"},
    {"processes()", "the pids of this node"},
    {"process_info(process[, key])", "one from inside; or a list of keys"},
    {"mailbox_limit(messages[, bytes])", "of this process; 0: none"},
    {"make_ref()", "a new reference"},
    {"Names, links, monitors", {}},
    {"register(name, pid)", ""},
    {"unregister(name)", ""},
    {"whereis(name)", "its pid"},
    {"registered()", "all names"},
    {"monitor(process)", "one DOWN message follows when it ends"},
    {"demonitor(ref)", ""},
    {"link(pid)", ""},
    {"unlink(pid)", ""},
    {"trap_exit(boolean)", "exits come as messages"},
    {"Output and time", {}},
    {"print([pid,] …)", "to the group leader"},
    {"group_leader([pid])", "where prints go"},
    {"inspect(value[, depth])", "text that can be typed back"},
    {"timer.sleep(ms)", ""},
    {"timer.send_after(ms, [to,] message)", ""},
    {"timer.send_interval(ms, [to,] message)", ""},
    {"timer.cancel(number)", ""},
    {"Servers and supervisors", {}},
    {"server.call(server, message[, ms])", ""},
    {"server.cast(server, message)", ""},
    {"server.abcast([nodes,] name, message)", "to the server of that name on each node"},
    {"server.multi_call([nodes,] name, message[, ms])", "a reply or an error of each node"},
    {"server.stop(server[, reason[, ms]])", "and waits until it has ended"},
    {"server.reply(from, value)", "from: the second result of a receive that got a call"},
    {"sys.get_state(server[, ms])", "what it holds"},
    {"sys.get_status(server[, ms])", ""},
    {"sys.replace_state(server, state[, ms])", "where its options allow it"},
    {"sys.suspend(server[, ms])", "it answers only sys.*"},
    {"sys.resume(server[, ms])", ""},
    {"sys.log(server, what[, ms])", "true, a number, \"get\", false: its last messages"},
    {"sys.statistics(server, what[, ms])", "true, \"get\", false"},
    {"supervisor.which_children(supervisor[, ms])", ""},
    {"supervisor.count_children(supervisor[, ms])", ""},
    {"supervisor.restart_child(supervisor, id[, ms])", ""},
    {"supervisor.terminate_child(supervisor, id[, ms])", "of a dynamic one: its pid"},
    {"supervisor.delete_child(supervisor, id[, ms])", ""},
    {"supervisor.get_childspec(supervisor, id[, ms])", ""},
    {"supervisor.start_child(supervisor, entry[, …])", "of the catalogue there, under a dynamic one"},
    {"Tasks", {}},
    {"task.async([supervisor,] function[, arguments])", "a handle; the task and this process end together"},
    {"task.async_nolink([supervisor,] function[, …])", "they do not"},
    {"task.await(task[, ms])", "what it returns, once"},
    {"task.await_many(tasks[, ms])", ""},
    {"task.yield(task[, ms])", "\"ok\" and that; \"exit\" and why; nil: not yet"},
    {"task.yield_many(tasks[, ms])", ""},
    {"task.shutdown(task[, ms])", "ends it; what slipped in, or nil"},
    {"task.yield_or_shutdown(task[, ms[, ms]])", ""},
    {"task.ignore(task)", "it runs on alone"},
    {"task.async_stream([supervisor,] items, function[, options])", "for status, result in … do"},
    {"task.async_stream_nolink([supervisor,] items, function[, …])", ""},
    {"task.start_child(supervisor, function[, …])", "nobody awaits it"},
    {"task.children(supervisor)", ""},
    {"task.terminate_child(supervisor, pid)", ""},
    {"Groups", {}},
    {"pg.join(group, pid[, scope])", "or a list of pids, of this node"},
    {"pg.leave(group, pid[, scope])", ""},
    {"pg.get_members(group[, scope])", "of all nodes"},
    {"pg.get_local_members(group[, scope])", ""},
    {"pg.get_closest_pid(group[, scope])", "of this node if there is any"},
    {"pg.which_groups([scope])", ""},
    {"pg.which_local_groups([scope])", ""},
    {"pg.broadcast(group, message[, scope])", "one copy for each node"},
    {"pg.monitor(group[, scope])", "a reference and the members; then each change"},
    {"pg.monitor_scope([scope])", ""},
    {"pg.demonitor(ref)", ""},
    {"pg.create(group[, scope])", "it stays without members"},
    {"pg.delete(group[, scope])", ""},
    {"pg.start([scope])", ""},
    {"Registries", {}},
    {"registry.start_link(name[, options])", "keys = \"unique\" or \"duplicate\", listeners = names"},
    {"registry.register(registry, key[, value])", "\"ok\", or \"already_registered\" and the holder"},
    {"registry.unregister(registry, key)", ""},
    {"registry.unregister_match(registry, key, value)", ""},
    {"registry.update_value(registry, key, function)", "of this process's entry: the new and the old one"},
    {"registry.lookup(registry, key)", "its entries"},
    {"registry.whereis_name(registry, key)", "the pid under a unique key"},
    {"registry.keys(registry, pid)", ""},
    {"registry.values(registry, key, pid)", ""},
    {"registry.select(registry)", "all entries"},
    {"registry.count(registry)", ""},
    {"registry.dispatch(registry, key, function)", "the function gets all entries of the key"},
    {"registry.put_meta(registry, key, value)", "of the registry itself"},
    {"registry.meta(registry, key)", ""},
    {"Other nodes", {}},
    {"node([pid])", "this node's name, or that of a process"},
    {"alive()", "can others connect to this node?"},
    {"nodes([class…])", "\"visible\", \"hidden\", \"connected\", \"this\", \"known\""},
    {"connect(node[, ms])", ""},
    {"disconnect(node)", ""},
    {"monitor_nodes([boolean[, class…]])", "nodeup and nodedown messages"},
    {"monitor_node(node[, boolean])", ""},
    {"rpc.call(node, function[, arguments[, ms]])", "by name, or a Lua function"},
    {"rpc.cast(node, function[, arguments])", "without an answer"},
    {"rpc.multicall(nodes, function[, arguments[, ms]])", ""},
    {"rpc.async(node, function[, arguments])", "a handle for rpc.yield"},
    {"rpc.yield(handle[, ms])", ""},
    {"rpc.nb_yield(handle[, ms])", ""},
    {"Global names and locks", {}},
    {"global.register_name(name, pid[, resolver[, ms]])", "\"yes\", or \"no\" and the holder"},
    {"global.re_register_name(name, pid[, resolver[, ms]])", "from whoever has it"},
    {"global.unregister_name(name)", ""},
    {"global.whereis_name(name[, ms])", "its pid"},
    {"global.registered_names()", "all names"},
    {"global.members()", "the nodes that share them now"},
    {"global.send(name, message)", ""},
    {"global.sync([ms])", "until all nodes agree"},
    {"global.set_lock({resource, requester}[, ms])", "true and its fencing number"},
    {"global.del_lock({resource, requester})", ""},
    {"global.trans({resource, requester}, function[, ms])", "the function, while the lock is held"},
    {"global.locks([ms])", "who holds and who waits"},
    {"global.waits([ms])", "who waits for whom: locks, calls, and the cycles among them"},
    {"The catalogue", {}},
    {"functions([prefix])", "what this node offers by name"},
    {"app.functions([prefix])", "the same"},
    {"External programs", {}},
    {"port.open(program[, options])", "its output comes as {port, {\"data\", …}}"},
    {"port.command(port, data[, ms])", "what it reads"},
    {"port.end_input(port[, ms])", "the end of that"},
    {"port.close(port[, ms])", "and waits until it has ended"},
    {"port.monitor(port)", "one DOWN message when it ends"},
    {"port.connect(port, pid[, ms])", "its output goes there"},
    {"port.signal(port, number[, ms])", ""},
    {"port.info(port[, ms])", ""},
    {"system.cmd(program[, arguments[, options]])", "what it wrote and its status"},
    {"system.find_executable(name)", "its path, or nil"},
    {"Tracing", {}},
    {"dbg.tracer([function][, options])", "prints events, or gives them to the function"},
    {"dbg.p(process[, flags])", "\"r\" receives, \"s\" sends, \"c\" calls, \"p\" lives"},
    {"dbg.tp(module[, function])", "which calls"},
    {"dbg.stop()", ""},
    {"dbg.stop_clear()", "all traces of this session are over"},
    {"Values", {}},
    {"pid(text)", ""},
    {"ref(text)", ""},
    {"bytes(text)", ""},
    {"map{…}", "a table that is a map, even when empty"},
};

std::string_view name_of(const line& one) { return one.usage.substr(0, one.usage.find_first_of("({")); }

void add_line(std::string& out, const line& one) {
  constexpr std::size_t column = 46;
  std::string text = "  " + std::string(one.usage);
  if (!one.what.empty()) {
    const auto shown = static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
    text.append(shown < column ? column - shown : 1, ' ');
    text += one.what;
  }
  out += text + "\n";
}

// Is it the value at index 1?
bool names_argument(lua_State* L, std::string_view path) {
  lua_pushglobaltable(L);
  while (!path.empty() && lua_istable(L, -1)) {
    const auto dot = std::min(path.find('.'), path.size());
    lua_pushlstring(L, path.data(), dot);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  const bool same = lua_rawequal(L, 1, -1) != 0;
  lua_pop(L, 1);
  return same;
}

std::string everything() {
  std::string out;
  for (const line& one : lines) {
    if (one.what.data() == nullptr) out += std::string(one.usage) + "\n";
    else add_line(out, one);
  }
  return out +
         "help(name) tells of one or of a table. What the node offers is called by its name: functions() lists it.\n";
}

// By a function or a table itself, or by its name or what it begins with.
std::string about_argument(lua_State* L) {
  const bool by_name = lua_type(L, 1) == LUA_TSTRING;
  const std::string wanted = by_name ? check_text(L, 1) : std::string();
  std::string out;
  for (const line& one : lines) {
    if (one.what.data() == nullptr) continue;
    const std::string_view name = name_of(one);
    const std::string_view table = name.substr(0, std::min(name.find('.'), name.size()));
    if (by_name ? name == wanted || table == wanted || name.ends_with("." + wanted)
                : names_argument(L, name) || (table != name && names_argument(L, table))) {
      add_line(out, one);
    }
  }
  if (!out.empty()) return out;
  return (by_name ? "\"" + wanted + "\"" : std::string("that")) +
         " is not of this library: help() lists it, functions() what the node offers\n";
}

int helped(lua_State*, lua_KContext) { return 0; }

int help(lua_State* L) {
  std::string text = lua_isnoneornil(L, 1) ? everything() : about_argument(L);
  const pid device = output_device(lua_machine::of(L).self());
  return put_out(L, device, text) ? 0 : await_out(L, device, std::move(text), &guarded_k<helped>);
}

}  // namespace

void open_help(lua_State* L) { set_globals(L, {{"help", &guarded<help>}}); }

}  // namespace troupe::internal
