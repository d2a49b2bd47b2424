// Any bytes as the signals of a frame: refused, or within the bytes that came; and what was understood is encoded to
// the same meaning.
#include "fuzz.hpp"

#include <troupe/codec.hpp>

#include "dist/signals.hpp"

namespace {

using namespace troupe;
using namespace troupe::internal;

[[noreturn]] void broken(const char* what) { ::broken("signals_fuzz", what); }

struct lives {
  held_life own = held_life::hold("own@fuzz", 1).or_exit();
  held_life peer = held_life::hold("peer@fuzz", 2).or_exit();
};
const lives& both() {
  static const lives made;
  return made;
}

result<std::size_t> decode(std::span<const std::byte> in, arrival& out) {
  static const limits budget;
  return decode_signal(in, budget, both().own.get(), both().peer.get(), out);
}

template <class T>
bool inside(std::span<const T> part, std::span<const std::byte> whole) {
  const auto* from = reinterpret_cast<const std::byte*>(part.data());
  return part.empty() || (from >= whole.data() && from + part.size() <= whole.data() + whole.size());
}

// By their bytes: a NaN differs from itself.
bool same(const value& a, const value& b) { return to_wire(a) == to_wire(b); }

bool same_order(const work_order& a, const work_order& b) {
  return a.what == b.what && a.from == b.from && a.id == b.id && a.entry == b.entry && same(a.arguments, b.arguments) &&
         a.leader == b.leader && a.link == b.link && a.watch == b.watch;
}

bool same_nodes(const std::vector<known_node>& a, const std::vector<known_node>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const known_node& one, const known_node& other) {
    return one.name == other.name && one.endpoints == other.endpoints;
  });
}

detail::envelope* envelope_of(const arrival& a) {
  using detail::make_envelope;
  using detail::signal;
  switch (a.what) {
    case op::message: return wire_envelope(signal::message, a);
    case op::call: return wire_envelope(signal::call, a);
    case op::reply: return wire_envelope(signal::reply, a);
    case op::reply_error: return make_envelope<error>(signal::reply_error, a.failure);
    case op::down: {
      down content;
      content.process = a.from;
      content.reason = exit_reason(a.reason);
      return make_envelope<down>(signal::down, std::move(content));
    }
    case op::exit: return make_envelope<exit_reason>(signal::exit, exit_reason(a.reason));
    case op::exit_asked: return make_envelope<exit_reason>(signal::exit_asked, exit_reason(a.reason));
    case op::group_leader: return make_envelope<pid>(signal::group_leader, a.leader);
    case op::link: return detail::make_signal(signal::link);
    case op::unlink: return detail::make_signal(signal::unlink);
    case op::unlink_ack: return detail::make_signal(signal::unlink_ack);
    case op::monitor: return detail::make_signal(signal::monitor);
    case op::demonitor: return detail::make_signal(signal::demonitor);
    default: return nullptr;
  }
}

void encode(const arrival& a, wire_buffer& out) {
  const node_life* sender = both().peer.get();
  if (a.what == op::chunk) {
    encode_chunk_head(out, sender, a.from, a.part);
    out.raw().insert(out.raw().end(), a.part.data.begin(), a.part.data.end());
    return;
  }
  if (a.what == op::nodes) return encode_nodes(out, a.known_nodes);
  if (a.order) return encode_order(out, sender, *a.order, a.order->id);
  detail::envelope* e = envelope_of(a);
  if (!e) broken("a signal that nothing encodes");
  e->from = a.from;
  e->id = a.id;
  if (!encode_signal(out, sender, destination{a.to, a.name, both().own.get()}, e)) broken("a signal is not encoded");
  discard(e);
}

void check_again(const arrival& a) {
  wire_buffer out;
  encode(a, out);
  arrival b;
  const auto used = decode(out.data(), b);
  if (!used) broken("what we wrote is refused");
  if (*used != out.data().size()) broken("what we wrote is read in part");
  if (a.what != b.what || a.to != b.to || a.name != b.name || a.id != b.id) broken("a signal changed its address");
  if (a.what != op::nodes && a.from != b.from) broken("a signal changed its sender");
  if (!same(a.reason, b.reason) || a.leader != b.leader) broken("a reason or leader changed");
  if (a.failure.code() != b.failure.code() || a.failure.text() != b.failure.text()) broken("an error changed");
  if (!std::equal(a.body.begin(), a.body.end(), b.body.begin(), b.body.end())) broken("a content changed");
  if (a.part.stream != b.part.stream || a.part.total != b.part.total ||
      !std::equal(a.part.data.begin(), a.part.data.end(), b.part.data.begin(), b.part.data.end())) {
    broken("a chunk changed");
  }
  if (a.order.has_value() != b.order.has_value() || (a.order && !same_order(*a.order, *b.order))) {
    broken("an order changed");
  }
  if (!same_nodes(a.known_nodes, b.known_nodes)) broken("the nodes changed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz_accepted = false;
  std::span rest(reinterpret_cast<const std::byte*>(data), size);
  while (!rest.empty()) {
    arrival a;
    const auto used = decode(rest, a);
    if (!used) return 0;
    if (*used == 0 || *used > rest.size()) broken("a signal longer than what came");
    if (!inside(a.body, rest) || !inside(a.part.data, rest) || !inside(std::span(a.name), rest)) {
      broken("a part lies elsewhere");
    }
    if (a.known) check_again(a);
    rest = rest.subspan(*used);
  }
  fuzz_accepted = size > 0;
  return 0;
}
