#include "script/inspect.hpp"

#include "script/convert.hpp"

#include <algorithm>
#include <vector>

namespace troupe::internal {
namespace {

constexpr std::string_view ellipsis = "…";

class inspector {
 public:
  inspector(lua_State* L, std::size_t width) : L_(L), width_(width) {}

  std::string finish() && {
    if (full_) out_ += ellipsis;
    return std::move(out_);
  }

  void show(int index, int depth) {
    index = lua_absindex(L_, index);
    luaL_checkstack(L_, 6, "a value is nested too deep");
    switch (lua_type(L_, index)) {
      case LUA_TNIL: return add("nil");
      case LUA_TBOOLEAN: return add(lua_toboolean(L_, index) ? "true" : "false");
      case LUA_TNUMBER:
        if (lua_isinteger(L_, index)) return add(value(static_cast<std::int64_t>(lua_tointeger(L_, index))).print());
        return add(value(static_cast<double>(lua_tonumber(L_, index))).print());
      case LUA_TSTRING: return text(index);
      case LUA_TTABLE: return table(index, depth);
      default: return special(index);
    }
  }

 private:
  void add(std::string_view piece) {
    if (full_ || piece.size() > width_ - out_.size()) {
      full_ = true;
      return;
    }
    out_ += piece;
  }

  std::size_t room() const { return width_ - out_.size(); }

  void text(int index) {
    std::size_t size = 0;
    const char* data = lua_tolstring(L_, index, &size);
    if (full_) return;
    std::string shown = value(std::string(data, std::min(size, room() + 1))).print(1, room());
    if (shown.ends_with(ellipsis) && shown.size() > room()) {  // cut by the printer: what fits of it is shown
      shown.resize(shown.size() - ellipsis.size());
      full_ = true;
      out_ += shown;
      return;
    }
    add(shown);
  }

  void special(int index) {
    if (const pid* p = test_pid(L_, index)) return add("pid(\"" + p->text() + "\")");
    if (const ref* r = test_ref(L_, index)) return add("ref(\"" + r->text() + "\")");
    if (const value* v = test_boxed(L_, index)) return add(v->print(2, room()));
    if (is_null(L_, index)) return add("null");
    if (is_any(L_, index)) return add("any");
    add(luaL_tolstring(L_, index, nullptr));
    lua_pop(L_, 1);
  }

  struct named_key {
    int order;
    lua_Number number;
    std::string text;
    int reference;  // where the key stands on the stack of keys
  };

  void table(int index, int depth) {
    const void* identity = lua_topointer(L_, index);
    if (depth == 0 || std::ranges::find(open_, identity) != open_.end()) return add(ellipsis);
    open_.push_back(identity);
    if (is_map(L_, index)) add("map");
    add("{");
    const auto length = static_cast<lua_Integer>(lua_rawlen(L_, index));
    bool first = true;
    for (lua_Integer i = 1; i <= length && !full_; ++i) {
      separate(first);
      lua_rawgeti(L_, index, i);
      show(-1, depth - 1);
      lua_pop(L_, 1);
    }
    fields(index, depth, length, first);
    add("}");
    open_.pop_back();
  }

  void separate(bool& first) {
    if (!first) add(", ");
    first = false;
  }

  // What is not in the list part, sorted: numbers, then texts, then the rest as it comes.
  void fields(int index, int depth, lua_Integer length, bool& first) {
    std::vector<named_key> keys;
    lua_newtable(L_);
    const int kept = lua_gettop(L_);
    lua_pushnil(L_);
    while (lua_next(L_, index)) {
      lua_pop(L_, 1);
      if (lua_isinteger(L_, -1) && lua_tointeger(L_, -1) >= 1 && lua_tointeger(L_, -1) <= length) continue;
      if (keys.size() * 4 > width_) {  // more than can be shown
        lua_pop(L_, 1);
        break;
      }
      named_key key{2, 0, {}, static_cast<int>(keys.size()) + 1};
      if (lua_type(L_, -1) == LUA_TNUMBER) key = {0, lua_tonumber(L_, -1), {}, key.reference};
      if (lua_type(L_, -1) == LUA_TSTRING) key = {1, 0, lua_tostring(L_, -1), key.reference};
      keys.push_back(std::move(key));
      lua_pushvalue(L_, -1);
      lua_rawseti(L_, kept, static_cast<lua_Integer>(keys.size()));
    }
    std::ranges::stable_sort(keys, [](const named_key& a, const named_key& b) {
      if (a.order != b.order) return a.order < b.order;
      if (a.order == 0) return a.number < b.number;
      return a.text < b.text;
    });
    for (const named_key& key : keys) {
      if (full_) break;
      separate(first);
      lua_rawgeti(L_, kept, key.reference);
      show_key(-1, depth);
      add(" = ");
      lua_rawget(L_, index);
      show(-1, depth - 1);
      lua_pop(L_, 1);
    }
    lua_settop(L_, kept - 1);
  }

  void show_key(int index, int depth) {
    if (lua_type(L_, index) == LUA_TSTRING) {
      std::size_t size = 0;
      const char* data = lua_tolstring(L_, index, &size);
      // A value knows which names need brackets and quotes: {name = true} or {["a b"] = true}.
      const std::string shown =
          map_of({{std::string_view(data, std::min(size, room() + 1)), value(true)}}).print(2, width_);
      constexpr std::string_view after = " = true}";
      return add(shown.ends_with(after) ? std::string_view(shown).substr(1, shown.size() - 1 - after.size())
                                        : ellipsis);
    }
    add("[");
    show(index, depth - 1);
    add("]");
  }

  lua_State* L_;
  const std::size_t width_;
  std::string out_;
  std::vector<const void*> open_;
  bool full_ = false;
};

}  // namespace

std::string inspect(lua_State* L, int index, int depth, std::size_t width) {
  inspector shown(L, width);
  shown.show(index, depth);
  return std::move(shown).finish();
}

std::string display(lua_State* L, int index) {
  index = lua_absindex(L, index);
  if (lua_istable(L, index)) {
    if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL) return inspect(L, index);
    lua_pop(L, 1);
  } else if (is_null(L, index) || is_any(L, index)) {
    return inspect(L, index);
  }
  std::size_t size = 0;
  const char* text = luaL_tolstring(L, index, &size);
  std::string out(text, size);
  lua_pop(L, 1);
  return out;
}

std::string error_text(lua_State* L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) return lua_tostring(L, index);
  return display(L, index);
}

}  // namespace troupe::internal
