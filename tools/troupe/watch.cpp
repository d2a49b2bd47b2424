#include <unistd.h>

#include <iostream>

#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

using namespace std::chrono_literals;

struct job {
  std::string node, process;
  std::int64_t count = 0;  // 0: no end
  bool wait = false, json = false;
  duration within = wait_forever;
};

struct verdict {
  int status = internal::exit_ok;
  error why;  // printed when it has a code
};

void tell_watching(const job& what, bool again) {
  if (what.json) return;
  emit("watching " + what.process + " on " + what.node + (again ? " again\n" : "\n"));
}

void tell_end(const job& what, const down& ended) {
  if (what.json) {
    emit_json(map_of({{"process", value(what.process)},
                      {"pid", ended.process ? value(ended.process) : value()},
                      {"reason", ended.reason.term()}}));
    return;
  }
  std::string who = what.process;
  if (ended.process && ended.process.text() != who) who += " " + ended.process.text();
  emit(time_of_day() + " " + who + " ended: " + ended.reason.text() + "\n");
}

// Monitors, tells the reason, monitors again. A name is looked up at each arming, so a restarted process is met again.
task<> watch(process& self, const job* what, verdict* out) {
  const time_point deadline = deadline_after(self.now(), what->within);
  auto parsed = what->process.starts_with('<') ? pid::parse(what->process) : result<pid>(errc::not_found);
  const address target = parsed ? address(*parsed) : address(what->process, what->node);
  std::int64_t seen = 0;
  bool told = false;    // "watching", for this arming
  bool absent = false;  // the last look found nobody
  for (;;) {
    ref armed = self.monitor(target);
    // A missing process answers at once: what stays silent for a moment is there.
    auto got = co_await self.receive<down>(50ms);
    if (!got && !told) {
      tell_watching(*what, seen > 0);
      told = true;
    }
    if (!got) got = co_await self.receive<down>(deadline == time_point::max() ? wait_forever : deadline - self.now());
    if (!got) {
      self.demonitor(armed);
      *out = {internal::exit_timeout, error(errc::timeout, what->process + " did not end in time")};
      co_return;
    }
    if (got->reason.is("noconnection")) {
      *out = {internal::exit_unreachable, error(errc::noconnection, what->node + " is gone")};
      co_return;
    }
    if (!got->reason.is("noproc")) {
      tell_end(*what, *got);
      told = absent = false;
      if (++seen == what->count || parsed) co_return;
      continue;
    }
    if (!what->wait) {
      // As in OTP's loop: the end is when nobody has the name at the moment of arming.
      if (seen == 0)
        *out = {internal::exit_failed, error(errc::noproc, "no process " + what->process + " on " + what->node)};
      else std::cerr << "no process " << what->process << " now; with --wait it is waited for\n";
      co_return;
    }
    if (!absent && !what->json) std::cerr << "waiting for " << what->process << "\n";
    absent = true;
    if (self.now() >= deadline) {
      *out = {internal::exit_timeout, error(errc::timeout, what->process + " did not come back in time")};
      co_return;
    }
    co_await self.sleep(50ms);
  }
}

int run(const parsed_options& given) {
  int status = internal::exit_ok;
  auto here = session::open("watch", given, status);
  if (!here) return status;
  job what{here->target(),    given.text("PROCESS"), given.count("count"),
           given.has("wait"), given.has("json"),     given.time("within", wait_forever)};
  verdict out;
  here->on_interrupt([] { _exit(internal::exit_ok); });  // Ctrl-C is how one stops watching
  auto ended = here->run(wait_forever, [wanted = &what, to = &out](process& self) -> task<> {
    auto watching = watch(self, wanted, to);
    co_await std::move(watching);
  });
  if (!ended) return here->fail(ended.error());
  if (out.why.code() != errc::none) (void)here->fail(out.why);
  return out.status;
}

}  // namespace

command watch_command() {
  command_table rows;
  rows.name = "watch";
  rows.summary = "Tells why a process ends, each time that it does.";
  rows.arguments = {node_argument(), {"PROCESS", "a registered name, followed across restarts; or a pid"}};
  rows.options =
      with_session({{"--count", takes::count, "N", "end after so many ends"},
                    {"--wait", takes::nothing, "", "when nobody has the name, wait for somebody who takes it"},
                    {"--within", takes::time, "TIME", "give up after TIME: exit code 4"}});
  rows.notes =
      "Without --wait it ends when nobody has the name at the moment of looking: 1 when that is at once, else 0. "
      "Ctrl-C ends it.";
  rows.example = "troupe watch exercise exercise.calculator --wait --count 1";
  return {std::move(rows), run};
}

}  // namespace troupe::tool
