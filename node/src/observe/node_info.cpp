#include <troupe/global.hpp>
#include <troupe/inspect.hpp>
#include <troupe/node.hpp>

#include "observe/log_writer.hpp"
#include "observe/network_info.hpp"
#include "observe/observer.hpp"
#include "runtime/own.hpp"
#include "sched/scheduler.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace troupe::inspect {
namespace {

std::uint64_t resident_bytes() noexcept {
  unsigned long long total = 0;
  unsigned long long resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%llu %llu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

value counters_of(detail::core& home) {
  const detail::core_counters& from = home.counters();
  auto count = [](const std::atomic<std::uint64_t>& one) { return value(one.load(std::memory_order_relaxed)); };
  return map_of({{"spawned", value(home.spawned())},
                 {"exited", value(home.exited())},
                 {"crashed", count(from.crashed)},
                 {"stalls", count(from.stalls)},
                 {"dead_letters_noproc", count(from.dead_letters_noproc)},
                 {"dead_letters_noname", count(from.dead_letters_noname)},
                 {"dead_letters_noconnection", count(from.dead_letters_noconnection)},
                 {"mailbox_refused", count(from.mailbox_refused)},
                 {"late_replies", count(from.late_replies)},
                 {"not_understood", count(from.not_understood)},
                 {"exits_refused", count(from.exits_refused)},
                 {"timers_skipped", count(from.timers_skipped)},
                 {"print_dropped", count(from.print_dropped)}});
}

// Who holds which thread, and since when: what runs a moment is no news.
value holders_of(detail::core& home) {
  constexpr duration told_after = std::chrono::milliseconds(50);
  list out;
  for (const detail::holding& one : detail::holders(home)) {
    if (one.held < told_after) continue;
    const bool lane = one.worker == home.scheduler().workers();
    out.push_back(map_of({{"worker", lane ? value("lane") : value(one.worker)},
                          {"pid", one.about.id},
                          {"name", value(home.name_of(one.about.id))},
                          {"entry", value(one.about.entry)},
                          {"seconds", std::chrono::duration<double>(one.held).count()}}));
  }
  return value(std::move(out));
}

value log_of(const log_sink* sink) {
  const auto* writer = dynamic_cast<const internal::log_writer*>(sink);
  if (!writer) return {};
  const auto counts = writer->counters();
  return map_of({{"level", value(to_string(writer->level()))},
                 {"written", counts.written},
                 {"dropped_queue", counts.dropped_queue},
                 {"dropped_burst", counts.dropped_burst},
                 {"failed_writes", counts.failed_writes}});
}

}  // namespace

namespace {

// The release that this program lies in, ROOT/releases/VERSION/exec/NAME, as it was when it started; nil: in none. The
// version is the release's own, not the program's.
const value& own_release() {
  static const value out = [] {
    std::error_code failed;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
    const auto version = self.parent_path().parent_path();
    if (failed || self.parent_path().filename() != "exec" || version.parent_path().filename() != "releases" ||
        !std::filesystem::exists(version / "manifest.toml", failed)) {
      return value();
    }
    return map_of({{"name", value(self.filename().string())}, {"version", value(version.filename().string())}});
  }();
  return out;
}

}  // namespace

value node_info(node& where) {
  detail::core& home = where.core();
  const auto* life = home.life();
  auto* watching = home.find<internal::observer>();
  const double uptime = watching ? std::chrono::duration<double>(home.clock().now() - watching->started()).count() : 0;
  value trace;
  if (watching) {
    trace = map_of({{"sessions", watching->tracing().session_count()},
                    {"processes", watching->tracing().covered_count()},
                    {"lost", watching->tracing().lost_count()}});
  }
  return map_of({{"name", value(where.name())},
                 {"alive", where.alive()},
                 {"creation", life ? value(life->creation) : value()},
                 {"pid", static_cast<std::int64_t>(getpid())},
                 {"uptime", uptime},
                 {"application", value(home.options().application)},
                 {"version", value(home.options().version)},
                 {"release", own_release()},
                 {"processes", home.process_count()},
                 {"max_processes", home.options().max_processes},
                 {"memory", resident_bytes()},
                 {"workers", home.scheduler().workers()},
                 {"held", holders_of(home)},
                 {"crash_reports", watching ? value(watching->crash_reports()) : value(0)},
                 {"counters", counters_of(home)},
                 {"log", log_of(home.log())},
                 {"network", internal::network_info(home)},
                 {"global", global::info(where)},
                 {"trace", std::move(trace)}});
}

list functions(const catalogue& offers, std::string_view prefix) {
  list out;
  for (const catalogue_entry* entry : offers.entries(prefix)) {
    list arguments;
    for (const auto& name : entry->arguments) arguments.emplace_back(name);
    const bool is_process = entry->what == catalogue_entry::kind::process;
    out.push_back(map_of({{"name", value(entry->name)},
                          {"kind", is_process ? "process" : "function"},
                          {"arguments", value(std::move(arguments))},
                          {"returns", value(entry->returns)},
                          {"doc", value(entry->doc)}}));
  }
  return out;
}

}  // namespace troupe::inspect
