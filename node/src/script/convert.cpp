#include "script/convert.hpp"

#include "script/machine.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <new>
#include <vector>

#include <troupe/codec.hpp>
#include <troupe/utf8.hpp>

namespace troupe::internal {
namespace {

constexpr char null_key = 0;  // their addresses are what the light userdata `null` and `any` hold
constexpr char any_key = 0;
constexpr char interned_key = 0;

// Bounds of one value made from Lua. Tables may be shared, so that a small one unfolds into a huge value.
constexpr std::size_t depth_limit = 60;  // the wire's is 64 and a message adds some
constexpr std::size_t node_limit = std::size_t{1} << 17;
constexpr std::size_t byte_limit = std::size_t{16} << 20;

// -- userdata

// One userdata per pid while Lua holds it, so that == and keys of tables work.
template <class Id>
void push_interned(lua_State* L, Id id, const char* type) {
  luaL_checkstack(L, 4, "a value is too large");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &interned_key);
  std::array<char, 2 * sizeof(std::uint64_t) + 1> key{};
  const std::uint64_t life = id.life_key();
  const std::uint64_t number = id.id();
  std::copy_n(reinterpret_cast<const char*>(&life), sizeof life, key.data());
  std::copy_n(reinterpret_cast<const char*>(&number), sizeof number, key.data() + sizeof life);
  key.back() = type == pid_type ? 'p' : 'r';
  lua_pushlstring(L, key.data(), key.size());
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) == LUA_TNIL) {
    lua_pop(L, 1);
    ::new (lua_newuserdatauv(L, sizeof(Id), 0)) Id(id);
    luaL_setmetatable(L, type);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -5);
  }
  lua_replace(L, -3);
  lua_pop(L, 1);
}

void push_boxed(lua_State* L, const value& v) {
  auto* at = static_cast<value*>(lua_newuserdatauv(L, sizeof(value), 0));
  ::new (at) value();
  luaL_setmetatable(L, boxed_type);
  *at = v;
}

// -- Lua to value

class table_reader {
 public:
  explicit table_reader(lua_State* L) : L_(L) {}
  [[nodiscard]] std::size_t read_items() const noexcept { return nodes_; }

  value read(int index) {
    if (++nodes_ > node_limit) fail("more than " + std::to_string(node_limit) + " items in one value");
    switch (lua_type(L_, index)) {
      case LUA_TNIL: return {};
      case LUA_TBOOLEAN: return lua_toboolean(L_, index) != 0;
      case LUA_TNUMBER:
        if (lua_isinteger(L_, index)) return static_cast<std::int64_t>(lua_tointeger(L_, index));
        return static_cast<double>(lua_tonumber(L_, index));
      case LUA_TSTRING: return string(index);
      case LUA_TTABLE: return table(lua_absindex(L_, index));
      case LUA_TUSERDATA: break;
      case LUA_TLIGHTUSERDATA:
        if (is_null(L_, index)) return {};
        break;
      case LUA_TFUNCTION: fail("a function cannot be part of a message");
      default: break;
    }
    if (const pid* p = test_pid(L_, index)) return *p;
    if (const ref* r = test_ref(L_, index)) return *r;
    if (const value* v = test_boxed(L_, index)) {
      if (const bytes* data = v->binary()) charge(data->size());
      return *v;
    }
    if (is_any(L_, index)) fail("`any` stands only in patterns");
    fail(std::string("a ") + luaL_typename(L_, index) + " cannot be part of a message");
  }

 private:
  [[noreturn]] void fail(const std::string& what) {
    std::string path;
    for (const std::string& step : path_) path += (path.empty() || step.front() == '[' ? "" : ".") + step;
    raise(L_, error(errc::bad_argument, path.empty() ? what : path + ": " + what));
  }

  void charge(std::size_t size) {
    bytes_ += size;
    if (bytes_ > byte_limit) fail("more than " + std::to_string(byte_limit >> 20) + " MiB in one value");
  }

  value string(int index) {
    std::size_t size = 0;
    const char* text = lua_tolstring(L_, index, &size);
    charge(size);
    if (is_utf8({text, size})) return std::string(text, size);
    const auto* data = reinterpret_cast<const std::byte*>(text);
    return bytes(data, data + size);
  }

  // How many items it has as a list, or -1 when it is a map.
  lua_Integer list_size(int index) {
    if (is_map(L_, index)) return -1;
    const auto length = static_cast<lua_Integer>(lua_rawlen(L_, index));
    lua_Integer found = 0;
    lua_pushnil(L_);
    while (lua_next(L_, index)) {
      lua_pop(L_, 1);
      if (!lua_isinteger(L_, -1) || lua_tointeger(L_, -1) < 1 || lua_tointeger(L_, -1) > length) {
        lua_pop(L_, 1);
        return -1;
      }
      ++found;
    }
    return found == length ? length : -1;
  }

  value table(int index) {
    if (path_.size() >= depth_limit) fail("nested deeper than " + std::to_string(depth_limit));
    const void* identity = lua_topointer(L_, index);
    if (std::ranges::find(open_, identity) != open_.end()) fail("the table contains itself");
    luaL_checkstack(L_, 6, "a value is nested too deep");
    open_.push_back(identity);
    value out;
    if (const lua_Integer size = list_size(index); size >= 0) {
      list items;
      for (lua_Integer i = 1; i <= size; ++i) {
        path_.push_back("[" + std::to_string(i) + "]");
        lua_rawgeti(L_, index, i);
        items.push_back(read(-1));
        lua_pop(L_, 1);
        path_.pop_back();
      }
      out = value(std::move(items));
    } else {
      out = value(entries(index));
    }
    open_.pop_back();
    return out;
  }

  // Sorted by key, integers first: a table has no order of its own, and equal messages shall look equal.
  map entries(int index) {
    map out;
    lua_pushnil(L_);
    while (lua_next(L_, index)) {
      path_.push_back(lua_type(L_, -2) == LUA_TSTRING ? std::string(lua_tostring(L_, -2)) : "[key]");
      if (path_.back().empty()) path_.back() = "[\"\"]";
      value key = read(-2);
      out.emplace_back(std::move(key), read(-1));
      lua_pop(L_, 1);
      path_.pop_back();
    }
    std::ranges::sort(out, [](const map_entry& a, const map_entry& b) {
      if (a.first.type() != b.first.type()) return a.first.type() < b.first.type();
      if (a.first.integer()) return *a.first.integer() < *b.first.integer();
      if (a.first.text()) return *a.first.text() < *b.first.text();
      return to_wire(a.first) < to_wire(b.first);
    });
    // Tables are keys by what they hold, which two of them may share.
    const auto twice = std::ranges::adjacent_find(out, {}, &map_entry::first);
    if (twice != out.end()) fail("two keys of a map are the same: " + twice->first.print(4, 80));
    return out;
  }

  lua_State* L_;
  std::vector<std::string> path_;
  std::vector<const void*> open_;
  std::size_t nodes_ = 0, bytes_ = 0;
};

// -- value to Lua

void push_map(lua_State* L, const map& entries) {
  lua_createtable(L, 0, static_cast<int>(std::min<std::size_t>(entries.size(), 1024)));
  bool named = false;  // with a name among its keys nobody takes it for a list
  for (const auto& [key, item] : entries) {
    if (key.is_nil()) lua_pushlightuserdata(L, const_cast<char*>(&null_key));
    else if (key.real() && std::isnan(*key.real())) push_text(L, "nan");  // the one that no table can have
    else push_value(L, key);
    named = named || key.text();
    if (item.is_nil()) lua_pushlightuserdata(L, const_cast<char*>(&null_key));
    else push_value(L, item);
    lua_rawset(L, -3);
  }
  if (!named) luaL_setmetatable(L, map_mark);
}

}  // namespace

void push_text(lua_State* L, std::string_view text) { lua_pushlstring(L, text.data(), text.size()); }
void push_pid(lua_State* L, pid p) { push_interned(L, p, pid_type); }
void push_ref(lua_State* L, ref r) { push_interned(L, r, ref_type); }

void push_value(lua_State* L, const value& v) {
  luaL_checkstack(L, 6, "a value is nested too deep");
  using kind = value::kind;
  switch (v.type()) {
    case kind::nil: return lua_pushnil(L);
    case kind::boolean: return lua_pushboolean(L, *v.boolean() ? 1 : 0);
    case kind::integer: return lua_pushinteger(L, *v.integer());
    case kind::unsigned_integer: return lua_pushnumber(L, static_cast<double>(*v.unsigned_integer()));
    case kind::real: return lua_pushnumber(L, *v.real());
    case kind::text: return push_text(L, *v.text());
    case kind::pid: return push_pid(L, *v.process());
    case kind::ref: return push_ref(L, *v.reference());
    case kind::bytes:
    case kind::ext: return push_boxed(L, v);
    case kind::map: return push_map(L, *v.entries());
    case kind::list: break;
  }
  const list& items = *v.items();
  lua_createtable(L, static_cast<int>(std::min<std::size_t>(items.size(), 4096)), 0);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].is_nil()) lua_pushlightuserdata(L, const_cast<char*>(&null_key));
    else push_value(L, items[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

value to_value(lua_State* L, int index) {
  table_reader reader(L);
  value out = reader.read(index);
  lua_machine::of(L).charge(L, reader.read_items());
  return out;
}

value to_message(lua_State* L, int index) {
  value out = to_value(L, index);
  const list* items = out.items();
  if (!items || items->size() != 2 || !(*items)[0].text() || !(*items)[1].items() || !(*items)[1].items()->empty())
    return out;
  list tagged;
  tagged.push_back((*items)[0]);
  tagged.emplace_back(map());
  return value(std::move(tagged));
}

const pid* test_pid(lua_State* L, int index) { return static_cast<pid*>(luaL_testudata(L, index, pid_type)); }
const ref* test_ref(lua_State* L, int index) { return static_cast<ref*>(luaL_testudata(L, index, ref_type)); }
const value* test_boxed(lua_State* L, int index) { return static_cast<value*>(luaL_testudata(L, index, boxed_type)); }
bool is_null(lua_State* L, int index) { return lua_islightuserdata(L, index) && lua_touserdata(L, index) == &null_key; }
bool is_any(lua_State* L, int index) { return lua_islightuserdata(L, index) && lua_touserdata(L, index) == &any_key; }

bool is_map(lua_State* L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  luaL_getmetatable(L, map_mark);
  const bool same = lua_rawequal(L, -1, -2) != 0;
  lua_pop(L, 2);
  return same;
}

pid check_pid(lua_State* L, int index) {
  if (const pid* p = test_pid(L, index)) return *p;
  bad_type(L, index, "pid");
  return {};
}
ref check_ref(lua_State* L, int index) {
  if (const ref* r = test_ref(L, index)) return *r;
  bad_type(L, index, "reference");
  return {};
}
std::int64_t check_milliseconds(lua_State* L, int index) {
  const lua_Number number = check_number(L, index);
  check_argument(L, number >= 0, index, "a time in milliseconds expected");
  if (number >= 9e12) return INT64_MAX;
  return static_cast<std::int64_t>(number);
}

// -- the globals

namespace {

int pid_from_text(lua_State* L) {
  auto parsed = pid::parse(check_text(L, 1));
  if (!parsed) raise(L, parsed.error());
  push_pid(L, *parsed);
  return 1;
}
int ref_from_text(lua_State* L) {
  auto parsed = ref::parse(check_text(L, 1));
  if (!parsed) raise(L, parsed.error());
  push_ref(L, *parsed);
  return 1;
}
int bytes_from_string(lua_State* L) {
  const std::string text = check_text(L, 1);
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  push_boxed(L, value(bytes(data, data + text.size())));
  return 1;
}
int mark_map(lua_State* L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_setmetatable(L, map_mark);
  return 1;
}

int pid_to_text(lua_State* L) {
  push_text(L, check_pid(L, 1).text());
  return 1;
}
int ref_to_text(lua_State* L) {
  push_text(L, check_ref(L, 1).text());
  return 1;
}
const value& check_boxed(lua_State* L) { return *static_cast<value*>(check_object(L, 1, boxed_type)); }
int boxed_to_text(lua_State* L) {
  push_text(L, check_boxed(L).print(2, SIZE_MAX));
  return 1;
}
int boxed_size(lua_State* L) {
  const value& v = check_boxed(L);
  lua_pushinteger(L, static_cast<lua_Integer>(v.binary() ? v.binary()->size() : v.ext()->data.size()));
  return 1;
}
int boxed_string(lua_State* L) {
  const value& v = check_boxed(L);
  const bytes& data = v.binary() ? *v.binary() : v.ext()->data;
  lua_pushlstring(L, reinterpret_cast<const char*>(data.data()), data.size());
  return 1;
}
int boxed_equal(lua_State* L) {
  const value* a = test_boxed(L, 1);
  const value* b = test_boxed(L, 2);
  lua_pushboolean(L, a && b && *a == *b ? 1 : 0);
  return 1;
}
int boxed_destroy(lua_State* L) {
  static_cast<value*>(check_object(L, 1, boxed_type))->~value();
  return 0;
}

void make_type(lua_State* L, const char* name, std::initializer_list<luaL_Reg> functions) {
  luaL_newmetatable(L, name);
  for (const luaL_Reg& one : functions) {
    lua_pushcfunction(L, one.func);
    lua_setfield(L, -2, one.name);
  }
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

}  // namespace

void open_values(lua_State* L) {
  lua_newtable(L);
  lua_newtable(L);
  lua_pushstring(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &interned_key);

  make_type(L, pid_type, {{"__tostring", &guarded<pid_to_text>}});
  make_type(L, ref_type, {{"__tostring", &guarded<ref_to_text>}});
  make_type(L, boxed_type,
            {{"__tostring", &guarded<boxed_to_text>},
             {"__len", &guarded<boxed_size>},
             {"__eq", &guarded<boxed_equal>},
             {"__gc", &guarded<boxed_destroy>}});
  luaL_getmetatable(L, boxed_type);
  lua_newtable(L);
  lua_pushcfunction(L, &guarded<boxed_string>);
  lua_setfield(L, -2, "string");
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  make_type(L, map_mark, {});

  lua_register(L, "pid", &guarded<pid_from_text>);
  lua_register(L, "ref", &guarded<ref_from_text>);
  lua_register(L, "bytes", &guarded<bytes_from_string>);
  lua_register(L, "map", &guarded<mark_map>);
  lua_pushlightuserdata(L, const_cast<char*>(&null_key));
  lua_setglobal(L, "null");
  lua_pushlightuserdata(L, const_cast<char*>(&any_key));
  lua_setglobal(L, "any");
}

}  // namespace troupe::internal
