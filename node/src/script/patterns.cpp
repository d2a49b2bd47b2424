// string.find, match, gmatch and gsub: Lua 5.4's patterns, with a bound.
//
// The library's own matcher backtracks in C, for years with a short pattern, and nothing can interrupt it. This one is
// the same, choice by choice and error by error, and counts its steps: it looks at the world every `look_after` of
// them, gives up when one call needs far more than its subject is long, and what it did is charged as instructions.
// tests/unit/script/patterns_test.cpp compares it with the library's on random patterns.
#include <array>
#include <cctype>
#include <cstring>

#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

namespace troupe::internal {
namespace {

constexpr char escape = '%';
constexpr int most_captures = 32;
constexpr int most_nested = 200;  // calls of `match` within each other
constexpr std::int64_t look_after = 10'000;
constexpr std::int64_t steps_free =
    20'000'000;                              // of one call, on any subject; as many instructions as Lua code in C has
constexpr std::int64_t steps_per_byte = 32;  // and these for each byte of it

using text = const char*;

unsigned char byte_at(text at) { return static_cast<unsigned char>(*at); }

// Subject and pattern are strings that Lua holds while this lives: each ends with a zero byte, which may be read.
class matcher {
 public:
  matcher(text subject, std::size_t size, text pattern, std::size_t pattern_size)
      : subject_(subject),
        end_(subject + size),
        pattern_end_(pattern + pattern_size),
        left_(steps_free + steps_per_byte * static_cast<std::int64_t>(size)) {}

  // The end of a match that begins at `s`, or nullptr.
  text match_at(lua_State* L, text s, text pattern) {
    L_ = L;
    level_ = 0;
    nested_ = most_nested;
    return match(s, pattern);
  }
  // Steps that are not told yet become the machine's.
  void settle() noexcept {
    if (L_) lua_machine::of(L_).charge(L_, static_cast<std::size_t>(std::exchange(untold_, 0)));
  }
  void begin(lua_State* L) noexcept { L_ = L; }
  // For a call that goes on from where another one stopped.
  void refill() noexcept { left_ = steps_free + steps_per_byte * (end_ - subject_); }

  [[nodiscard]] int captures(text whole) const noexcept { return level_ == 0 && whole ? 1 : level_; }
  int push_captures(text s, text e) {
    const int count = captures(s);
    luaL_checkstack(L_, count, "too many captures");
    for (int i = 0; i < count; ++i) push_capture(i, s, e);
    return count;
  }
  void push_capture(int number, text s, text e) {
    text from = nullptr;
    const std::ptrdiff_t size = capture(number, s, e, from);
    if (size != position) lua_pushlstring(L_, from, static_cast<std::size_t>(size));
  }
  // A capture's text, or the whole match; a position is pushed and its size is `position`.
  std::ptrdiff_t capture(int number, text s, text e, text& from) {
    if (number >= level_) {
      if (number != 0) luaL_error(L_, "invalid capture index %%%d", number + 1);
      from = s;
      return e - s;
    }
    const auto& [start, size] = captures_[static_cast<std::size_t>(number)];
    from = start;
    if (size == unfinished) luaL_error(L_, "unfinished capture");
    if (size == position) lua_pushinteger(L_, (start - subject_) + 1);
    return size;
  }

  static constexpr std::ptrdiff_t unfinished = -1;
  static constexpr std::ptrdiff_t position = -2;

 private:
  void step() {
    if (++untold_ < look_after) return;
    left_ -= untold_;
    lua_machine::of(L_).check_long_call(L_, static_cast<std::size_t>(std::exchange(untold_, 0)));
    if (left_ < 0) luaL_error(L_, "the pattern backtracks too long on this text");
  }

  int check_capture(int digit) {
    const int number = digit - '1';
    if (number < 0 || number >= level_ || captures_[static_cast<std::size_t>(number)].size == unfinished)
      luaL_error(L_, "invalid capture index %%%d", number + 1);
    return number;
  }
  int capture_to_close() {
    for (int i = level_ - 1; i >= 0; --i) {
      if (captures_[static_cast<std::size_t>(i)].size == unfinished) return i;
    }
    return luaL_error(L_, "invalid pattern capture");
  }

  // Behind the item of the pattern at `p`.
  text class_end(text p) {
    switch (*p++) {
      case escape:
        if (p == pattern_end_) luaL_error(L_, "malformed pattern (ends with '%%')");
        return p + 1;
      case '[':
        if (*p == '^') ++p;
        do {
          if (p == pattern_end_) luaL_error(L_, "malformed pattern (missing ']')");
          if (*p++ == escape && p < pattern_end_) ++p;
        } while (*p != ']');
        return p + 1;
      default: return p;
    }
  }

  static bool in_class(int c, int cls) {
    bool fits = false;
    switch (std::tolower(cls)) {
      case 'a': fits = std::isalpha(c) != 0; break;
      case 'c': fits = std::iscntrl(c) != 0; break;
      case 'd': fits = std::isdigit(c) != 0; break;
      case 'g': fits = std::isgraph(c) != 0; break;
      case 'l': fits = std::islower(c) != 0; break;
      case 'p': fits = std::ispunct(c) != 0; break;
      case 's': fits = std::isspace(c) != 0; break;
      case 'u': fits = std::isupper(c) != 0; break;
      case 'w': fits = std::isalnum(c) != 0; break;
      case 'x': fits = std::isxdigit(c) != 0; break;
      case 'z': fits = c == 0; break;  // deprecated, and there
      default: return cls == c;
    }
    return std::isupper(cls) ? !fits : fits;
  }
  // `p` is at the '[', `last` at its ']'.
  static bool in_set(int c, text p, text last) {
    bool wanted = true;
    if (p[1] == '^') {
      wanted = false;
      ++p;
    }
    while (++p < last) {
      if (*p == escape) {
        ++p;
        if (in_class(c, byte_at(p))) return wanted;
      } else if (p[1] == '-' && p + 2 < last) {
        p += 2;
        if (byte_at(p - 2) <= c && c <= byte_at(p)) return wanted;
      } else if (byte_at(p) == c) {
        return wanted;
      }
    }
    return !wanted;
  }
  bool fits_one(text s, text p, text p_end) {
    step();
    if (s >= end_) return false;
    const int c = byte_at(s);
    switch (*p) {
      case '.': return true;
      case escape: return in_class(c, byte_at(p + 1));
      case '[': untold_ += (p_end - p) / 8; return in_set(c, p, p_end - 1);
      default: return byte_at(p) == c;
    }
  }

  text match_balance(text s, text p) {
    if (p >= pattern_end_ - 1) luaL_error(L_, "malformed pattern (missing arguments to '%%b')");
    if (*s != *p) return nullptr;
    int open = 1;
    while (++s < end_) {
      step();
      if (*s == p[1]) {
        if (--open == 0) return s + 1;
      } else if (*s == *p) {
        ++open;
      }
    }
    return nullptr;
  }
  text max_expand(text s, text p, text p_end) {
    std::ptrdiff_t count = 0;
    while (fits_one(s + count, p, p_end)) ++count;
    for (; count >= 0; --count) {
      if (text found = match(s + count, p_end + 1)) return found;
    }
    return nullptr;
  }
  text min_expand(text s, text p, text p_end) {
    for (;;) {
      if (text found = match(s, p_end + 1)) return found;
      if (!fits_one(s, p, p_end)) return nullptr;
      ++s;
    }
  }
  text start_capture(text s, text p, std::ptrdiff_t what) {
    if (level_ >= most_captures) luaL_error(L_, "too many captures");
    captures_[static_cast<std::size_t>(level_++)] = {s, what};
    text found = match(s, p);
    if (!found) --level_;
    return found;
  }
  text end_capture(text s, text p) {
    auto& closed = captures_[static_cast<std::size_t>(capture_to_close())];
    closed.size = s - closed.start;
    text found = match(s, p);
    if (!found) closed.size = unfinished;
    return found;
  }
  text match_capture(text s, int digit) {
    const auto& [start, length] = captures_[static_cast<std::size_t>(check_capture(digit))];
    const auto size = static_cast<std::size_t>(length);
    if (static_cast<std::size_t>(end_ - s) < size || std::memcmp(start, s, size) != 0) return nullptr;
    untold_ += static_cast<std::int64_t>(size / lua_machine::charged_bytes);
    return s + size;
  }
  // %f[set]: between a byte that is not in the set and one that is. Behind it, or nullptr.
  text frontier(text s, text p) {
    if (*p != '[') luaL_error(L_, "missing '[' after '%%f' in pattern");
    text p_end = class_end(p);
    untold_ += (p_end - p) / 8;
    const int before = s == subject_ ? 0 : byte_at(s - 1);
    return !in_set(before, p, p_end - 1) && in_set(byte_at(s), p, p_end - 1) ? p_end : nullptr;
  }

  text match(text s, text p) {
    step();
    if (nested_-- == 0) luaL_error(L_, "pattern too complex");
    while (s && p != pattern_end_) {
      if (*p == '(') {
        s = p[1] == ')' ? start_capture(s, p + 2, position) : start_capture(s, p + 1, unfinished);
        break;
      }
      if (*p == ')') {
        s = end_capture(s, p + 1);
        break;
      }
      if (*p == '$' && p + 1 == pattern_end_) {
        if (s != end_) s = nullptr;
        break;
      }
      if (*p == escape && p[1] == 'b') {
        s = match_balance(s, p + 2);
        p += 4;
      } else if (*p == escape && p[1] == 'f') {
        text behind = frontier(s, p + 2);
        if (!behind) s = nullptr;
        else p = behind;
      } else if (*p == escape && std::isdigit(byte_at(p + 1))) {
        s = match_capture(s, byte_at(p + 1));
        p += 2;
      } else if (text done = nullptr; match_item(s, p, done)) {
        s = done;
        break;
      }
    }
    ++nested_;
    return s;
  }
  // One item with what follows it. True: `done` is the end of the whole match, or nullptr. False: s and p are where the
  // match goes on.
  bool match_item(text& s, text& p, text& done) {
    text behind = class_end(p);
    const bool fits = fits_one(s, p, behind);
    switch (*behind) {
      case '?':
        if (fits && (done = match(s + 1, behind + 1))) return true;
        p = behind + 1;
        return false;
      case '+': done = fits ? max_expand(s + 1, p, behind) : nullptr; return true;
      case '*':
        if (fits) {
          done = max_expand(s, p, behind);
          return true;
        }
        p = behind + 1;
        return false;
      case '-':
        if (fits) {
          done = min_expand(s, p, behind);
          return true;
        }
        p = behind + 1;
        return false;
      default:
        if (!fits) return true;
        ++s;
        p = behind;
        return false;
    }
  }

  struct captured {
    text start = nullptr;
    std::ptrdiff_t size = 0;
  };
  lua_State* L_ = nullptr;
  text subject_, end_, pattern_end_;
  std::int64_t left_;         // steps
  std::int64_t untold_ = 0;   // steps since the machine was told
  int nested_ = most_nested;  // how many more calls of `match`
  int level_ = 0;
  std::array<captured, most_captures> captures_;
};

// From 1; a negative one counts from the end.
std::size_t start_position(lua_Integer given, std::size_t size) {
  if (given > 0) return static_cast<std::size_t>(given);
  if (given == 0 || given < -static_cast<lua_Integer>(size)) return 1;
  return size + static_cast<std::size_t>(given + 1);
}

bool is_plain(text pattern, std::size_t size) {
  return std::string_view(pattern, size).find_first_of("^$*+?.([%-") == std::string_view::npos;
}

int find_plain(lua_State* L, std::string_view subject, std::string_view what, std::size_t from) {
  const std::size_t at = subject.find(what, from);
  lua_machine::of(L).charge(L, ((at == std::string_view::npos ? subject.size() : at) - from) / 8);
  if (at == std::string_view::npos) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, static_cast<lua_Integer>(at + 1));
  lua_pushinteger(L, static_cast<lua_Integer>(at + what.size()));
  return 2;
}

int look_for(lua_State* L, bool find) {
  std::size_t size = 0;
  std::size_t pattern_size = 0;
  text subject = luaL_checklstring(L, 1, &size);
  text pattern = luaL_checklstring(L, 2, &pattern_size);
  const std::size_t from = start_position(luaL_optinteger(L, 3, 1), size) - 1;
  if (from > size) {
    lua_pushnil(L);
    return 1;
  }
  if (find && (lua_toboolean(L, 4) || is_plain(pattern, pattern_size)))
    return find_plain(L, {subject, size}, {pattern, pattern_size}, from);
  matcher m(subject, size, pattern, pattern_size);
  const bool anchored = *pattern == '^';
  if (anchored) ++pattern;
  for (text s = subject + from; s <= subject + size; ++s) {
    if (text e = m.match_at(L, s, pattern)) {
      m.settle();
      if (!find) return m.push_captures(s, e);
      lua_pushinteger(L, (s - subject) + 1);
      lua_pushinteger(L, e - subject);
      return m.push_captures(nullptr, nullptr) + 2;
    }
    if (anchored) break;
  }
  m.settle();
  lua_pushnil(L);
  return 1;
}
int find(lua_State* L) { return look_for(L, true); }
int match(lua_State* L) { return look_for(L, false); }

// -- gmatch: an iterator whose upvalues are the subject, the pattern and this

struct iteration {
  matcher m;
  text at, end, pattern;
  text last = nullptr;  // end of the last match
};

int next_match(lua_State* L) {
  auto& it = *static_cast<iteration*>(lua_touserdata(L, lua_upvalueindex(3)));
  it.m.begin(L);
  it.m.refill();
  for (text s = it.at; s <= it.end; ++s) {
    text e = it.m.match_at(L, s, it.pattern);
    if (!e || e == it.last) continue;
    it.m.settle();
    it.at = it.last = e;
    return it.m.push_captures(s, e);
  }
  it.m.settle();
  return 0;
}
int gmatch(lua_State* L) {
  std::size_t size = 0;
  std::size_t pattern_size = 0;
  text subject = luaL_checklstring(L, 1, &size);
  text pattern = luaL_checklstring(L, 2, &pattern_size);
  const std::size_t from = std::min(start_position(luaL_optinteger(L, 3, 1), size) - 1, size + 1);
  lua_settop(L, 2);
  ::new (lua_newuserdatauv(L, sizeof(iteration), 0))
      iteration{matcher(subject, size, pattern, pattern_size), subject + from, subject + size, pattern};
  lua_pushcclosure(L, &guarded<next_match>, 3);
  return 1;
}

// -- gsub

// Adds what a replacement string says for the match s to e.
void add_template(lua_State* L, matcher& m, luaL_Buffer* out, text s, text e) {
  std::size_t size = 0;
  text news = lua_tolstring(L, 3, &size);
  text end = news + size;
  for (;;) {
    const auto* p = static_cast<text>(std::memchr(news, escape, static_cast<std::size_t>(end - news)));
    if (!p) break;
    luaL_addlstring(out, news, static_cast<std::size_t>(p - news));
    ++p;
    if (*p == escape) {
      luaL_addchar(out, *p);
    } else if (*p == '0') {
      luaL_addlstring(out, s, static_cast<std::size_t>(e - s));
    } else if (std::isdigit(byte_at(p))) {
      text from = nullptr;
      const std::ptrdiff_t length = m.capture(*p - '1', s, e, from);
      if (length == matcher::position) luaL_addvalue(out);
      else luaL_addlstring(out, from, static_cast<std::size_t>(length));
    } else {
      luaL_error(L, "invalid use of '%c' in replacement string", escape);
    }
    news = p + 1;
  }
  luaL_addlstring(out, news, static_cast<std::size_t>(end - news));
}

// Adds the replacement; false: the match stays as it is.
bool add_replacement(lua_State* L, matcher& m, luaL_Buffer* out, text s, text e, int kind) {
  if (kind == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, m.push_captures(s, e), 1);
  } else if (kind == LUA_TTABLE) {
    m.push_capture(0, s, e);
    lua_gettable(L, 3);
  } else {
    add_template(L, m, out, s, e);
    return true;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(out, s, static_cast<std::size_t>(e - s));
    return false;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(out);
  return true;
}

int gsub(lua_State* L) {
  std::size_t size = 0;
  std::size_t pattern_size = 0;
  text s = luaL_checklstring(L, 1, &size);
  text pattern = luaL_checklstring(L, 2, &pattern_size);
  text end = s + size;
  text last = nullptr;
  const int kind = lua_type(L, 3);
  const lua_Integer most = luaL_optinteger(L, 4, static_cast<lua_Integer>(size) + 1);
  luaL_argexpected(L, kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION || kind == LUA_TTABLE, 3,
                   "string/function/table");
  matcher m(s, size, pattern, pattern_size);
  const bool anchored = *pattern == '^';
  if (anchored) ++pattern;
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  bool changed = false;
  lua_Integer count = 0;
  while (count < most) {
    text e = m.match_at(L, s, pattern);
    if (e && e != last) {
      ++count;
      changed = add_replacement(L, m, &out, s, e, kind) || changed;
      s = last = e;
    } else if (s < end) {
      luaL_addchar(&out, *s++);
    } else {
      break;
    }
    if (anchored) break;
  }
  m.settle();
  if (!changed) {
    lua_pushvalue(L, 1);
  } else {
    luaL_addlstring(&out, s, static_cast<std::size_t>(end - s));
    luaL_pushresult(&out);
  }
  lua_pushinteger(L, count);
  return 2;
}

}  // namespace

void open_patterns(lua_State* L) {
  lua_getglobal(L, "string");
  set_functions(
      L,
      {{"find", &guarded<find>}, {"match", &guarded<match>}, {"gmatch", &guarded<gmatch>}, {"gsub", &guarded<gsub>}});
  lua_pop(L, 1);
}

}  // namespace troupe::internal
