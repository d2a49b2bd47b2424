#pragma once
// What supervisors of every kind do alike: start functions, reports in the log.
#include <string_view>

#include <troupe/supervisor.hpp>

#include "otp/restarts.hpp"

namespace troupe::internal {

// Runs the user's start function. What it throws is a start that failed, not the supervisor's end.
task<started> run_start(process& self, child_start start);
[[nodiscard]] error start_error(const started& outcome);
[[nodiscard]] child_info info_of(const child_spec& spec, pid process, bool restarting);

// What a handler of try_again returns when it has nothing to start: a task, never an empty one.
[[nodiscard]] task<> nothing_to_do();
[[nodiscard]] task<> refuse_retry(process& self, std::string_view supervisor, message& got);

void report_child(process& self, std::string_view context, std::string_view supervisor, const child_spec& about,
                  pid process, const exit_reason& reason);
void report_progress(process& self, std::string_view supervisor, const child_spec& about, pid process);
// Too many restarts: says so, and ends this process with `shutdown`.
[[noreturn]] void give_up(process& self, const std::string& supervisor, const std::string& child,
                          const restart_counter& counted);

}  // namespace troupe::internal
