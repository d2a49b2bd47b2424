#pragma once
// Lua 5.4 inside a node: the language of the shell. What Lua code can call is listed in node/SHELL.md.
//     auto seven = co_await script::evaluate(self, "return 3 + 4");            // result<value>
// Lua code runs in a process: it is preempted, it waits like any other, it has a memory limit, and what it does wrong
// ends that evaluation alone.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/catalogue.hpp>
#include <troupe/message.hpp>
#include <troupe/process.hpp>

namespace troupe::script {

struct limits {
  std::size_t memory = std::size_t{64} << 20;  // bytes of one Lua state
  duration time = wait_forever;                // of one evaluation, its waits included
};

// Runs `source`, an expression or statements, in a Lua state of its own inside the calling process; `arguments` is what
// `...` gives. Completes with the first value returned (nil when there is none). Errors: bad_argument (syntax),
// exception (an error in Lua; the text is its message), too_large (memory), timeout, bad_message (a result that is no
// value).
[[nodiscard]] task<result<value>> evaluate(process& self, std::string source, list arguments = {}, limits budget = {});

// The label of the process that evaluates what is typed into a session.
inline constexpr std::string_view evaluator_label = "shell evaluator";

// -- the messages of a session --------------------------------------------------------------------------------------
// A tool spawns the catalogue's process `troupe.lua` with {terminal = pid}: a session, whose variables persist. What it
// prints goes to `terminal` as "io.put" (<troupe/io.hpp>), and a printer that is fast waits until the terminal has
// answered an "io.sync"; the answers below go there too. The session ends when the terminal ends; processes spawned
// from it live on. Evaluations run one at a time, in the order in which they came.

struct lua_eval {
  std::int64_t id = 0;
  std::string source;
  TROUPE_MESSAGE(lua_eval, "lua.eval", id, source)
};
struct lua_result {
  std::int64_t id = 0;
  bool ok = false;
  bool incomplete = false;  // the source stops in the middle: ask for another line and send all of it again
  std::string text;         // what it returned, as it can be typed back; empty when nothing
  std::string error;
  TROUPE_MESSAGE(lua_result, "lua.result", id, ok, incomplete, text, error)
};
struct lua_complete {
  std::int64_t id = 0;
  std::string line;  // up to the cursor
  TROUPE_MESSAGE(lua_complete, "lua.complete", id, line)
};
struct lua_completions {
  std::int64_t id = 0;
  std::string word;                // the end of the line that the items replace
  std::vector<std::string> items;  // sorted
  TROUPE_MESSAGE(lua_completions, "lua.completions", id, word, items)
};
// Ends the running evaluation, whatever it does (Ctrl-C); its result is the error "interrupted". Nothing when none
// runs.
struct lua_interrupt {
  std::int64_t id = 0;  // 0: whichever runs
  TROUPE_MESSAGE(lua_interrupt, "lua.interrupt", id)
};

}  // namespace troupe::script

namespace troupe {

// Adds the process `troupe.lua`, which is also what runs functions of Lua that other nodes spawn here, and the function
// `troupe.lua_call`, by which they call functions of Lua's library.
void offer_script(catalogue& offers);

}  // namespace troupe
