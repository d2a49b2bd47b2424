#include "otp/supervisor_state.hpp"

#include <algorithm>

#include "runtime/process_private.hpp"

namespace troupe::internal {
namespace {

error start_error(const started& outcome) {
  if (outcome.what() == started::kind::already_started) return {errc::already_started, outcome.process().text()};
  return {errc::exited, outcome.reason().text()};
}

// Runs the user's start function. What it throws is a start that failed, not the supervisor's end.
task<started> run_start(process& self, child_start start) {
  std::exception_ptr thrown;
  try {
    auto running = start(self);
    started outcome = co_await std::move(running);
    co_return outcome;
  } catch (...) {
    thrown = std::current_exception();
  }
  co_return started::failed(detail::reason_of(thrown));
}

// Waits until `watch` says that its process has ended. Nothing when it has not within `limit`.
task<std::optional<exit_reason>> await_end(process& self, ref watch, duration limit) {
  auto ended = [&watch](const message& m) {
    return m.peek()->type == &detail::type_of<down> && static_cast<const down*>(m.peek()->payload())->monitor == watch;
  };
  auto got = co_await self.receive_if(ended, limit);
  if (!got) co_return std::nullopt;
  co_return got->get<down>()->reason;
}

// The exit message of a process that has ended, if it has come.
task<std::optional<exit_reason>> take_exit(process& self, pid process) {
  auto its_exit = [&process](const message& m) {
    return m.peek()->type == &detail::type_of<exit_message> &&
           static_cast<const exit_message*>(m.peek()->payload())->from == process;
  };
  auto got = co_await self.receive_if(its_exit, duration::zero());
  if (!got) co_return std::nullopt;
  co_return got->get<exit_message>()->reason;
}

}  // namespace

supervisor_state::supervisor_state(troupe::supervisor plan) : plan_(std::move(plan)) {
  for (const child_spec& spec : plan_.children()) children_.push_back({spec, {}, false});
}

task<init_result> supervisor_state::init(process& self) {
  self.trap_exits(true);
  detail::process_private::trace(self).fetch_or(detail::trace_flag::supervisor, std::memory_order_relaxed);
  for (position at = 0; at < children_.size(); ++at) {
    auto starting = start_one(self, at);
    started outcome = co_await std::move(starting);
    if (outcome || outcome.what() == started::kind::ignore) continue;
    std::string id = children_[at].spec.id;  // temporary children go when they are stopped, and it moves
    auto stopping = stop_from(self, 0);
    co_await std::move(stopping);
    value why = outcome.reason().term();
    value detail = list_of({"failed_to_start_child", std::move(id), std::move(why)});
    co_return init_result::stop(exit_reason(list_of({"shutdown", std::move(detail)})));
  }
  // A temporary child that was ignored leaves nothing behind.
  std::erase_if(children_, [](const child& c) { return !c.process && c.spec.restart == temporary; });
  co_return init_result::ok();
}

// -- questions

std::vector<child_info> supervisor_state::on(const ask_which_children&) const {
  std::vector<child_info> out;
  for (const child& c : children_) {
    child_info info;
    info.id = c.spec.id;
    if (c.process) info.pid = c.process;
    info.status = c.process ? "running" : c.restarting ? "restarting" : "undefined";
    info.type = to_string(c.spec.type);
    info.restart = to_string(c.spec.restart);
    out.push_back(std::move(info));
  }
  return out;
}

child_counts supervisor_state::on(const ask_count_children&) const {
  child_counts out;
  out.specs = children_.size();
  for (const child& c : children_) {
    out.active += c.process ? 1 : 0;
    ++(c.spec.type == child_type::supervisor ? out.supervisors : out.workers);
  }
  return out;
}

task<supervisor_state::start_reply> supervisor_state::on(process& self, ask_restart_child ask) {
  const position at = find(ask.id);
  if (at == nowhere) co_return error(errc::not_found, "no child " + ask.id);
  if (children_[at].process) co_return error(errc::running, ask.id);
  if (children_[at].restarting) co_return error(errc::restarting, ask.id);
  auto starting = start_one(self, at);
  started outcome = co_await std::move(starting);
  if (outcome) co_return std::optional<pid>(outcome.process());
  if (outcome.what() == started::kind::ignore) co_return std::optional<pid>();
  co_return start_error(outcome);
}

task<result<void>> supervisor_state::on(process& self, ask_terminate_child ask) {
  const position at = find(ask.id);
  if (at == nowhere) co_return error(errc::not_found, "no child " + ask.id);
  auto stopping = stop_one(self, at);
  co_await std::move(stopping);
  children_[at].restarting = false;
  if (children_[at].spec.restart == temporary) children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(at));
  co_return result<void>();
}

result<void> supervisor_state::on(const ask_delete_child& ask) {
  const position at = find(ask.id);
  if (at == nowhere) return error(errc::not_found, "no child " + ask.id);
  if (children_[at].process) return error(errc::running, ask.id);
  if (children_[at].restarting) return error(errc::restarting, ask.id);
  children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(at));
  return {};
}

task<supervisor_state::start_reply> supervisor_state::on(process& self, ask_start_child ask) {
  if (!ask.spec || !ask.spec->start)
    co_return error(errc::unsupported, "a start function does not travel: start_child works inside a node");
  const position known = find(ask.spec->id);
  if (known != nowhere) {
    if (children_[known].process) co_return error(errc::already_started, children_[known].process.text());
    co_return error(errc::name_taken, "child " + ask.spec->id + " is there and does not run");
  }
  child added{*ask.spec, {}, false};
  children_.push_back(std::move(added));
  const position at = children_.size() - 1;
  auto starting = start_one(self, at);
  started outcome = co_await std::move(starting);
  if (outcome) co_return std::optional<pid>(outcome.process());
  const bool ignored = outcome.what() == started::kind::ignore;
  if (!ignored || children_[at].spec.restart == temporary) children_.pop_back();
  if (ignored) co_return std::optional<pid>();
  co_return start_error(outcome);
}

// -- ends and restarts

task<> supervisor_state::on_exit(process& self, exit_message& ended) {
  const position at = find(ended.from);
  if (at == nowhere) return {};  // of a child that was replaced, or a stranger: OTP's supervisor ignores it too
  return child_ended(self, at, std::move(ended.reason));
}

void supervisor_state::on_down(process&, down&) {}

task<> supervisor_state::child_ended(process& self, position at, exit_reason reason) {
  const child_spec& spec = children_[at].spec;
  const bool again = spec.restart == permanent || (spec.restart == transient && !reason.is_planned());
  if (spec.restart == permanent || !reason.is_planned())
    report(self, "child_terminated", children_[at], children_[at].process, reason);
  children_[at].process = {};
  if (!again) {
    if (spec.restart == temporary) children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(at));
    co_return;
  }
  auto restarting = restart(self, at);
  co_await std::move(restarting);
}

task<> supervisor_state::restart(process& self, position at) {
  count_restart(self, children_[at].spec.id);
  const position first = plan_.strategy() == one_for_all ? 0 : at;
  position behind = at + 1;
  if (plan_.strategy() != one_for_one) {
    auto stopping = stop_from(self, first);
    co_await std::move(stopping);
    behind = children_.size();  // temporary ones are gone
  }
  for (position i = first; i < behind; ++i) {
    // Those that had no process before (ignored, terminated by hand) get one as well, as in OTP.
    auto starting = start_one(self, i);
    started outcome = co_await std::move(starting);
    if (outcome || outcome.what() == started::kind::ignore) continue;
    children_[i].restarting = true;
    self.send(self.id(), try_again(children_[i].spec.id));
    co_return;
  }
}

task<> supervisor_state::on(process& self, try_again again) {
  const position at = find(again.id);
  if (at == nowhere || !children_[at].restarting) return {};  // terminated, deleted or started by hand meanwhile
  return restart(self, at);
}

void supervisor_state::count_restart(process& self, const std::string& id) {
  const time_point now = self.now();
  while (!restarts_.empty() && now - restarts_.front() > plan_.period()) restarts_.pop_front();
  restarts_.push_back(now);
  if (restarts_.size() <= plan_.restarts()) return;
  self.log().error("supervisor gives up: too many restarts",
                   {{"report", "supervisor"},
                    {"context", "shutdown"},
                    {"supervisor", plan_.name()},
                    {"child", id},
                    {"reason", "reached_max_restart_intensity"},
                    {"restarts", restarts_.size()},
                    {"allowed", plan_.restarts()},
                    {"period_ms", plan_.period() / std::chrono::milliseconds(1)}});
  self.exit(exit_reason::shutdown());
}

task<> supervisor_state::terminate(process& self, const exit_reason&) { return stop_from(self, 0); }

// -- one child

task<started> supervisor_state::start_one(process& self, position at) {
  auto running = run_start(self, children_[at].spec.start);
  started outcome = co_await std::move(running);
  child& c = children_[at];
  c.restarting = false;
  if (outcome) {
    c.process = outcome.process();
    report_progress(self, c);
  } else if (outcome.what() != started::kind::ignore) {
    report(self, "start_error", c, outcome.process(), outcome.reason());
  }
  co_return outcome;
}

task<> supervisor_state::stop_one(process& self, position at) {
  const pid process = children_[at].process;
  if (!process) co_return;
  const duration limit = children_[at].spec.stop_within;
  const ref watch = self.monitor(process);
  const bool at_once = limit <= duration::zero();
  self.exit(process, at_once ? exit_reason::kill() : exit_reason::shutdown());
  auto waiting = await_end(self, watch, at_once ? std::chrono::seconds(5) : limit);
  auto reason = co_await std::move(waiting);
  if (!reason && !at_once) {
    self.exit(process, exit_reason::kill());
    auto killing = await_end(self, watch, std::chrono::seconds(5));
    reason = co_await std::move(killing);
  }
  const bool seen = reason.has_value();
  auto taking = take_exit(self, process);
  auto told = co_await std::move(taking);
  if (told) reason = std::move(told);  // it had ended by itself: its monitor knows only noproc
  // A process that holds its worker cannot be stopped: it is reported, and ends when it lets go.
  if (!seen) self.demonitor(watch);
  if (!reason) reason = exit_reason("killed");
  child& c = children_[at];
  const bool asked = reason->is("shutdown") || reason->is("noproc") || (at_once && reason->is("killed")) ||
                     (reason->is_normal() && c.spec.restart != permanent);
  if (!asked) report(self, "shutdown_error", c, process, *reason);
  c.process = {};
}

task<> supervisor_state::stop_from(process& self, position first) {
  for (position at = children_.size(); at-- > first;) {
    auto stopping = stop_one(self, at);
    co_await std::move(stopping);
    children_[at].restarting = false;
  }
  // As in OTP, a temporary child that was stopped with its siblings does not come back.
  for (position at = children_.size(); at-- > first;) {
    if (children_[at].spec.restart == temporary) children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

supervisor_state::position supervisor_state::find(std::string_view id) const noexcept {
  auto found = std::ranges::find(children_, id, [](const child& c) -> std::string_view { return c.spec.id; });
  return found == children_.end() ? nowhere : static_cast<position>(found - children_.begin());
}
supervisor_state::position supervisor_state::find(pid process) const noexcept {
  auto found = std::ranges::find(children_, process, &child::process);
  return found == children_.end() || !process ? nowhere : static_cast<position>(found - children_.begin());
}

// -- what others see

value supervisor_state::state() const {
  value children = to_value(on(ask_which_children()));
  return map_of({{"name", plan_.name()},
                 {"strategy", to_string(plan_.strategy())},
                 {"restarts", restarts_.size()},
                 {"allowed", plan_.restarts()},
                 {"period_ms", plan_.period() / std::chrono::milliseconds(1)},
                 {"children", std::move(children)}});
}

void supervisor_state::report(process& self, std::string_view context, const child& about, pid process,
                              const exit_reason& reason) const {
  self.log().error("supervisor report: " + std::string(context) + " " + about.spec.id + ": " + reason.text(),
                   {{"report", "supervisor"},
                    {"context", context},
                    {"supervisor", plan_.name()},
                    {"child", about.spec.id},
                    {"child_pid", process ? value(process) : value()},
                    {"reason", reason.term()},
                    {"restart", to_string(about.spec.restart)},
                    {"child_type", to_string(about.spec.type)}});
}

void supervisor_state::report_progress(process& self, const child& about) const {
  self.log().info("started " + about.spec.id, {{"report", "progress"},
                                               {"supervisor", plan_.name()},
                                               {"child", about.spec.id},
                                               {"child_pid", about.process},
                                               {"child_type", to_string(about.spec.type)}});
}

}  // namespace troupe::internal
