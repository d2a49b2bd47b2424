#include <troupe/server.hpp>

#include "runtime/core.hpp"
#include "runtime/process_private.hpp"

namespace troupe {
namespace {

// What a server tells its starter when init has returned. Stays inside the node.
struct start_answer {
  std::uint64_t ticket = 0;
  bool ignored = false;
  TROUPE_MESSAGE(start_answer, "troupe.started", ticket, ignored)
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
  auto decoded = from_value<start_answer>(content.items()->back());
  return decoded ? std::optional<start_answer>(*decoded) : std::nullopt;
}

constexpr std::size_t shown_depth = 6, shown_width = 1000;  // of messages and states in reasons and in the log

std::string server_name(process& self, const char* entry) {
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
  return tag == "sys.get_state" || tag == "sys.get_status" || tag == "sys.suspend" || tag == "sys.resume" ||
         tag == "sys.terminate";
}

value status_of(process& self, const detail::server_context& context, bool suspended) {
  auto state = context.show(context.state);
  map out;
  out.emplace_back("name", server_name(self, context.entry));
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

namespace detail {

// -- starting

void tell_starter(process& self, const server_start& how, bool ignored) {
  if (how.ticket) self.send(how.starter, start_answer(how.ticket, ignored));
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
  if (got && !answer_in(*got)->ignored) {
    self.demonitor(child.monitor);
    co_return started::ok(child.process);
  }
  if (!got) self.exit(child.process, exit_reason::kill());
  auto ending = see_end(self, child);
  co_await std::move(ending);
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

bool has_tag(const message& received, std::string_view tag) {
  const message_type* type = received.peek()->type;
  if (!type) return false;
  return type->tag.empty() ? received.tag() == tag : type->tag == tag;
}

server_event classify(server_context& context, message& received) {
  // Without a parent it is the node itself that ends it: node::stop names nobody.
  auto exit_event = [&context](const exit_message& exit) {
    return exit.from == context.parent ? server_event::parent_exit : server_event::exit;
  };
  if (content_if<down>(received)) return server_event::down;
  if (const auto* exit = content_if<exit_message>(received)) return exit_event(*exit);
  const std::string tag = received.tag();
  if (is_system_tag(tag)) return server_event::system;
  // As they come from another node or from a script.
  if (tag == "DOWN" && received.get<down>()) return server_event::down;
  if (tag == "EXIT") {
    if (const auto* exit = received.get<exit_message>()) return exit_event(*exit);
  }
  return server_event::other;
}

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
  } else {
    context.suspended = tag == "sys.suspend";
  }
  answer_nothing(self, request);
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
                     {{"server", server_name(self, context.entry)},
                      {"why", told.text()},
                      {"message", received.to_value().print(shown_depth, shown_width)}});
}

void refuse_unknown(process& self, server_context& context, message& received) {
  ++context.refused;
  std::string name = server_name(self, context.entry);
  std::string content = received.to_value().print(shown_depth, shown_width);
  if (received.is_call()) {
    self.exit(exit_reason(list_of({"function_clause", name + ": no handler takes the call " + content})));
  }
  self.log().warning("message that no handler takes", {{"server", std::move(name)}, {"message", std::move(content)}});
}

void answer_nothing(process& self, message& request) {
  if (request.is_call() && !request.peek()->replied) self.reply(request, value());
}

void refuse_cast(process& self, const error& why) {
  self.log().warning("cast failed: nobody waits for its error", {{"error", why.message()}});
}

std::string handler_name(process& self, const char* entry, std::string_view tag) {
  std::string base = server_name(self, entry) + ".";
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
                                                     {"server", server_name(self, context.entry)},
                                                     {"reason", reason.term()},
                                                     {"last_message", std::move(shown_last)},
                                                     {"state", std::move(shown_state)}});
}

}  // namespace detail
}  // namespace troupe
