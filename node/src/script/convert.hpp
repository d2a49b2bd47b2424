#pragma once
// Values of messages and values of Lua. What maps to what is written for users in node/SHELL.md, "Values".
#include <string>
#include <string_view>

#include <troupe/value.hpp>

#include "script/arguments.hpp"

#include <lua.hpp>

namespace troupe::internal {

// The userdata that stand for what Lua has no type for. `boxed` holds bytes and unknown extensions.
inline constexpr const char* pid_type = "pid";
inline constexpr const char* ref_type = "ref";
inline constexpr const char* boxed_type = "bytes";
inline constexpr const char* map_mark = "map";  // the metatable of a table that is a map though its keys do not say so

void open_values(lua_State* L);  // makes the types and the globals pid, ref, bytes, map, null, any

void push_text(lua_State* L, std::string_view text);
void push_value(lua_State* L, const value& v);
void push_pid(lua_State* L, pid p);
void push_ref(lua_State* L, ref r);

// Raise an error that names the place: "item 2.name: a function cannot be part of a message".
[[nodiscard]] value to_value(lua_State* L, int index);
// The same for what is sent: {"tag", {}} has an empty map as its second item, as messages of C++ want it.
[[nodiscard]] value to_message(lua_State* L, int index);

[[nodiscard]] const pid* test_pid(lua_State* L, int index);
[[nodiscard]] const ref* test_ref(lua_State* L, int index);
[[nodiscard]] const value* test_boxed(lua_State* L, int index);
[[nodiscard]] bool is_null(lua_State* L, int index);
[[nodiscard]] bool is_any(lua_State* L, int index);
[[nodiscard]] bool is_map(lua_State* L, int index);  // marked as one
[[nodiscard]] pid check_pid(lua_State* L, int index);
[[nodiscard]] ref check_ref(lua_State* L, int index);
// A time in milliseconds; nothing gives `otherwise`, math.huge waits for ever.
[[nodiscard]] std::int64_t check_milliseconds(lua_State* L, int index);

}  // namespace troupe::internal
