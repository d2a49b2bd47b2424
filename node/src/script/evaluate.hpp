#pragma once
// Source text to a thread that can be run, and what it returned.
#include "script/machine.hpp"

namespace troupe::internal {

struct prepared {
  lua_State* thread = nullptr;
  error failure;            // of the source: bad_argument
  bool incomplete = false;  // the source stops in the middle
};

// `source` is an expression or statements, as in Lua's own shell; `arguments` is what `...` gives.
[[nodiscard]] prepared prepare(lua_machine& m, const std::string& source, const list& arguments = {});
// The values that a run has left, as they can be typed back.
[[nodiscard]] result<std::string> results_text(lua_machine& m, lua_State* thread, int results);
[[nodiscard]] result<value> first_result(lua_machine& m, lua_State* thread, int results);
[[nodiscard]] result<value> all_results(lua_machine& m, lua_State* thread, int results);  // a list

}  // namespace troupe::internal
