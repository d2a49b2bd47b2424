#include "script/tracer.hpp"

#include "script/convert.hpp"
#include "script/machine.hpp"
#include "script/portable.hpp"

#include <troupe/call.hpp>
#include <troupe/node.hpp>
#include <troupe/spawn.hpp>
#include <troupe/trace.hpp>

#include <algorithm>
#include <vector>

namespace troupe::internal {
namespace {

constexpr char handler_key = 0;  // in the registry of the tracer's machine: {function, state}

// -- one trace session, and the process that reads it

// The tracer's flags are per process and a session's are not: so each dbg.p has a session, and a reader that knows it.
struct reader_event {
  pid reader;
  value what;
  TROUPE_MESSAGE(reader_event, "dbg.event", reader, what)
};
struct reader_done {
  pid reader;
  std::string text;
  TROUPE_MESSAGE(reader_done, "dbg.done", reader, text)
};
struct reader_ready {
  std::uint64_t matched = 0;
  error failure;
  TROUPE_MESSAGE(reader_ready, "dbg.ready", matched, failure)
};

task<> read_session(process& self, pid tracer, trace::spec what) {
  self.monitor(tracer);
  auto started = trace::start(self, std::move(what));
  reader_ready ready;
  if (started) ready.matched = started->matched;
  else ready.failure = started.error();
  self.send(tracer, std::move(ready));
  if (!started) co_return;
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (!got) continue;
    if (auto* seen = got->get<trace::event>()) {
      self.send(tracer, reader_event(self.id(), std::move(seen->what)));
    } else if (auto* read = got->get<trace::more>()) {
      self.send(started->process, trace::more(read->events));
    } else if (auto* missed = got->get<trace::lost>()) {
      self.send(tracer, reader_done(pid(), std::to_string(missed->events) + " events lost: the handler is too slow"));
    } else if (auto* done = got->get<trace::done>()) {
      self.send(tracer, reader_done(self.id(), done->text));
      co_return;
    } else if (got->get<down>()) {
      co_return;
    } else if (got->get<dbg_stop>()) {
      trace::stop(self, *started);
    }
  }
}

// An event as OTP's dbg gives it to a handler: {"trace", pid, "receive", message}.
value as_otp(const value& event) {
  auto field = [&](const char* key) {
    const value* found = event.find(key);
    return found ? *found : value();
  };
  const std::string_view kind = event.text_at("kind");
  list out{"trace", field("pid"), value(kind)};
  if (kind == "receive") {
    out.push_back(field("message"));
  } else if (kind == "send") {
    out.push_back(field("message"));
    out.push_back(field("to"));
  } else if (kind == "call") {
    out.push_back(field("function"));
    out.push_back(field("arguments"));
  } else if (kind == "return") {
    out[2] = "return_from";
    out.push_back(field("function"));
    out.push_back(field("result"));
  } else if (kind == "spawn") {
    out.push_back(field("child"));
    out.push_back(field("function"));
  } else if (kind == "register") {
    const value* on = event.find("registered");
    if (on && on->boolean() && !*on->boolean()) out[2] = "unregister";
    out.push_back(field("as"));
  } else if (kind == "exit") {
    out.push_back(field("reason"));
  }
  return value(std::move(out));
}

// -- the tracer

// Owner and thread: the tracer's process.
struct tracer {
  explicit tracer(tracer_options given) : options(std::move(given)) {}

  struct item {
    value who;
    std::string flags;
    pid reader;
  };
  tracer_options options;
  std::vector<item> items;
  std::vector<std::string> functions;
  bool returns = false;
  std::unique_ptr<lua_machine> machine;  // of the handler
};

trace::spec spec_of(const tracer& t, const tracer::item& one) {
  trace::spec what;
  what.processes.push_back(one.who);
  auto wants = [&](char flag) { return one.flags.find(flag) != std::string::npos; };
  what.receive = wants('r');
  what.send = wants('s');
  what.life = wants('p');
  if (wants('c')) what.calls = t.functions;
  what.returns = t.returns && !what.calls.empty();
  const std::string* name = one.who.text();
  what.force = name && (*name == "all" || *name == "new" || *name == "existing");
  what.limit = t.options.limit;
  what.time = t.options.time;
  return what;
}

bool traces_anything(const trace::spec& what) { return what.receive || what.send || what.life || !what.calls.empty(); }

void stop_reader(process& self, tracer::item& one) {
  if (one.reader) self.send(one.reader, dbg_stop());
  one.reader = pid();
}

// (Re)starts the session of one item; how many processes it covers. `again`: whoever was there when it was asked for
// may be away now, and is waited for.
task<result<value>> start_reader(process& self, tracer* t, std::size_t index, bool again) {
  stop_reader(self, t->items[index]);
  trace::spec what = spec_of(*t, t->items[index]);
  what.wait = again;
  if (!traces_anything(what)) {  // calls without a pattern: dbg.tp brings them
    const auto matched = trace::matching(self, std::move(what));
    if (!matched) co_return matched.error();
    co_return map_of({{"matched", static_cast<std::int64_t>(*matched)}});
  }
  const pid reader = spawn(self, &read_session, self.id(), std::move(what));
  auto ready = co_await self.receive<reader_ready>(default_call_time);
  if (!ready) co_return ready.error();
  if (ready->failure.code() != errc::none) co_return ready->failure;
  t->items[index].reader = reader;
  co_return map_of({{"matched", ready->matched}});
}

task<result<value>> add_processes(process& self, tracer* t, dbg_p asked) {
  auto at = std::ranges::find(t->items, asked.item, &tracer::item::who);
  if (at == t->items.end()) at = t->items.insert(at, tracer::item{asked.item, {}, {}});
  at->flags = asked.flags;
  const auto index = static_cast<std::size_t>(at - t->items.begin());
  auto starting = start_reader(self, t, index, false);
  auto started = co_await std::move(starting);
  if (!started) t->items.erase(t->items.begin() + static_cast<std::ptrdiff_t>(index));
  co_return started;
}

task<result<value>> add_functions(process& self, tracer* t, dbg_tp asked) {
  if (std::ranges::find(t->functions, asked.functions) == t->functions.end()) t->functions.push_back(asked.functions);
  t->returns = t->returns || asked.returns;
  for (std::size_t i = 0; i < t->items.size(); ++i) {
    if (t->items[i].flags.find('c') == std::string::npos) continue;
    auto starting = start_reader(self, t, i, true);
    auto started = co_await std::move(starting);
    if (!started) co_return started;
  }
  std::string_view prefix = asked.functions;
  const bool all = prefix.ends_with('*');
  if (all) prefix.remove_suffix(1);
  std::int64_t matched = 0;
  for (const catalogue_entry* entry : self.node().offers().entries(prefix)) {
    if (all || entry->name == prefix) ++matched;
  }
  co_return map_of({{"matched", matched}});
}

result<void> load_handler(process& self, tracer& t) {
  if (t.options.handler.is_nil()) return {};
  auto made = lua_machine::make(self, script::limits());
  if (!made) return made.error();
  t.machine = std::move(*made);
  auto loaded = protect(t.machine->state(), [&](lua_State* L) {
    copy_in(L, t.options.handler);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handler_key);
  });
  t.options.handler = value();
  return loaded;
}

// Calls handler(message) or state = handler(message, state).
task<result<value>> run_handler(process& self, tracer* t, value seen) {
  lua_machine& m = *t->machine;
  lua_State* thread = nullptr;
  auto ready = protect(m.state(), [&](lua_State* L) {
    thread = m.fresh_thread(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key);
    lua_rawgeti(L, 1, 1);
    push_value(L, seen);
    lua_rawgeti(L, 1, 2);
    lua_xmove(L, thread, 3);
  });
  if (!ready) co_return ready.error();
  auto running = m.run(self, thread, 2);
  const run_outcome outcome = co_await std::move(running);
  if (outcome.failure.code() != errc::none) co_return outcome.failure;
  if (!t->options.folds) co_return value();
  auto kept = protect(m.state(), [&](lua_State* L) {
    lua_settop(thread, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handler_key);
    lua_xmove(thread, L, 1);
    lua_rawseti(L, 1, 2);
  });
  if (!kept) co_return kept.error();
  co_return value();
}

template <class Reply>
void answer(process& self, message& request, const result<Reply>& outcome) {
  if (outcome) self.reply(request, value(*outcome));
  else self.reply_error(request, outcome.error());
}

// False when the tracer is to end.
task<bool> handle(process& self, tracer* t, message got) {
  if (auto* seen = got.get<reader_event>()) {
    const pid reader = seen->reader;
    if (!t->machine) {
      self.print(trace::format(seen->what));
    } else {
      auto running = run_handler(self, t, as_otp(seen->what));
      auto done = co_await std::move(running);
      if (!done) {
        self.print("dbg: the handler failed and the trace ends: " + done.error().text());
        co_return false;
      }
    }
    self.send(reader, trace::more(1));
  } else if (auto* asked = got.get<dbg_p>()) {
    auto adding = add_processes(self, t, std::move(*asked));
    auto outcome = co_await std::move(adding);
    answer(self, got, outcome);
  } else if (auto* functions = got.get<dbg_tp>()) {
    auto adding = add_functions(self, t, std::move(*functions));
    auto outcome = co_await std::move(adding);
    answer(self, got, outcome);
  } else if (auto* done = got.get<reader_done>()) {
    auto at = std::ranges::find(t->items, done->reader, &tracer::item::reader);
    const bool ours = done->reader && at != t->items.end();
    if (ours) at->reader = pid();
    if (ours || !done->reader) self.print("dbg: " + done->text);
  } else if (got.get<dbg_stop>()) {
    for (tracer::item& one : t->items) stop_reader(self, one);
    self.reply(got, value("ok"));
    co_return false;
  } else if (got.get<down>()) {
    co_return false;
  }
  co_return true;
}

}  // namespace

task<> run_tracer(process& self, pid owner, tracer_options options) {
  self.set_label("dbg");
  self.monitor(owner);
  tracer t(std::move(options));
  if (auto loaded = load_handler(self, t); !loaded) self.exit(exit_reason(loaded.error()));
  for (;;) {
    auto got = co_await self.receive(wait_forever);
    if (!got) continue;
    auto running = handle(self, &t, std::move(*got));
    const bool goes_on = co_await std::move(running);
    if (!goes_on) break;
  }
}

}  // namespace troupe::internal
