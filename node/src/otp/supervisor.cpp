#include <troupe/supervisor.hpp>

#include <algorithm>
#include <stdexcept>

#include "otp/supervisor_state.hpp"

namespace troupe {

std::string_view to_string(strategy_type s) noexcept {
  switch (s) {
    case one_for_one: return "one_for_one";
    case one_for_all: return "one_for_all";
    case rest_for_one: return "rest_for_one";
  }
  return "?";
}
std::string_view to_string(restart_type r) noexcept {
  switch (r) {
    case permanent: return "permanent";
    case transient: return "transient";
    case temporary: return "temporary";
  }
  return "?";
}
std::string_view to_string(child_type c) noexcept { return c == child_type::supervisor ? "supervisor" : "worker"; }

std::string_view to_string(auto_shutdown_type a) noexcept {
  switch (a) {
    case auto_shutdown_type::never: return "never";
    case any_significant: return "any_significant";
    case all_significant: return "all_significant";
  }
  return "?";
}

namespace detail {

task<started> start_done(started outcome) { co_return outcome; }

task<started> start_then_link(process& supervisor, started outcome) {
  // One that has ended meanwhile answers with an exit message, which the supervisor treats as its end.
  if (outcome) supervisor.link(outcome.process());
  co_return outcome;
}

}  // namespace detail

supervisor& supervisor::child(child_spec spec) {
  if (std::ranges::find(children_, spec.id, &child_spec::id) != children_.end()) {
    throw std::invalid_argument("supervisor " + name_ + ": child " + spec.id + " given twice");
  }
  children_.push_back(std::move(spec));
  return *this;
}
supervisor& supervisor::child(std::string id, child_start start) {
  return child(child_spec{.id = std::move(id), .start = std::move(start)});
}
supervisor& supervisor::child(std::string id, supervisor nested) {
  auto start = [plan = std::move(nested)](process& up) { return start_supervisor(up, plan); };
  return child(child_spec{
      .id = std::move(id), .start = std::move(start), .type = child_type::supervisor, .stop_within = wait_forever});
}
supervisor& supervisor::restart(restart_type when) {
  if (children_.empty()) throw std::invalid_argument("supervisor " + name_ + ": restart() follows a child");
  children_.back().restart = when;
  return *this;
}
supervisor& supervisor::stop_within(duration limit) {
  if (children_.empty()) throw std::invalid_argument("supervisor " + name_ + ": stop_within() follows a child");
  children_.back().stop_within = limit;
  return *this;
}

supervisor& supervisor::significant() {
  if (children_.empty()) throw std::invalid_argument("supervisor " + name_ + ": significant() follows a child");
  children_.back().significant = true;
  return *this;
}
supervisor& supervisor::backoff(duration first, duration most) {
  if (children_.empty()) throw std::invalid_argument("supervisor " + name_ + ": backoff() follows a child");
  children_.back().backoff = {first, most};
  return *this;
}

result<void> check(const child_spec& spec, auto_shutdown_type of) {
  auto wrong = [&spec](const std::string& what) {
    return result<void>(error(errc::bad_argument, "child \"" + spec.id + "\": " + what));
  };
  if (!spec.start) return wrong("it has no start function");
  if (spec.stop_within < duration::zero()) return wrong("stop_within is negative");
  if (spec.backoff.first < duration::zero() || spec.backoff.most < spec.backoff.first)
    return wrong("its backoff's first pause is negative, or longer than the longest");
  if (spec.significant && spec.restart == permanent)
    return wrong("a significant child is transient or temporary, not permanent");
  if (spec.significant && of == auto_shutdown_type::never)
    return wrong("it is significant, but its supervisor has auto_shutdown never");
  return {};
}

result<void> check(const supervisor& plan) {
  for (const child_spec& spec : plan.children()) {
    if (auto fits = check(spec, plan.auto_shutdown()); !fits)
      return error(errc::bad_argument, "supervisor " + plan.name() + ", " + fits.error().text());
  }
  return {};
}

namespace {

// Each child has a deadline of its own.
server_options options_of(const supervisor& plan) { return {.name = plan.name(), .start_within = wait_forever}; }

}  // namespace

task<started> start_supervisor(process& self, supervisor plan) {
  const server_options options = options_of(plan);
  return start_link<internal::supervisor_state>(self, options, std::move(plan));
}

started start_supervisor(node& where, supervisor plan) {
  server_options options = options_of(plan);
  return start_server<internal::supervisor_state>(where, std::move(options), std::move(plan));
}

call_awaiter<std::vector<child_info>> which_children(process& self, address supervisor) {
  return call(self, std::move(supervisor), ask_which_children());
}
call_awaiter<child_counts> count_children(process& self, address supervisor) {
  return call(self, std::move(supervisor), ask_count_children());
}
call_awaiter<std::optional<pid>> restart_child(process& self, address supervisor, std::string id) {
  return call(self, std::move(supervisor), ask_restart_child(std::move(id)));
}
call_awaiter<void> terminate_child(process& self, address supervisor, std::string id) {
  return call(self, std::move(supervisor), ask_terminate_child(std::move(id)));
}
call_awaiter<void> delete_child(process& self, address supervisor, std::string id) {
  return call(self, std::move(supervisor), ask_delete_child(std::move(id)));
}
call_awaiter<child_spec_info> get_childspec(process& self, address supervisor, std::string id) {
  return call(self, std::move(supervisor), ask_childspec(std::move(id)));
}
call_awaiter<std::optional<pid>> start_child(process& self, address supervisor, const child_spec& spec) {
  ask_start_child ask(spec.id);
  ask.spec = std::make_shared<const child_spec>(spec);
  return call(self, std::move(supervisor), std::move(ask));
}

}  // namespace troupe
