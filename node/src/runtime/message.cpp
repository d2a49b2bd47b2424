#include <troupe/message.hpp>

#include <algorithm>

#include "runtime/process_private.hpp"
#include "sched/long_buffers.hpp"

namespace troupe {
namespace detail {
namespace {

void encode_wire_payload(const void* payload, writer& w) {
  value content;
  auto r = wire_reader(static_cast<const wire_payload*>(payload)->content, wire_content_limits);
  // Checked when it arrived, so this cannot fail.
  if (!r->read_value(content)) content = value();
  w.put_value(content);
}

void destroy_wire_payload(void* payload) noexcept {
  auto* content = static_cast<wire_payload*>(payload);
  internal::give_long_buffer(std::move(content->data));
  content->~wire_payload();
}

// A call that nobody will answer any more answers itself, so that no caller waits for a dead or forgetful server.
void answer_dropped_call(envelope& e) noexcept {
  auto* home = reinterpret_cast<core*>(e.next);  // see message::message: a taken call holds its core there
  if (!home) return;
  try {
    process* self = running_process();
    if (self && !process_private::by_thread(*self)) {
      process_private::cold(*self).dropped.emplace_back(e.from, e.id);
    } else {
      home->answer_call(e.from, e.id, error(errc::cancelled, "the server dropped the call without an answer"));
    }
  } catch (...) {  // out of memory: the caller's deadline ends its wait
  }
}

}  // namespace

const message_type wire_type{{}, sizeof(wire_payload), &destroy_wire_payload, &encode_wire_payload};

envelope* allocate_envelope(std::size_t payload_bytes) {
  std::size_t bytes = sizeof(envelope) + payload_bytes;
  auto* e = ::new (internal::pool_take(bytes)) envelope;
  e->bytes = static_cast<std::uint32_t>(bytes);
  return e;
}

void release_envelope(envelope* e) noexcept {
  if (e->kind == signal::call && !e->replied) answer_dropped_call(*e);
  if (e->type) e->type->destroy(e->payload());
  internal::pool_give(e, e->bytes);
}

envelope* make_signal(signal kind) {
  envelope* e = allocate_envelope(0);
  e->kind = kind;
  return e;
}

envelope* make_wire_envelope(signal kind, bytes&& whole, std::span<const std::byte> content) {
  envelope* e = make_envelope<wire_payload>(kind, wire_payload{std::move(whole), content});
  e->type = &wire_type;
  return e;
}

envelope* make_wire_envelope(signal kind, std::span<const std::byte> content) {
  envelope* e = allocate_envelope(sizeof(wire_payload) + content.size());
  auto* behind = static_cast<std::byte*>(e->payload()) + sizeof(wire_payload);
  std::copy(content.begin(), content.end(), behind);
  ::new (e->payload()) wire_payload{{}, {behind, content.size()}};
  e->type = &wire_type;
  e->kind = kind;
  return e;
}

value envelope_value(const envelope& e) {
  value out;
  if (!e.type || !e.type->encode) return out;
  auto w = value_writer(out);
  e.type->encode(e.payload(), *w);
  return out;
}

std::unique_ptr<reader> payload_reader(const envelope& e, value& keep) {
  if (e.type == &wire_type)
    return wire_reader(static_cast<const wire_payload*>(e.payload())->content, wire_content_limits);
  if (e.type == &type_of<value>) return value_reader(*static_cast<const value*>(e.payload()));
  keep = envelope_value(e);
  return value_reader(keep);
}

void replace_envelope(envelope*& e, envelope* with) noexcept {
  with->next = e->next;
  with->from = e->from;
  with->id = e->id;
  with->kind = e->kind;
  with->replied = e->replied;
  e->replied = true;  // the call lives on in `with`
  release_envelope(e);
  e = with;
}

}  // namespace detail

std::string message::tag() const {
  if (!envelope_ || !envelope_->type) return {};
  if (!envelope_->type->tag.empty()) return std::string(envelope_->type->tag);
  value keep;
  auto r = detail::payload_reader(*envelope_, keep);
  if (r->peek() == value::kind::text) {
    std::string_view word;
    return r->read_text(word) ? std::string(word) : std::string();
  }
  std::size_t items = 0;
  std::string_view word;
  if (r->peek() != value::kind::list || !r->begin_list(items) || items == 0) return {};
  if (r->peek() != value::kind::text || !r->read_text(word)) return {};
  return std::string(word);
}

value message::to_value() const { return envelope_ ? detail::envelope_value(*envelope_) : value(); }

// ["DOWN", ref, "process", pid | [name, node], reason]
void codec<down>::put(writer& w, const down& in) {
  w.begin_list(5);
  w.put_text("DOWN");
  w.put_ref(in.monitor);
  w.put_text("process");
  if (in.name.empty()) {
    w.put_pid(in.process);
  } else {
    w.begin_list(2);
    w.put_text(in.name);
    w.put_text(in.node);
  }
  w.put_value(in.reason.term());
}

bool codec<down>::take(reader& r, down& out) {
  std::size_t items = 0;
  std::string_view word;
  if (!r.begin_list(items)) return false;
  if (items != 5) return r.fail("a DOWN of five items expected");
  if (!r.read_text(word)) return false;
  if (word != "DOWN") return r.fail("\"DOWN\" expected");
  if (!r.read_ref(out.monitor) || !r.read_text(word)) return false;
  if (r.peek() == value::kind::list) {
    if (!r.begin_list(items)) return false;
    if (items != 2) return r.fail("[name, node] expected");
    std::string_view node;
    if (!r.read_text(word)) return false;
    out.name.assign(word);
    if (!r.read_text(node)) return false;
    out.node.assign(node);
  } else if (!r.read_pid(out.process)) {
    return false;
  }
  return codec<exit_reason>::take(r, out.reason);
}

// ["EXIT", pid, reason]
void codec<exit_message>::put(writer& w, const exit_message& in) {
  w.begin_list(3);
  w.put_text("EXIT");
  w.put_pid(in.from);
  w.put_value(in.reason.term());
}

bool codec<exit_message>::take(reader& r, exit_message& out) {
  std::size_t items = 0;
  std::string_view word;
  if (!r.begin_list(items)) return false;
  if (items != 3) return r.fail("an EXIT of three items expected");
  if (!r.read_text(word)) return false;
  if (word != "EXIT") return r.fail("\"EXIT\" expected");
  return r.read_pid(out.from) && codec<exit_reason>::take(r, out.reason);
}

}  // namespace troupe
