#pragma once
// Functions and data of one Lua state, copied to another: what `spawn(function() … end)` does, near and far.
//
// A copy is a `value`, so that it can travel. Tables and functions keep their identity within one copy: cycles, nested
// functions and variables shared by two closures stay as they were. Functions of the library go by name. Globals that a
// function names and that the library does not have (in a shell, every variable) are copied with it, where they can be.
// Refused: coroutines, and functions of C++ that have no name.
//
// An image is {root = item, objects = {object, …}, boxes = {item, …}, globals = {{name, item}, …}}. An object is
// {"table", metatable, key, value, …} or {"function", bytecode, number of a box, …}; a box is a captured variable. An
// item is a plain value or {"object", number}, {"library", name}, {"offered", name}, {"boxed", value}, {"globals"},
// {"map"}, {"null"}, {"any"}, {"nothing"}. Numbers count from 0.
#include <string_view>

#include <troupe/value.hpp>

#include <lua.hpp>

namespace troupe::internal {

// Notes what the library has put into the globals: by name ever after.
void remember_library(lua_State* L);
// Raises an error that says what cannot be copied.
[[nodiscard]] value copy_out(lua_State* L, int index);
// Pushes the copy; sets the globals that came with it. `image` comes from a copy_out of the same release of Lua, maybe
// by way of the network: what is not shaped as above raises an error. Bytecode is not verified, nothing can do that:
// only those may send it who may run anything here.
void copy_in(lua_State* L, const value& image);

// The name under which the library knows the function or table at `index`; nullptr when it does not. Valid while the
// state lives.
[[nodiscard]] const char* library_name(lua_State* L, int index);
// Pushes what the library has under a dotted name, "math.abs"; false, and nothing pushed, when it has nothing.
[[nodiscard]] bool push_library(lua_State* L, std::string_view name);
// Is this global the program's own, not the library's?
[[nodiscard]] bool is_own_global(lua_State* L, const char* name);

}  // namespace troupe::internal
