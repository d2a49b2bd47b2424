// node, nodes, connect and what tells of other nodes.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include <troupe/cluster.hpp>
#include <troupe/node.hpp>

#include <array>

namespace troupe::internal {
namespace {

process& self_of(lua_State* L) { return lua_machine::of(L).self(); }

// node() or node(pid or reference)
int node_name(lua_State* L) {
  if (const pid* p = test_pid(L, 1)) push_text(L, p->node());
  else if (const ref* r = test_ref(L, 1)) push_text(L, r->node());
  else push_text(L, self_of(L).node().name());
  return 1;
}

int is_node_alive(lua_State* L) {
  lua_pushboolean(L, self_of(L).node().alive() ? 1 : 0);
  return 1;
}

std::string check_node(lua_State* L, int index) {
  auto name = complete_node_name(check_text(L, index));
  if (!name) raise(L, name.error());
  return std::move(*name);
}

// OTP's words.
node_class class_named(lua_State* L, std::string_view word) {
  if (auto which = parse_node_class(word)) return *which;
  raise(L, error(errc::bad_argument,
                 "\"" + std::string(word) + "\" is no class of nodes: this, visible, hidden, connected, known"));
}

// Words from `first` on, or one list of them.
node_class check_classes(lua_State* L, int first) {
  std::vector<std::string> words;
  if (lua_istable(L, first)) {
    const auto count = static_cast<lua_Integer>(lua_rawlen(L, first));
    for (lua_Integer i = 1; i <= count; ++i) {
      lua_rawgeti(L, first, i);
      words.push_back(check_text(L, -1));
      lua_pop(L, 1);
    }
  } else {
    for (int i = first; i <= lua_gettop(L); ++i) words.push_back(check_text(L, i));
  }
  if (words.empty()) return node_class::visible;
  node_class out{};
  for (const std::string& word : words) out = out | class_named(L, word);
  return out;
}

// nodes(), nodes("this", "visible") or nodes{"this", "visible"}
int list_nodes(lua_State* L) {
  list names;
  for (std::string& name : nodes(self_of(L), check_classes(L, 1))) names.emplace_back(std::move(name));
  push_value(L, value(std::move(names)));
  return 1;
}

task<result<value>> connect_to(process& self, std::string name, duration limit) {
  auto joined = co_await connect(self, name).within(limit);
  if (!joined) co_return joined.error();
  co_return value(true);
}

int connect_node(lua_State* L) {
  const std::string name = check_node(L, 1);
  const duration limit = check_duration(L, 2, default_call_time);
  return await_value(L, [name, limit](process& self) { return connect_to(self, name, limit); }, on_failure::return_nil);
}

int disconnect_node(lua_State* L) {
  lua_pushboolean(L, disconnect(self_of(L), check_node(L, 1)) ? 1 : 0);
  return 1;
}

bool check_on(lua_State* L, int index) {
  if (lua_isnoneornil(L, index)) return true;
  check_type(L, index, LUA_TBOOLEAN);
  return lua_toboolean(L, index) != 0;
}

// monitor_node(node[, boolean])
int watch_node(lua_State* L) {
  monitor_node(self_of(L), check_node(L, 1), check_on(L, 2));
  lua_pushboolean(L, 1);
  return 1;
}

// monitor_nodes([boolean[, classes]])
int watch_nodes(lua_State* L) {
  lua_settop(L, std::max(lua_gettop(L), 1));
  monitor_nodes(self_of(L), check_on(L, 1), check_classes(L, 2));
  lua_pushstring(L, "ok");
  return 1;
}

}  // namespace

void open_nodes(lua_State* L) {
  set_globals(L, {{"node", &guarded<node_name>},
                  {"alive", &guarded<is_node_alive>},
                  {"nodes", &guarded<list_nodes>},
                  {"connect", &guarded<connect_node>},
                  {"disconnect", &guarded<disconnect_node>},
                  {"monitor_node", &guarded<watch_node>},
                  {"monitor_nodes", &guarded<watch_nodes>}});
}

}  // namespace troupe::internal
