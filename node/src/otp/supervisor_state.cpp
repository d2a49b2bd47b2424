#include "otp/supervisor_state.hpp"

#include <algorithm>

#include <troupe/expect.hpp>

#include "otp/stop_process.hpp"
#include "otp/supervisor_report.hpp"
#include "runtime/process_private.hpp"

namespace troupe::internal {

supervisor_state::supervisor_state(troupe::supervisor plan)
    : plan_(std::move(plan)), restarts_(plan_.restarts(), plan_.period()) {
  for (const child_spec& spec : plan_.children()) children_.push_back({.spec = spec});
}

task<init_result> supervisor_state::init(process& self) {
  if (auto fits = check(plan_); !fits) co_return init_result::stop(exit_reason(fits.error()));
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
  for (const child& c : children_) out.push_back(info_of(c.spec, c.process, c.retry.pending()));
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
  if (children_[at].retry.pending()) co_return error(errc::restarting, ask.id);
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
  children_[at].retry.drop();
  if (children_[at].spec.restart == temporary) children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(at));
  co_return result<void>();
}

result<void> supervisor_state::on(const ask_delete_child& ask) {
  const position at = find(ask.id);
  if (at == nowhere) return error(errc::not_found, "no child " + ask.id);
  if (children_[at].process) return error(errc::running, ask.id);
  if (children_[at].retry.pending()) return error(errc::restarting, ask.id);
  children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(at));
  return {};
}

task<supervisor_state::start_reply> supervisor_state::on(process& self, ask_start_child ask) {
  if (!ask.spec || !ask.spec->start)
    co_return error(errc::unsupported, "a start function does not travel: start_child works inside a node");
  if (auto fits = check(*ask.spec, plan_.auto_shutdown()); !fits) co_return fits.error();
  const position known = find(ask.spec->id);
  if (known != nowhere) {
    if (children_[known].process) co_return error(errc::already_started, children_[known].process.text());
    co_return error(errc::name_taken, "child " + ask.spec->id + " is there and does not run");
  }
  child added{.spec = *ask.spec};
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

result<child_spec_info> supervisor_state::on(const ask_childspec& ask) const {
  const position at = find(ask.id);
  if (at == nowhere) return error(errc::not_found, "no child " + ask.id);
  const child_spec& spec = children_[at].spec;
  child_spec_info out;
  out.id = spec.id;
  out.restart = to_string(spec.restart);
  out.type = to_string(spec.type);
  out.stop_within_ms = spec.stop_within == wait_forever ? -1 : spec.stop_within / std::chrono::milliseconds(1);
  out.significant = spec.significant;
  out.backoff_ms = spec.backoff.first / std::chrono::milliseconds(1);
  return out;
}

// -- ends and restarts

task<> supervisor_state::on_exit(process& self, exit_message& ended) {
  const position at = find(ended.from);
  if (at == nowhere) return {};  // of a child that was replaced, or a stranger: OTP's supervisor ignores it too
  return child_ended(self, at, std::move(ended.reason));
}

void supervisor_state::on_down(process&, down&) {}

task<> supervisor_state::child_ended(process& self, position at, exit_reason reason) {
  const child_spec& spec = known(at).spec;
  const bool again = spec.restart == permanent || (spec.restart == transient && !reason.is_planned());
  if (spec.restart == permanent || !reason.is_planned())
    report(self, "child_terminated", children_[at], children_[at].process, reason);
  children_[at].process = {};
  if (!again) {
    const child_spec ended = spec;
    if (ended.restart == temporary) children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(at));
    end_if_significant(self, ended);
    co_return;
  }
  const duration pause = children_[at].pause.next(children_[at].spec.backoff, self.now());
  if (pause == duration::zero()) {
    auto restarting = restart(self, at);
    co_await std::move(restarting);
    co_return;
  }
  // Its siblings stop now, not when it is started.
  std::string id = children_[at].spec.id;
  if (plan_.strategy() != one_for_one) {
    auto stopping = stop_from(self, plan_.strategy() == one_for_all ? 0 : at);
    co_await std::move(stopping);
  }
  try_later(self, find(id), pause);
}

void supervisor_state::end_if_significant(process& self, const child_spec& ended) {
  if (!ended.significant || plan_.auto_shutdown() == auto_shutdown_type::never) return;
  const bool others = std::ranges::any_of(
      children_, [](const child& c) { return c.spec.significant && (c.process || c.retry.pending()); });
  if (plan_.auto_shutdown() == all_significant && others) return;
  self.log().notice("supervisor ends: its significant child has ended",
                    {{"supervisor", plan_.name()}, {"child", ended.id}});
  self.exit(exit_reason::shutdown());
}

void supervisor_state::try_later(process& self, position at, duration pause) {
  child& c = known(at);
  TROUPE_EXPECT(!c.process, "child", c.spec.id, "process", c.process.id());  // what runs is not started again
  c.retry.begin(++retries_);
  if (pause > duration::zero()) self.send_after(pause, self.id(), try_again(retries_, 0));
  else self.send(self.id(), try_again(retries_, 0));
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
    try_later(self, i, children_[i].pause.next(children_[i].spec.backoff, self.now()));
    co_return;
  }
}

task<> supervisor_state::on(process& self, const try_again& again, message& request) {
  if (!is_own(self, request)) return refuse_retry(self, plan_.name(), request);
  const auto found = std::ranges::find_if(children_, [&](const child& c) { return c.retry.is(again.retry); });
  if (found == children_.end()) return nothing_to_do();  // terminated, deleted, started or restarted meanwhile
  return restart(self, static_cast<position>(found - children_.begin()));
}

void supervisor_state::count_restart(process& self, const std::string& id) {
  if (!restarts_.count(self.now())) give_up(self, plan_.name(), id, restarts_);
}

task<> supervisor_state::terminate(process& self, const exit_reason&) { return stop_from(self, 0); }

// -- one child

task<started> supervisor_state::start_one(process& self, position at) {
  {
    const child& c = known(at);
    TROUPE_EXPECT(!c.process, "child", c.spec.id, "process", c.process.id());  // one process for each child
  }
  auto running = run_start(self, children_[at].spec.start);
  started outcome = co_await std::move(running);
  child& c = known(at);  // this process alone changes the list, between two of its messages
  c.retry.drop();
  if (outcome) {
    c.process = outcome.process();
    c.pause.ran(self.now());
    report_progress(self, plan_.name(), c.spec, c.process);
  } else if (outcome.what() != started::kind::ignore) {
    report(self, "start_error", c, outcome.process(), outcome.reason());
  }
  co_return outcome;
}

task<> supervisor_state::stop_one(process& self, position at) {
  const pid process = known(at).process;
  if (!process) co_return;
  const duration limit = children_[at].spec.stop_within;
  auto stopping = stop_process(self, process, limit);
  const stopped seen = co_await std::move(stopping);
  child& c = known(at);
  if (!stopped_as_asked(seen.reason, limit <= duration::zero(), c.spec.restart == permanent))
    report(self, "shutdown_error", c, process, seen.reason);
  c.process = {};
}

task<> supervisor_state::stop_from(process& self, position first) {
  for (position at = children_.size(); at-- > first;) {
    auto stopping = stop_one(self, at);
    co_await std::move(stopping);
    children_[at].retry.drop();
  }
  // As in OTP, a temporary child that was stopped with its siblings does not come back.
  for (position at = children_.size(); at-- > first;) {
    if (children_[at].spec.restart == temporary) children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

supervisor_state::child& supervisor_state::known(position at) {
  TROUPE_EXPECT(at < children_.size(), "at", at, "children", children_.size(), "supervisor", plan_.name());
  return children_[at];
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
                 {"restarts", restarts_.recent()},
                 {"allowed", plan_.restarts()},
                 {"period_ms", plan_.period() / std::chrono::milliseconds(1)},
                 {"auto_shutdown", to_string(plan_.auto_shutdown())},
                 {"children", std::move(children)}});
}

void supervisor_state::report(process& self, std::string_view context, const child& about, pid process,
                              const exit_reason& reason) const {
  report_child(self, context, plan_.name(), about.spec, process, reason);
}

}  // namespace troupe::internal
