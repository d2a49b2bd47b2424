#include <troupe/wire.hpp>

#include <bit>
#include <cstring>

#include <troupe/codec.hpp>

#include "value_codec.hpp"

// Design notes
// Every read looks at one head byte, takes its fast way for the short forms, and only moves on when all is there and
// within the limits. `charge` books one value: against the budget of nodes and against the container that it stands in,
// so that depth is known although nobody says where a container ends. Sums cannot overflow: a length is below 2^32.

namespace troupe {
namespace {

constexpr std::int8_t pid_type = 1;
constexpr std::int8_t ref_type = 2;

template <class Unsigned>
std::uint64_t big_endian(const std::byte* from) noexcept {
  Unsigned word;
  std::memcpy(&word, from, sizeof word);
  if constexpr (std::endian::native == std::endian::little) {
    if constexpr (sizeof word == 2) word = __builtin_bswap16(word);
    if constexpr (sizeof word == 4) word = __builtin_bswap32(word);
    if constexpr (sizeof word == 8) word = __builtin_bswap64(word);
  }
  return word;
}

std::uint64_t big_endian(const std::byte* from, std::size_t width) noexcept {
  switch (width) {
    case 1: return std::to_integer<std::uint64_t>(*from);
    case 2: return big_endian<std::uint16_t>(from);
    case 4: return big_endian<std::uint32_t>(from);
    default: return big_endian<std::uint64_t>(from);
  }
}

unsigned head_of(const std::byte* at) noexcept { return std::to_integer<unsigned>(*at); }

}  // namespace

// The number behind the head byte.
template <std::size_t Width>
inline bool wire_source::load(std::uint64_t& out) const noexcept {
  if (left() < 1 + Width) return false;
  out = big_endian(at_ + 1, Width);
  return true;
}

// A length of `width` bytes behind the head, and whether that many bytes follow it.
inline bool wire_source::sized(std::size_t width, std::size_t& header, std::size_t& length) const noexcept {
  header = 1 + width;
  if (left() < header) return false;
  if (width > 0) length = big_endian(at_ + 1, width);
  return length <= left() - header;
}

bool wire_source::ext_header(ext_head& out) const noexcept {
  const unsigned head = head_of(at_);
  const bool fixed = head >= 0xd4;
  const std::size_t width = fixed ? 0 : std::size_t{1} << (head - 0xc7);
  out.header = 2 + width;
  if (left() < out.header) return false;
  out.length = fixed ? std::size_t{1} << (head - 0xd4) : big_endian(at_ + 1, width);
  out.type = static_cast<std::int8_t>(head_of(at_ + 1 + width));
  return out.length <= left() - out.header;
}

[[gnu::cold]] bool wire_source::wrong(std::string_view expected) {
  if (!ok()) return false;
  if (at_ == end_) return fail(std::string(expected) + " expected, end of the bytes found");
  if (head_of(at_) == 0xc1) return fail(std::string(expected) + " expected, byte 0xc1 found, which msgpack never uses");
  return mismatch(expected);
}

[[gnu::cold]] bool wire_source::truncated() { return fail("the bytes end inside a value"); }

inline bool wire_source::charge() {
  if (nodes_left_ == 0) return fail(errc::too_large, "more values than the limit");
  --nodes_left_;
  while (depth_ > 0 && remaining_[depth_ - 1] == 0) --depth_;
  if (depth_ > 0) --remaining_[depth_ - 1];
  return true;
}

// Enters a container; `values` are what it holds, each at least one byte.
bool wire_source::open(std::size_t header, std::size_t count, std::size_t values, std::string_view what) {
  if (left() < header) return truncated();
  if (values > left() - header) {
    return fail(std::string(what) + " of " + std::to_string(count) + " in " + std::to_string(left() - header) +
                " bytes");
  }
  if (!charge()) return false;
  if (values > nodes_left_) return fail(errc::too_large, "more values than the limit");
  if (depth_ >= depth_limit_) return fail(errc::too_large, "nested deeper than the limit");
  remaining_[depth_++] = values;
  at_ += header;
  return true;
}

value::kind wire_source::peek() {
  using kind = value::kind;
  if (!ok() || at_ == end_) return kind::nil;
  const unsigned head = head_of(at_);
  if (head < 0x80 || head >= 0xe0) return kind::integer;
  if (head < 0x90) return kind::map;
  if (head < 0xa0) return kind::list;
  if (head < 0xc0) return kind::text;
  switch (head) {
    case 0xc2:
    case 0xc3: return kind::boolean;
    case 0xc4:
    case 0xc5:
    case 0xc6: return kind::bytes;
    case 0xca:
    case 0xcb: return kind::real;
    case 0xcf: return left() > 1 && head_of(at_ + 1) >= 0x80 ? kind::unsigned_integer : kind::integer;
    case 0xd9:
    case 0xda:
    case 0xdb: return kind::text;
    case 0xdc:
    case 0xdd: return kind::list;
    case 0xde:
    case 0xdf: return kind::map;
    case 0xc0:
    case 0xc1: return kind::nil;
    default: break;
  }
  if (head >= 0xcc && head <= 0xd3) return kind::integer;
  ext_head e{};
  if (!ext_header(e)) return kind::ext;
  return e.type == pid_type ? kind::pid : e.type == ref_type ? kind::ref : kind::ext;
}

bool wire_source::read_nil() {
  if (!ok() || at_ == end_ || head_of(at_) != 0xc0) return wrong("nil");
  if (!charge()) return false;
  ++at_;
  return true;
}

bool wire_source::read_bool(bool& out) {
  if (!ok() || at_ == end_ || (head_of(at_) & 0xfe) != 0xc2) return wrong("boolean");
  if (!charge()) return false;
  out = head_of(at_) == 0xc3;
  ++at_;
  return true;
}

// Any integer; `negative` says how to understand the bits.
inline bool wire_source::read_number(number& out) {
  if (!ok() || at_ == end_) return wrong("integer");
  const unsigned head = head_of(at_);
  std::size_t used = 1;
  if (head < 0x80) {
    out = {head, false};
  } else if (head >= 0xe0) {
    out = {static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int8_t>(head))), true};
  } else if (head >= 0xcc && head <= 0xd3) {
    const std::size_t width = std::size_t{1} << (head & 3);
    if (left() < 1 + width) return truncated();
    std::uint64_t bits = big_endian(at_ + 1, width);
    const bool negative = head >= 0xd0 && (bits >> (8 * width - 1)) != 0;
    if (negative && width < 8) bits |= ~std::uint64_t{0} << (8 * width);
    out = {bits, negative};
    used += width;
  } else {
    return wrong("integer");
  }
  if (!charge()) return false;
  at_ += used;
  return true;
}

bool wire_source::read_int(std::int64_t& out) {
  number found{};
  if (!read_number(found)) return false;
  if (!found.negative && found.bits > static_cast<std::uint64_t>(INT64_MAX)) return fail("integer beyond 2^63-1");
  out = static_cast<std::int64_t>(found.bits);
  return true;
}

bool wire_source::read_uint(std::uint64_t& out) {
  number found{};
  if (!read_number(found)) return false;
  if (found.negative) return fail("negative integer where none is allowed");
  out = found.bits;
  return true;
}

bool wire_source::read_real(double& out) {
  if (!ok() || at_ == end_) return wrong("float");
  const unsigned head = head_of(at_);
  std::uint64_t bits = 0;
  if (head == 0xcb) {
    if (!load<8>(bits)) return truncated();
    if (!charge()) return false;
    out = std::bit_cast<double>(bits);
    at_ += 9;
    return true;
  }
  if (head != 0xca) return wrong("float");
  if (!load<4>(bits)) return truncated();
  if (!charge()) return false;
  out = static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  at_ += 5;
  return true;
}

bool wire_source::read_text(std::string_view& out) {
  if (!ok() || at_ == end_) return wrong("text");
  const unsigned head = head_of(at_);
  std::size_t header = 0;
  std::size_t length = head & 0x1f;
  std::size_t width = 0;
  if ((head & 0xe0) != 0xa0) {
    if (head < 0xd9 || head > 0xdb) return wrong("text");
    width = std::size_t{1} << (head - 0xd9);
  }
  if (!sized(width, header, length)) return truncated();
  if (!charge()) return false;
  out = {reinterpret_cast<const char*>(at_ + header), length};
  at_ += header + length;
  return true;
}

bool wire_source::read_bytes(std::span<const std::byte>& out) {
  if (!ok() || at_ == end_) return wrong("bytes");
  const unsigned head = head_of(at_);
  if (head < 0xc4 || head > 0xc6) return wrong("bytes");
  std::size_t header = 0;
  std::size_t length = 0;
  if (!sized(std::size_t{1} << (head - 0xc4), header, length)) return truncated();
  if (!charge()) return false;
  out = {at_ + header, length};
  at_ += header + length;
  return true;
}

bool wire_source::begin_list(std::size_t& items) {
  if (!ok() || at_ == end_) return wrong("list");
  const unsigned head = head_of(at_);
  std::size_t header = 1;
  std::uint64_t count = head & 0x0f;
  if ((head & 0xf0) != 0x90) {
    if (head != 0xdc && head != 0xdd) return wrong("list");
    if (!(head == 0xdc ? load<2>(count) : load<4>(count))) return truncated();
    header = head == 0xdc ? 3 : 5;
  }
  if (!open(header, count, count, "list")) return false;
  items = count;
  return true;
}

bool wire_source::begin_map(std::size_t& entries) {
  if (!ok() || at_ == end_) return wrong("map");
  const unsigned head = head_of(at_);
  std::size_t header = 1;
  std::uint64_t count = head & 0x0f;
  if ((head & 0xf0) != 0x80) {
    if (head != 0xde && head != 0xdf) return wrong("map");
    if (!(head == 0xde ? load<2>(count) : load<4>(count))) return truncated();
    header = head == 0xde ? 3 : 5;
  }
  if (!open(header, count, 2 * count, "map")) return false;
  entries = count;
  return true;
}

bool wire_source::read_id(std::int8_t type, std::string_view what, const node_life*& life, std::uint64_t& id) {
  if (!ok() || at_ == end_) return wrong(what);
  const unsigned head = head_of(at_);
  if (!((head >= 0xc7 && head <= 0xc9) || (head >= 0xd4 && head <= 0xd8))) return wrong(what);
  ext_head e{};
  if (!ext_header(e)) return truncated();
  if (e.type != type) return wrong(what);
  if (!charge()) return false;
  wire_source payload({at_ + e.header, e.length});
  std::size_t parts = 0;
  std::string_view name;
  std::uint64_t creation = 0;
  std::uint64_t number = 0;
  if (!payload.begin_list(parts) || parts != 3 || !payload.read_text(name) || !payload.read_uint(creation) ||
      !payload.read_uint(number) || !payload.at_end()) {
    return fail(std::string(what) + " that is not [name, creation, id]");
  }
  const node_life* found = nullptr;  // nobody's has no name
  if (!name.empty()) {
    auto known = intern_life(name, creation);
    if (!known)
      return fail(known.error() == errc::bad_name ? errc::bad_message : known.error().code(), known.error().text());
    found = *known;
  } else if (creation != 0) {
    return fail(std::string(what) + " with a creation and no name");
  }
  life = found;
  id = number;
  at_ += e.header + e.length;
  return true;
}

bool wire_source::read_pid(pid& out) {
  const node_life* life = nullptr;
  std::uint64_t id = 0;
  if (!read_id(pid_type, "pid", life, id)) return false;
  out = pid(life, id);
  return true;
}

bool wire_source::read_ref(ref& out) {
  const node_life* life = nullptr;
  std::uint64_t id = 0;
  if (!read_id(ref_type, "ref", life, id)) return false;
  out = ref(life, id);
  return true;
}

bool wire_source::read_ext(std::int8_t& type, std::span<const std::byte>& data) {
  if (!ok() || at_ == end_) return wrong("extension");
  const unsigned head = head_of(at_);
  if (!((head >= 0xc7 && head <= 0xc9) || (head >= 0xd4 && head <= 0xd8))) return wrong("extension");
  ext_head e{};
  if (!ext_header(e)) return truncated();
  if (e.type == pid_type || e.type == ref_type) return wrong("extension");
  if (!charge()) return false;
  type = e.type;
  data = {at_ + e.header, e.length};
  at_ += e.header + e.length;
  return true;
}

// One value or the head of one container; `values` grows by what that holds.
bool wire_source::skip_one(std::size_t& values) {
  std::size_t count = 0;
  std::string_view text;
  std::span<const std::byte> data;
  number integer{};
  double real = 0;
  bool truth = false;
  switch (peek()) {
    case value::kind::nil: return at_ == end_ || head_of(at_) != 0xc0 ? wrong("a value") : read_nil();
    case value::kind::boolean: return read_bool(truth);
    case value::kind::integer:
    case value::kind::unsigned_integer: return read_number(integer);
    case value::kind::real: return read_real(real);
    case value::kind::text: return read_text(text);
    case value::kind::bytes: return read_bytes(data);
    case value::kind::list:
      if (!begin_list(count)) return false;
      values += count;
      return true;
    case value::kind::map:
      if (!begin_map(count)) return false;
      values += 2 * count;
      return true;
    default: break;
  }
  ext_head e{};  // a pid or reference that nobody reads need not be a good one
  if (!ext_header(e)) return truncated();
  if (!charge()) return false;
  at_ += e.header + e.length;
  return true;
}

bool wire_source::skip() {
  if (!ok()) return false;
  for (std::size_t values = 1; values > 0; --values) {
    if (!skip_one(values)) return false;
  }
  return true;
}

bool wire_source::read_value(value& out) { return internal::take_tree(*this, out); }

std::unique_ptr<reader> wire_reader(std::span<const std::byte> in, const limits& budget) {
  return std::make_unique<wire_source>(in, budget);
}

std::size_t wire_position(const reader& r) noexcept {
  const auto* wire = dynamic_cast<const wire_source*>(&r);
  return wire ? wire->position() : 0;
}

}  // namespace troupe
