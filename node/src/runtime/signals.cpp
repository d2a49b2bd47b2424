// What a process does with each signal, when it fetches it. Semantics: erlang(3) link, unlink, exit, monitor.
#include "runtime/own.hpp"
#include "runtime/process_private.hpp"

#include <unistd.h>

#include <troupe/expect.hpp>

namespace troupe::detail {

void thread_port::wake() noexcept {
  std::uint64_t one = 1;
  // Full means readable already.
  [[maybe_unused]] auto written = ::write(fd, &one, sizeof one);
}
void thread_port::clear() noexcept {
  std::uint64_t seen = 0;
  [[maybe_unused]] auto got = ::read(fd, &seen, sizeof seen);
}

cold_part& process_private::cold(process& p) {
  if (!p.cold_) {
    p.cold_ = new cold_part;
    p.memory_.fetch_add(sizeof(cold_part), std::memory_order_relaxed);
  }
  return *p.cold_;
}

void process_private::answer_dropped(process& p, const exit_reason* ending) {
  auto calls = std::move(p.cold_->dropped);
  p.cold_->dropped.clear();
  for (const auto& [caller, id] : calls) {
    error why = ending ? error(errc::exited, ending->text())
                       : error(errc::cancelled, "the server dropped the call without an answer");
    why.set_maybe_executed(true);
    p.core_->answer_call(caller, id, std::move(why));
  }
}

void process_private::handle_signal(process& p, envelope* e) {
  switch (e->kind) {
    case signal::message:
    case signal::call:
      if (p.trace_.load(std::memory_order_relaxed) & trace_flag::receive) {
        if (p.core_->watching()) p.core_->watching()->received(p, *e);
      }
      append(p, e);
      return;
    case signal::reply:
    case signal::reply_error:
    case signal::resume:
      if (p.wait_ && p.wait_->reply_id == e->id && !p.wait_->found) {
        e->next = nullptr;
        p.wait_->found = e;
        return;
      }
      p.core_->counters().late_replies.fetch_add(1, std::memory_order_relaxed);
      break;
    case signal::down: handle_down(p, e); return;
    case signal::exit:
    case signal::exit_asked: handle_exit(p, e); return;
    case signal::link: {
      auto& c = cold(p);
      // Sent before the other side had seen our unlink: it will drop its side when it does.
      if (c.unlinking.contains(e->from)) break;
      c.links.insert(e->from);
      break;
    }
    case signal::unlink: {
      if (p.cold_) p.cold_->links.erase(e->from);
      envelope* ack = make_signal(signal::unlink_ack);
      ack->from = p.id();
      p.core_->deliver(e->from, ack);
      break;
    }
    case signal::unlink_ack:
      if (p.cold_) {
        auto found = p.cold_->unlinking.find(e->from);
        if (found != p.cold_->unlinking.end() && --found->second == 0) p.cold_->unlinking.erase(found);
      }
      break;
    case signal::monitor: cold(p).watchers.emplace(e->from, e->id); break;
    case signal::demonitor:
      if (p.cold_) p.cold_->watchers.erase({e->from, e->id});
      break;
    case signal::group_leader: p.leader_ = *static_cast<pid*>(e->payload()); break;
    case signal::timer: handle_timer(p); break;
    case signal::relieved:
      if (p.held_) --p.held_;
      if (!p.held_ && p.wait_ && p.wait_->for_credit) p.wait_->timed_out = true;
      break;
    case signal::inspect: static_cast<inspection*>(e->payload())->look(p); break;
  }
  release_envelope(e);
}

// The node rests on this process. Whoever linked itself to it, or took it for another, must not end the node.
void process_private::refuse_exit(process& p, const envelope& e, const exit_reason& reason) {
  if (reason.is_normal()) return;
  p.core_->counters().exits_refused.fetch_add(1, std::memory_order_relaxed);
  p.log().warning("an exit signal was not obeyed: this process belongs to the node",
                  {{"from", value(e.from)}, {"by_link", e.kind == signal::exit}, {"reason", reason.term()}});
}

void process_private::handle_exit(process& p, envelope* e) {
  auto& reason = *static_cast<exit_reason*>(e->payload());
  const bool by_link = e->kind == signal::exit;
  if (by_link) {
    // No longer linked: this signal was under way when we unlinked.
    if (!p.cold_ || p.cold_->links.erase(e->from) == 0) {
      release_envelope(e);
      return;
    }
  }
  if ((p.flags_ & guarded) && !p.core_->stopping()) {
    if (e->from || e->id != by_force) refuse_exit(p, *e, reason);
    else doom(p, reason.term() == value("kill") ? exit_reason::killed() : std::move(reason));
    release_envelope(e);
    return;
  }
  const std::string* word = reason.term().text();  // {"kill", x} is a reason like any other
  const bool untrappable = !by_link && word && *word == "kill" && !is_by_thread(p);
  if (untrappable) {
    doom(p, exit_reason::killed());
  } else if ((p.flags_ & traps) || is_by_thread(p)) {
    envelope* told = make_envelope<exit_message>(signal::message, e->from, std::move(reason));
    told->from = e->from;
    told->id = by_link ? exit_by_link : exit_by_asking;
    weigh(*told);
    count_arrived(p, *told);
    handle_signal(p, told);
  } else if (!reason.is_normal() || (!by_link && e->from == p.id())) {
    doom(p, std::move(reason));
  }
  release_envelope(e);
}

// Its own signal comes behind what it has sent to itself, and before anything it does next. Where that ends it, it is
// doomed as well: to catch what is thrown does not save it.
void process_private::exit_self(process& p, exit_reason reason) {
  fetch(p);
  if (!(p.flags_ & doomed)) {
    envelope* e = make_envelope<exit_reason>(signal::exit_asked, std::move(reason));
    e->from = p.id();
    handle_exit(p, e);
  }
  if (p.flags_ & doomed) throw exit_reason(*p.cold_->doom);
}

void process_private::handle_down(process& p, envelope* e) {
  auto found = p.cold_ ? p.cold_->monitors.find(e->id) : decltype(p.cold_->monitors.end()){};
  if (!p.cold_ || found == p.cold_->monitors.end()) {  // demonitored meanwhile, or told twice
    release_envelope(e);
    return;
  }
  if (down* content = payload_as<down>(e)) {
    content->name = std::move(found->second.name);
    content->node = std::move(found->second.node);
    if (!content->process) content->process = found->second.target;
  }
  p.cold_->monitors.erase(found);
  weigh(*e);
  count_arrived(p, *e);
  if (p.trace_.load(std::memory_order_relaxed) & trace_flag::receive) {
    if (p.core_->watching()) p.core_->watching()->received(p, *e);
  }
  append(p, e);
}

// -- timers: the one entry of a process fires as a signal; then the process looks what is due.

void process_private::arm(process& p, time_point when) {
  p.armed_ = when;
  p.flags_ |= has_timer;
  p.core_->scheduler().arm({when,
                            [](void* context, std::uint64_t id, std::uint64_t) {
                              auto* home = static_cast<core*>(context);
                              home->deliver(pid(home->life(), id), make_signal(signal::timer));
                            },
                            p.core_, p.id().id(), 0, 0, &p});
}

timer process_private::start_timer(process& p, duration first, duration period, const address& to, message content) {
  core& home = *p.core_;
  const std::uint64_t id = home.next_ref();
  const time_point due = deadline_after(home.clock().now(), first);
  timer_state state{due, period, to, std::move(content)};
  // A repeating timer sends copies: those of a value.
  if (period > duration::zero()) state.content = message(state.content.to_value());
  auto& timers = cold(p).timers;
  if (!timers) timers = std::make_unique<timer_table>();
  timers->by_id.emplace(id, std::move(state));
  timers->by_time.emplace(due, id);
  if (due < p.armed_) arm(p, due);
  return timer(id);
}

bool process_private::cancel_timer(process& p, std::uint64_t id) {
  if (!p.cold_ || !p.cold_->timers) return false;
  timer_table& timers = *p.cold_->timers;
  auto found = timers.by_id.find(id);
  if (found == timers.by_id.end()) return false;
  timers.by_time.erase({found->second.due, id});
  timers.by_id.erase(found);
  return true;
}

void process_private::handle_timer(process& p) {
  p.armed_ = time_point::max();
  p.flags_ |= timed;
  if (!p.cold_ || !p.cold_->timers) return;
  auto& timers = p.cold_->timers->by_id;
  auto& due = p.cold_->timers->by_time;
  const time_point now = p.core_->clock().now();
  while (!due.empty() && due.begin()->first <= now) {
    auto found = timers.find(due.begin()->second);
    TROUPE_EXPECT(found != timers.end(), "process", p.index_, "timer", due.begin()->second);
    due.erase(due.begin());
    timer_state& state = found->second;
    if (state.period > duration::zero()) {
      // On the beat: what is sent late does not make the next one late. Whole periods that have passed are not made up.
      const auto missed = (now - state.due) / state.period;
      p.core_->counters().timers_skipped.fetch_add(static_cast<std::uint64_t>(missed), std::memory_order_relaxed);
      state.due = deadline_after(state.due, (missed + 1) * state.period);
      due.emplace(state.due, found->first);
      p.send(state.to, message(state.content.to_value()));
    } else {
      timer_state last = std::move(state);
      timers.erase(found);
      p.send(last.to, std::move(last.content));
    }
  }
  // For a process that does not come to wait.
  if (!due.empty() && due.begin()->first != time_point::max()) arm(p, due.begin()->first);
}

}  // namespace troupe::detail
