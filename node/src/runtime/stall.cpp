// Who holds a thread, and for how long: told while it does, and when the program wants to end.
#include <cstdio>

#include "runtime/own.hpp"
#include "runtime/process_private.hpp"

namespace troupe::detail {
namespace {

constexpr unsigned lines_a_window = 5;
constexpr duration window = std::chrono::seconds(10);

std::string seconds(duration time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(time).count());
  return text;
}

}  // namespace

// The process runs on another thread meanwhile: only what is atomic of it may be read.
void core::report_stall(internal::runnable& what, duration held) {
  auto& p = static_cast<process&>(what);
  core& home = *process_private::core_of(p);
  const process_summary about = process_private::summary(p, home.life());
  home.counters_.stalls.fetch_add(1, std::memory_order_relaxed);
  if (!home.log() || !home.log()->enabled(log_level::warning)) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - home.stall_window_ > window) {
    home.stall_window_ = now;
    home.stalls_told_ = 0;
  }
  if (++home.stalls_told_ > lines_a_window) {
    ++home.stalls_untold_;
    return;
  }
  const std::string name = home.name_of(about.id);
  map fields;
  fields.emplace_back("report", "stall");
  fields.emplace_back("pid", about.id);
  fields.emplace_back("name", name);
  fields.emplace_back("entry", about.entry);
  fields.emplace_back("held_ms", held / std::chrono::milliseconds(1));
  if (home.stalls_untold_ > 0) fields.emplace_back("untold", std::exchange(home.stalls_untold_, 0));
  home.log()->log(log_level::warning,
                  "process " + (name.empty() ? about.id.text() : name) + " holds its worker for " + seconds(held) +
                      " and goes on: what takes long belongs into blocking()",
                  std::move(fields));
}

std::vector<holding> holders(const core& home) {
  std::vector<holding> out;
  home.scheduler().each_holder([&](const internal::thread_holder& holder) {
    if (!holder.slice) return;
    auto& p = static_cast<process&>(*holder.slice);
    if (process_private::core_of(p) != &home) return;
    out.push_back({process_private::summary(p, home.life()), holder.worker, holder.held});
  });
  return out;
}

std::vector<std::string> core::held_threads() const {
  std::vector<std::string> out;
  scheduler().each_holder([&](const internal::thread_holder& holder) {
    if (holder.slice) {
      auto& p = static_cast<process&>(*holder.slice);
      if (process_private::core_of(p) != this) return;
      const process_summary about = process_private::summary(p, life_);
      out.push_back("process " + about.id.text() + " (" + std::string(about.entry) + "), for " + seconds(holder.held));
    } else if (holder.job.context == this) {
      out.push_back("blocking work of " + pid(life_, holder.job.process).text() + " (" +
                    (holder.job.entry ? holder.job.entry : "process") + "), for " + seconds(holder.held));
    }
  });
  return out;
}

}  // namespace troupe::detail
