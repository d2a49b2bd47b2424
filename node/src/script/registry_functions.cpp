// registry.*: processes under keys, by the names of Elixir's Registry. What is asked goes to the registry's process, so
// a look-up works for one of another node too; what is registered is a process of the registry's own node.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include <algorithm>

#include <troupe/keyed_registry.hpp>

namespace troupe::internal {
namespace {

task<result<value>> call_registry(process& self, address to, value request) {
  auto answered = co_await call<value>(self, std::move(to), std::move(request));
  co_return answered;
}

value request_of(const char* tag, map fields = {}) { return list_of({tag, value(std::move(fields))}); }

value check_key(lua_State* L, int index) {
  check_any(L, index);
  check_argument(L, !lua_isnil(L, index), index, "a key expected, not nil");
  return to_value(L, index);
}
value content_at(lua_State* L, int index) { return lua_isnoneornil(L, index) ? value() : to_value(L, index); }

map with_key(lua_State* L, int index) {
  map out;
  out.emplace_back(value("key"), check_key(L, index));
  return out;
}

int ask(lua_State* L, value request) {
  return await_value(L, [to = check_address(L, 1), request = std::move(request)](process& self) {
    return call_registry(self, to, request);
  });
}
// The same, and `then` looks at the answer.
int ask_then(lua_State* L, value request, lua_KFunction then) {
  return lua_machine::of(L).await(
      L,
      [to = check_address(L, 1), request = std::move(request)](process& self) {
        return call_registry(self, to, request);
      },
      then, 0);
}

// -- start_link(name[, {keys =, listeners =}])

struct start_plan {
  std::string name;
  keyed_registry::keys kind = keyed_registry::unique;
  std::vector<std::string> listeners;
};

start_plan check_plan(lua_State* L) {
  start_plan out{check_text(L, 1), keyed_registry::unique, {}};
  if (lua_isnoneornil(L, 2)) return out;
  check_type(L, 2, LUA_TTABLE);
  const value given = to_value(L, 2);
  if (given.items() && given.items()->empty()) return out;
  auto refuse = [L](const std::string& what) { raise(L, error(errc::bad_argument, what)); };
  if (!given.entries()) refuse("options: keys, listeners expected");
  for (const auto& [key, item] : *given.entries()) {
    if (key == value("keys")) {
      if (item == value("duplicate")) out.kind = keyed_registry::duplicate;
      else if (item != value("unique")) refuse("keys: \"unique\" or \"duplicate\" expected");
    } else if (key == value("listeners")) {
      if (!item.items()) refuse("listeners: a list of names expected");
      for (const value& one : *item.items()) {
        if (!one.text()) refuse("listeners: a list of names expected");
        out.listeners.push_back(*one.text());
      }
    } else {
      refuse("options: keys or listeners expected, " + key.print(2, 80) + " given");
    }
  }
  return out;
}

task<result<value>> start(process& self, start_plan plan) {
  const keyed_registry made(plan.name, plan.kind);
  for (const std::string& one : plan.listeners) made.listen(one);
  const child_spec spec = made.spec();
  auto starting = spec.start(self);
  const started outcome = co_await std::move(starting);
  if (outcome) co_return value(outcome.process());
  if (outcome.what() == started::kind::already_started)
    co_return error(errc::name_taken, "\"" + plan.name + "\" is held by " + outcome.process().text());
  co_return error(errc::exited, outcome.text());
}
int start_link(lua_State* L) {
  return await_value(L, [plan = check_plan(L)](process& self) { return start(self, plan); });
}

// -- entries of this process

int continue_register(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (answer) {
    push_value(L, *answer);
    return 1;
  }
  auto holder = pid::parse(answer.error().text());
  if (answer.error() != errc::name_taken || !holder) raise(L, answer.error());
  lua_pushstring(L, "already_registered");
  push_pid(L, *holder);
  return 2;
}
int register_here(lua_State* L) {
  map fields = with_key(L, 2);
  fields.emplace_back(value("content"), content_at(L, 3));
  return ask_then(L, request_of("registry.register", std::move(fields)), &guarded_k<continue_register>);
}
int unregister(lua_State* L) { return ask(L, request_of("registry.unregister", with_key(L, 2))); }
int unregister_match(lua_State* L) {
  map fields = with_key(L, 2);
  fields.emplace_back(value("content"), content_at(L, 3));
  fields.emplace_back(value("matching"), value(true));
  return ask(L, request_of("registry.unregister", std::move(fields)));
}

// What was asked may be no registry at all.
const list& entries_of(lua_State* L, const value& answer) {
  const list* all = answer.items();
  const bool fits = all != nullptr && std::ranges::all_of(*all, [](const value& one) {
                      const value* who = one.find("pid");
                      return who && who->process() && one.find("value");
                    });
  if (!fits) raise(L, error(errc::bad_message, "the answer of a process that is no registry"));
  return *all;
}

// The entry that is of this process.
const value* own_entry(const list& entries, pid me) {
  const auto own = std::ranges::find_if(entries, [me](const value& one) { return *one.find("pid")->process() == me; });
  return own == entries.end() ? nullptr : &*own;
}

// update_value(registry, key, function): the entry is this process's own, so nobody else can change it in between.
int updated(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise(L, answer.error());
  if (!answer->items() || answer->items()->size() != 2) {
    raise(L, error(errc::bad_message, "the answer of a process that is no registry"));
  }
  for (const value& one : *answer->items()) push_value(L, one);
  return 2;
}
int store(lua_State* L) {  // registry, key, function, new value
  map fields = with_key(L, 2);
  fields.emplace_back(value("content"), content_at(L, 4));
  return ask_then(L, request_of("registry.update", std::move(fields)), &guarded_k<updated>);
}
int changed(lua_State* L, int, lua_KContext) {
  return guard(L, [L] { return store(L); });
}
int looked_up(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise(L, answer.error());
  const pid me = lua_machine::of(L).self().id();
  const value* own = own_entry(entries_of(L, *answer), me);
  if (!own) raise(L, error(errc::not_found, me.text() + " has no such key"));
  lua_pushvalue(L, 3);
  push_value(L, *own->find("value"));
  lua_callk(L, 1, 1, 0, &changed);
  return store(L);
}
int update_value(lua_State* L) {
  check_type(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  return ask_then(L, request_of("registry.lookup", with_key(L, 2)), &guarded_k<looked_up>);
}

// -- looking

// {{pid =, value =}, …}
value without_keys(const list& entries) {
  list out;
  for (const value& one : entries) {
    map shown;
    for (const auto& [key, item] : *one.entries()) {
      if (key != value("key") && !item.is_nil()) shown.emplace_back(key, item);
    }
    out.emplace_back(std::move(shown));
  }
  return value(std::move(out));
}
int give_lookup(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise(L, answer.error());
  push_value(L, without_keys(entries_of(L, *answer)));
  return 1;
}
int lookup(lua_State* L) { return ask_then(L, request_of("registry.lookup", with_key(L, 2)), &guarded_k<give_lookup>); }

int give_first(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise(L, answer.error());
  const list& entries = entries_of(L, *answer);
  if (entries.empty()) lua_pushnil(L);
  else push_value(L, *entries.front().find("pid"));
  return 1;
}
int whereis_name(lua_State* L) {
  return ask_then(L, request_of("registry.lookup", with_key(L, 2)), &guarded_k<give_first>);
}

// values(registry, key, pid)
int give_values(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise(L, answer.error());
  const pid whose = check_pid(L, 3);
  list out;
  for (const value& one : entries_of(L, *answer)) {
    if (*one.find("pid")->process() == whose) out.push_back(*one.find("value"));
  }
  push_value(L, value(std::move(out)));
  return 1;
}
int values(lua_State* L) {
  static_cast<void>(check_pid(L, 3));
  return ask_then(L, request_of("registry.lookup", with_key(L, 2)), &guarded_k<give_values>);
}

int keys(lua_State* L) {
  map fields;
  fields.emplace_back(value("process"), value(check_pid(L, 2)));
  return ask(L, request_of("registry.keys", std::move(fields)));
}
int select(lua_State* L) { return ask(L, request_of("registry.select")); }
int count(lua_State* L) { return ask(L, request_of("registry.count")); }

// dispatch(registry, key, function): the function gets all entries, once, if there are any.
int dispatched(lua_State* L, int, lua_KContext) {
  return guard(L, [L] {
    lua_pushstring(L, "ok");
    return 1;
  });
}
int give_entries(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise(L, answer.error());
  const list& entries = entries_of(L, *answer);
  if (!entries.empty()) {
    lua_pushvalue(L, 3);
    push_value(L, without_keys(entries));
    lua_callk(L, 1, 0, 0, &dispatched);
  }
  lua_pushstring(L, "ok");
  return 1;
}
int dispatch(lua_State* L) {
  check_type(L, 3, LUA_TFUNCTION);
  return ask_then(L, request_of("registry.lookup", with_key(L, 2)), &guarded_k<give_entries>);
}

// -- of the registry itself

int put_meta(lua_State* L) {
  map fields;
  fields.emplace_back(value("key"), value(check_text(L, 2)));
  fields.emplace_back(value("content"), content_at(L, 3));
  return ask_then(L, request_of("registry.put_meta", std::move(fields)), [](lua_State* inner, int, lua_KContext) {
    return guard(inner, [inner] {
      auto answer = lua_machine::of(inner).take_answer();
      if (!answer) raise(inner, answer.error());
      lua_pushstring(inner, "ok");
      return 1;
    });
  });
}
int give_meta(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer && answer.error() != errc::not_found) raise(L, answer.error());
  push_value(L, answer ? *answer : value());
  return 1;
}
int meta(lua_State* L) {
  map fields;
  fields.emplace_back(value("key"), value(check_text(L, 2)));
  return ask_then(L, request_of("registry.meta", std::move(fields)), &guarded_k<give_meta>);
}

}  // namespace

void open_registry(lua_State* L) {
  set_table(L, "registry",
            {{"start_link", &guarded<start_link>},
             {"register", &guarded<register_here>},
             {"unregister", &guarded<unregister>},
             {"unregister_match", &guarded<unregister_match>},
             {"update_value", &guarded<update_value>},
             {"lookup", &guarded<lookup>},
             {"whereis_name", &guarded<whereis_name>},
             {"keys", &guarded<keys>},
             {"values", &guarded<values>},
             {"select", &guarded<select>},
             {"count", &guarded<count>},
             {"dispatch", &guarded<dispatch>},
             {"put_meta", &guarded<put_meta>},
             {"meta", &guarded<meta>}});
}

}  // namespace troupe::internal
