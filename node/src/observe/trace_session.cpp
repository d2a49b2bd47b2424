#include "observe/trace_session.hpp"

#include "observe/glob.hpp"
#include "observe/value_size.hpp"

#include <algorithm>

#include <troupe/expect.hpp>

namespace troupe::internal {
namespace {

// Unacknowledged bytes that one session may have under way, whatever its window of events.
constexpr std::size_t window_bytes = 8u << 20;
constexpr std::size_t content_bytes = 64u << 10;

// A content too large for a trace becomes the beginning of its print.
void truncate(map& event) {
  bool cut = false;
  for (auto& [key, item] : event) {
    if (approximate_size(item, content_bytes + 1) <= content_bytes) continue;
    item = value(item.print(6, 2048));
    cut = true;
  }
  if (cut) event.emplace_back(value("truncated"), value(true));
}

}  // namespace

trace_session::trace_session(detail::core& home, trace::spec given, pid owner_given)
    : what(std::move(given)),
      owner(owner_given),
      to(what.to ? what.to : owner_given),
      home_(home),
      deadline_(deadline_after(home.clock().now(), what.time)),
      window_began_(home.clock().now()) {
  if (what.receive) flags |= detail::trace_flag::receive;
  if (what.send) flags |= detail::trace_flag::send;
  if (!what.calls.empty()) flags |= detail::trace_flag::call;
}

template <class T>
void trace_session::send(pid receiver, T message) {
  detail::envelope* e = detail::make_envelope<T>(detail::signal::message, std::move(message));
  e->from = process_;
  home_.deliver(receiver, e);
}

pid trace_session::process() const {
  std::lock_guard lock(mutex_);
  return process_;
}

void trace_session::process(pid own) {
  std::lock_guard lock(mutex_);
  process_ = own;
}

void trace_session::open(std::size_t matched) {
  std::lock_guard lock(mutex_);
  if (ended_) return;
  // Open before the reader can know of it: what it causes then is told. Events wait for the lock, so `started` is
  // first.
  open_.store(true, std::memory_order_release);
  send(to, trace::started(matched, process_, unoffered()));
}

trace_session::admission trace_session::admit() {
  if (!is_open()) return admission::closed;
  const time_point now = home_.clock().now();
  std::lock_guard lock(mutex_);
  if (ended_) return admission::closed;
  if (now >= deadline_) {
    trip_locked("time", {});
    return admission::closed;
  }
  if (now - window_began_ >= what.rate_time) {
    window_began_ = now;
    window_count_ = 0;
  }
  if (++window_count_ > what.rate) {
    trip_locked("rate", {});
    return admission::closed;
  }
  if (under_way_.size() >= what.window || under_way_bytes_ >= window_bytes) {
    ++lost_;
    ++lost_untold_;
    return admission::lost;
  }
  return admission::granted;
}

void trace_session::tell(map event) {
  truncate(event);
  const std::size_t weight = approximate_size(event);
  std::lock_guard lock(mutex_);
  if (ended_) return;
  if (bytes_ + weight > what.bytes) {
    trip_locked("bytes", {});
    return;
  }
  if (lost_untold_ > 0) send(to, trace::lost(std::exchange(lost_untold_, 0)));
  bytes_ += weight;
  under_way_.push_back(static_cast<std::uint32_t>(weight));
  under_way_bytes_ += weight;
  TROUPE_EXPECT(!event.empty(), "told", told_);
  event.front().second = ++told_;
  send(to, trace::event(value(std::move(event))));
  if (told_ >= what.limit) trip_locked("limit", {});
}

void trace_session::acknowledge(std::uint64_t events) {
  std::lock_guard lock(mutex_);
  for (; events > 0 && !under_way_.empty(); --events) {
    TROUPE_EXPECT(under_way_bytes_ >= under_way_.front(), "bytes", under_way_bytes_, "events", under_way_.size());
    under_way_bytes_ -= under_way_.front();
    under_way_.pop_front();
  }
}

void trace_session::trip(std::string reason, std::string text) {
  std::lock_guard lock(mutex_);
  trip_locked(std::move(reason), std::move(text));
}

void trace_session::trip_locked(std::string reason, std::string text) {
  if (ended_) return;
  ended_ = true;
  open_.store(false, std::memory_order_release);
  if (text.empty()) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(what.rate_time).count();
    if (reason == "rate") {
      text = "Trace rate limit tripped: more than " + std::to_string(what.rate) + " events in " + std::to_string(ms) +
             " ms.";
    } else if (reason == "limit") {
      text = "Trace limit reached: " + std::to_string(what.limit) + " events.";
    } else if (reason == "bytes") {
      text = "Trace size limit tripped: " + std::to_string(what.bytes) + " bytes.";
    } else if (reason == "time") {
      text = "Trace time is over.";
    } else {
      text = "Trace " + reason + ".";
    }
  }
  reason_ = std::move(reason);
  text_ = std::move(text);
  if (process_) send(process_, trace::stop_request(true));
}

void trace_session::finish() {
  std::lock_guard lock(mutex_);
  if (!ended_) trip_locked("ended", "The trace's process was ended.");
  if (std::exchange(finished_, true)) return;
  send(to, trace::done(reason_, text_, told_, lost_));
}

std::vector<std::string> trace_session::unoffered() const {
  std::vector<std::string> out;
  if (what.calls.empty()) return out;
  const auto offered = home_.options().offers.entries();
  for (const std::string& pattern : what.calls) {
    if (std::ranges::none_of(offered, [&](const auto* one) { return function_match(pattern, one->name); }))
      out.push_back(pattern);
  }
  return out;
}

bool trace_session::wants_function(std::string_view function) const noexcept {
  return std::any_of(what.calls.begin(), what.calls.end(),
                     [&](const auto& pattern) { return function_match(pattern, function); });
}

bool trace_session::wants_name(std::string_view name) const noexcept {
  return std::find(names.begin(), names.end(), name) != names.end() ||
         std::any_of(globs.begin(), globs.end(), [&](const auto& pattern) { return glob_match(pattern, name); });
}

}  // namespace troupe::internal
