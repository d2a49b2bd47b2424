// A connection from `up` to `down`: its frames, its credit, its ticks, its goodbye.
#include <algorithm>

#include <troupe/expect.hpp>

#include "hub_core.hpp"
#include "life_table.hpp"
#include "quoted.hpp"

namespace troupe::bus::internal {
namespace {

constexpr duration farewell_patience = std::chrono::seconds(1);
constexpr std::size_t most_unsent_answers = 64u << 10;

std::string in_words(duration time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

}  // namespace

connection* hub_core::find(connection_id id) {
  auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

// For who was promised that it is there: by a timer, which goes with its connection.
connection& hub_core::found(connection_id id) {
  TROUPE_EXPECT(loop_.inside(), "connection", id);
  auto found = connections_.find(id);
  TROUPE_EXPECT(found != connections_.end(), "connection", id, "connections", connections_.size());
  return *found->second;
}

connection* hub_core::find_name(const std::string& name) {
  auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

connection& hub_core::bring_up(half& h) {
  auto made = std::make_unique<connection>();
  connection& c = *made;
  c.info = std::move(h.peer);
  c.info.id = ++last_id_;
  c.pipe = h.pipe;
  c.wire = h.wire;
  c.heard = loop_.now();
  c.door = std::make_shared<gate>();
  c.door->frame_limit = c.info.theirs.frame_bytes;
  if (!c.info.who.tool) troupe::internal::spare_life(c.info.who.name, c.info.who.creation);
  drop_half(c.pipe);
  transport_->trust(c.pipe);
  const connection_id id = c.info.id;
  connections_.emplace(id, std::move(made));
  const bool fresh = by_pipe_.emplace(c.pipe, &c).second;
  // `end` comes first: a pipe is in one of the four places that hub_core.hpp names.
  TROUPE_EXPECT(fresh && !farewells_.contains(c.pipe), "pipe", c.pipe, "connection", id, "fresh", fresh);
  by_name_.insert_or_assign(c.info.who.name, &c);
  {
    std::unique_lock lock(gates_mutex_);
    gates_.emplace(id, c.door);
  }
  arm_tick(c, c.info.tick);
  if (c.info.dial == 0) {  // a dial of ours that was crossed by this connection has found what it wanted
    for (const auto& [dial, each] : dials_) {
      if (each.pipe == 0 && each.name == c.info.who.name) {
        c.info.dial = dial;
        break;
      }
    }
    if (auto found = dials_.find(c.info.dial); found != dials_.end()) {
      if (found->second.timer != 0) loop_.cancel(found->second.timer);
      dials_.erase(found);
    }
  }
  drops_.log(log_level::debug, "connected",
             {{"peer", c.info.who.name},
              {"via", c.info.via.text()},
              {"from", c.info.from ? value(c.info.from->text()) : value()},
              {"dialled_by_us", c.info.dialled_by_us}});
  events_.up(c.info);
  join_dials(c);
  return c;
}

// Other dials to the same name, crossed as well.
void hub_core::join_dials(const connection& up) {
  std::vector<dial_id> joined;
  for (const auto& [dial, each] : dials_) {
    if (each.pipe == 0 && each.name == up.info.who.name) joined.push_back(dial);
  }
  for (const dial_id dial : joined) {
    if (const timer_id timer = found_dial(dial).timer; timer != 0) loop_.cancel(timer);
    dials_.erase(dial);
    events_.dial_joined(dial, up.info.id);
  }
}

void hub_core::connection_frame(connection& c, std::span<const std::byte> data) {
  const auto parsed = parse_frame(data);
  if (!parsed || parsed->id != c.wire) {
    drops_.drop("wrong_connection_id", loop_.now(), "a frame without this connection's id was dropped",
                {{"peer", c.info.who.name}});
    return;
  }
  c.heard = loop_.now();
  c.bytes_in += data.size();
  const std::size_t longest = limits_over(c.info.encrypted ? channel::encrypted : channel::plain).frame_bytes;
  if (parsed->payload.size() > longest) {
    drops_.count("too_large");
    return end(c, error(errc::too_large, "a frame of " + std::to_string(parsed->payload.size()) + " bytes"), true);
  }
  if (parsed->kind == frame_kind::signals) {
    ++c.frames_in;
    if (c.charged >= limits_.credit_bytes) {
      drops_.count("credit_exceeded");
      return end(c, error(errc::bad_message, "the peer sends more than its credit"), true);
    }
    c.charged += parsed->payload.size() + frame_cost;
    return events_.frame(c.info.id, parsed->payload);
  }
  const auto controls = parse_control(parsed->payload);
  if (!controls) {
    drops_.count("bad_message");
    return end(c, error(errc::bad_message, "control: " + controls.error().text()), true);
  }
  for (const control& one : *controls) {
    if (!on_control(c, one)) return;
  }
}

// False when the connection has ended.
bool hub_core::on_control(connection& c, const control& one) {
  switch (one.kind) {
    case control::what::ping:
      if (!c.pings_in.take(loop_.now()) || transport_->unsent(c.pipe) > c.in_flight + most_unsent_answers) {
        drops_.count("unsent_answers");
        end(c, error(errc::overloaded, c.info.who.name + " asks for more signs of life than it reads"), false);
        return false;
      }
      send_control(
          c, {.kind = control::what::pong, .number = one.number, .health = health_.load(std::memory_order_relaxed)});
      return_credit(c, true);
      return true;
    case control::what::pong:
      c.peer_health = one.health;
      if (one.number == c.timed_ping) {
        c.rtt = loop_.now() - c.ping_sent;
        c.timed_ping = 0;
      }
      if (c.probe != 0 && one.number >= c.probe_ping && one.number <= c.pings) {
        loop_.cancel(std::exchange(c.probe, 0));
        answered_probe(c);
      }
      return true;
    case control::what::credit:
      if (one.number > c.in_flight) {
        drops_.count("bad_message");
        end(c, error(errc::bad_message, "credit for more than was sent"), true);
        return false;
      }
      c.in_flight -= static_cast<std::size_t>(one.number);
      {
        const connection_id id = c.info.id;
        pump(c);
        return find(id) != nullptr;
      }
    case control::what::bye: {
      error reason = one.reason;
      if (reason.code() == errc::none) reason = error(errc::closed);
      if (reason.text().empty()) reason = error(reason.code(), c.info.who.name + " has ended the connection");
      send_control(c, {.kind = control::what::gone});
      end(c, c.leaving ? c.leave_reason : reason, false);
      return false;
    }
    case control::what::gone:
      if (!c.said_bye) return true;
      end(c, error(c.leave_reason), false);  // all that it had sent has been read
      return false;
    case control::what::ended:
      end(c, error(errc::noconnection, c.info.who.name + " has given this connection up before"), false);
      return false;
  }
  return true;
}

// The only way down. `tell`: the peer may still listen, and hears the reason.
void hub_core::end(connection& c, const error& reason, bool tell) {
  const connection_id id = c.info.id;
  const pipe_id pipe = c.pipe;
  TROUPE_EXPECT(loop_.inside(), "connection", id);
  loop_.cancel(c.tick);
  if (c.probe != 0) loop_.cancel(c.probe);
  if (c.leave != 0) loop_.cancel(c.leave);
  c.door->open.store(false, std::memory_order_release);
  {
    std::unique_lock lock(gates_mutex_);
    gates_.erase(id);
  }
  if (!c.queue.empty()) {
    for (std::size_t i = 0; i < c.queue.size(); ++i) drops_.count("connection_ended");
  }
  by_pipe_.erase(pipe);
  if (auto named = by_name_.find(c.info.who.name); named != by_name_.end() && named->second == &c)
    by_name_.erase(named);
  auto node = connections_.extract(id);
  TROUPE_EXPECT(!node.empty(), "connection", id);  // it ends once
  if (tell) {
    send_control(c, {.kind = control::what::bye, .reason = reason});
    farewell last{.wire = c.wire};
    last.timer = loop_.at(loop_.now() + farewell_patience, [this, pipe] {
      farewells_.erase(pipe);
      transport_->close(pipe);
      check_stopped();
    });
    const bool leaves = farewells_.emplace(pipe, last).second;
    TROUPE_EXPECT(leaves, "connection", id, "pipe", pipe);
  } else {
    transport_->close(pipe);
  }
  drops_.log(
      log_level::debug, "disconnected",
      {{"peer", c.info.who.name}, {"code", reason.name()}, {"reason", troupe::internal::quoted(reason.text(), 256)}});
  events_.down(id, reason);
  for (const pipe_id waiting : std::exchange(c.contenders, {})) settle(waiting);
  check_stopped();
}

void hub_core::send_control(pipe_id pipe, const wire_id& wire, const control& what) {
  wire_buffer out;
  encode_control(what, out);
  transport_->send(pipe, make_header(frame_kind::control, wire), std::move(out).take());
}

void hub_core::send_control(connection& c, const control& what) {
  wire_buffer out;
  encode_control(what, out);
  c.bytes_out += header_bytes + out.size();
  transport_->send(c.pipe, make_header(frame_kind::control, c.wire), std::move(out).take());
}

// Small returns are kept back: a peer with most of its window left does not wait for them.
void hub_core::return_credit(connection& c, bool all) {
  if (c.unreturned == 0 || (!all && c.unreturned < limits_.credit_bytes / 8)) return;
  TROUPE_EXPECT(c.unreturned <= c.charged, "connection", c.info.id, "unreturned", c.unreturned, "charged", c.charged);
  c.charged -= c.unreturned;
  send_control(c, {.kind = control::what::credit, .number = std::exchange(c.unreturned, 0)});
}

void hub_core::pump(connection& c) {
  const frame_header header = make_header(frame_kind::signals, c.wire);
  while (!c.queue.empty() && c.in_flight < c.info.theirs.credit_bytes) {
    const std::size_t size = c.queue.front().size();
    if (!transport_->send(c.pipe, header, std::move(c.queue.front()))) return;  // `closed` is on its way
    c.queue.pop_front();
    const std::size_t cost = size + frame_cost;
    c.in_flight += cost;
    c.bytes_out += size + header_bytes;
    ++c.frames_out;
    const std::size_t before = c.door->queued.fetch_sub(cost, std::memory_order_acq_rel);
    TROUPE_EXPECT(before >= cost, "connection", c.info.id, "queued", before, "cost", cost);  // `send` has added it
  }
  if (c.leaving) {
    // What the peer has sent until it hears this is still taken; its answer, or the timer of `leave`, is the end.
    if (c.queue.empty() && !std::exchange(c.said_bye, true)) {
      send_control(c, {.kind = control::what::bye, .reason = c.leave_reason});
    }
    return;
  }
  std::size_t relief = c.door->relief.load(std::memory_order_acquire);
  if (relief != gate::nobody && c.door->queued.load(std::memory_order_acquire) <= relief &&
      c.door->relief.compare_exchange_strong(relief, gate::nobody)) {
    events_.relieved(c.info.id);
  }
}

// After what is queued, if the peer gives credit for it in time.
void hub_core::leave(connection& c, const error& reason) {
  if (c.leaving) return;
  c.leaving = true;
  c.leave_reason = reason;
  c.door->open.store(false, std::memory_order_release);
  const connection_id id = c.info.id;
  c.leave = loop_.at(loop_.now() + farewell_patience, [this, id] {
    connection& late = found(id);
    late.leave = 0;
    end(late, error(late.leave_reason), !late.said_bye);
  });
  pump(c);
}

// -- ticks -----------------------------------------------------------------------------------------------------------

void hub_core::ping(connection& c) {
  ++c.pings;
  if (c.timed_ping == 0) {
    c.timed_ping = c.pings;
    c.ping_sent = loop_.now();
  }
  send_control(c, {.kind = control::what::ping, .number = c.pings});
}

void hub_core::arm_tick(connection& c, duration wait) {
  const connection_id id = c.info.id;
  c.tick_due = loop_.now() + wait;
  c.tick = loop_.at(c.tick_due, [this, id] { on_tick(id); });
}

void hub_core::on_tick(connection_id id) {
  connection& c = found(id);
  const time_point now = loop_.now();
  const duration silent = now - c.heard;
  const duration grace = c.info.tick / 4;
  // This thread itself came late (a stopped program, a busy machine): what the peer has sent may not be read yet.
  const bool late = now - c.tick_due > grace;
  if (silent >= c.info.tick * c.info.silent_ticks && !late) {
    return end(c, error(errc::noconnection, c.info.who.name + " is silent for " + in_words(silent)), false);
  }
  if (silent >= c.info.tick) ping(c);
  return_credit(c, true);
  arm_tick(c, late ? grace : c.info.tick);
}

// A sign of life within `patience`, or the end. Only an answer to this question counts: what was sent before it may
// still lie in between although its sender is gone.
void hub_core::ask(connection& c, duration patience, std::string why) {
  const connection_id id = c.info.id;
  if (c.probe != 0) return;
  TROUPE_EXPECT(loop_.inside(), "connection", id);
  ping(c);
  c.probe_ping = c.pings;
  c.probe = loop_.at(loop_.now() + patience, [this, id, why = std::move(why)] {
    connection& silent = found(id);
    silent.probe = 0;
    end(silent, error(errc::noconnection, silent.info.who.name + ": " + why), false);
  });
}

}  // namespace troupe::bus::internal
