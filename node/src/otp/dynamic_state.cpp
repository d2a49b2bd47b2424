#include "otp/dynamic_state.hpp"

#include <troupe/expect.hpp>

#include "dist/serving.hpp"
#include "otp/stop_process.hpp"
#include "otp/supervisor_report.hpp"
#include "runtime/process_private.hpp"

namespace troupe::internal {
namespace {

// A process of the catalogue as a child.
child_start start_of_entry(std::string entry, value arguments) {
  return [entry = std::move(entry), arguments = std::move(arguments)](process& up) -> result<pid> {
    work_order order;
    order.what = op::spawn;
    order.entry = entry;
    order.arguments = arguments;
    order.leader = up.group_leader();
    order.link = true;
    auto made = serve_spawn(up.core(), order, &up, false);
    if (!made) return made.error();
    return made->process;
  };
}

result<restart_type> parse_restart(const std::string& word) {
  if (word.empty() || word == "temporary") return temporary;
  if (word == "transient") return transient;
  if (word == "permanent") return permanent;
  return error(errc::bad_argument, "restart \"" + word + "\": permanent, transient or temporary expected");
}

}  // namespace

dynamic_state::dynamic_state(dynamic_supervisor plan)
    : plan_(std::move(plan)), restarts_(plan_.restarts(), plan_.period()) {}

void dynamic_state::init(process& self) {
  self.trap_exits(true);
  detail::process_private::trace(self).fetch_or(detail::trace_flag::supervisor, std::memory_order_relaxed);
}

result<void> dynamic_state::room() const {
  if (children_.size() < plan_.most()) return {};
  return error(errc::system_limit, (plan_.name().empty() ? "the supervisor" : plan_.name()) +
                                       " has max_children = " + std::to_string(plan_.most()) + " children");
}

// -- tasks

result<pid> dynamic_state::start_task(process& self, const std::string& function, value arguments, pid keeper,
                                      std::uint64_t id, std::shared_ptr<near_work> near) {
  if (auto free = room(); !free) return free.error();
  spawn_options options;
  options.link = true;
  if (near) {
    options.entry = "troupe.task";
    auto made = try_spawn(self, std::move(options), &run_near_task, keeper, std::move(near));
    if (!made) return made.error();
    add_task("task", made->process);
    return made->process;
  }
  if (function.empty()) return error(errc::unsupported, "a function of C++ does not travel: name one of the catalogue");
  const catalogue_entry* found = self.core().options().offers.find(function);
  if (!found || found->what != catalogue_entry::kind::function)
    return error(errc::undef, "\"" + function + "\" is no function offered by " + self.node().name());
  options.entry = found->name.c_str();
  auto made = try_spawn(self, std::move(options), &run_far_task, keeper, id, found, std::move(arguments));
  if (!made) return made.error();
  add_task(function, made->process);
  return made->process;
}

void dynamic_state::add_task(std::string id, pid process) {
  child added;
  added.spec.id = std::move(id);
  added.spec.restart = temporary;
  added.spec.stop_within = plan_.stop_within();
  added.process = process;
  by_pid_.emplace(process, next_);
  children_.emplace(next_++, std::move(added));
}

void dynamic_state::on(process& self, task_run order) {
  auto made =
      start_task(self, order.function, std::move(order.arguments), order.keeper, order.id, std::move(order.near));
  if (made) self.send(order.keeper, task_started(order.id, *made));
  else self.send(order.keeper, task_refused(order.id, made.error()));
}

result<pid> dynamic_state::on(process& self, ask_start_task ask) {
  return start_task(self, ask.function, std::move(ask.arguments), pid(), 0, std::move(ask.near));
}

// -- children of other kinds

task<dynamic_state::start_reply> dynamic_state::on(process& self, ask_start_child ask) {
  if (!ask.spec || !ask.spec->start)
    co_return error(errc::unsupported, "a start function does not travel: start_child_from works between nodes");
  if (auto free = room(); !free) co_return free.error();
  const number at = next_++;
  children_[at].spec = *ask.spec;
  auto starting = start(self, at);
  started outcome = co_await std::move(starting);
  if (outcome) co_return std::optional<pid>(outcome.process());
  forget(at);
  if (outcome.what() == started::kind::ignore) co_return std::optional<pid>();
  co_return start_error(outcome);
}

task<result<pid>> dynamic_state::on(process& self, ask_start_from ask) {
  auto restart = parse_restart(ask.restart);
  if (!restart) co_return restart.error();
  if (auto free = room(); !free) co_return free.error();
  // Errors of the catalogue are told as they are; a start function would make an exit reason of them.
  const catalogue_entry* found = self.core().options().offers.find(ask.entry);
  if (!found || found->what != catalogue_entry::kind::process)
    co_return error(errc::undef, "\"" + ask.entry + "\" is no process offered by " + self.node().name());
  const number at = next_++;
  child_spec& spec = children_[at].spec;
  spec.id = ask.entry;
  spec.restart = *restart;
  spec.start = start_of_entry(std::move(ask.entry), std::move(ask.arguments));
  auto starting = start(self, at);
  started outcome = co_await std::move(starting);
  if (outcome) co_return outcome.process();
  forget(at);
  co_return start_error(outcome);
}

std::vector<child_info> dynamic_state::on(const ask_which_children&) const {
  std::vector<child_info> out;
  out.reserve(children_.size());
  for (const auto& [at, c] : children_) out.push_back(info_of(c.spec, c.process, c.retry.pending()));
  return out;
}

child_counts dynamic_state::on(const ask_count_children&) const {
  child_counts out;
  out.specs = children_.size();
  for (const auto& [at, c] : children_) {
    out.active += c.process ? 1 : 0;
    ++(c.spec.type == child_type::supervisor ? out.supervisors : out.workers);
  }
  return out;
}

task<result<void>> dynamic_state::on(process& self, ask_terminate_process ask) {
  const auto found = by_pid_.find(ask.process);
  if (found == by_pid_.end()) co_return error(errc::not_found, "no child " + ask.process.text());
  const number at = found->second;
  const child_spec spec = known(at).spec;
  auto stopping = stop_process(self, ask.process, spec.stop_within);
  const stopped seen = co_await std::move(stopping);
  const bool at_once = spec.stop_within <= duration::zero();
  if (!stopped_as_asked(seen.reason, at_once, spec.restart == permanent))
    report(self, "shutdown_error", known(at), ask.process, seen.reason);
  forget(at);
  co_return result<void>();
}

// -- ends and restarts

task<> dynamic_state::on_exit(process& self, exit_message& ended) {
  const auto found = by_pid_.find(ended.from);
  if (found == by_pid_.end()) return {};
  const number at = found->second;
  child& c = known(at);
  const bool again = c.spec.restart == permanent || (c.spec.restart == transient && !ended.reason.is_planned());
  if (c.spec.restart == permanent || !ended.reason.is_planned())
    report(self, "child_terminated", c, ended.from, ended.reason);
  if (!again) {
    forget(at);
    return {};
  }
  by_pid_.erase(found);
  c.process = {};
  if (const duration pause = c.pause.next(c.spec.backoff, self.now()); pause > duration::zero()) {
    try_later(self, at, pause);
    return {};
  }
  return restart(self, at);
}

void dynamic_state::try_later(process& self, number at, duration pause) {
  child& c = known(at);
  TROUPE_EXPECT(!c.process, "child", c.spec.id, "process", c.process.id());  // what runs is not started again
  c.retry.begin(++retries_);
  if (pause > duration::zero()) self.send_after(pause, self.id(), try_again(retries_, at));
  else self.send(self.id(), try_again(retries_, at));
}

task<> dynamic_state::on(process& self, const try_again& again, message& request) {
  if (!is_own(self, request)) return refuse_retry(self, plan_.name(), request);
  const auto found = children_.find(again.child);
  if (found == children_.end() || !found->second.retry.is(again.retry)) return nothing_to_do();
  return restart(self, found->first);
}

task<> dynamic_state::restart(process& self, number at) {
  if (!restarts_.count(self.now())) give_up(self, plan_.name(), known(at).spec.id, restarts_);
  auto starting = start(self, at);
  started outcome = co_await std::move(starting);
  if (outcome) co_return;
  if (outcome.what() == started::kind::ignore) {
    forget(at);
    co_return;
  }
  child& c = known(at);
  try_later(self, at, c.pause.next(c.spec.backoff, self.now()));
}

task<started> dynamic_state::start(process& self, number at) {
  {
    const child& c = known(at);
    TROUPE_EXPECT(!c.process, "child", c.spec.id, "process", c.process.id());  // one process for each child
  }
  auto running = run_start(self, known(at).spec.start);
  started outcome = co_await std::move(running);
  child& c = known(at);
  c.retry.drop();
  if (outcome) {
    c.process = outcome.process();
    c.pause.ran(self.now());
    by_pid_[c.process] = at;
    report_progress(self, plan_.name(), c.spec, c.process);
  } else if (outcome.what() != started::kind::ignore) {
    report(self, "start_error", c, outcome.process(), outcome.reason());
  }
  co_return outcome;
}

dynamic_state::child& dynamic_state::known(number at) {
  const auto found = children_.find(at);
  TROUPE_EXPECT(found != children_.end(), "number", at, "children", children_.size(), "supervisor", plan_.name());
  return found->second;
}

void dynamic_state::forget(number at) {
  const auto found = children_.find(at);
  if (found == children_.end()) return;
  by_pid_.erase(found->second.process);
  children_.erase(found);
}

// All at once; each has its own time. Their exit messages and DOWNs end with this process.
task<> dynamic_state::terminate(process& self, const exit_reason&) { return stop_all(self); }

task<> dynamic_state::stop_all(process& self) {
  struct ending {
    number at = 0;
    time_point deadline;
    bool killed = false;
  };
  std::map<ref, ending> waiting;
  const auto kill_time = std::chrono::seconds(5);
  for (const auto& [at, c] : children_) {
    if (!c.process) continue;
    const bool at_once = c.spec.stop_within <= duration::zero();
    const duration within = at_once ? duration(kill_time) : c.spec.stop_within;
    waiting.emplace(self.monitor(c.process), ending{at, detail::wait_deadline(self, within), at_once});
    self.exit(c.process, at_once ? exit_reason::kill() : exit_reason::shutdown());
  }
  auto is_end = [](const message& m) { return m.peek()->type == &detail::type_of<down>; };
  while (!waiting.empty()) {
    time_point first = time_point::max();
    for (const auto& [watch, one] : waiting) first = std::min(first, one.deadline);
    const duration left =
        first == time_point::max() ? wait_forever : std::max(duration::zero(), duration(first - self.now()));
    auto got = co_await self.receive_if(is_end, left);
    if (got) {
      const down& end = *static_cast<const down*>(got->peek()->payload());
      const auto found = waiting.find(end.monitor);
      if (found == waiting.end()) continue;
      const child& c = known(found->second.at);
      if (!stopped_as_asked(end.reason, found->second.killed && c.spec.stop_within <= duration::zero(),
                            c.spec.restart == permanent))
        report(self, "shutdown_error", c, c.process, end.reason);
      waiting.erase(found);
      continue;
    }
    const time_point now = self.now();
    for (auto at = waiting.begin(); at != waiting.end();) {
      ending& one = at->second;
      const child& c = known(one.at);
      if (one.deadline > now) {
        ++at;
      } else if (!one.killed) {
        one.killed = true;
        one.deadline = now + kill_time;
        self.exit(c.process, exit_reason::kill());
        ++at;
      } else {
        // It holds its worker: it ends when it lets go.
        report(self, "shutdown_error", c, c.process, exit_reason("killed"));
        at = waiting.erase(at);
      }
    }
  }
}

// -- what others see

value dynamic_state::state() const {
  return map_of({{"name", plan_.name()},
                 {"children", children_.size()},
                 {"max_children", plan_.most() == static_cast<std::size_t>(-1) ? value() : value(plan_.most())},
                 {"restarts", restarts_.recent()},
                 {"allowed", restarts_.allowed()},
                 {"period_ms", restarts_.period() / std::chrono::milliseconds(1)}});
}

void dynamic_state::report(process& self, std::string_view context, const child& about, pid process,
                           const exit_reason& reason) const {
  report_child(self, context, plan_.name(), about.spec, process, reason);
}

}  // namespace troupe::internal
