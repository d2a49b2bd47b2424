#include "runtime/core.hpp"

#include <algorithm>
#include <limits>
#include <new>

#include <troupe/call.hpp>
#include <troupe/expect.hpp>

#include "runtime/process_private.hpp"

namespace troupe::detail {

static_assert(sizeof(process) <= 184, "a process's control block has grown: what few need belongs into cold_part");

std::string_view to_string(process_status status) noexcept {
  switch (status) {
    case process_status::runnable: return "runnable";
    case process_status::running: return "running";
    case process_status::waiting: return "waiting";
    case process_status::exiting: return "exiting";
  }
  return "unknown";
}

namespace {

// For the last words of a program that has broken.
std::string describe_running() {
  process* self = running_process();
  if (!self) return {};
  const core& home = *process_private::core_of(*self);
  const process_summary about = process_private::summary(*self, home.life());
  return "process " + about.id.text() + " (" + std::string(about.entry) + ")";
}

}  // namespace

core::core(core_options options)
    : options_(std::move(options)),
      life_(options_.life.get()),
      life_key_(life_ ? life_->key : 0),
      table_(*this, options_.node.max_processes, options_.scheduler->workers()) {
  set_who_runs(&describe_running);
}

core::~core() {
  scheduler().forget(this);
  while (!services_.empty()) services_.pop_back();
}

// -- slots

result<process*> core::take_slot() {
  if (stopping()) return error(errc::shutting_down, "the node is stopping");
  if (process* p = table_.take(scheduler().worker_here())) return p;
  return error(errc::system_limit,
               std::to_string(options_.node.max_processes) + " processes are running: node option max_processes");
}

void core::open_slot(process& p, pid leader, bool by_thread) noexcept {
  using priv = process_private;
  const std::uint64_t word = priv::inbox(p).load(std::memory_order_relaxed) & ~priv::tag_mask;
  TROUPE_EXPECT(word == priv::closed, "process", priv::index(p), "inbox", word);  // it begins once
  priv::leader(p) = leader;
  priv::clear_count(p);
  priv::reductions(p).store(0, std::memory_order_relaxed);
  priv::status(p).store(static_cast<std::uint8_t>(process_status::waiting), std::memory_order_relaxed);
  priv::armed(p) = time_point::max();
  priv::held(p) = 0;
  const std::uint8_t own = priv::trace(p).load(std::memory_order_relaxed) & priv::own;
  priv::trace(p).store(by_thread ? trace_flag::by_thread : own, std::memory_order_relaxed);
  const std::uint64_t tag = priv::tag_of(priv::generation(p).load(std::memory_order_relaxed));
  priv::inbox(p).store(tag | priv::empty, std::memory_order_release);
}

void core::abandon_slot(process& p) noexcept {
  abandoned_.fetch_add(1, std::memory_order_relaxed);
  table_.end(scheduler().worker_here());
  give_back(p);
}

void core::give_back(process& p) noexcept {
  process_private::flags(p) = 0;
  process_private::trace(p).store(0, std::memory_order_relaxed);
  process_private::parent(p) = 0;
  process_private::memory(p).store(0, std::memory_order_relaxed);
  delete std::exchange(process_private::cold_of(p), nullptr);
  table_.give(p, scheduler().worker_here());
  if (stopping()) {
    std::lock_guard lock(gone_mutex_);
    gone_.notify_all();
  }
}

void core::retire(process& p) {
  scheduler().slice_over();
  const std::uint64_t word = process_private::inbox(p).load(std::memory_order_relaxed) & ~process_private::tag_mask;
  TROUPE_EXPECT(word == process_private::closed, "process", process_private::index(p), "inbox", word);
  table_.end(scheduler().worker_here());  // who sees it gone does not count it
  process_private::generation(p).fetch_add(1, std::memory_order_release);
  give_back(p);
}

bool core::exists(pid p) const noexcept {
  if (!is_local(p)) return false;
  process* found = slot(p.id());
  if (!found) return false;
  auto generation = static_cast<std::uint32_t>(p.id() >> 32);
  std::uint64_t inbox = process_private::inbox(*found).load(std::memory_order_seq_cst);
  return process_private::generation(*found).load(std::memory_order_acquire) == generation &&
         (inbox & process_private::tag_mask) == process_private::tag_of(generation) &&
         (inbox & ~process_private::tag_mask) != process_private::closed;
}

std::vector<pid> core::processes() const {
  std::vector<pid> out;
  out.reserve(process_count());
  const std::size_t used = table_.used();
  for (std::size_t i = 1; i < used; ++i) {
    process* p = slot(i);
    if (!p) continue;
    std::uint64_t generation = process_private::generation(*p).load(std::memory_order_acquire);
    pid id(life_, generation << 32 | i);
    if (exists(id)) out.push_back(id);
  }
  return out;
}

std::optional<process_summary> core::summary(pid p) const {
  if (!exists(p)) return std::nullopt;
  return process_private::summary(*slot(p.id()), life_);
}

process_summary process_private::summary(const process& p, const node_life* life) noexcept {
  process_summary out;
  out.id = pid(life, static_cast<std::uint64_t>(p.generation_.load(std::memory_order_relaxed)) << 32 | p.index_);
  const char* entry = p.entry_.load(std::memory_order_relaxed);
  out.entry = entry ? entry : "process";
  out.status = static_cast<process_status>(p.status_.load(std::memory_order_relaxed));
  out.server = p.trace_.load(std::memory_order_relaxed) & trace_flag::server;
  out.supervisor = p.trace_.load(std::memory_order_relaxed) & trace_flag::supervisor;
  out.queued = p.waiting_messages();
  // Below nothing for a frame that one process made and another destroyed.
  const auto frames = static_cast<std::int32_t>(p.memory_.load(std::memory_order_relaxed));
  out.memory = sizeof(process) + static_cast<std::size_t>(std::max(frames, 0)) + p.waiting_bytes();
  out.reductions = p.reductions_.load(std::memory_order_relaxed);
  return out;
}

bool core::inspect(pid p, std::move_only_function<void(process&)> look) {
  process* found = exists(p) ? slot(p.id()) : nullptr;
  if (!found) return false;
  envelope* e = make_envelope<inspection>(signal::inspect, std::move(look));
  if (process_private::push(*found, static_cast<std::uint32_t>(p.id() >> 32), e) == push_outcome::pushed) return true;
  release_envelope(e);
  return false;
}

process_details core::details(process& self, std::size_t message_limit) {
  process_details out;
  out.summary = process_private::summary(self, self.core().life());
  out.name = self.name();
  out.group_leader = process_private::leader(self);
  out.trap_exits = self.traps_exits();
  out.held = process_private::held(self) != 0;
  if (auto parent = process_private::parent(self)) out.parent = pid(self.core().life(), parent);
  if (wait_state* wait = process_private::wait(self)) {
    std::string_view file = wait->where.file_name();
    if (auto slash = file.rfind('/'); slash != file.npos) file.remove_prefix(slash + 1);
    out.waits_at = std::string(file) + ":" + std::to_string(wait->where.line());
    if (wait->match == &call_wait::mark) out.calls = static_cast<const call_wait*>(wait)->to;
  }
  if (cold_part* cold = process_private::cold_of(self)) {
    out.label = cold->label;
    out.metadata = cold->metadata;
    out.links.assign(cold->links.begin(), cold->links.end());
    for (const auto& [id, entry] : cold->monitors) {
      out.monitors.emplace_back(ref(self.core().life(), id), entry.name.empty() ? entry.target.text() : entry.name);
    }
    for (const auto& watcher : cold->watchers) out.monitored_by.push_back(watcher.first);
    if (cold->aside) cold->aside->show(out.messages, message_limit);
  }
  for (envelope* e = process_private::first(self); e && out.messages.size() < message_limit; e = e->next) {
    out.messages.push_back(envelope_value(*e));
  }
  return out;
}

void core::shows_too(process& self, set_aside* aside) { process_private::cold(self).aside = aside; }

namespace {

// Any interrupt and the deadline end it, as the last of the nodes that hold this process does.
class [[nodiscard]] credit_awaiter : private wait_state {
 public:
  credit_awaiter(process& self, time_point until) : self_(self) {
    takes_messages = false;
    for_credit = true;
    deadline = until;
    where = std::source_location::current();
  }
  bool await_ready() const noexcept { return !core::is_held(self_); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> caller) {
    begin_wait(self_, *this, caller);
  }
  void await_resume() const noexcept {}

 private:
  process& self_;
};

}  // namespace

task<> core::take_credit(process& self, time_point deadline) { co_await credit_awaiter(self, deadline); }

bool core::set_trace(pid p, std::uint8_t flags) {
  if (!exists(p)) return false;
  auto& bits = process_private::trace(*slot(p.id()));
  std::uint8_t before = bits.load(std::memory_order_relaxed);
  while (!bits.compare_exchange_weak(
      before, static_cast<std::uint8_t>((before & ~trace_flag::all) | (flags & trace_flag::all)))) {
  }
  return true;
}

// -- signals

namespace {

// As it would arrive on another node, but for what cannot leave this one.
void encode_content(envelope*& e) {
  const bool has_content = e->kind == signal::message || e->kind == signal::call || e->kind == signal::reply;
  if (!has_content || !e->type || !e->type->encode || e->type->inside_node || e->type == &wire_type) return;
  wire_buffer out;
  e->type->encode(e->payload(), *wire_writer(out));
  replace_envelope(e, make_wire_envelope(e->kind, out.data()));
}

}  // namespace

errc core::deliver(pid to, envelope* e) {
  if (!is_local(to)) {
    if (router_ && to && to.node() != life_->name) return router_->route(to, e);
    const errc why = !to ? errc::noproc : to.node() == life_->name ? errc::stale : errc::noconnection;
    undeliverable(to, e, why);
    return why;
  }
  process* p = slot(to.id());
  if (p && options_.node.encode_always) encode_content(e);
  push_outcome outcome =
      p ? process_private::push(*p, static_cast<std::uint32_t>(to.id() >> 32), e) : push_outcome::dead;
  if (outcome == push_outcome::pushed) return errc::none;
  const errc why = outcome == push_outcome::dead ? errc::noproc : errc::overloaded;
  undeliverable(to, e, why);
  return why;
}

errc core::deliver(const address& to, envelope* e) {
  if (!to.by_name()) return deliver(to.pid(), e);
  errc why = errc::noproc;
  if (to.is_global()) {
    if (auto found = find_name(to)) return deliver(*found, e);
  } else if (!to.node().empty() && to.node() != life_->name) {
    if (router_) return router_->route(to.name(), to.node(), e);
    why = errc::noconnection;
  } else if (auto found = whereis(to.name())) {
    return deliver(*found, e);
  }
  undeliverable(to, e, why);
  return why;
}

result<pid> core::find_name(const address& to) const {
  if (!to.is_global()) return whereis(to.name());
  if (auto* directory = directory_.load(std::memory_order_acquire)) return directory->whereis(to.name());
  return error(errc::noproc, "this node keeps no global names");
}

pid core::holdable() noexcept {
  process* self = running_process();
  if (!self || process_private::is_by_thread(*self) || (process_private::flags(*self) & process_private::refuses))
    return {};
  return self->id();
}

bool core::hold() noexcept {
  process* self = running_process();
  TROUPE_EXPECT(self != nullptr);  // `holdable` has named it
  auto& held = process_private::held(*self);
  if (held == std::numeric_limits<std::remove_cvref_t<decltype(held)>>::max()) return false;
  ++held;
  return true;
}

void core::overrun(const exit_reason& why) {
  process* self = running_process();
  TROUPE_EXPECT(self != nullptr);  // as `hold`
  process_private::flags(*self) |= process_private::overran;
  process_private::doom(*self, why);
}

bool core::overran(pid who) noexcept {
  process* self = running_process();
  return self && (process_private::flags(*self) & process_private::overran) && self->id() == who;
}

namespace {

std::string describe(const address& to, errc why) {
  switch (why) {
    case errc::noproc: return to.by_name() ? "no process is registered as " + to.text() : to.text() + " does not exist";
    case errc::noconnection: return "no connection to the node of " + to.text();
    case errc::overloaded: return "the mailbox of " + to.text() + " is full";
    case errc::stale: return to.text() + " belongs to an earlier life of this node";
    default: return to.text();
  }
}

}  // namespace

void core::undeliverable(pid to, envelope* e, errc why) { undeliverable(address(to), e, why); }

void core::undeliverable(const address& to, envelope* e, errc why) {
  const exit_reason seen = why == errc::noconnection ? exit_reason::noconnection() : exit_reason::noproc();
  switch (e->kind) {
    case signal::message:
      (why == errc::overloaded     ? counters_.mailbox_refused
       : why == errc::noconnection ? counters_.dead_letters_noconnection
       : to.by_name()              ? counters_.dead_letters_noname
                                   : counters_.dead_letters_noproc)
          .fetch_add(1, std::memory_order_relaxed);
      break;
    case signal::call:
      answer_call(e->from, e->id, error(why, describe(to, why)));
      e->replied = true;
      break;
    case signal::monitor: {
      envelope* told = make_envelope<down>(signal::down, ref(e->from.life(), e->id), to.pid(), seen);
      told->from = to.pid();
      told->id = e->id;
      deliver(e->from, told);
      break;
    }
    case signal::link: {
      envelope* told = make_envelope<exit_reason>(signal::exit, seen);
      told->from = to.pid();
      deliver(e->from, told);
      break;
    }
    case signal::unlink: {
      envelope* ack = make_signal(signal::unlink_ack);
      ack->from = to.pid();
      deliver(e->from, ack);
      break;
    }
    default: break;
  }
  release_envelope(e);
}

void core::answer_call(pid caller, std::uint64_t id, error why) {
  envelope* e = make_envelope<error>(signal::reply_error, std::move(why));
  e->id = id;
  deliver(caller, e);
}

// -- names

result<void> core::register_name(pid p, std::string_view name) {
  if (name.empty() || name.size() > 255) return failure(errc::bad_name, "a name has 1 to 255 bytes");
  if (std::any_of(name.begin(), name.end(),
                  [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '@' || c == '<' || c == 127; })) {
    return failure(errc::bad_name,
                   "\"" + std::string(name) + "\": a name holds no space, control character, '@' or '<'");
  }
  if (name == "undefined" || name == "nil")
    return failure(errc::bad_name, "the name \"" + std::string(name) + "\" is reserved");
  if (!exists(p)) return failure(errc::noproc, p.text() + " is no living process of this node");
  process& target = *slot(p.id());
  {
    std::unique_lock lock(names_mutex_);
    if (auto held = names_.find(name); held != names_.end()) {
      return failure(errc::name_taken, "\"" + std::string(name) + "\" is the name of " + held->second.text());
    }
    if (auto held = named_.find(p); held != named_.end()) {
      return failure(errc::already_named, p.text() + " is registered as \"" + *held->second + "\"");
    }
    auto entry = names_.emplace(name, p).first;
    named_.emplace(p, &entry->first);
    process_private::trace(target).fetch_or(trace_flag::named, std::memory_order_seq_cst);
    // A process that closed its mailbox meanwhile may have looked at the flag before we set it.
    if (!exists(p)) {
      named_.erase(p);
      names_.erase(entry);
      return failure(errc::noproc, p.text() + " has ended");
    }
  }
  if (probe_) probe_->named(target, name, true);
  return {};
}

bool core::unregister_name(std::string_view name) {
  pid held;
  {
    std::unique_lock lock(names_mutex_);
    auto found = names_.find(name);
    if (found == names_.end()) return false;
    held = found->second;
    named_.erase(held);
    names_.erase(found);
    if (process* p = slot(held.id()))
      process_private::trace(*p).fetch_and(static_cast<std::uint8_t>(~trace_flag::named));
  }
  if (probe_ && exists(held)) probe_->named(*slot(held.id()), name, false);
  return true;
}

void core::forget_name(pid p) {
  std::unique_lock lock(names_mutex_);
  auto found = named_.find(p);
  if (found == named_.end()) return;
  const auto name = names_.find(*found->second);  // each name is in both tables
  TROUPE_EXPECT(name != names_.end() && name->second == p, "name", *found->second, "process", p.id());
  named_.erase(found);
  names_.erase(name);
}

std::string core::name_of(pid p) const {
  std::shared_lock lock(names_mutex_);
  auto found = named_.find(p);
  return found == named_.end() ? std::string() : *found->second;
}

result<pid> core::whereis(std::string_view name) const {
  std::shared_lock lock(names_mutex_);
  auto found = names_.find(name);
  if (found == names_.end()) return error(errc::noproc, "no process is registered as \"" + std::string(name) + "\"");
  return found->second;
}

std::vector<std::pair<std::string, pid>> core::registered() const {
  std::vector<std::pair<std::string, pid>> out;
  {
    std::shared_lock lock(names_mutex_);
    out.assign(names_.begin(), names_.end());
  }
  std::ranges::sort(out);
  return out;
}

// -- services

void core::add_service(std::type_index type, std::unique_ptr<service> made) {
  std::lock_guard lock(services_mutex_);
  services_.emplace_back(type, std::move(made));
}

service* core::find_service(std::type_index type) const noexcept {
  std::lock_guard lock(services_mutex_);
  for (const auto& [key, held] : services_) {
    if (key == type) return held.get();
  }
  return nullptr;
}

}  // namespace troupe::detail
