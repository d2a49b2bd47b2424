#include <troupe/process.hpp>

#include <troupe/io.hpp>
#include <troupe/node.hpp>

#include "runtime/place.hpp"
#include "runtime/process_private.hpp"

namespace troupe {

using detail::process_private;
using detail::signal;

std::string address::text() const {
  if (name_.empty()) return pid_.text();
  if (is_global()) return "the global name " + detail::name_in_key(name_).print(4, 100);
  return node_.empty() ? name_ : name_ + " on " + node_;
}

pid process::id() const noexcept {
  return {core_->life(), static_cast<std::uint64_t>(generation_.load(std::memory_order_relaxed)) << 32 | index_};
}
node& process::node() const noexcept { return *core_->owner; }
time_point process::now() const noexcept { return core_->clock().now(); }
std::uint64_t process::make_ref_id() noexcept { return core_->next_ref(); }
ref process::make_ref() noexcept { return {core_->life(), core_->next_ref()}; }

logger process::log() const {
  if (!core_->log()) return {};
  map about;
  about.emplace_back("pid", id());
  if (std::string own = name(); !own.empty()) about.emplace_back("name", std::move(own));
  if (cold_) {
    for (const auto& entry : cold_->metadata) about.push_back(entry);
  }
  return logger(core_->log(), std::move(about));
}

void process::set_metadata(std::string_view key, value item) {
  auto& entries = process_private::cold(*this).metadata;
  for (auto& [k, v] : entries) {
    if (k == value(key)) {
      v = std::move(item);
      return;
    }
  }
  entries.emplace_back(value(key), std::move(item));
}
void process::set_label(std::string text) { process_private::cold(*this).label = std::move(text); }

void process::send_envelope(const address& to, detail::envelope* e) {
  if (!to.by_name()) return send_envelope(to.pid(), e);
  if (!e->from || e->kind != signal::call) e->from = id();  // a call that is passed on is its caller's
  if (trace_.load(std::memory_order_relaxed) & detail::trace_flag::send) {
    if (core_->watching()) core_->watching()->sent(*this, to, *e);
  }
  core_->deliver(to, e);
}

void process::send_envelope(troupe::pid to, detail::envelope* e) {
  if (!e->from || e->kind != signal::call) e->from = id();
  if (trace_.load(std::memory_order_relaxed) & detail::trace_flag::send) [[unlikely]] {
    if (core_->watching()) core_->watching()->sent(*this, to, *e);
  }
  core_->deliver(to, e);
}

result<void> process::try_send_envelope(const address& to, detail::envelope* e) {
  const bool refused = flags_ & process_private::refuses;
  flags_ |= process_private::refuses;
  if (!e->from || e->kind != signal::call) e->from = id();
  if (trace_.load(std::memory_order_relaxed) & detail::trace_flag::send) {
    if (core_->watching()) core_->watching()->sent(*this, to, *e);
  }
  const errc outcome = core_->deliver(to, e);
  if (!refused) flags_ &= static_cast<std::uint8_t>(~process_private::refuses);
  if (outcome == errc::none) return {};
  return error(outcome, to.text());
}

void process::on_full(when_full policy) noexcept {
  if (policy == when_full::refuse) flags_ |= process_private::refuses;
  else flags_ &= static_cast<std::uint8_t>(~process_private::refuses);
}

void process::reply_envelope(message& call, detail::envelope* e) {
  detail::envelope* asked = call.peek();
  if (asked->replied) {
    detail::release_envelope(e);
    return;
  }
  asked->replied = true;
  e->id = asked->id;
  send_envelope(asked->from, e);
}

void process::reply_error(message& call, error why) {
  if (call.is_call()) reply_envelope(call, detail::make_envelope<error>(signal::reply_error, std::move(why)));
}

std::size_t process::waiting_messages() const noexcept {
  const std::int64_t count = process_private::messages_in(process_private::load(*this));
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

std::size_t process::waiting_bytes() const noexcept {
  const std::int64_t bytes = process_private::bytes_in(process_private::load(*this));
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

void process::limit_mailbox(std::size_t messages, std::size_t bytes) noexcept {
  mailbox_limit_.store(static_cast<std::uint32_t>(std::min<std::size_t>(messages, UINT32_MAX)),
                       std::memory_order_relaxed);
  mailbox_bytes_.store(bytes, std::memory_order_relaxed);
}

// -- links and monitors

void process::link(pid other) {
  if (other == id()) return;
  auto& cold = process_private::cold(*this);
  if (!cold.links.insert(other).second) return;
  detail::envelope* e = detail::make_signal(signal::link);
  e->from = id();
  core_->deliver(other, e);
}

void process::unlink(pid other) {
  if (!cold_ || cold_->links.erase(other) == 0) return;
  ++cold_->unlinking[other];
  detail::envelope* e = detail::make_signal(signal::unlink);
  e->from = id();
  core_->deliver(other, e);
}

ref process::monitor(const address& target) {
  const std::uint64_t id_of_monitor = core_->next_ref();
  auto& cold = process_private::cold(*this);
  detail::envelope* e = detail::make_signal(signal::monitor);
  e->from = id();
  e->id = id_of_monitor;
  detail::monitor_entry entry;
  if (target.by_name()) {
    const bool global = target.is_global();
    entry.name = global ? detail::name_in_key(target.name()).print(4, 100) : target.name();
    entry.node = global ? "global" : target.node().empty() ? std::string(core_->life()->name) : target.node();
    if (global || target.node().empty() || target.node() == core_->life()->name) {
      if (auto found = core_->find_name(target)) entry.target = *found;
    }
  } else {
    entry.target = target.pid();
  }
  pid known = entry.target;
  cold.monitors.emplace(id_of_monitor, std::move(entry));
  if (known) core_->deliver(known, e);
  else core_->deliver(target, e);
  return {core_->life(), id_of_monitor};
}

void process::demonitor(ref monitor) {
  if (!cold_) return;
  auto found = cold_->monitors.find(monitor.id());
  if (found == cold_->monitors.end()) {
    // Fired already: its DOWN may still wait, and must not be read after this.
    detail::envelope* before = nullptr;
    for (detail::envelope* e = first_; e; before = e, e = e->next) {
      if (e->kind != signal::down || e->id != monitor.id()) continue;
      (before ? before->next : first_) = e->next;
      if (last_ == e) last_ = before;
      if (scanned_ == e) scanned_ = before;
      process_private::count_taken(*this, *e);
      detail::release_envelope(e);
      return;
    }
    return;
  }
  detail::envelope* e = detail::make_signal(signal::demonitor);
  e->from = id();
  e->id = monitor.id();
  detail::monitor_entry entry = std::move(found->second);
  cold_->monitors.erase(found);
  if (entry.target) core_->deliver(entry.target, e);
  else core_->deliver(address(std::move(entry.name), std::move(entry.node)), e);
}

void process::trap_exits(bool on) noexcept {
  if (on) flags_ |= process_private::traps;
  else flags_ &= static_cast<std::uint8_t>(~process_private::traps);
}
bool process::traps_exits() const noexcept { return flags_ & process_private::traps; }

void process::exit(exit_reason reason) { throw exit_reason(std::move(reason)); }

void process::exit(pid other, exit_reason reason) {
  if (other == id()) return process_private::exit_self(*this, std::move(reason));
  detail::envelope* e = detail::make_envelope<exit_reason>(signal::exit_asked, std::move(reason));
  e->from = id();
  core_->deliver(other, e);
}

result<void> process::register_name(std::string_view name) { return core_->register_name(id(), name); }
bool process::unregister_name() {
  std::string own = name();
  return !own.empty() && core_->unregister_name(own);
}
std::string process::name() const {
  return trace_.load(std::memory_order_relaxed) & detail::trace_flag::named ? core_->name_of(id()) : std::string();
}

void process::print(std::string_view text) {
  pid leader = leader_ ? leader_ : core_->default_leader();
  std::string line(text);
  line += '\n';
  if (!leader || leader == id()) {
    core_->counters().print_dropped.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  send(leader, io_put(std::move(line)));
}

// -- time

timer process::start_timer(duration first, duration period, const address& to, message content) {
  return process_private::start_timer(*this, first, period, to, std::move(content));
}
timer process::start_interval(duration period, const address& to, message content) {
  if (period <= duration::zero()) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(period).count();
    exit(exit_reason(error(errc::bad_argument, "send_interval: a period above zero expected, " + std::to_string(us) +
                                                   " us given: it would send without end")));
  }
  return process_private::start_timer(*this, period, period, to, std::move(content));
}
bool process::cancel(timer t) { return process_private::cancel_timer(*this, t.id()); }

sleep_awaiter::sleep_awaiter(process& self, duration limit, std::source_location place) noexcept : self_(self) {
  takes_messages = false;
  deadline = detail::wait_deadline(self, limit);
  where = place;
}
bool sleep_awaiter::suspend(std::coroutine_handle<> caller) {
  detail::begin_wait(self_, *this, caller);
  return true;
}
void yield_awaiter::await_suspend(std::coroutine_handle<> caller) noexcept { process_private::yield(self_, caller); }

namespace detail {

void process_private::yield(process& p, std::coroutine_handle<> caller) noexcept {
  p.next_ = caller;
  p.budget_ = 0;
}

time_point wait_deadline(process& self, duration limit) noexcept {
  if (limit == wait_forever) return time_point::max();
  // A call has a deadline of seconds, and is often answered sooner than the clock is asked.
  const clock& time = process_private::core_of(self)->clock();
  return deadline_after(limit >= std::chrono::seconds(1) ? time.soon() : time.now(), limit);
}

namespace {

bool look(process& self, wait_state& wait) {
  if (--process_private::budget(self) < 0) return false;
  if (wait.found) return true;
  if (wait.takes_messages) {
    process_private::scanned(self) = nullptr;
    if (process_private::first(self)) wait.found = process_private::take_message(self, wait);
    if (wait.found) return true;
  }
  if (!process_private::has_arrivals(self)) return false;
  // A signal that ends this process must not find its coroutine running: then it suspends, and its worker ends it.
  process_private::fetch(self);
  if (process_private::flags(self) & process_private::doomed) return false;
  if (wait.takes_messages) wait.found = process_private::take_message(self, wait);
  return wait.found != nullptr;
}

}  // namespace

bool poll_wait(process& self, wait_state& wait) {
  if (process_private::held(self) && !wait.reply_id) return false;
  if (!look(self, wait)) return false;
  // A call announces what it waits for before it sends; now that it has it, the frame may go away.
  process_private::wait(self) = nullptr;
  return true;
}

bool take_or_wait(process& self, wait_state& wait, std::coroutine_handle<> caller) {
  if (poll_wait(self, wait)) return false;
  begin_wait(self, wait, caller);
  return true;
}

void begin_wait(process& self, wait_state& wait, std::coroutine_handle<> caller) noexcept {
  wait.resume = caller;
  process_private::wait(self) = &wait;
  // Sooner than the clock is asked: a deadline of seconds is none that has passed.
  if (wait.deadline != time_point::max() && wait.deadline <= process_private::core_of(self)->clock().soon() &&
      wait.deadline <= self.now()) {
    process_private::flags(self) |= process_private::timed;
  }
}

namespace {

// This tree's sources, by where this file is among them; a public header wherever it was installed.
bool is_ours(std::string_view file) {
  static const std::string sources = [] {
    const std::string here = std::source_location::current().file_name();
    return here.substr(0, here.rfind("runtime/process.cpp"));
  }();
  if (!sources.empty() && file.starts_with(sources)) return true;
  return file.ends_with(".hpp") && file.find("include/troupe/") != file.npos;
}

}  // namespace

std::string at_place(const std::source_location& where) {
  std::string_view file = where.file_name();
  if (file.empty() || is_ours(file)) return {};
  if (auto slash = file.rfind('/'); slash != file.npos) file.remove_prefix(slash + 1);
  return " at " + std::string(file) + ":" + std::to_string(where.line());
}

error timeout_error(const wait_state& wait) { return {errc::timeout, "nothing came in time" + at_place(wait.where)}; }

}  // namespace detail
}  // namespace troupe
