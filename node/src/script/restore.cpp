// The way back of portable.hpp: an image becomes tables and functions again, and how it travels.
#include "script/portable.hpp"

#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/ship.hpp"

#include <troupe/wire.hpp>

namespace troupe::internal {
namespace {

// An image is bounded by the message that it came in; this is what its parts may be.
constexpr limits image_limits{.value_nodes = std::size_t{1} << 21, .depth = 128};

class restorer {
 public:
  restorer(lua_State* L, const value& image)
      : L_(L),
        objects_(list_at(image, "objects")),
        boxes_(list_at(image, "boxes")),
        globals_(list_at(image, "globals")) {
    const value* root = image.find("root");
    if (!root) malformed("no root");
    root_ = root;
  }

  void restore() {
    luaL_checkstack(L_, 12, nullptr);
    lua_newtable(L_);
    made_ = lua_gettop(L_);
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      const list& one = object(i);
      if (is_table(one)) lua_newtable(L_);
      else load(one);
      lua_rawseti(L_, made_, static_cast<lua_Integer>(i + 1));
    }
    owners_.resize(boxes_.size());
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      const list& one = object(i);
      lua_rawgeti(L_, made_, static_cast<lua_Integer>(i + 1));
      if (is_table(one)) fill(one);
      else close_over(one, static_cast<lua_Integer>(i + 1));
      lua_pop(L_, 1);
    }
    for (const value& global : globals_) {
      const list* pair = global.items();
      if (!pair || pair->size() != 2 || !(*pair)[0].text()) malformed("a global");
      push((*pair)[1]);
      lua_setglobal(L_, (*pair)[0].text()->c_str());
    }
    push(*root_);
    lua_replace(L_, made_);
  }

 private:
  [[noreturn]] void malformed(const char* what) const {
    raise(L_, error(errc::bad_message, std::string("a copied function is malformed: ") + what));
  }

  const list& list_at(const value& image, const char* key) const {
    const value* found = image.find(key);
    if (!found || !found->items()) malformed(key);
    return *found->items();
  }

  // {"table", metatable, …} or {"function", bytecode, …}.
  const list& object(std::size_t number) const {
    const list* one = objects_[number].items();
    if (!one || one->size() < 2 || !(*one)[0].text()) malformed("an object");
    return *one;
  }
  static bool is_table(const list& one) { return *one[0].text() == "table"; }

  std::size_t number_below(const value& given, std::size_t limit) const {
    const auto number = given.integer();
    if (!number || *number < 0 || static_cast<std::uint64_t>(*number) >= limit) malformed("a number");
    return static_cast<std::size_t>(*number);
  }

  const std::string& text_of(const list& parts) const {
    if (parts.size() < 2 || !parts[1].text()) malformed("a name");
    return *parts[1].text();
  }

  void load(const list& one) {
    const bytes* code = one[1].binary();
    if (*one[0].text() != "function" || !code) malformed("an object");
    if (luaL_loadbufferx(L_, reinterpret_cast<const char*>(code->data()), code->size(), "=spawned", "b") != LUA_OK)
      lua_error(L_);
  }

  void fill(const list& one) {
    for (std::size_t k = 2; k + 1 < one.size(); k += 2) {
      push(one[k]);
      push(one[k + 1]);
      if (usable_key(-2)) lua_rawset(L_, -3);
      else lua_pop(L_, 2);
    }
    if (one[1].is_nil()) return;
    const list* mark = one[1].items();
    if (mark && !mark->empty() && (*mark)[0] == value("map")) {
      luaL_setmetatable(L_, map_mark);
      return;
    }
    push(one[1]);
    if (lua_istable(L_, -1)) lua_setmetatable(L_, -2);
    else lua_pop(L_, 1);
  }

  // Not a key that could not be copied, and no finalizer: nothing could interrupt it.
  bool usable_key(int index) {
    if (lua_isnil(L_, index)) return false;
    if (lua_type(L_, index) == LUA_TNUMBER) return lua_tonumber(L_, index) == lua_tonumber(L_, index);
    return lua_type(L_, index) != LUA_TSTRING || std::string_view(lua_tostring(L_, index)) != "__gc";
  }

  int captured_by(int function) {
    lua_Debug about{};
    lua_pushvalue(L_, function);
    lua_getinfo(L_, ">u", &about);
    return about.nups;
  }

  // The first function that uses a variable owns it, later ones join it.
  void close_over(const list& one, lua_Integer self) {
    if (one.size() - 2 != static_cast<std::size_t>(captured_by(-1))) malformed("captured variables");
    for (std::size_t k = 2; k < one.size(); ++k) {
      const std::size_t box = number_below(one[k], boxes_.size());
      const int number = static_cast<int>(k - 1);
      auto& [function, upvalue] = owners_[box];
      if (function == 0) {
        push(boxes_[box]);
        lua_setupvalue(L_, -2, number);
        function = self;
        upvalue = number;
      } else {
        lua_rawgeti(L_, made_, function);
        lua_upvaluejoin(L_, -2, number, -1, upvalue);
        lua_pop(L_, 1);
      }
    }
  }

  void push(const value& item) {
    if (const bytes* raw = item.binary()) {
      lua_pushlstring(L_, reinterpret_cast<const char*>(raw->data()), raw->size());
      return;
    }
    const list* parts = item.items();
    if (!parts) return push_value(L_, item);
    if (parts->empty() || !(*parts)[0].text()) malformed("an item");
    const std::string& kind = *(*parts)[0].text();
    if (kind == "object") {
      if (parts->size() < 2) malformed("an object's number");
      lua_rawgeti(L_, made_, static_cast<lua_Integer>(number_below((*parts)[1], objects_.size())) + 1);
    } else if (kind == "globals") {
      lua_pushglobaltable(L_);
    } else if (kind == "library") {
      if (!push_library(L_, text_of(*parts))) lua_pushnil(L_);
    } else if (kind == "offered") {
      push_offered(L_, text_of(*parts));
    } else if (kind == "boxed") {
      if (parts->size() < 2) malformed("a value");
      push_value(L_, (*parts)[1]);
    } else if (kind == "null" || kind == "any") {
      if (!push_library(L_, kind)) lua_pushnil(L_);
    } else {
      lua_pushnil(L_);  // "nothing", or what a later version knows
    }
  }

  lua_State* L_;
  const list& objects_;
  const list& boxes_;
  const list& globals_;
  const value* root_ = nullptr;
  int made_ = 0;
  std::vector<std::pair<lua_Integer, int>> owners_;
};

}  // namespace

void copy_in(lua_State* L, const value& image) { restorer(L, image).restore(); }

value ship(const value& image) {
  wire_buffer out;
  wire_sink(out).put_value(image);
  return map_of({{"lua", LUA_RELEASE}, {"code", value(std::move(out).take())}});
}

result<void> check_shipped(const value& shipped) {
  const value* release = shipped.find("lua");
  const value* code = shipped.find("code");
  if (!release || !release->text() || !code || !code->binary())
    return error(errc::bad_argument, "a function of Lua expected: {lua = its release, code = bytes}");
  if (*release->text() != LUA_RELEASE) {
    return error(errc::unsupported, "the function is of " + *release->text() +
                                        ", and this node has " LUA_RELEASE
                                        ": functions travel between nodes of the same release of Lua alone");
  }
  return {};
}

result<value> unship(const value& shipped) {
  if (auto good = check_shipped(shipped); !good) return good.error();
  wire_source in(*shipped.find("code")->binary(), image_limits);
  value out;
  if (!in.read_value(out)) return in.failure();
  if (!in.at_end()) return error(errc::bad_message, "bytes follow the function");
  return result<value>(std::move(out));
}

}  // namespace troupe::internal
