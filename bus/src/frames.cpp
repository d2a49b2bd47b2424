#include "frames.hpp"

#include <algorithm>
#include <memory>

namespace troupe::bus::internal {
namespace {

constexpr limits control_budget{.value_nodes = 4096, .depth = 8};
constexpr std::size_t longest_goodbye = 1024;

bool read_one(reader& r, std::size_t count, std::string_view name, std::vector<control>& out) {
  control one;
  std::size_t used = 1;
  bool known = true;
  if (name == "ping" && count >= 2) {
    if (!r.read_uint(one.number)) return false;
    used = 2;
  } else if (name == "pong" && count >= 3) {
    one.kind = control::what::pong;
    if (!r.read_uint(one.number) || !r.read_uint(one.health)) return false;
    used = 3;
  } else if (name == "credit" && count >= 2) {
    one.kind = control::what::credit;
    if (!r.read_uint(one.number)) return false;
    used = 2;
  } else if (name == "bye" && count >= 2) {
    one.kind = control::what::bye;
    if (!codec<error>::take(r, one.reason)) return false;
    used = 2;
  } else if (name == "gone") {
    one.kind = control::what::gone;
  } else if (name == "ended") {
    one.kind = control::what::ended;
  } else {
    known = false;
  }
  for (; used < count; ++used) {
    if (!r.skip()) return false;
  }
  if (known) out.push_back(std::move(one));
  return true;
}

}  // namespace

frame_header make_header(frame_kind kind, const wire_id& id) noexcept {
  frame_header out{std::byte{0x92}, static_cast<std::byte>(kind), std::byte{0xc4}, std::byte{8}};
  std::copy(id.begin(), id.end(), out.begin() + 4);
  return out;
}

std::optional<parsed_frame> parse_frame(std::span<const std::byte> data) noexcept {
  if (data.size() < header_bytes || data[0] != std::byte{0x92} || data[2] != std::byte{0xc4} ||
      data[3] != std::byte{8}) {
    return std::nullopt;
  }
  const auto kind = static_cast<frame_kind>(data[1]);
  if (kind != frame_kind::signals && kind != frame_kind::control) return std::nullopt;
  parsed_frame out{.kind = kind, .id = {}, .payload = data.subspan(header_bytes)};
  std::copy_n(data.begin() + 4, out.id.size(), out.id.begin());
  return out;
}

void encode_control(const control& in, wire_buffer& out) {
  const auto w = wire_writer(out);
  switch (in.kind) {
    case control::what::ping:
      w->begin_list(2);
      w->put_text("ping");
      w->put_uint(in.number);
      break;
    case control::what::pong:
      w->begin_list(3);
      w->put_text("pong");
      w->put_uint(in.number);
      w->put_uint(in.health);
      break;
    case control::what::credit:
      w->begin_list(2);
      w->put_text("credit");
      w->put_uint(in.number);
      break;
    case control::what::bye:
      w->begin_list(2);
      w->put_text("bye");
      codec<error>::put(*w, error(in.reason.code(), in.reason.text().substr(0, longest_goodbye)));
      break;
    case control::what::gone:
      w->begin_list(1);
      w->put_text("gone");
      break;
    case control::what::ended:
      w->begin_list(1);
      w->put_text("ended");
      break;
  }
}

result<std::vector<control>> parse_control(std::span<const std::byte> payload) {
  std::vector<control> out;
  const auto r = wire_reader(payload, control_budget);
  while (wire_position(*r) < payload.size()) {
    std::size_t count = 0;
    std::string_view name;
    if (!r->begin_list(count) || count == 0) return error(errc::bad_message, "control: a list was expected");
    if (!r->read_text(name) || !read_one(*r, count, name, out)) return r->failure();
  }
  return out;
}

}  // namespace troupe::bus::internal
