#include <troupe/server.hpp>

#include <deque>

#include "otp/strangers.hpp"
#include "runtime/core.hpp"
#include "runtime/process_private.hpp"

namespace troupe {
namespace {

// What a server tells its starter when init has returned. Stays inside the node.
struct start_answer {
  std::uint64_t ticket = 0;
  bool ignored = false;
  pid holder;  // of its global name, when that is another process
  TROUPE_MESSAGE(start_answer, "troupe.started", ticket, ignored, holder)
};

template <class T>
const T* content_if(const message& m) noexcept {
  return m.peek()->type == &detail::type_of<T> ? static_cast<const T*>(m.peek()->payload()) : nullptr;
}

// Also in its encoded form, which it has on a node that encodes always.
std::optional<start_answer> answer_in(const message& m) {
  if (const auto* typed = content_if<start_answer>(m)) return *typed;
  if (m.peek()->type != &detail::wire_type || m.tag() != start_answer::troupe_tag()) return std::nullopt;
  const value content = m.to_value();
  const list* items = content.items();  // whoever sends the tag alone sends no list
  if (!items || items->size() != 2) return std::nullopt;
  auto decoded = from_value<start_answer>(items->back());
  return decoded ? std::optional<start_answer>(*decoded) : std::nullopt;
}

constexpr std::size_t shown_depth = 6, shown_width = 1000;  // of messages and states in reasons and in the log

std::string shown_name(process& self, const char* entry) {
  std::string name = self.name();
  return name.empty() ? std::string(entry) : name;
}

// Takes the exit message of a child whose start failed, so that none surprises a starter that traps exits.
task<> forget_child(process& self, pid child) {
  self.unlink(child);
  if (!self.traps_exits()) co_return;
  auto its_exit = [&child](const message& m) {
    const auto* seen = content_if<exit_message>(m);
    return seen && seen->from == child;
  };
  auto flushed = co_await self.receive_if(its_exit, duration::zero());
  (void)flushed;
}

// Waits for the end of a child that is about to end, or has just been killed.
task<> see_end(process& self, spawned child) {
  const ref watch = child.monitor;
  auto ended = [&watch](const message& m) {
    const auto* seen = content_if<down>(m);
    return seen && seen->monitor == watch;
  };
  auto got = co_await self.receive_if(ended, std::chrono::seconds(5));
  if (!got) self.demonitor(watch);  // it holds its worker: reported as such, and killed when it lets go
  auto forgetting = forget_child(self, child.process);
  co_await std::move(forgetting);
}

bool is_system_tag(std::string_view tag) noexcept {
  return tag.starts_with("sys.") &&
         (tag == "sys.get_state" || tag == "sys.get_status" || tag == "sys.suspend" || tag == "sys.resume" ||
          tag == "sys.terminate" || tag == "sys.replace_state" || tag == "sys.log" || tag == "sys.statistics");
}

value status_of(process& self, const detail::server_context& context, bool suspended) {
  auto state = context.show(context.state);
  map out;
  out.emplace_back("name", shown_name(self, context.entry));
  out.emplace_back("pid", self.id());
  out.emplace_back("status", suspended ? "suspended" : "running");
  out.emplace_back("parent", context.parent ? value(context.parent) : value());
  out.emplace_back("handled", context.handled);
  out.emplace_back("refused", context.refused);
  if (state) out.emplace_back("state", context.redact(context.state, std::move(*state)));
  return value(std::move(out));
}

}  // namespace

// -- started, init_result

started::started(result<pid> made) {
  if (made) {
    what_ = kind::ok;
    process_ = *made;
  } else {
    reason_ = exit_reason(made.error());
  }
}
started started::ignore() {
  started out;
  out.what_ = kind::ignore;
  return out;
}
started started::already_started(pid holder) {
  started out(holder);
  out.what_ = kind::already_started;
  out.reason_ = exit_reason(list_of({"already_started", holder}));
  return out;
}
started started::failed(exit_reason reason) {
  started out;
  out.reason_ = std::move(reason);
  return out;
}
std::string started::text() const {
  switch (what_) {
    case kind::ok: return "ok " + process_.text();
    case kind::ignore: return "ignore";
    case kind::already_started: return "already_started " + process_.text();
    case kind::failed: break;
  }
  return "failed: " + reason_.text();
}
pid started::or_exit() const {
  if (what_ == kind::ok) return process_;
  if (what_ == kind::ignore) throw exit_reason("ignore");
  throw exit_reason(reason_);
}

init_result init_result::ignore() {
  init_result out;
  out.ignored_ = true;
  return out;
}
init_result init_result::stop(exit_reason reason) {
  init_result out;
  out.reason_ = std::move(reason);
  return out;
}

task<result<void>> stop_server(process& self, address server, exit_reason reason, duration within) {
  const ref watch = self.monitor(server);
  self.send(server, sys_terminate(reason.term()));
  auto ended = [&watch](const message& m) {
    const auto* seen = content_if<down>(m);
    return seen && seen->monitor == watch;
  };
  auto got = co_await self.receive_if(ended, within);
  if (!got) {
    self.demonitor(watch);
    co_return error(errc::timeout, server.text() + " has not ended in time");
  }
  const exit_reason& why = got->get<down>()->reason;
  if (why == reason) co_return result<void>();
  if (why.is("noproc")) co_return error(errc::noproc, server.text());
  if (why.is("noconnection")) co_return error(errc::noconnection, server.text());
  co_return error(errc::exited, why.text());
}

// -- sys

namespace sys {
namespace {

template <class R, class Request>
task<result<R>> ask(process& self, address server, Request request, duration limit) {
  auto got = co_await call<R>(self, server, std::move(request)).within(limit);
  if (got || got.error() != errc::timeout) co_return got;
  co_return error(errc::not_responding, server.text() + " has not answered " + std::string(Request::troupe_tag()) +
                                            " within " + std::to_string(limit / std::chrono::milliseconds(1)) +
                                            " ms: it is busy or stuck, or no server");
}

}  // namespace

task<result<value>> get_state(process& self, address server, duration limit) {
  return ask<value>(self, std::move(server), sys_get_state(), limit);
}
task<result<value>> get_status(process& self, address server, duration limit) {
  return ask<value>(self, std::move(server), sys_get_status(), limit);
}
task<result<void>> replace_state(process& self, address server, value state, duration limit) {
  return ask<void>(self, std::move(server), sys_replace_state(std::move(state)), limit);
}
task<result<void>> suspend(process& self, address server, duration limit) {
  return ask<void>(self, std::move(server), sys_suspend(), limit);
}
task<result<void>> resume(process& self, address server, duration limit) {
  return ask<void>(self, std::move(server), sys_resume(), limit);
}
task<result<void>> log(process& self, address server, std::size_t events, duration limit) {
  return ask<void>(self, std::move(server), sys_log(value(events)), limit);
}
task<result<value>> log_get(process& self, address server, duration limit) {
  return ask<value>(self, std::move(server), sys_log(value("get")), limit);
}
task<result<void>> statistics(process& self, address server, bool on, duration limit) {
  return ask<void>(self, std::move(server), sys_statistics(on ? "true" : "false"), limit);
}
task<result<value>> statistics_get(process& self, address server, duration limit) {
  return ask<value>(self, std::move(server), sys_statistics("get"), limit);
}

}  // namespace sys

namespace detail {

// -- starting

void tell_starter(process& self, const server_start& how, bool ignored, pid holder) {
  if (how.ticket) self.send(how.starter, start_answer(how.ticket, ignored, holder));
}

task<> take_global_name(process& self, const server_start* how) {
  value asked = name_request(*how->name, self.id(), how->name_within);
  const duration patience =
      how->name_within == wait_forever ? wait_forever : how->name_within + std::chrono::seconds(1);
  auto holder = co_await call<pid>(self, name_keeper, std::move(asked)).within(patience);
  if (!holder) self.exit(exit_reason(holder.error()));
  if (*holder == self.id()) co_return;
  tell_starter(self, *how, false, *holder);
  self.exit(how->ticket ? exit_reason::normal() : exit_reason(list_of({"already_started", *holder})));
}

task<started> await_started(process& self, server_start how, result<spawned> made, std::string name, duration limit) {
  if (!made) {
    if (made.error() == errc::name_taken) {
      auto holder = self.node().whereis(name);
      if (holder) co_return started::already_started(*holder);
    }
    co_return started::failed(exit_reason(made.error()));
  }
  const spawned child = *made;
  auto answered = [&how, &child](const message& m) {
    if (const auto answer = answer_in(m)) return answer->ticket == how.ticket;
    const auto* ended = content_if<down>(m);
    return ended && ended->monitor == child.monitor;
  };
  auto got = co_await self.receive_if(answered, limit);
  if (got && content_if<down>(*got)) {
    auto forgetting = forget_child(self, child.process);
    co_await std::move(forgetting);
    co_return started::failed(got->get<down>()->reason);
  }
  const pid holder = got ? answer_in(*got)->holder : pid();
  if (got && !answer_in(*got)->ignored && !holder) {
    self.demonitor(child.monitor);
    co_return started::ok(child.process);
  }
  if (!got) self.exit(child.process, exit_reason::kill());
  auto ending = see_end(self, child);
  co_await std::move(ending);
  if (holder) co_return started::already_started(holder);
  if (got) co_return started::ignore();
  co_return started::failed(exit_reason(error(errc::timeout, "init has not returned in time")));
}

started start_from_outside(node& where, duration limit, std::move_only_function<task<started>(process&)> start) {
  auto here = where.make_handle();
  if (!here) return started::failed(exit_reason(here.error()));
  // The wait for the server ends it when `limit` has passed; this is only for a node that stops meanwhile.
  const duration patience = limit == wait_forever ? wait_forever : limit + std::chrono::seconds(10);
  auto outcome = (*here)->run(patience, std::move(start));
  if (!outcome) return started::failed(exit_reason(outcome.error()));
  return std::move(*outcome);
}

// -- the loop's helpers

server_context::server_context(process& self, const server_start& how, const char* entry_given,
                               const void* state_given) noexcept
    : parent(how.linked ? how.starter : pid()), entry(entry_given), state(state_given) {
  process_private::trace(self).fetch_or(trace_flag::server, std::memory_order_relaxed);
}

bool has_tag(const message& received, std::string_view tag) { return tag_in_place(*received.peek()) == tag; }

server_event classify(server_context& context, message& received) {
  // Without a parent it is the node itself that ends it: node::stop names nobody. A link to nobody ended otherwise.
  auto exit_event = [&context, &received](const exit_message& exit) {
    const bool nobody = !exit.from && received.peek()->id == process_private::exit_by_link;
    return exit.from == context.parent && !nobody ? server_event::parent_exit : server_event::exit;
  };
  if (content_if<down>(received)) return server_event::down;
  if (const auto* exit = content_if<exit_message>(received)) return exit_event(*exit);
  const std::string_view tag = tag_in_place(*received.peek());
  if (is_system_tag(tag)) return server_event::system;
  // As they come from another node or from a script.
  if (tag == "DOWN" && received.get<down>()) return server_event::down;
  if (tag == "EXIT") {
    if (const auto* exit = received.get<exit_message>()) return exit_event(*exit);
  }
  return server_event::other;
}

struct server_debug {
  std::size_t most = 0;  // events
  std::deque<value> events;
  bool counting = false;
  time_point began{};  // of whichever was first
  std::uint64_t received = 0, calls = 0;
};
void drop_debug::operator()(server_debug* kept) const noexcept { delete kept; }

namespace {

server_debug& debug_of(process& self, server_context& context) {
  if (!context.debug) {
    context.debug.reset(new server_debug);
    context.debug->began = self.now();
  }
  return *context.debug;
}

void drop_unused(server_context& context) {
  if (context.debug && context.debug->most == 0 && !context.debug->counting) context.debug.reset();
}

result<value> do_log(process& self, server_context& context, const value& what) {
  if (what == value("get")) {
    list out;
    if (context.debug) out.assign(context.debug->events.begin(), context.debug->events.end());
    return value(std::move(out));
  }
  const std::int64_t* count = what.integer();
  if (!count || *count < 0 || *count > 10'000)
    return error(errc::bad_argument, "sys.log: \"get\" or a number of events up to 10000 expected");
  if (*count == 0 && !context.debug) return value();
  server_debug& kept = debug_of(self, context);
  kept.most = static_cast<std::size_t>(*count);
  while (kept.events.size() > kept.most) kept.events.pop_front();
  drop_unused(context);
  return value();
}

result<value> do_statistics(process& self, server_context& context, const std::string& what) {
  if (what == "true") {
    server_debug& kept = debug_of(self, context);
    kept.counting = true;
    kept.began = self.now();
    kept.received = kept.calls = 0;
    return value();
  }
  if (what == "false") {
    if (context.debug) context.debug->counting = false;
    drop_unused(context);
    return value();
  }
  if (what != "get") return error(errc::bad_argument, "sys.statistics: \"true\", \"false\" or \"get\" expected");
  if (!context.debug || !context.debug->counting)
    return error(errc::not_found, "statistics are not switched on: sys.statistics true");
  const server_debug& kept = *context.debug;
  return map_of({{"running_us", (self.now() - kept.began) / std::chrono::microseconds(1)},
                 {"reductions", process_private::reductions(self).load(std::memory_order_relaxed)},
                 {"messages_in", kept.received},
                 {"calls_in", kept.calls}});
}

result<value> do_replace(process& self, server_context& context, value with) {
  if (!context.replace)
    return error(errc::not_allowed, shown_name(self, context.entry) +
                                        ": its server_options do not allow replace_state, or its state has "
                                        "neither replace(value) nor TROUPE_FIELDS");
  try {
    auto done = context.replace(context.mutable_state, std::move(with));
    if (!done) return done.error();
  } catch (const std::exception& thrown) {
    return error(errc::exception, thrown.what());
  }
  self.log().warning("the state of a server was replaced", {{"server", shown_name(self, context.entry)}});
  return value();
}

void handle_debug(process& self, server_context& context, message& request, const std::string& tag) {
  error why;
  result<value> done = why;
  if (tag == "sys.log") {
    auto* asked = request.get<sys_log>(&why);
    done = asked ? do_log(self, context, asked->what) : result<value>(why);
  } else if (tag == "sys.statistics") {
    auto* asked = request.get<sys_statistics>(&why);
    done = asked ? do_statistics(self, context, asked->what) : result<value>(why);
  } else {
    auto* asked = request.get<sys_replace_state>(&why);
    done = asked ? do_replace(self, context, std::move(asked->state)) : result<value>(why);
  }
  if (!request.is_call()) return;
  if (done) self.reply(request, std::move(*done));
  else self.reply_error(request, std::move(done.error()));
}

}  // namespace

void handle_system(process& self, server_context& context, message& request) {
  const std::string tag = request.tag();
  if (tag == "sys.get_state") {
    auto state = context.show(context.state);
    if (state) self.reply(request, context.redact(context.state, std::move(*state)));
    else self.reply_error(request, state.error());
  } else if (tag == "sys.get_status") {
    self.reply(request, status_of(self, context, context.suspended));
  } else if (tag == "sys.terminate") {
    error why;
    if (const auto* order = request.get<sys_terminate>(&why)) {
      context.ending = exit_reason(order->reason.is_nil() ? value("normal") : order->reason);
    } else {
      refuse_fields(self, context, request, why);
    }
  } else if (tag == "sys.suspend" || tag == "sys.resume") {
    context.suspended = tag == "sys.suspend";
  } else {
    handle_debug(self, context, request, tag);
  }
  answer_nothing(self, request);
}

void note_received(process& self, server_context& context, const message& received) {
  if (is_system_tag(received.tag())) return;
  server_debug& kept = *context.debug;
  ++kept.received;
  if (received.is_call()) ++kept.calls;
  if (kept.most == 0) return;
  if (kept.events.size() >= kept.most) kept.events.pop_front();
  value shown = context.redact(context.state, received.to_value());
  kept.events.push_back(map_of({{"at_us", (self.now() - kept.began) / std::chrono::microseconds(1)},
                                {"call", received.is_call()},
                                {"message", std::move(shown)}}));
}

task<> stay_suspended(process& self, server_context* context) {
  self.log().notice("server suspended");
  const server_context& seen = *context;
  auto for_the_system = [&seen](const message& m) {
    if (const auto* exit = content_if<exit_message>(m)) return exit->from == seen.parent;
    return is_system_tag(m.tag());
  };
  while (context->suspended && !context->ending) {
    auto got = co_await self.receive_if(for_the_system, wait_forever);
    if (!got) continue;
    if (classify(*context, *got) == server_event::parent_exit) context->ending = got->get<exit_message>()->reason;
    else handle_system(self, *context, *got);
  }
  self.log().notice("server resumed");
}

void refuse_fields(process& self, server_context& context, message& received, const error& why) {
  ++context.refused;
  error told(errc::bad_argument, received.tag() + ": " + why.text());
  if (received.is_call()) {
    self.reply_error(received, std::move(told));
    return;
  }
  self.log().warning("message refused: wrong fields",
                     {{"server", shown_name(self, context.entry)},
                      {"why", told.text()},
                      {"message", received.to_value().print(shown_depth, shown_width)}});
}

void refuse_unknown(process& self, server_context& context, message& received) {
  ++context.refused;
  std::string name = shown_name(self, context.entry);
  std::string content = received.to_value().print(shown_depth, shown_width);
  if (received.is_call()) {
    self.exit(exit_reason(list_of({"function_clause", name + ": no handler takes the call " + content})));
  }
  self.log().warning("message that no handler takes", {{"server", std::move(name)}, {"message", std::move(content)}});
}

void answer_unknown(process& self, server_context& context, message& received) {
  ++context.refused;
  internal::refuse_stranger(self, shown_name(self, context.entry), received);
}

bool ends_at_once(const process& self) noexcept { return process_private::is_doomed(self); }

bool is_genuine(const message& received, server_event event) noexcept {
  return event == server_event::down ? received.peek()->kind == signal::down : internal::is_genuine_exit(received);
}

void answer_nothing(process& self, message& request) {
  if (request.is_call() && !request.peek()->replied) self.reply(request, value());
}

void refuse_cast(process& self, const error& why) {
  self.log().warning("cast failed: nobody waits for its error", {{"error", why.message()}});
}

std::string handler_name(process& self, const char* entry, std::string_view tag) {
  std::string base = shown_name(self, entry) + ".";
  return tag.starts_with(base) ? std::string(tag) : base.append(tag);
}

exit_reason reason_of(const std::exception_ptr& failure) { return process_private::reason_of(failure); }

void report_end(process& self, const server_context& context, const message& last, const exit_reason& reason) {
  if (reason.is_planned()) return;
  std::string shown_state = "not shown", shown_last = "none";
  if (auto state = context.show(context.state)) {
    shown_state = context.redact(context.state, std::move(*state)).print(shown_depth, shown_width);
  }
  if (last && context.given_away) shown_last = "\"" + last.tag() + "\", too long to keep: its handler took it";
  else if (last) shown_last = context.redact(context.state, last.to_value()).print(shown_depth, shown_width);
  self.log().error("server ends: " + reason.text(), {{"report", "server"},
                                                     {"server", shown_name(self, context.entry)},
                                                     {"reason", reason.term()},
                                                     {"last_message", std::move(shown_last)},
                                                     {"state", std::move(shown_state)}});
}

}  // namespace detail
}  // namespace troupe
