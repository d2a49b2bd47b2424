#include "script/portable.hpp"

#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include <troupe/utf8.hpp>

namespace troupe::internal {
namespace {

constexpr char names_key = 0;     // function or table -> its name
constexpr char baseline_key = 0;  // name of a global -> what the library has there

constexpr std::size_t object_limit = 100'000;
constexpr std::size_t byte_limit = std::size_t{16} << 20;

// What stands for something that is no plain value: {kind, …}.
value marked(std::string_view kind) { return list_of({kind}); }
value marked(std::string_view kind, value what) { return list_of({kind, std::move(what)}); }

int append_piece(lua_State*, const void* piece, std::size_t size, void* out) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(piece), size);
  return 0;
}

bytes to_bytes(std::string_view text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

// A string as it stands among the constants of a dumped function: its size plus one, seven bits a byte, the last
// marked.
std::string as_constant(std::string_view text) {
  std::string size;
  std::size_t rest = text.size() + 1;
  size.insert(size.begin(), static_cast<char>((rest & 0x7f) | 0x80));
  while (rest >>= 7) size.insert(size.begin(), static_cast<char>(rest & 0x7f));
  return size.append(text);
}

class copier {
 public:
  explicit copier(lua_State* L) : L_(L) {}

  value copy(int index) {
    index = lua_absindex(L_, index);
    lua_newtable(L_);  // number -> object, so that each lives as long as its identity is used
    kept_ = lua_gettop(L_);
    value root = item(index);
    drain();
    value globals = copy_globals();
    lua_settop(L_, kept_ - 1);
    return map_of({{"root", std::move(root)},
                   {"objects", value(list(objects_.begin(), objects_.end()))},
                   {"boxes", value(list(boxes_.begin(), boxes_.end()))},
                   {"globals", std::move(globals)}});
  }

 private:
  // Says that something cannot be copied; of a global that nobody may need, it is left out instead.
  value refuse(const std::string& what) {
    if (lenient_) return marked("nothing");
    raise(L_, error(errc::bad_argument, what));
  }

  value item(int index) {
    switch (lua_type(L_, index)) {
      case LUA_TSTRING: {
        std::size_t size = 0;
        const char* text = lua_tolstring(L_, index, &size);
        charge(size);
        if (is_utf8({text, size})) return std::string(text, size);
        return to_bytes({text, size});
      }
      case LUA_TTABLE:
      case LUA_TFUNCTION: return object(lua_absindex(L_, index));
      case LUA_TTHREAD: return refuse("a coroutine cannot be copied to another process");
      case LUA_TLIGHTUSERDATA: return marked(is_any(L_, index) ? "any" : "null");
      case LUA_TUSERDATA:
        if (const std::string* name = test_offered(L_, index)) return marked("offered", *name);
        if (const value* boxed = test_boxed(L_, index)) return marked("boxed", *boxed);
        break;
      default: break;
    }
    return to_value(L_, index);
  }

  value object(int index) {
    lua_pushglobaltable(L_);
    const bool globals = lua_rawequal(L_, -1, index) != 0;
    lua_pop(L_, 1);
    if (globals) return marked("globals");
    if (const char* name = library_name(L_, index)) return marked("library", name);
    if (lua_iscfunction(L_, index))
      return refuse("a function of C++ without a name cannot be copied to another process");
    const void* identity = lua_topointer(L_, index);
    auto [at, is_new] = numbers_.try_emplace(identity, static_cast<std::int64_t>(numbers_.size()));
    if (is_new) {
      if (numbers_.size() > object_limit) raise(L_, error(errc::too_large, "too much to copy to another process"));
      objects_.emplace_back();
      lua_pushvalue(L_, index);
      lua_rawseti(L_, kept_, at->second + 1);
      todo_.push_back(at->second);
    }
    return marked("object", at->second);
  }

  void charge(std::size_t size) {
    bytes_ += size;
    if (bytes_ > byte_limit) raise(L_, error(errc::too_large, "too much to copy to another process"));
  }

  void drain() {
    luaL_checkstack(L_, 8, nullptr);
    while (!todo_.empty()) {
      const std::int64_t number = todo_.front();
      todo_.pop_front();
      lua_rawgeti(L_, kept_, number + 1);
      value made = lua_istable(L_, -1) ? table(lua_gettop(L_)) : function(lua_gettop(L_));
      objects_[static_cast<std::size_t>(number)] = std::move(made);
      lua_pop(L_, 1);
    }
  }

  value table(int index) {
    list out{"table"};
    if (is_map(L_, index)) {
      out.push_back(marked("map"));
    } else if (lua_getmetatable(L_, index)) {
      out.push_back(item(-1));
      lua_pop(L_, 1);
    } else {
      out.emplace_back();
    }
    lua_pushnil(L_);
    while (lua_next(L_, index)) {
      // A finalizer written into a metatable after setmetatable does nothing there, and must not come alive here.
      const bool finalizer = lua_type(L_, -2) == LUA_TSTRING && std::string_view(lua_tostring(L_, -2)) == "__gc";
      if (!finalizer) {
        out.push_back(item(-2));
        out.push_back(item(-1));
      }
      lua_pop(L_, 1);
    }
    return value(std::move(out));
  }

  value function(int index) {
    std::string code;
    lua_pushvalue(L_, index);
    lua_dump(L_, &append_piece, &code, 0);
    lua_pop(L_, 1);
    charge(code.size());
    note_globals(code);
    list out{"function", value(to_bytes(code))};
    for (int n = 1; lua_getupvalue(L_, index, n); ++n) {
      auto [at, is_new] =
          box_numbers_.try_emplace(lua_upvalueid(L_, index, n), static_cast<std::int64_t>(box_numbers_.size()));
      if (is_new) {
        boxes_.emplace_back();
        value content = item(-1);
        boxes_[static_cast<std::size_t>(at->second)] = std::move(content);
      }
      lua_pop(L_, 1);
      out.emplace_back(at->second);
    }
    return value(std::move(out));
  }

  // Which of the program's globals does this code name? Names of fields match too: one copied in vain does no harm.
  void note_globals(const std::string& code) {
    lua_pushglobaltable(L_);
    lua_pushnil(L_);
    while (lua_next(L_, -2)) {
      lua_pop(L_, 1);
      if (lua_type(L_, -1) != LUA_TSTRING) continue;
      std::size_t size = 0;
      const char* name = lua_tolstring(L_, -1, &size);
      if (code.find(as_constant({name, size})) != std::string::npos && is_own_global(L_, name))
        globals_.insert(std::string(name, size));
    }
    lua_pop(L_, 1);
  }

  value copy_globals() {
    lenient_ = true;
    list out;
    std::set<std::string> done;
    for (;;) {
      auto next = std::ranges::find_if(globals_, [&](const std::string& name) { return !done.contains(name); });
      if (next == globals_.end()) break;
      const std::string name = *next;
      done.insert(name);
      lua_pushglobaltable(L_);
      push_text(L_, name);
      lua_rawget(L_, -2);
      out.push_back(list_of({name, item(-1)}));
      lua_pop(L_, 2);
      drain();
    }
    return value(std::move(out));
  }

  lua_State* L_;
  int kept_ = 0;
  bool lenient_ = false;
  std::size_t bytes_ = 0;
  std::map<const void*, std::int64_t> numbers_;
  std::deque<std::int64_t> todo_;
  std::deque<value> objects_;
  std::map<void*, std::int64_t> box_numbers_;
  std::deque<value> boxes_;
  std::set<std::string> globals_;
};

}  // namespace

void remember_library(lua_State* L) {
  lua_newtable(L);  // names
  lua_newtable(L);  // baseline
  const int names = lua_gettop(L) - 1;
  auto remember = [&](const std::string& name) {
    if (!lua_isfunction(L, -1) && !lua_istable(L, -1)) return;
    lua_pushvalue(L, -1);
    push_text(L, name);
    lua_rawset(L, names);
  };
  lua_pushglobaltable(L);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    const std::string name = lua_tostring(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, names + 1, name.c_str());
    if (name != LUA_GNAME) {
      remember(name);
      if (lua_istable(L, -1)) {
        lua_pushnil(L);
        while (lua_next(L, -2)) {
          remember(name + "." + lua_tostring(L, -2));
          lua_pop(L, 1);
        }
      }
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &baseline_key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
}

const char* library_name(lua_State* L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 3, nullptr);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
  lua_pushvalue(L, index);
  const char* name = lua_rawget(L, -2) == LUA_TSTRING ? lua_tostring(L, -1) : nullptr;
  lua_pop(L, 2);
  return name;
}

bool push_library(lua_State* L, std::string_view name) {
  luaL_checkstack(L, 4, nullptr);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &baseline_key);
  for (bool last = false; !last;) {
    const auto dot = name.find('.');
    last = dot == std::string_view::npos;
    push_text(L, name.substr(0, dot));
    lua_rawget(L, -2);
    lua_remove(L, -2);
    if (last ? lua_isnil(L, -1) : !lua_istable(L, -1)) {
      lua_pop(L, 1);
      return false;
    }
    if (!last) name.remove_prefix(dot + 1);
  }
  return true;
}

bool is_own_global(lua_State* L, const char* name) {
  luaL_checkstack(L, 4, nullptr);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &baseline_key);
  lua_getfield(L, -1, name);
  lua_pushglobaltable(L);
  lua_pushstring(L, name);
  lua_rawget(L, -2);
  const bool own = !lua_rawequal(L, -1, -3);
  lua_pop(L, 4);
  return own;
}

value copy_out(lua_State* L, int index) { return copier(L).copy(index); }

}  // namespace troupe::internal
