#include "dist/signals.hpp"

#include <algorithm>
#include <new>

namespace troupe::internal {

using detail::envelope;
using detail::signal;

namespace {

void put_from(wire_sink& w, const node_life* own, pid from) {
  if (!from) w.put_nil();
  else if (from.life() == own) w.put_uint(from.id());
  else w.put_pid(from);
}

void put_to(wire_sink& w, const destination& to) {
  if (!to.name.empty()) w.put_text(to.name);
  else if (to.connected && to.process.life() == to.connected) w.put_uint(to.process.id());
  else w.put_pid(to.process);
}

void put_op(wire_sink& w, op what, std::size_t items, const node_life* own, pid from) {
  w.begin_list(items);
  w.put_uint(static_cast<std::uint64_t>(what));
  put_from(w, own, from);
}

void put_content(wire_buffer& out, wire_sink& w, const envelope& e) {
  if (e.type == &detail::wire_type) {
    const auto data = static_cast<const detail::wire_payload*>(e.payload())->content;
    out.raw().insert(out.raw().end(), data.begin(), data.end());
  } else if (e.type) {
    e.type->encode(e.payload(), w);
  } else {
    w.put_nil();
  }
}

value reason_term(envelope*& e) {
  auto* reason = detail::payload_as<exit_reason>(e);
  return reason ? reason->term() : value();
}

void encode_down(wire_sink& w, const node_life* own, const destination& to, envelope*& e) {
  auto* content = detail::payload_as<down>(e);
  pid ended = content ? content->process : e->from;
  put_op(w, op::down, 5, own, ended);
  put_to(w, to);
  w.put_uint(e->id);
  w.put_value(content ? content->reason.term() : value("noproc"));
}

}  // namespace

bool too_deep(const value& content, std::size_t left) noexcept {
  if (left == 0) return true;
  if (const list* items = content.items()) {
    return std::any_of(items->begin(), items->end(), [left](const value& one) { return too_deep(one, left - 1); });
  }
  if (const map* entries = content.entries()) {
    return std::any_of(entries->begin(), entries->end(), [left](const auto& one) {
      return too_deep(one.first, left - 1) || too_deep(one.second, left - 1);
    });
  }
  return false;
}

bool encode_signal(wire_buffer& out, const node_life* own, const destination& to, envelope*& e) {
  wire_sink w(out);
  auto head = [&](op what, std::size_t items) {
    put_op(w, what, items, own, e->from);
    put_to(w, to);
  };
  auto numbered = [&](op what, std::size_t items = 4) {
    head(what, items);
    w.put_uint(e->id);
  };
  switch (e->kind) {
    case signal::message:
      head(op::message, 4);
      put_content(out, w, *e);
      return true;
    case signal::call:
      numbered(op::call, 5);
      put_content(out, w, *e);
      return true;
    case signal::reply:
      numbered(op::reply, 5);
      put_content(out, w, *e);
      return true;
    case signal::reply_error: {
      const error* why = detail::payload_as<error>(e);
      numbered(op::reply_error, 5);
      codec<error>::put(w, why ? *why : error(errc::bad_message));
      return true;
    }
    case signal::down: encode_down(w, own, to, e); return true;
    case signal::exit:
    case signal::exit_asked:
      head(e->kind == signal::exit ? op::exit : op::exit_asked, 4);
      w.put_value(reason_term(e));
      return true;
    case signal::link: head(op::link, 3); return true;
    case signal::unlink: numbered(op::unlink); return true;
    case signal::unlink_ack: numbered(op::unlink_ack); return true;
    case signal::monitor: numbered(op::monitor); return true;
    case signal::demonitor: numbered(op::demonitor); return true;
    case signal::group_leader: {
      const pid* leader = detail::payload_as<pid>(e);
      head(op::group_leader, 4);
      w.put_pid(leader ? *leader : pid());
      return true;
    }
    case signal::timer:
    case signal::inspect:
    case signal::resume:
    case signal::relieved: return false;
  }
  return false;
}

void encode_chunk_head(wire_buffer& out, const node_life* own, pid from, const piece& part) {
  wire_sink w(out);
  put_op(w, op::chunk, 5, own, from);
  w.put_uint(part.stream);
  w.put_uint(part.total);
  w.begin_bytes(part.data.size());
}

void encode_nodes(wire_buffer& out, const std::vector<known_node>& known) {
  wire_sink w(out);
  put_op(w, op::nodes, 3, nullptr, pid());
  w.begin_list(known.size());
  for (const known_node& one : known) {
    w.begin_list(2);
    w.put_text(one.name);
    codec<std::vector<std::string>>::put(w, one.endpoints);
  }
}

void encode_order(wire_buffer& out, const node_life* own, const work_order& order, std::uint64_t id) {
  wire_sink w(out);
  put_op(w, order.what, 6, own, order.from);
  w.put_uint(id);
  w.put_text(order.entry);
  w.put_value(order.arguments);
  w.begin_map(1u + (order.link ? 1u : 0u) + (order.watch ? 1u : 0u));
  w.put_text("leader");
  if (order.leader) w.put_pid(order.leader);
  else w.put_nil();
  if (order.link) {
    w.put_text("link");
    w.put_bool(true);
  }
  if (order.watch) {
    w.put_text("monitor");
    w.put_uint(order.watch);
  }
}

namespace {

bool take_process(wire_source& r, const node_life* life, pid& out) {
  switch (r.peek()) {
    case value::kind::nil: return r.read_nil();
    case value::kind::pid: return r.read_pid(out);
    default: {
      std::uint64_t id = 0;
      if (!r.read_uint(id)) return false;
      out = pid(life, id);
      return true;
    }
  }
}

bool take_to(wire_source& r, const node_life* own, arrival& out) {
  if (r.peek() != value::kind::text) {
    if (!take_process(r, own, out.to)) return false;
    return out.to || r.fail("a signal for nobody");
  }
  if (!r.read_text(out.name)) return false;
  return !out.name.empty() || r.fail("an empty name");
}

bool take_order(wire_source& r, const node_life* peer, arrival& out) {
  work_order& order = out.order.emplace();
  order.what = out.what;
  order.from = out.from;
  std::string_view entry, key;
  if (!r.read_uint(order.id) || !r.read_text(entry)) return false;
  order.entry.assign(entry);
  if (r.peek() != value::kind::list) return r.fail("a list of arguments expected");
  if (!r.read_value(order.arguments)) return false;
  std::size_t entries = 0;
  if (!r.begin_map(entries)) return false;
  for (std::size_t i = 0; i < entries; ++i) {
    if (!r.read_text(key)) return false;
    r.enter(key);
    bool good = true;
    if (key == "leader") good = take_process(r, peer, order.leader);
    else if (key == "link") good = r.read_bool(order.link);
    else if (key == "monitor") good = r.read_uint(order.watch);
    else good = r.skip();
    if (!good) return false;
    r.leave();
  }
  if ((order.link || order.watch) && order.from.life() != peer)
    return r.fail("a link or monitor by another node's process");
  return true;
}

// A signal that ties two processes together is only believed about the sender's own.
bool bound_to_sender(op what) {
  switch (what) {
    case op::link:
    case op::unlink:
    case op::unlink_ack:
    case op::monitor:
    case op::demonitor:
    case op::exit: return true;
    default: return false;
  }
}

// The array's length by op; longer ones are a newer peer's.
std::size_t items_of(op what) {
  switch (what) {
    case op::link: return 3;
    case op::message:
    case op::exit:
    case op::exit_asked:
    case op::unlink:
    case op::unlink_ack:
    case op::monitor:
    case op::demonitor:
    case op::group_leader: return 4;
    case op::call:
    case op::reply:
    case op::reply_error:
    case op::down: return 5;
    case op::spawn:
    case op::rpc: return 6;
    case op::chunk: return 5;
    case op::nodes: return 3;
  }
  return 2;
}

bool take_nodes(wire_source& r, std::vector<known_node>& out) {
  std::size_t count = 0;
  if (!r.begin_list(count)) return false;
  for (std::size_t i = 0; i < count; ++i) {
    known_node one;
    std::size_t items = 0;
    if (!r.begin_list(items)) return false;
    if (items != 2) return r.fail("[name, [endpoints]] expected");
    std::string_view name;
    if (!r.read_text(name) || !codec<std::vector<std::string>>::take(r, one.endpoints)) return false;
    one.name = name;
    out.push_back(std::move(one));
  }
  return true;
}

// Steps over one value; `out` is its msgpack. `in` is where `r` began.
bool take_raw(wire_source& r, std::span<const std::byte> in, std::span<const std::byte>& out) {
  const std::size_t before = r.position();
  if (!r.skip()) return false;
  out = in.subspan(before, r.position() - before);
  return true;
}

bool take_rest(wire_source& r, std::span<const std::byte> in, const node_life* peer, arrival& out) {
  switch (out.what) {
    case op::message: return take_raw(r, in, out.body);
    case op::call:
    case op::reply: return r.read_uint(out.id) && take_raw(r, in, out.body);
    case op::reply_error: return r.read_uint(out.id) && codec<error>::take(r, out.failure);
    case op::down: return r.read_uint(out.id) && r.read_value(out.reason);
    case op::exit:
    case op::exit_asked: return r.read_value(out.reason);
    case op::link: return true;
    case op::unlink:
    case op::unlink_ack:
    case op::monitor:
    case op::demonitor: return r.read_uint(out.id);
    case op::group_leader: return take_process(r, peer, out.leader);
    case op::chunk: return r.read_uint(out.part.stream) && r.read_uint(out.part.total) && r.read_bytes(out.part.data);
    case op::nodes: return take_nodes(r, out.known_nodes);
    case op::spawn:
    case op::rpc: return true;
  }
  return false;
}

}  // namespace

result<std::size_t> decode_signal(std::span<const std::byte> in, const limits& budget, const node_life* own,
                                  const node_life* peer, arrival& out) {
  limits bounded = budget;  // by the bytes that came: a legal content must never end the connection
  bounded.value_nodes = SIZE_MAX;
  bounded.depth = reader::max_depth;
  wire_source r(in, bounded);
  std::size_t items = 0;
  std::uint64_t number = 0;
  if (!r.begin_list(items) || !r.read_uint(number)) return r.failure();
  if (items < 1) return error(errc::bad_message, "an empty signal");
  const bool listed = number >= 1 && number <= static_cast<std::uint64_t>(op::chunk);
  if (!listed && number != static_cast<std::uint64_t>(op::nodes)) {
    if (number < first_optional_op)
      return error(errc::unsupported, "signal " + std::to_string(number) + " is not known here");
    out.known = false;
    for (std::size_t i = 1; i < items; ++i) {
      if (!r.skip()) return r.failure();
    }
    return r.position();
  }
  out.what = static_cast<op>(number);
  const std::size_t expected = items_of(out.what);
  if (items < expected) {
    return error(errc::bad_message, "signal " + std::to_string(number) + " has " + std::to_string(items) +
                                        " items of " + std::to_string(expected));
  }
  if (!take_process(r, peer, out.from)) return r.failure();
  // By name: an exit of a process of its former life may be told by the present one.
  if (bound_to_sender(out.what) && out.from.node() != peer->name) {
    return error(errc::bad_message, "signal " + std::to_string(number) + " on behalf of another node's process");
  }
  const bool ordered = out.what == op::spawn || out.what == op::rpc;
  const bool to_node = out.what == op::chunk || out.what == op::nodes;
  const bool taken =
      ordered ? take_order(r, peer, out) : (to_node || take_to(r, own, out)) && take_rest(r, in, peer, out);
  if (!taken) return r.failure();
  for (std::size_t i = expected; i < items; ++i) {
    if (!r.skip()) return r.failure();
  }
  return r.position();
}

envelope* wire_envelope(signal kind, const arrival& a) {
  return a.whole ? detail::make_wire_envelope(kind, std::move(*a.whole), a.body)
                 : detail::make_wire_envelope(kind, a.body);
}

void discard(envelope* e) noexcept {
  e->replied = true;
  detail::release_envelope(e);
}

}  // namespace troupe::internal
