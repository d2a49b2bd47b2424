// port.*, system.*: external programs.
#include "script/callee.hpp"
#include "script/convert.hpp"
#include "script/library.hpp"
#include "script/machine.hpp"

#include <troupe/program.hpp>

namespace troupe::internal {
namespace {

constexpr duration close_time = std::chrono::seconds(10);  // beside the 5 s from TERM to KILL

// -- options

[[noreturn]] void refuse(lua_State* L, const std::string& what) { raise_error(L, error(errc::bad_argument, what)); }

std::string text_of(lua_State* L, const value& given, const std::string& what) {
  if (const std::string* text = given.text()) return *text;
  if (const bytes* data = given.binary()) return std::string(reinterpret_cast<const char*>(data->data()), data->size());
  refuse(L, what + ": a string expected, " + std::string(to_string(given.type())) + " found");
}
std::int64_t count_of(lua_State* L, const value& given, const std::string& what) {
  if (const std::int64_t* number = given.integer(); number && *number > 0) return *number;
  refuse(L, what + ": an integer above 0 expected, " + given.print(2, 60) + " found");
}
duration time_of(lua_State* L, const value& given, const std::string& what) {
  const auto number = given.number();
  if (!number || !(*number >= 0)) refuse(L, what + ": milliseconds expected, " + given.print(2, 60) + " found");
  return *number >= 9e12 ? wait_forever : std::chrono::milliseconds(static_cast<std::int64_t>(*number));
}
bool flag_of(lua_State* L, const value& given, const std::string& what) {
  if (const bool* flag = given.boolean()) return *flag;
  refuse(L, what + ": true or false expected, " + given.print(2, 60) + " found");
}

// {NAME = "content", GONE = false}, or Elixir's list of pairs.
void set_environment(lua_State* L, command& what, const value& given) {
  auto set = [&](const value& key, const value& content) {
    std::string name = text_of(L, key, "env, a name");
    const bool* gone = content.boolean();
    if (content.is_nil() || (gone && !*gone)) what.without_variable(std::move(name));
    else what.variable(name, text_of(L, content, "env." + name));
  };
  if (const map* entries = given.entries()) {
    for (const auto& [key, content] : *entries) set(key, content);
    return;
  }
  const list* pairs = given.items();
  if (!pairs) refuse(L, "env: a table of names and texts expected");
  for (const value& each : *pairs) {
    const list* pair = each.items();
    if (!pair || pair->size() != 2) refuse(L, "env: {name, text} expected, " + each.print(2, 60) + " found");
    set((*pair)[0], (*pair)[1]);
  }
}

struct asked {
  command what;
  std::string input;  // of system.cmd
  duration limit = wait_forever;
  std::size_t most_bytes = std::size_t{16} << 20;
};

void set_common(lua_State* L, asked& out, const std::string& name, const value& given, bool streams) {
  command& what = out.what;
  if (name == "args") {
    const list* words = given.items();
    if (!words) refuse(L, "args: a list of strings expected");
    for (const value& each : *words) what.argument(text_of(L, each, "args"));
  } else if (name == "env") {
    set_environment(L, what, given);
  } else if (name == "cd") {
    what.directory(text_of(L, given, "cd"));
  } else if (name == "stderr_to_stdout") {
    what.errors(flag_of(L, given, name) ? program_errors::with_output : program_errors::apart);
  } else if (name == "stop_within") {
    what.stop_within(time_of(L, given, name));
  } else {
    refuse(L, "no option \"" + name + "\"; there are " +
                  (streams ? "args, binary, cd, env, exit_status, idle, input, keep_last, line, most_waiting, owner, "
                             "stderr_to_stdout, stop_within"
                           : "cd, env, input, most_bytes, stderr_to_stdout, stop_within, timeout"));
  }
}

void set_port_option(lua_State* L, asked& out, const std::string& name, const value& given) {
  command& what = out.what;
  if (name == "binary" || name == "exit_status") {  // always so
    (void)flag_of(L, given, name);
  } else if (name == "line") {
    what.lines(static_cast<std::size_t>(count_of(L, given, name)));
  } else if (name == "input") {
    what.input(flag_of(L, given, name));
  } else if (name == "idle") {
    what.idle(time_of(L, given, name));
  } else if (name == "most_waiting") {
    what.most_waiting(static_cast<std::size_t>(count_of(L, given, name)));
  } else if (name == "keep_last") {
    what.most_waiting(static_cast<std::size_t>(count_of(L, given, name))).when_full(program_full::drop_oldest);
  } else if (name == "owner") {
    if (!given.process()) refuse(L, "owner: a pid expected");
    what.owner(*given.process());
  } else {
    set_common(L, out, name, given, true);
  }
}

void set_cmd_option(lua_State* L, asked& out, const std::string& name, const value& given) {
  if (name == "timeout") out.limit = time_of(L, given, name);
  else if (name == "input") out.input = text_of(L, given, name);
  else if (name == "most_bytes") out.most_bytes = static_cast<std::size_t>(count_of(L, given, name));
  else if (name == "args") refuse(L, "args: the second argument has them");
  else set_common(L, out, name, given, false);
}

// {line = 1024, …}; as in Elixir a name alone means yes, and {"line", 1024} is the same as the first.
template <class Set>
void each_option(lua_State* L, int index, asked& out, Set set) {
  if (lua_isnoneornil(L, index)) return;
  check_type(L, index, LUA_TTABLE);
  const value given = to_value(L, index);
  auto item = [&](const value& one) {
    const list* pair = one.items();
    if (one.text()) set(L, out, *one.text(), value(true));
    else if (pair && pair->size() == 2 && (*pair)[0].text()) set(L, out, *(*pair)[0].text(), (*pair)[1]);
    else refuse(L, "an option expected, " + one.print(2, 60) + " found");
  };
  if (const list* all = given.items()) {
    for (const value& one : *all) item(one);
    return;
  }
  for (const auto& [key, content] : *given.entries()) {
    if (key.text()) set(L, out, *key.text(), content);
    else item(content);
  }
}

// "journalctl", "/usr/bin/journalctl", {"spawn_executable", path}
asked check_executable(lua_State* L, int index) {
  if (!lua_istable(L, index)) return asked{command(check_text(L, index)), {}, wait_forever};
  const value given = to_value(L, index);
  const list* both = given.items();
  check_argument(L, both && both->size() == 2 && (*both)[0] == value("spawn_executable"), index,
                 "the name of an executable expected, or {\"spawn_executable\", name}");
  return asked{command(text_of(L, (*both)[1], "executable")), {}, wait_forever};
}

// -- port.*

int give_first(lua_State* L, lua_KContext) {
  auto answer = lua_machine::of(L).take_answer();
  if (!answer) raise_error(L, answer.error());
  push_value(L, *answer);
  return 1;
}

task<result<value>> open_program(process& self, command what) {
  auto starting = start_program(self, std::move(what));
  auto made = co_await std::move(starting);
  if (!made) co_return made.error();
  co_return value(made->id());
}

int open(lua_State* L) {
  asked out = check_executable(L, 1);
  out.what.input().chunks();
  each_option(L, 2, out, set_port_option);
  return lua_machine::of(L).await(
      L, [what = std::move(out.what)](process& self) { return open_program(self, what); }, &guarded_k<give_first>, 0);
}

enum class answers { done, itself };

task<result<value>> ask_program_of(process& self, address port, value request, duration limit, answers how) {
  auto got = co_await call<value>(self, std::move(port), std::move(request)).within(limit);
  if (!got) co_return got.error();
  co_return how == answers::done ? value(true) : std::move(*got);
}

int ask(lua_State* L, value request, duration limit, answers how = answers::done) {
  return lua_machine::of(L).await(
      L,
      [to = check_address(L, 1), request = std::move(request), limit, how](process& self) {
        return ask_program_of(self, to, request, limit, how);
      },
      &guarded_k<give_first>, 0);
}

value request_of(std::string_view tag, std::initializer_list<std::pair<std::string_view, value>> fields = {}) {
  return list_of({value(tag), map_of(fields)});
}

int command_port(lua_State* L) {
  const value data = lua_isnoneornil(L, 2) ? value() : to_value(L, 2);
  if (!(data.text() || data.binary())) bad_type(L, 2, "string or bytes");
  const duration limit = check_duration(L, 3, default_call_time);
  return ask(L, request_of(program_write::troupe_tag(), {{"data", data}}), limit);
}
int end_input(lua_State* L) {
  return ask(L, request_of(program_end_input::troupe_tag()), check_duration(L, 2, default_call_time));
}
int close_port(lua_State* L) {
  return ask(L, request_of(program_close::troupe_tag()), check_duration(L, 2, close_time));
}
int signal_port(lua_State* L) {
  const lua_Integer number = check_integer(L, 2);
  return ask(L, request_of(program_signal::troupe_tag(), {{"number", static_cast<std::int64_t>(number)}}),
             check_duration(L, 3, default_call_time));
}
int connect_port(lua_State* L) {
  const pid owner = check_pid(L, 2);
  return ask(L, request_of(program_connect::troupe_tag(), {{"owner", owner}}), check_duration(L, 3, default_call_time));
}
int info(lua_State* L) {
  return ask(L, request_of(ask_program::troupe_tag()), check_duration(L, 2, default_call_time), answers::itself);
}
int monitor_port(lua_State* L) {
  push_ref(L, lua_machine::of(L).self().monitor(check_address(L, 1)));
  return 1;
}

// -- system.*

// {output, status, errors}
task<result<value>> run_to_end(process& self, asked given) {
  auto running = run_program(self, std::move(given.what), given.limit, std::move(given.input), given.most_bytes);
  auto done = co_await std::move(running);
  if (!done) co_return done.error();
  list out;
  out.emplace_back(std::move(done->output));
  out.emplace_back(done->signal != 0 ? 128 + done->signal : done->status);
  out.emplace_back(std::move(done->errors));
  co_return value(std::move(out));
}

int cmd(lua_State* L) {
  asked out{command(check_text(L, 1)), {}, wait_forever};
  const value words = check_arguments(L, 2);
  for (const value& each : *words.items()) out.what.argument(text_of(L, each, "an argument"));
  each_option(L, 3, out, set_cmd_option);
  out.limit = lua_machine::of(L).clamp(out.limit);
  return lua_machine::of(L).await(
      L, [out](process& self) { return run_to_end(self, out); }, &guarded_k<give_answer>, 0);
}

int find(lua_State* L) {
  auto path = find_executable(check_text(L, 1));
  if (path) push_text(L, *path);
  else lua_pushnil(L);
  return 1;
}

}  // namespace

void open_programs(lua_State* L) {
  set_table(L, "port",
            {{"open", &guarded<open>},
             {"command", &guarded<command_port>},
             {"end_input", &guarded<end_input>},
             {"close", &guarded<close_port>},
             {"signal", &guarded<signal_port>},
             {"connect", &guarded<connect_port>},
             {"info", &guarded<info>},
             {"monitor", &guarded<monitor_port>}});
  set_table(L, "system", {{"cmd", &guarded<cmd>}, {"find_executable", &guarded<find>}});
}

}  // namespace troupe::internal
