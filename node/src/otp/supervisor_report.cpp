#include "otp/supervisor_report.hpp"

#include "otp/strangers.hpp"
#include "runtime/process_private.hpp"

namespace troupe::internal {

error start_error(const started& outcome) {
  if (outcome.what() == started::kind::already_started) return {errc::already_started, outcome.process().text()};
  return {errc::exited, outcome.reason().text()};
}

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

child_info info_of(const child_spec& spec, pid process, bool restarting) {
  child_info out;
  out.id = spec.id;
  if (process) out.pid = process;
  out.status = process ? "running" : restarting ? "restarting" : "undefined";
  out.type = to_string(spec.type);
  out.restart = to_string(spec.restart);
  return out;
}

task<> nothing_to_do() { co_return; }

task<> refuse_retry(process& self, std::string_view supervisor, message& got) {
  refuse_stranger(self, supervisor.empty() ? "supervisor" : supervisor, got);
  return nothing_to_do();
}

void report_child(process& self, std::string_view context, std::string_view supervisor, const child_spec& about,
                  pid process, const exit_reason& reason) {
  self.log().error("supervisor report: " + std::string(context) + " " + about.id + ": " + reason.text(),
                   {{"report", "supervisor"},
                    {"context", context},
                    {"supervisor", supervisor},
                    {"child", about.id},
                    {"child_pid", process ? value(process) : value()},
                    {"reason", reason.term()},
                    {"restart", to_string(about.restart)},
                    {"child_type", to_string(about.type)}});
}

void report_progress(process& self, std::string_view supervisor, const child_spec& about, pid process) {
  self.log().info("started " + about.id, {{"report", "progress"},
                                          {"supervisor", supervisor},
                                          {"child", about.id},
                                          {"child_pid", process},
                                          {"child_type", to_string(about.type)}});
}

void give_up(process& self, const std::string& supervisor, const std::string& child, const restart_counter& counted) {
  self.log().error("supervisor gives up: too many restarts",
                   {{"report", "supervisor"},
                    {"context", "shutdown"},
                    {"supervisor", supervisor},
                    {"child", child},
                    {"reason", "reached_max_restart_intensity"},
                    {"restarts", counted.recent()},
                    {"allowed", counted.allowed()},
                    {"period_ms", counted.period() / std::chrono::milliseconds(1)}});
  self.exit(exit_reason::shutdown());
}

}  // namespace troupe::internal
