#include "troupe/registry_watch.hpp"

#include <fnmatch.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <iostream>

#include "observe/registry_watch.hpp"
#include "troupe/output.hpp"
#include "troupe/session.hpp"

namespace troupe::tool {
namespace {

// Ctrl-C, from the signal thread to the process that reads.
struct interrupted {
  TROUPE_MESSAGE(interrupted, "tool.interrupted")
};

struct job {
  std::string node, kind, glob;
  bool json = false;
  std::int64_t count = 0;  // 0: no end
  duration interval{}, within = wait_forever, patience{};
  std::atomic<std::uint64_t> reader{0};  // the id of the reading process, 0 before it runs
};

struct verdict {
  int status = internal::exit_ok;
  error why;  // printed when it has a code
};

value spec_of(const job& what, pid to) {
  list kinds;
  for (const char* each : {"local", "global", "groups", "locks"}) {
    if (what.kind == "all" || what.kind == each) kinds.emplace_back(each);
  }
  return map_of({{"to", to},
                 {"kinds", value(std::move(kinds))},
                 {"interval_ms", static_cast<std::int64_t>(what.interval / std::chrono::milliseconds(1))}});
}

void tell_change(const job& what, const value& change) {
  if (what.json) {
    map shown;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    shown.emplace_back(value("at_us"), value(static_cast<std::int64_t>(now / std::chrono::microseconds(1))));
    for (const auto& [key, item] : *change.entries()) shown.emplace_back(key, item);
    return emit_json(value(std::move(shown)));
  }
  std::string line = time_of_day();
  for (const char* key : {"kind", "what", "name", "pid"}) line += " " + plain_at(change, key);
  if (change.find("scope") && change.text_at("scope") != "pg") line += " of scope " + plain_at(change, "scope");
  if (change.find("fence")) line += " fence " + plain_at(change, "fence");
  emit(line + "\n");
}

// False: there were enough.
bool tell_all(const job& what, const std::vector<value>& changes, std::int64_t& seen) {
  for (const value& change : changes) {
    if (!what.glob.empty() && fnmatch(what.glob.c_str(), plain_at(change, "name").c_str(), 0) != 0) continue;
    tell_change(what, change);
    if (++seen == what.count) return false;
  }
  return true;
}

void tell_begun(const job& what, std::int64_t known) {
  std::cerr << "watching " << (what.kind == "all" ? "names, groups and locks" : what.kind) << " of " << what.node
            << ", " << known << " now; Ctrl-C ends it\n";
}

error why_ended(const job& what, const down& gone) {
  if (gone.reason.is("noconnection")) return {errc::noconnection, what.node + " is gone"};
  if (gone.reason.is("shutdown") || gone.reason.is("killed"))
    return {errc::noconnection, what.node + " ended the watch: it stops, or somebody ended the watch's process"};
  return {errc::exited, gone.reason.text()};
}

// The node's process looks and tells; it ends with this one.
task<> follow(process& self, job* what, verdict* out) {
  what->reader.store(self.id().id());
  value arguments = list_of({spec_of(*what, self.id())});
  const std::string entry(internal::registry_watch_entry);
  auto spawning = spawn_values_on(self, what->node, entry, std::move(arguments)).within(what->patience).monitored();
  auto made = co_await std::move(spawning);
  if (!made) {
    *out = {internal::exit_code(made.error()), made.error()};
    co_return;
  }
  const time_point end = deadline_after(self.now(), what->within);
  std::int64_t seen = 0;
  for (;;) {
    const bool for_ever = end == time_point::max();
    auto got = co_await self.receive(for_ever ? wait_forever : std::max(duration::zero(), duration(end - self.now())));
    if (!got || got->get<interrupted>()) co_return;
    if (auto* begun = got->get<internal::registry_watched>()) {
      if (!what->json) tell_begun(*what, begun->known);
    } else if (auto* changed = got->get<internal::registry_changes>()) {
      if (!tell_all(*what, changed->changes, seen)) co_return;
    } else if (auto* gone = got->get<down>()) {
      error why = why_ended(*what, *gone);
      *out = {internal::exit_code(why), why};
      co_return;
    }
  }
}

}  // namespace

int watch_registry(const parsed_options& given, const std::string& kind) {
  job what;
  what.kind = kind;
  if (given.has("name")) what.glob = given.text("name");
  what.json = given.has("json");
  what.count = given.count("count");
  what.within = given.time("for", wait_forever);
  what.interval = given.time("interval", std::chrono::milliseconds(250));
  if (what.interval < std::chrono::milliseconds(10)) {
    std::cerr << "troupe registry: --interval: 10ms at least\n";
    return internal::exit_usage;
  }
  int status = internal::exit_ok;
  auto here = session::open("registry", given, status);
  if (!here) return status;
  what.node = here->target();
  what.patience = here->timeout();
  verdict out;
  here->on_interrupt([node = &here->node(), wanted = &what] {
    const std::uint64_t id = wanted->reader.load();
    if (id == 0) _exit(internal::exit_ok);
    node->send(pid(node->life(), id), interrupted());
  });
  auto ended = here->run(wait_forever, [wanted = &what, to = &out](process& self) -> task<> {
    auto following = follow(self, wanted, to);
    co_await std::move(following);
  });
  here->on_interrupt({});
  if (!ended) return here->fail(ended.error());
  if (out.why.code() != errc::none) (void)here->fail(out.why);
  return out.status;
}

}  // namespace troupe::tool
