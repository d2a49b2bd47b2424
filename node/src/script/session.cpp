// A shell's session: `troupe.lua`.
//
// Two processes. The front keeps the session: it talks with the terminal, holds the Lua state and ends with the
// terminal. The runner, linked to it, is what `self()` is in the shell: it evaluates one line at a time. When it is
// killed (by a link, by exit(self(), "kill")) the front starts another for the same state, so the variables stay, as in
// OTP's shell. Only the front sets and clears the request to stop, and it hands out a line when the last is answered: a
// late Ctrl-C never hits the line after. When the terminal is on another node a third process, linked to the front,
// passes on what is printed (relay.hpp).
#include "script/convert.hpp"
#include "script/evaluate.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"
#include "script/relay.hpp"
#include "script/ship.hpp"
#include "script/shipped.hpp"

#include "runtime/core.hpp"

#include <troupe/io.hpp>
#include <troupe/node.hpp>
#include <troupe/spawn.hpp>

#include <deque>

namespace troupe {
namespace internal {
namespace {

using script::lua_complete;
using script::lua_completions;
using script::lua_eval;
using script::lua_interrupt;
using script::lua_result;

struct line_done {
  std::int64_t id = 0;
  TROUPE_MESSAGE(line_done, "lua.line_done", id)
};

// -- the runner

task<lua_result> evaluate_line(process& self, lua_machine* m, lua_eval line) {
  lua_result out;
  out.id = line.id;
  const prepared ready = prepare(*m, line.source);
  if (!ready.thread) {
    out.incomplete = ready.incomplete;
    out.error = ready.failure.text();
    co_return out;
  }
  auto running = m->run(self, ready.thread, 0);
  const run_outcome outcome = co_await std::move(running);
  if (outcome.failure.code() != errc::none) {
    out.error = outcome.failure.text();
    co_return out;
  }
  auto text = results_text(*m, ready.thread, outcome.results);
  out.ok = text.has_value();
  if (text) out.text = std::move(*text);
  else out.error = text.error().text();
  co_return out;
}

lua_completions complete_line(lua_machine& m, const lua_complete& asked) {
  lua_completions out;
  out.id = asked.id;
  // Whatever goes wrong, there is just nothing to complete.
  static_cast<void>(protect(m.state(), [&](lua_State* L) { out.items = complete(L, asked.line, out.word); }));
  return out;
}

bool is_for_runner(const message& given, pid front) {
  const std::string tag = given.tag();
  if (tag == lua_eval::troupe_tag() || tag == lua_complete::troupe_tag()) return true;
  if (given.is_call() && tag == io_sync::troupe_tag()) return true;
  if (tag != "EXIT") return false;
  const value shown = given.to_value();
  const list* items = shown.items();
  return items && items->size() == 3 && (*items)[1].process() && *(*items)[1].process() == front;
}

// Who reads what a session says: the terminal gets its answers, and what is printed goes to the output. That is the
// terminal itself, or a relay.
struct audience {
  pid terminal, output;
};

// What was printed for a line stands before its answer.
task<> send_answer(process& self, audience to, lua_result answer) {
  if (to.output != to.terminal) {
    auto passing = wait_passed_on(self, to.output);
    co_await std::move(passing);
  }
  self.send(to.terminal, std::move(answer));
}

task<> run_lines(process& self, std::shared_ptr<lua_machine> machine, pid front, audience to) {
  // The state outlives this process; what waited for it does not.
  struct forget {
    lua_machine& machine;
    explicit forget(lua_machine& m) : machine(m) {}
    ~forget() { machine.forget_waits(); }
  };
  const forget at_end(*machine);
  self.set_label(std::string(script::evaluator_label));
  machine->attach(self);
  for (;;) {
    auto got = co_await self.receive_if([&front](const message& m) { return is_for_runner(m, front); }, wait_forever);
    if (!got) continue;
    if (auto* line = got->get<lua_eval>()) {
      auto running = evaluate_line(self, machine.get(), *line);
      lua_result answer = co_await std::move(running);
      const line_done done(answer.id);
      auto sending = send_answer(self, to, std::move(answer));
      co_await std::move(sending);
      self.send(front, done);
    } else if (auto* asked = got->get<lua_complete>()) {
      const line_done done(asked->id);
      self.send(to.terminal, complete_line(*machine, *asked));
      self.send(front, done);
    } else if (got->is_call()) {
      self.reply(*got, value());  // who prints to this process: its lines wait here, to be looked at by a receive
    } else {
      self.exit(exit_reason::shutdown());  // the front is gone
    }
  }
}

// -- the front

// Owner and thread: the front.
struct session {
  std::shared_ptr<lua_machine> machine;
  audience to;
  pid runner;
  std::deque<message> lines;  // lua_eval and lua_complete that wait for their turn
  bool busy = false;
  bool evaluates = false;    // what runs is a line, not a completion
  std::int64_t running = 0;  // its id

  session(std::shared_ptr<lua_machine> m, audience a) : machine(std::move(m)), to(a) {}

  void start_runner(process& self) {
    spawn_options how;
    how.link = true;
    auto made = try_spawn(self, std::move(how), &run_lines, machine, self.id(), to);
    // A node that stops before its shell has begun is no failure of the shell.
    if (!made && made.error() == errc::shutting_down) self.exit(exit_reason::shutdown());
    runner = made.or_exit().process;
  }

  void hand_out(process& self) {
    if (busy || lines.empty()) return;
    message next = std::move(lines.front());
    lines.pop_front();
    busy = true;
    evaluates = next.get<lua_eval>() != nullptr;
    running = evaluates ? next.get<lua_eval>()->id : next.get<lua_complete>()->id;
    machine->stopper()->why.store(stop_request::none, std::memory_order_release);
    self.send(runner, std::move(next));
  }

  void interrupt(process& self, std::int64_t id) {
    if (!busy || !evaluates || (id != 0 && id != running)) return;
    machine->stopper()->why.store(stop_request::interrupted, std::memory_order_release);
    self.core().inspect(runner, [](process& evaluating) { detail::core::expire_wait(evaluating); });
  }

  // The line that it was running is answered in its place.
  void replace_runner(process& self, const exit_reason& reason) {
    if (busy && evaluates) {
      lua_result answer;
      answer.id = running;
      answer.error = "the evaluating process ended: " + reason.text();
      self.send(to.terminal, std::move(answer));
    }
    const bool idle = !busy;
    const pid gone = runner;
    busy = false;
    start_runner(self);
    if (idle) {
      self.send(to.output, io_put("the evaluating process " + gone.text() + " ended: " + reason.text() +
                                  "; now it is " + runner.text() + "\n"));
    }
  }
};

// False when the session is over.
bool handle(process& self, session& s, message given) {
  if (given.get<lua_eval>() || given.get<lua_complete>()) {
    s.lines.push_back(std::move(given));
  } else if (auto* stop = given.get<lua_interrupt>()) {
    s.interrupt(self, stop->id);
  } else if (auto* done = given.get<line_done>()) {
    if (done->id == s.running) s.busy = false;
  } else if (auto* ended = given.get<exit_message>()) {
    if (ended->from != s.runner) return false;  // who is linked to the session wants it to end
    s.replace_runner(self, ended->reason);
  } else if (auto* gone = given.get<down>()) {
    return gone->process != s.to.terminal;
  }
  s.hand_out(self);
  return true;
}

// Of a terminal on this node: itself. Else a process that passes on to it what processes of third nodes print, too.
pid start_output(process& self, pid terminal) {
  if (self.core().is_local(terminal)) return terminal;
  spawn_options how;
  how.link = true;
  how.mailbox_limit = relay_mailbox;
  auto made = try_spawn(self, std::move(how), &relay_output, terminal);
  if (!made && made.error() == errc::shutting_down) self.exit(exit_reason::shutdown());
  return made.or_exit().process;
}

task<> run_session(process& self, value options) {
  const pid terminal = *options.find("terminal")->process();
  self.set_label("shell");
  self.trap_exits(true);
  const audience to{terminal, start_output(self, terminal)};
  self.group_leader(to.output);
  self.monitor(terminal);
  auto made = lua_machine::make(self, script::limits());
  if (!made) self.exit(exit_reason(made.error()));
  session s(std::shared_ptr<lua_machine>(std::move(*made)), to);
  s.start_runner(self);
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (got && !handle(self, s, std::move(*got))) break;
  }
  self.exit(s.runner, exit_reason::kill());
  self.exit(exit_reason::shutdown());
}

// -- the catalogue's entry

result<void> accept_lua(const value& arguments) {
  const list* given = arguments.items();
  if (!given || given->size() != 1 || !(*given)[0].entries())
    return error(errc::bad_argument, "argument 1: {terminal = pid} or a function of Lua expected");
  const value* terminal = (*given)[0].find("terminal");
  if (!terminal) return check_shipped((*given)[0]);
  if (!terminal->process() || !*terminal->process())
    return error(errc::bad_argument, "argument 1: terminal: a pid expected");
  return {};
}

task<result<value>> run_lua(process& self, value arguments) {
  if (auto good = accept_lua(arguments); !good) co_return good.error();
  value options = (*arguments.items())[0];
  auto running =
      options.find("terminal") ? run_session(self, std::move(options)) : run_shipped(self, std::move(options));
  co_await std::move(running);
  co_return value();
}

}  // namespace
}  // namespace internal

void offer_script(catalogue& offers) {
  catalogue_entry lua;
  lua.name = "troupe.lua";
  lua.what = catalogue_entry::kind::process;
  lua.doc = "a shell's session: {terminal = pid}; a function of another node: {lua = release, code = bytes}";
  lua.arguments = {"map"};
  lua.returns = "nil";
  lua.run = &internal::run_lua;
  lua.accepts = &internal::accept_lua;
  offers.add(std::move(lua));
  offers.function("troupe.lua_call", &internal::call_by_name,
                  "a function by name, also of Lua's library: all its results");
}

}  // namespace troupe
