// One turn of a process: fetch, handle signals, run its coroutine until it waits, and its end.
#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <typeinfo>

#include <troupe/expect.hpp>

#include "runtime/process_private.hpp"

namespace troupe::detail {
namespace {

thread_local process* this_process = nullptr;

// An inbox is a stack, the newest on top: turns it round.
envelope* oldest_first(std::uint64_t top) noexcept {
  envelope* in_order = nullptr;
  for (auto* e = reinterpret_cast<envelope*>(top); e;) {
    envelope* older = std::exchange(e->next, in_order);
    in_order = e;
    e = older;
  }
  return in_order;
}

}  // namespace

[[gnu::noinline]] process* running_process() noexcept { return this_process; }
[[gnu::noinline]] void set_running_process(process* p) noexcept { this_process = p; }

}  // namespace troupe::detail

namespace troupe {

empty_task::empty_task()
    : std::logic_error(
          "an empty task was awaited or spawned: the function that made it returned task<>{} where a coroutine was "
          "meant (co_return in it makes it one), or the task was moved away or awaited before") {}

}  // namespace troupe

namespace troupe::detail {

// -- frames (task.hpp)

void* allocate_frame(std::size_t bytes) {
  if (process* self = running_process()) {
    process_private::memory(*self).fetch_add(static_cast<std::uint32_t>(internal::pool_size(bytes)),
                                             std::memory_order_relaxed);
  }
  return internal::pool_take(bytes);
}

void release_frame(void* frame, std::size_t bytes) noexcept {
  if (process* self = running_process()) {
    process_private::memory(*self).fetch_sub(static_cast<std::uint32_t>(internal::pool_size(bytes)),
                                             std::memory_order_relaxed);
  }
  internal::pool_give(frame, bytes);
}

void set_next(process& p, std::coroutine_handle<> next) noexcept {
  process_private::next(p) = next;
  --process_private::budget(p);
}

// -- the mailbox

void process_private::weigh(envelope& e) noexcept {
  if (!e.type) return;
  const std::size_t own = internal::pool_size(sizeof(envelope) + e.type->size);
  const std::size_t whole = own + (e.type->heap ? e.type->heap(e.payload()) : 0);
  e.bytes = static_cast<std::uint32_t>(std::min<std::size_t>(whole, UINT32_MAX));
}

bool process_private::is_full(const process& p) noexcept {
  const std::uint32_t most = p.mailbox_limit_.load(std::memory_order_relaxed);
  if (most && p.waiting_messages() >= most) return true;
  const std::uint64_t most_bytes = p.mailbox_bytes_.load(std::memory_order_relaxed);
  return most_bytes && p.waiting_bytes() >= most_bytes;
}

push_outcome process_private::push(process& p, std::uint32_t generation, envelope* e) noexcept {
  const std::uint64_t tag = tag_of(generation);
  std::uint64_t seen = p.inbox_.load(std::memory_order_acquire);
  const bool content = e->kind <= signal::call;
  if (content) {
    if (e->type && e->type->heap) weigh(*e);
    const bool limited =
        p.mailbox_limit_.load(std::memory_order_relaxed) != 0 || p.mailbox_bytes_.load(std::memory_order_relaxed) != 0;
    if (limited && is_full(p) && (seen & tag_mask) == tag) [[unlikely]]
      return push_outcome::full;
  }
  const std::uint64_t counts = content ? weight(*e) : 0;
  for (;;) {
    const std::uint64_t low = seen & ~tag_mask;
    if ((seen & tag_mask) != tag || low == closed) [[unlikely]]
      return push_outcome::dead;
    // The tag returns after 65,536 lives of this block. Read after the inbox, which a new life opens last.
    if (p.generation_.load(std::memory_order_relaxed) != generation) [[unlikely]]
      return push_outcome::dead;
    const bool wakes = low == waiting;
    const bool hands_over = wakes && is_handed_over(p, e->kind);
    if (!hands_over) e->next = wakes || low == empty ? nullptr : reinterpret_cast<envelope*>(low);
    const std::uint64_t then = hands_over ? empty : reinterpret_cast<std::uint64_t>(e);
    if (!p.inbox_.compare_exchange_weak(seen, tag | then, std::memory_order_acq_rel, std::memory_order_acquire))
      continue;
    if (!wakes) {
      if (counts) p.arrived_.fetch_add(counts, std::memory_order_relaxed);  // the receiver may have taken it
    } else if (is_by_thread(p)) {
      if (counts) p.arrived_.fetch_add(counts, std::memory_order_relaxed);
      p.cold_->port->wake_from_outside();
    } else {
      if (counts) count_arrived(p, *e);
      if (hands_over) handle_signal(p, e);
      make_runnable(p);
    }
    return push_outcome::pushed;
  }
}

// A process that waits has an empty inbox: who takes its mark away may put the first message, or the reply it waits
// for, where the process looks, without the detour over the inbox. Order is kept: what others push meanwhile lies in
// the inbox, behind. A traced message goes through it, so that the process tells of it itself.
bool process_private::is_handed_over(const process& p, signal kind) noexcept {
  constexpr std::uint8_t detour = trace_flag::by_thread | trace_flag::receive;
  return kind <= signal::reply_error && !(p.trace_.load(std::memory_order_relaxed) & detour);
}

// By who has taken the `waiting` mark away, and so owns the process until a worker runs it.
void process_private::make_runnable(process& p) noexcept {
  p.status_.store(static_cast<std::uint8_t>(process_status::runnable), std::memory_order_relaxed);
  if (is_own(p)) p.core_->scheduler().schedule_own(p);
  else p.core_->scheduler().schedule(p);
}

void process_private::append(process& p, envelope* e) noexcept {
  e->next = nullptr;
  (p.last_ ? p.last_->next : p.first_) = e;
  p.last_ = e;
}

void process_private::fetch(process& p) {
  if (!has_arrivals(p)) return;
  const std::uint64_t tag = tag_of(p.generation_.load(std::memory_order_relaxed));
  envelope* in_order = oldest_first(p.inbox_.exchange(tag | empty, std::memory_order_acq_rel) & ~tag_mask);
  while (in_order) {
    envelope* e = in_order;
    in_order = e->next;
    if (p.flags_ & doomed) {  // what follows a killing signal reaches nobody
      p.core_->undeliverable(p.id(), e, errc::noproc);
    } else {
      handle_signal(p, e);
    }
  }
}

// Looks for a message behind the last one that this wait has refused.
envelope* process_private::take_message(process& p, wait_state& wait) {
  envelope* before = p.scanned_;
  envelope* e = before ? before->next : p.first_;
  for (; e; before = e, e = e->next) {
    if (wait.match && !wait.match(wait, *e)) continue;
    (before ? before->next : p.first_) = e->next;
    if (p.last_ == e) p.last_ = before;
    p.scanned_ = nullptr;
    count_taken(p, *e);
    // A taken call knows its node: dropping it unanswered answers the caller.
    e->next = e->kind == signal::call ? reinterpret_cast<envelope*>(p.core_) : nullptr;
    return e;
  }
  p.scanned_ = before;
  return nullptr;
}

bool process_private::complete_wait(process& p) {
  wait_state& wait = *p.wait_;
  if (!wait.found && wait.takes_messages) wait.found = take_message(p, wait);
  if (!wait.found && (p.flags_ & timed)) {
    p.flags_ &= static_cast<std::uint8_t>(~timed);
    if (wait.deadline <= p.core_->clock().now()) wait.timed_out = true;
  }
  if (!wait.found && !wait.timed_out) return false;
  p.next_ = wait.resume;
  p.wait_ = nullptr;
  p.scanned_ = nullptr;
  return true;
}

bool process_private::park(process& p) {
  if (p.wait_ && p.wait_->deadline < p.armed_ && !is_held(p)) arm(p, p.wait_->deadline);
  const std::uint64_t tag = tag_of(p.generation_.load(std::memory_order_relaxed));
  std::uint64_t expected = tag | empty;
  p.status_.store(static_cast<std::uint8_t>(process_status::waiting), std::memory_order_relaxed);
  // From the exchange on another worker may run this process: nothing of it may be touched.
  if (p.inbox_.compare_exchange_strong(expected, tag | waiting, std::memory_order_acq_rel, std::memory_order_acquire))
    return true;
  p.status_.store(static_cast<std::uint8_t>(process_status::running), std::memory_order_relaxed);
  return false;
}

void process_private::run_slice(runnable& what) {
  auto& p = static_cast<process&>(what);
  process* outer = std::exchange(this_process, &p);
  const std::uint8_t status = p.status_.load(std::memory_order_relaxed);
  // Scheduled once for each `waiting` mark that was taken: else two workers run it.
  TROUPE_EXPECT(status == static_cast<std::uint8_t>(process_status::runnable), "status", status, "process", p.index_);
  p.status_.store(static_cast<std::uint8_t>(process_status::running), std::memory_order_relaxed);
  p.budget_ = slice_budget;
  for (;;) {
    if (has_arrivals(p)) fetch(p);
    if (p.flags_ & doomed) [[unlikely]] {
      TROUPE_EXPECT(p.cold_ && p.cold_->doom, "process", p.index_, "flags", p.flags_);  // `doom` says why
      exit_reason reason = std::move(*p.cold_->doom);
      finish(p, reason);
      break;
    }
    if (is_held(p) || (!p.next_ && (!p.wait_ || !complete_wait(p)))) {
      const std::uint64_t used = static_cast<std::uint64_t>(slice_budget - p.budget_);
      p.reductions_.store(p.reductions_.load(std::memory_order_relaxed) + used, std::memory_order_relaxed);
      p.budget_ = slice_budget;
      if (park(p)) break;
      continue;
    }
    while (p.next_ && p.budget_ > 0) {
      std::exchange(p.next_, {}).resume();
      if (p.held_ || (p.flags_ & doomed)) break;
    }
    if (p.root_.done()) {
      p.wait_ = nullptr;  // nothing of its frames waits any more
      const std::exception_ptr& failure = p.root_.promise().failure();
      exit_reason reason = failure ? reason_of(failure) : exit_reason::normal();
      if (p.flags_ & doomed) reason = std::move(*p.cold_->doom);  // by its own hand, whatever it made of that
      finish(p, reason);
      break;
    }
    if (p.cold_ && !p.cold_->dropped.empty()) answer_dropped(p, nullptr);
    if (p.budget_ <= 0) {
      p.reductions_.store(p.reductions_.load(std::memory_order_relaxed) + slice_budget, std::memory_order_relaxed);
      p.status_.store(static_cast<std::uint8_t>(process_status::runnable), std::memory_order_relaxed);
      this_process = outer;
      if (is_own(p)) p.core_->scheduler().schedule_own_last(p);
      else p.core_->scheduler().schedule_last(p);
      return;
    }
  }
  this_process = outer;
}

// -- its end

std::string exception_type_name() {
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (!type) return "unknown";
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> readable(abi::__cxa_demangle(type->name(), nullptr, nullptr, &status),
                                                       &std::free);
  return status == 0 && readable ? readable.get() : type->name();
}

exit_reason process_private::reason_of(std::exception_ptr failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const exit_by_error& e) {
    return {e.cause, e.where};
  } catch (exit_reason& reason) {
    return std::move(reason);
  } catch (const std::exception& e) {
    return exit_reason::exception(exception_type_name(), e.what());
  } catch (...) {
    return exit_reason::exception(exception_type_name(), "");
  }
}

void process_private::doom(process& p, exit_reason reason) {
  if (p.flags_ & doomed) return;
  p.flags_ |= doomed;
  cold(p).doom = std::move(reason);
}

void process_private::finish(process& p, const exit_reason& reason) {
  core& home = *p.core_;
  const std::uint8_t status = p.status_.load(std::memory_order_relaxed);
  TROUPE_EXPECT(status != static_cast<std::uint8_t>(process_status::exiting), "process", p.index_);  // it ends once
  p.status_.store(static_cast<std::uint8_t>(process_status::exiting), std::memory_order_relaxed);
  p.flags_ |= doomed;
  if (!reason.is_planned()) home.counters().crashed.fetch_add(1, std::memory_order_relaxed);
  if (home.watching()) home.watching()->exited(p, reason);
  // Came together with what ends the process: nobody takes it.
  if (p.wait_ && p.wait_->found) release_envelope(std::exchange(p.wait_->found, nullptr));
  if (p.root_) std::exchange(p.root_, {}).destroy();
  p.next_ = {};
  p.wait_ = nullptr;
  if (p.flags_ & has_timer) home.scheduler().disarm(p);
  finish_signals(p, reason);
  home.retire(p);
}

// Closes the mailbox, frees the name, tells links and monitors, and only then answers the calls that are left: a caller
// that ends by such an answer must not reach a supervisor before the end that caused it.
void process_private::finish_signals(process& p, const exit_reason& reason) {
  const std::uint64_t tag = tag_of(p.generation_.load(std::memory_order_relaxed));
  const std::uint64_t rest = p.inbox_.exchange(tag | closed, std::memory_order_acq_rel) & ~tag_mask;
  // After the mailbox has closed, so that nobody can name a dead process; before anybody is told.
  if (p.trace_.load(std::memory_order_seq_cst) & trace_flag::named) p.core_->forget_name(p.id());
  if (p.cold_) {
    tell_end(p, reason);
    if (!p.cold_->dropped.empty()) answer_dropped(p, &reason);
  }
  auto answer = [&p, &reason](envelope* e) {
    error why(errc::exited, reason.text());
    p.core_->answer_call(e->from, e->id, std::move(why));
    e->replied = true;
    release_envelope(e);
  };
  for (envelope* e = std::exchange(p.first_, nullptr); e;) {
    envelope* following = std::exchange(e->next, nullptr);
    if (e->kind == signal::call) answer(e);
    else release_envelope(e);
    e = following;
  }
  p.last_ = p.scanned_ = nullptr;
  if (rest <= closed) return;
  envelope* in_order = oldest_first(rest);
  while (in_order) {
    envelope* e = in_order;
    in_order = std::exchange(e->next, nullptr);
    if (e->kind == signal::call) answer(e);
    else p.core_->undeliverable(p.id(), e, errc::noproc);
  }
}

void process_private::tell_end(process& p, const exit_reason& reason) {
  core& home = *p.core_;
  const pid self = p.id();
  for (pid other : p.cold_->links) {
    envelope* e = make_envelope<exit_reason>(signal::exit, reason);
    e->from = self;
    home.deliver(other, e);
  }
  for (const auto& [watcher, id] : p.cold_->watchers) {
    envelope* e = make_envelope<down>(signal::down, ref(watcher.life(), id), self, reason);
    e->from = self;
    e->id = id;
    home.deliver(watcher, e);
  }
  for (const auto& [id, entry] : p.cold_->monitors) {
    envelope* e = make_signal(signal::demonitor);
    e->from = self;
    e->id = id;
    if (entry.target) home.deliver(entry.target, e);
    else home.deliver(address(entry.name, entry.node), e);
  }
}

}  // namespace troupe::detail
