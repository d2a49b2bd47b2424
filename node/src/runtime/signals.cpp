// What a process does with each signal, when it fetches it. Semantics: erlang(3) link, unlink, exit, monitor.
#include "runtime/process_private.hpp"

#include <unistd.h>

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
    case signal::timer: handle_timer(p, e->id); break;
    case signal::inspect: static_cast<inspection*>(e->payload())->look(p); break;
  }
  release_envelope(e);
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
  const bool untrappable = !by_link && reason.is("kill") && !by_thread(p);
  if (untrappable) {
    doom(p, exit_reason::killed());
  } else if ((p.flags_ & traps) || by_thread(p)) {
    envelope* told = make_envelope<exit_message>(signal::message, e->from, std::move(reason));
    told->from = e->from;
    p.queued_.fetch_add(1, std::memory_order_relaxed);
    handle_signal(p, told);
  } else if (!reason.is_normal() || (!by_link && e->from == p.id())) {
    doom(p, std::move(reason));
  }
  release_envelope(e);
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
  p.queued_.fetch_add(1, std::memory_order_relaxed);
  if (p.trace_.load(std::memory_order_relaxed) & trace_flag::receive) {
    if (p.core_->watching()) p.core_->watching()->received(p, *e);
  }
  append(p, e);
}

// -- timers: an entry fires as a signal with the timer's id; id 0 is the deadline of a wait.

timer process_private::start_timer(process& p, duration first, duration period, const address& to, message content) {
  core& home = *p.core_;
  const std::uint64_t id = home.next_ref();
  timer_state state{period, to, std::move(content)};
  // A repeating timer sends copies: those of a value.
  if (period > duration::zero()) state.content = message(state.content.to_value());
  cold(p).timers.emplace(id, std::move(state));
  arm_timer(p, id, deadline_after(home.clock().now(), first));
  return timer(id);
}

void process_private::arm_timer(process& p, std::uint64_t id, time_point when) {
  if (when == time_point::max()) return;
  p.core_->scheduler().arm({when,
                            [](void* context, std::uint64_t target, std::uint64_t timer_id) {
                              auto* home = static_cast<core*>(context);
                              envelope* e = make_signal(signal::timer);
                              e->id = timer_id;
                              home->deliver(pid(home->life(), target), e);
                            },
                            p.core_, p.id().id(), id, 0});
}

void process_private::handle_timer(process& p, std::uint64_t id) {
  if (id == 0) {
    p.armed_ = time_point::max();
    p.flags_ |= timed;
    return;
  }
  if (!p.cold_) return;
  auto found = p.cold_->timers.find(id);
  if (found == p.cold_->timers.end()) return;  // cancelled
  timer_state& state = found->second;
  if (state.period > duration::zero()) {
    arm_timer(p, id, deadline_after(p.core_->clock().now(), state.period));
    p.send(state.to, message(state.content.to_value()));
    return;
  }
  timer_state last = std::move(state);
  p.cold_->timers.erase(found);
  p.send(last.to, std::move(last.content));
}

}  // namespace troupe::detail
