#include "observe/log_writer.hpp"

#include "observe/log_output.hpp"
#include "observe/log_text.hpp"
#include "observe/value_size.hpp"
#include "thread.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>

namespace troupe::internal {
namespace {

enum class report_kind : std::uint8_t { none, crash, supervisor, progress };

report_kind report_of(const map& fields) noexcept {
  for (const auto& [key, item] : fields) {
    const auto* name = key.text();
    const auto* kind = item.text();
    if (!name || !kind || *name != "report") continue;
    if (*kind == "crash") return report_kind::crash;
    if (*kind == "supervisor") return report_kind::supervisor;
    if (*kind == "progress") return report_kind::progress;
  }
  return report_kind::none;
}

}  // namespace

// Shared by the log's user and its thread.
struct log_writer::state {
  struct target {
    std::unique_ptr<log_output> output;
    log_config::form form = log_config::form::text;
    bool prefixes = false, reports_only = false, errors_only = false, told = false;
    std::uint64_t lost = 0;  // lines since the last that was written
  };

  explicit state(log_config given) : config(std::move(given)), level(config.level) {
    if (!config.clock) config.clock = system_clock();
    form.depth = config.value_depth;
    form.width = config.value_width;
    if (config.console != log_config::form::none) {
      targets.push_back({console_output(config.console_stdout), config.console, config.journal_prefixes});
    }
    if (!config.file.empty()) {
      targets.push_back({file_output(config.file, config.file_bytes, config.file_count), config.file_form});
    }
    if (!config.report_file.empty()) {
      targets.push_back({file_output(config.report_file, config.file_bytes, config.file_count), config.file_form, false,
                         true, config.report_file_errors_only});
    }
  }

  void push(log_event event);
  void run();
  void write(const log_event& event);
  void write_to(target& to, const log_event& event, const std::string& text);
  result<void> write_line(target& to, const log_event& event, const std::string& text);
  void failed(target& at, const error& why);
  void note_dropped();

  log_config config;
  log_form form;
  std::atomic<log_level> level;
  std::atomic<std::uint64_t> written{0}, dropped_queue{0}, dropped_burst{0}, failed_writes{0};

  std::mutex mutex;  // what follows
  std::condition_variable wake, progress;
  std::deque<log_event> queue;
  std::size_t queued_bytes = 0;
  std::uint64_t pushed = 0, handled = 0;
  time_point burst_began{};
  std::size_t burst_count = 0;
  bool stopping = false, ended = false;
  std::thread thread;

  mutable std::mutex ring_mutex;
  std::deque<std::string> ring;

  std::vector<target> targets;  // the thread's alone
  std::uint64_t told_dropped = 0;
};

void log_writer::state::push(log_event event) {
  const std::size_t weight = event.message.size() + approximate_size(event.fields, config.queue_bytes + 1);
  const time_point now = config.clock->now();
  std::lock_guard lock(mutex);
  if (stopping) {
    ++dropped_queue;
    return;
  }
  const bool mild = event.level > log_level::warning;
  if (queue.size() >= config.refuse_at || (mild && queue.size() >= config.drop_at) ||
      queued_bytes + weight > config.queue_bytes) {
    ++dropped_queue;
    return;
  }
  if (config.burst > 0) {
    if (burst_count == 0 || now - burst_began >= config.burst_time) {
      burst_began = now;
      burst_count = 0;
    }
    if (++burst_count > config.burst) {
      ++dropped_burst;
      return;
    }
  }
  queue.push_back(std::move(event));
  queued_bytes += weight;
  ++pushed;
  wake.notify_one();
}

void log_writer::state::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    wake.wait(lock, [this] { return stopping || !queue.empty(); });
    if (queue.empty()) break;
    // Taken over one by one: what waits while an output is slow still counts as waiting.
    log_event event = std::move(queue.front());
    queue.pop_front();
    if (queue.empty()) queued_bytes = 0;
    else
      queued_bytes -=
          std::min(queued_bytes, event.message.size() + approximate_size(event.fields, config.queue_bytes + 1));
    const bool last = queue.empty();
    lock.unlock();
    write(event);
    if (last) note_dropped();
    if (last || event.level <= log_level::error) {
      for (auto& to : targets) {
        if (auto done = to.output->flush(); !done) failed(to, done.error());
      }
    }
    lock.lock();
    ++handled;
    progress.notify_all();
  }
  lock.unlock();
  note_dropped();
  for (auto& to : targets) {
    if (auto done = to.output->flush(); !done) failed(to, done.error());
  }
  lock.lock();
  ended = true;
  progress.notify_all();
}

void log_writer::state::note_dropped() {
  const std::uint64_t dropped = dropped_queue.load() + dropped_burst.load();
  if (dropped == told_dropped) return;
  log_event note;
  note.level = log_level::warning;
  note.at = config.clock->wall();
  note.message = "dropped " + std::to_string(dropped - told_dropped) + " log lines";
  told_dropped = dropped;
  write(note);
}

void log_writer::state::write(const log_event& event) {
  // Formatting meets values that strangers sent: whatever it throws costs this line, not the log.
  try {
    std::string text = text_line(event, form);
    for (auto& to : targets) {
      const bool is_report = !to.reports_only || report_of(event.fields) != report_kind::none;
      if (is_report && (!to.errors_only || event.level <= log_level::error)) write_to(to, event, text);
    }
    ++written;
    std::lock_guard lock(ring_mutex);
    ring.push_back(std::move(text));
    while (ring.size() > config.ring_lines) ring.pop_front();
  } catch (const std::exception&) {
    ++failed_writes;
  }
}

void log_writer::state::write_to(target& to, const log_event& event, const std::string& text) {
  if (to.lost > 0) {
    log_event note;
    note.level = log_level::warning;
    note.at = config.clock->wall();
    note.message = std::to_string(to.lost) + " log lines are missing here: this output could not be written";
    if (auto done = write_line(to, note, text_line(note, form)); !done) {
      ++to.lost;
      failed(to, done.error());
      return;
    }
    to.lost = 0;
    to.told = false;
  }
  if (auto done = write_line(to, event, text); !done) {
    ++to.lost;
    failed(to, done.error());
  }
}

result<void> log_writer::state::write_line(target& to, const log_event& event, const std::string& text) {
  std::string line = to.form == log_config::form::json ? json_line(event, form) : text;
  std::size_t colour_at = 0;
  std::size_t coloured = 0;
  if (to.form == log_config::form::text) {
    colour_at = line.find(" [") + 1;
    coloured = line.find(']') + 1 - colour_at;
  }
  if (to.prefixes) {
    const std::string prefix = "<" + std::to_string(static_cast<int>(event.level)) + ">";
    for (std::size_t at = line.find('\n'); at != std::string::npos; at = line.find('\n', at + 1))
      line.insert(at + 1, prefix);
    line.insert(0, prefix);
    colour_at = coloured = 0;
  }
  return to.output->write(event.level, line, colour_at, coloured);
}

void log_writer::state::failed(target& at, const error& why) {
  ++failed_writes;
  if (at.told) return;
  at.told = true;
  const std::string text = "troupe: log output failed, further failures are only counted: " + why.message() + "\n";
  std::fputs(text.c_str(), stderr);
}

log_writer::log_writer(log_config config) : state_(std::make_shared<state>(std::move(config))) {
  // All signals are blocked in it: SIGPIPE of a closed console ends no node.
  state_->thread = start_thread("troupe.log", [kept = state_] { kept->run(); });
}

log_writer::~log_writer() { stop(std::chrono::seconds(2)); }

bool log_writer::enabled(log_level level) const noexcept {
  return level <= state_->level.load(std::memory_order_relaxed);
}

void log_writer::log(log_level level, std::string_view message, map fields) noexcept {
  if (!enabled(level)) return;
  try {
    const auto kind = report_of(fields);
    if ((kind == report_kind::crash && !state_->config.crash_reports) ||
        (kind == report_kind::supervisor && !state_->config.supervisor_reports) ||
        (kind == report_kind::progress && !state_->config.progress_reports)) {
      return;
    }
    log_event event;
    event.level = level;
    event.at = state_->config.clock->wall();
    event.message.assign(message);
    event.fields = std::move(fields);
    state_->push(std::move(event));
  } catch (...) {
    ++state_->dropped_queue;  // no memory: the log is the last to insist
  }
}

log_level log_writer::level() const noexcept { return state_->level.load(std::memory_order_relaxed); }
void log_writer::level(log_level level) noexcept { state_->level.store(level, std::memory_order_relaxed); }

std::vector<std::string> log_writer::recent(std::size_t count) const {
  std::lock_guard lock(state_->ring_mutex);
  const auto& ring = state_->ring;
  const auto first = ring.end() - static_cast<std::ptrdiff_t>(std::min(count, ring.size()));
  return {first, ring.end()};
}

log_counters log_writer::counters() const noexcept {
  return {state_->written.load(), state_->dropped_queue.load(), state_->dropped_burst.load(),
          state_->failed_writes.load()};
}

bool log_writer::flush(duration limit) {
  std::unique_lock lock(state_->mutex);
  const std::uint64_t upto = state_->pushed;
  return state_->progress.wait_for(lock, std::min<duration>(limit, std::chrono::hours(24)),
                                   [&] { return state_->handled >= upto || state_->ended; });
}

bool log_writer::stop(duration limit) {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->wake.notify_one();
  const bool done = state_->progress.wait_for(lock, std::min<duration>(limit, std::chrono::hours(24)),
                                              [this] { return state_->ended; });
  std::thread thread = std::move(state_->thread);
  lock.unlock();
  if (!thread.joinable()) return done;
  if (done) thread.join();
  else thread.detach();
  return done;
}

}  // namespace troupe::internal
