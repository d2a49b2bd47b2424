#include <troupe/message.hpp>

#include <algorithm>

#include "runtime/process_private.hpp"
#include "sched/long_buffers.hpp"
#include "sched/trim.hpp"

namespace troupe {
namespace detail {
namespace {

constexpr std::size_t past_pool = internal::pool_limit + internal::pool_step;
static_assert(past_pool / internal::pool_step <= UINT8_MAX);

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

// The text at the head of `in`; none when something else is there.
std::string_view text_in_wire(std::span<const std::byte> in) noexcept {
  auto byte = [&in](std::size_t at) { return std::to_integer<std::size_t>(in[at]); };
  if (in.empty()) return {};
  std::size_t head = 1, size = 0;
  if (const std::size_t first = byte(0); first >= 0xa0 && first <= 0xbf) size = first & 0x1f;
  else if (first >= 0xd9 && first <= 0xdb) head += std::size_t{1} << (first - 0xd9);
  else return {};
  if (in.size() < head) return {};
  for (std::size_t i = 1; i < head; ++i) size = size << 8 | byte(i);
  if (in.size() - head < size) return {};
  return std::string_view(reinterpret_cast<const char*>(in.data()) + head, size);
}

// As of a list that begins with a text, or of a text alone; by the first bytes of msgpack.
std::string_view tag_in_wire(std::span<const std::byte> in) noexcept {
  if (in.empty()) return {};
  const auto first = std::to_integer<unsigned>(in[0]);
  const std::size_t head = first >= 0x90 && first <= 0x9f ? 1 : first == 0xdc ? 3 : first == 0xdd ? 5 : 0;
  if (head > in.size()) return {};
  return text_in_wire(in.subspan(head));
}

// A call that nobody will answer any more answers itself, so that no caller waits for a dead or forgetful server.
void answer_dropped_call(envelope& e) noexcept {
  auto* home = reinterpret_cast<core*>(e.next);  // see message::message: a taken call holds its core there
  if (!home) return;
  try {
    process* self = running_process();
    if (self && !process_private::is_by_thread(*self)) {
      process_private::cold(*self).dropped.emplace_back(e.from, e.id);
    } else {
      home->answer_call(e.from, e.id, error(errc::cancelled, "the server dropped the call without an answer"));
    }
  } catch (...) {  // out of memory: the caller's deadline ends its wait
  }
}

std::size_t heap_of_wire_payload(const void* payload) noexcept {
  const auto* content = static_cast<const wire_payload*>(payload);
  return content->data.empty() ? content->content.size() : content->data.capacity();
}

}  // namespace

const message_type wire_type{{},    sizeof(wire_payload), &destroy_wire_payload, &encode_wire_payload,
                             false, &heap_of_wire_payload};

envelope* allocate_envelope(std::size_t payload_bytes) {
  const std::size_t bytes = sizeof(envelope) + payload_bytes;
  auto* e = ::new (internal::pool_take(bytes)) envelope;
  e->block = static_cast<std::uint8_t>(std::min(internal::pool_size(bytes), past_pool) / internal::pool_step);
  e->bytes = static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX));
  return e;
}

void release_envelope(envelope* e) noexcept {
  if (e->kind == signal::call && !e->replied) [[unlikely]]
    answer_dropped_call(*e);
  if (e->type && e->type->destroy) e->type->destroy(e->payload());
  if (e->bytes > internal::pool_limit) internal::note_freed(e->bytes);
  internal::pool_give(e, e->block * internal::pool_step);
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

std::string_view tag_in_place(const envelope& e) noexcept {
  if (!e.type) return {};
  if (!e.type->tag.empty()) return e.type->tag;
  if (e.type == &wire_type) return tag_in_wire(static_cast<const wire_payload*>(e.payload())->content);
  if (e.type == &type_of<down>) return down::troupe_first_word;
  if (e.type == &type_of<exit_message>) return exit_message::troupe_first_word;
  if (e.type != &type_of<value>) return {};
  const value& content = *static_cast<const value*>(e.payload());
  const list* items = content.items();
  const std::string* word = items ? (items->empty() ? nullptr : items->front().text()) : content.text();
  return word ? std::string_view(*word) : std::string_view();
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
  return std::string(detail::tag_in_place(*envelope_));
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
