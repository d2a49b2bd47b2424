#include "observe/observer.hpp"

#include "runtime/own.hpp"

namespace troupe::internal {

observer::observer(detail::core& home) : home_(home), tracing_(home), started_(home.clock().now()) {}

observer::~observer() { home_.set_probe(nullptr); }

observer& attach_observer(detail::core& home) {
  observer& out = home.attach(std::make_unique<observer>(home));
  home.set_probe(&out);
  return out;
}

// Others wait for what it does, and nobody else does it: better a node that is seen to go than one that hangs.
static void pillar_ended(detail::core& home, process& self, const exit_reason& reason) {
  const std::string name = self.name();
  if (name == "troupe.groups") return;  // starts anew by itself, from its table
  auto* stopper = home.find<detail::node_stopper>();
  logger(home.log())
      .critical(stopper ? "a process that the node rests on has ended: the node goes down"
                        : "a process that the node rests on has ended: the program should end this node",
                {{"name", value(name)}, {"reason", reason.term()}});
  if (stopper) stopper->request_stop(name + " ended: " + reason.text());
}

void observer::exited(process& self, const exit_reason& reason) {
  tracing_.exited(self, reason);
  if (!home_.stopping() && detail::is_pillar(home_, self.id())) pillar_ended(home_, self, reason);
  // As in OTP no report says that a process was killed or that a link's node is gone: the supervisor's does.
  const bool expected =
      reason.is_planned() || reason.term() == value("killed") || reason.term() == value("noconnection");
  if (!expected) report_crash(self, reason);
}

void observer::report_crash(process& self, const exit_reason& reason) {
  crash_reports_.fetch_add(1, std::memory_order_relaxed);
  log_sink* log = home_.log();
  if (!log || !log->enabled(log_level::error)) return;
  const detail::process_details about = detail::core::details(self, 0);
  const std::string pid_text = self.id().text();
  map fields;
  auto add = [&fields](std::string_view key, value item) { fields.emplace_back(value(key), std::move(item)); };
  list links;
  for (const pid other : about.links) links.emplace_back(other);
  list monitored_by;
  for (const pid other : about.monitored_by) monitored_by.emplace_back(other);
  add("report", "crash");
  add("pid", self.id());
  add("name", about.name);
  add("entry", about.summary.entry);
  add("reason", reason.term());
  add("label", about.label);
  if (about.parent) add("parent", about.parent);
  add("links", value(std::move(links)));
  add("monitored_by", value(std::move(monitored_by)));
  if (about.group_leader) add("group_leader", about.group_leader);
  add("queue", about.summary.queued);
  add("memory", about.summary.memory);
  for (const auto& [key, item] : about.metadata) fields.emplace_back(key, item);
  // It was waiting when its end came: by a signal from elsewhere, whose own report tells more. OTP keeps silent here.
  const bool by_signal = !about.waits_at.empty();
  if (by_signal) add("at", about.waits_at);
  log->log(by_signal ? log_level::info : log_level::error,
           (by_signal ? "process " : "crash report: process ") + (about.name.empty() ? pid_text : about.name) +
               (by_signal ? " ended by a signal: " : " ended: ") + reason.term().print(8, 1024),
           std::move(fields));
}

}  // namespace troupe::internal
