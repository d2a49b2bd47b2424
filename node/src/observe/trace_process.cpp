#include "observe/trace_process.hpp"

#include <troupe/trace.hpp>

#include "observe/observer.hpp"
#include "otp/strangers.hpp"
#include "runtime/own.hpp"

namespace troupe::internal {

task<> run_trace_session(process& self, std::shared_ptr<trace_session> session) {
  trace_engine& engine = self.core().find<observer>()->tracing();
  if (session->owner != self.id()) self.monitor(session->owner);
  if (session->to != session->owner) self.monitor(session->to);
  self.trap_exits(true);  // whoever links itself to a session ends it in order
  for (;;) {
    const duration left = session->deadline() - self.now();
    auto got = co_await self.receive(std::max(left, duration::zero()));
    if (!got) {
      session->trip("time");
      break;
    }
    if (auto* acknowledged = got->get<trace::more>()) {
      session->acknowledge(acknowledged->events);
    } else if (got->get<trace::stop_request>()) {
      session->trip("stopped");  // unless it has tripped already: then this is its own word of it
      break;
    } else if (got->peek()->kind == detail::signal::down || is_genuine_exit(*got)) {
      session->trip("stopped", "The trace ended with its reader.");
      break;
    } else {
      refuse_stranger(self, "troupe.trace", *got);
    }
  }
  engine.close(session);
}

task<> trace_entry(process& self, value given) {
  auto* watching = self.core().find<observer>();
  if (!watching) self.exit(exit_reason(error(errc::unsupported, "this node observes nothing")));
  trace::spec what = trace::spec::from(given).or_exit();
  if (!what.to) self.exit(exit_reason(error(errc::bad_argument, "to: the pid that reads the trace is missing")));
  auto session = watching->tracing().prepare(std::move(what), self.id()).or_exit();
  session->process(self.id());
  watching->tracing().open(session);
  auto running = run_trace_session(self, std::move(session));
  co_await std::move(running);
}

}  // namespace troupe::internal

namespace troupe::trace {

result<session> start(process& self, spec what) {
  auto* watching = self.core().find<internal::observer>();
  if (!watching) return error(errc::unsupported, "this node observes nothing");
  auto prepared = watching->tracing().prepare(std::move(what), self.id());
  if (!prepared) return prepared.error();
  spawn_options options;
  options.entry = "troupe.trace";
  options.group_leader = self.group_leader();
  auto spawned = detail::spawn_own(detail::own_kind::worker, self.core(), nullptr, std::move(options),
                                   &internal::run_trace_session, *prepared);
  if (!spawned) return spawned.error();
  (*prepared)->process(spawned->process);
  session out;
  out.process = spawned->process;
  out.matched = watching->tracing().open(*prepared);
  return out;
}

result<std::size_t> matching(process& self, spec what) {
  auto* watching = self.core().find<internal::observer>();
  if (!watching) return error(errc::unsupported, "this node observes nothing");
  return watching->tracing().matching(std::move(what));
}

void stop(process& self, const session& which) { self.send(which.process, stop_request(true)); }

std::size_t stop_all(node& where) {
  auto* watching = where.core().find<internal::observer>();
  return watching ? watching->tracing().close_all() : 0;
}

}  // namespace troupe::trace
