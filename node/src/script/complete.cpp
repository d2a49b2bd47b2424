// Completion: names of globals, fields, offered functions, and inside quotes registered processes and nodes.
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/portable.hpp"

#include <troupe/cluster.hpp>
#include <troupe/node.hpp>

#include <algorithm>
#include <set>

namespace troupe::internal {
namespace {

constexpr std::size_t item_limit = 500;

// Where the string that is open at the end of the line begins; npos outside of strings.
std::size_t open_string(const std::string& line) {
  std::size_t begin = std::string::npos;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (quote) {
      if (line[i] == '\\') ++i;
      else if (line[i] == quote) quote = 0;
    } else if (line[i] == '"' || line[i] == '\'') {
      quote = line[i];
      begin = i + 1;
    }
  }
  return quote ? begin : std::string::npos;
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == ':';
}

// "exercise.ca" and the entry exercise.calculator.push give "exercise.calculator".
void add_offered(const catalogue& offers, const std::string& word, std::set<std::string>& out) {
  for (const catalogue_entry* entry : offers.entries(word)) {
    if (!entry->name.starts_with(word)) continue;
    out.insert(entry->name.substr(0, entry->name.find('.', word.size())));
  }
}

void add_keys(lua_State* L, const std::string& before, const std::string& start, std::set<std::string>& out) {
  lua_pushnil(L);
  while (out.size() < item_limit && lua_next(L, -2)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) continue;
    std::string key = lua_tostring(L, -1);
    if (key.starts_with(start) &&
        std::ranges::all_of(key, [](char c) { return is_name_character(c) && c != '.' && c != ':'; })) {
      out.insert(before + key);
    }
  }
}

}  // namespace

std::vector<std::string> complete(lua_State* L, const std::string& line, std::string& word) {
  const troupe::node& home = lua_machine::of(L).self().node();
  std::set<std::string> out;
  if (const auto begin = open_string(line); begin != std::string::npos) {
    word = line.substr(begin);
    for (const auto& [name, who] : home.registered()) {
      if (name.starts_with(word)) out.insert(name);
    }
    for (const std::string& name : nodes(home)) {
      if (name.starts_with(word)) out.insert(name);
    }
    if (home.name().starts_with(word)) out.insert(home.name());
    add_offered(home.offers(), word, out);
    return {out.begin(), out.end()};
  }
  auto begin = line.size();
  while (begin > 0 && is_name_character(line[begin - 1])) --begin;
  word = line.substr(begin);
  if (!word.empty() && word.front() >= '0' && word.front() <= '9') return {};

  const auto dot = word.find_last_of(".:");
  const std::string before = dot == std::string::npos ? "" : word.substr(0, dot + 1);
  const std::string start = word.substr(before.size());
  luaL_checkstack(L, 6, nullptr);
  const int top = lua_gettop(L);
  lua_pushglobaltable(L);
  // Fields are read raw: completing a line runs no code of anybody.
  for (std::size_t at = 0; at < before.size() && lua_istable(L, -1);) {
    const auto end = before.find_first_of(".:", at);
    push_text(L, std::string_view(before).substr(at, end - at));
    lua_rawget(L, -2);
    at = end + 1;
  }
  if (lua_istable(L, -1)) add_keys(L, before, start, out);
  lua_settop(L, top);
  add_offered(home.offers(), word, out);
  return {out.begin(), out.end()};
}

}  // namespace troupe::internal
