#include <troupe/wire.hpp>

#include <msgpack/pack.hpp>

#include <array>
#include <bit>
#include <stdexcept>

#include <troupe/codec.hpp>

#include "value_codec.hpp"

namespace troupe {
namespace {

// The stream that the packer wants.
struct appender {
  bytes& out;
  void write(const char* data, std::size_t size) {
    const auto* from = reinterpret_cast<const std::byte*>(data);
    out.insert(out.end(), from, from + size);
  }
};

std::uint32_t checked(std::size_t size) {
  if (size > UINT32_MAX) throw std::length_error("msgpack holds no text, list or map of 2^32 or more");
  return static_cast<std::uint32_t>(size);
}

const char* chars(std::span<const std::byte> data) { return reinterpret_cast<const char*>(data.data()); }

// The packer is no more than a reference: made anew for each call.
template <class Use>
void pack(bytes& out, Use use) {
  appender stream{out};
  msgpack::packer<appender> packer(stream);
  use(packer);
}

}  // namespace

void wire_sink::put_nil() { out_.push_back(std::byte{0xc0}); }
void wire_sink::put_bool(bool b) { out_.push_back(b ? std::byte{0xc3} : std::byte{0xc2}); }

void wire_sink::put_int(std::int64_t number) {
  pack(out_, [&](auto& p) { p.pack_int64(number); });
}

void wire_sink::put_uint(std::uint64_t number) {
  pack(out_, [&](auto& p) { p.pack_uint64(number); });
}

// Not by the packer: it writes 1.0 as the integer 1 (msgpack-c#1018).
void wire_sink::put_real(double number) {
  const auto bits = std::bit_cast<std::uint64_t>(number);
  std::array<std::byte, 9> form;
  form[0] = std::byte{0xcb};
  for (std::size_t i = 0; i < 8; ++i) form[1 + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
  out_.insert(out_.end(), form.begin(), form.end());
}

void wire_sink::put_text(std::string_view text) {
  pack(out_, [&](auto& p) { p.pack_str(checked(text.size())).pack_str_body(text.data(), checked(text.size())); });
}

void wire_sink::put_bytes(std::span<const std::byte> data) {
  pack(out_, [&](auto& p) { p.pack_bin(checked(data.size())).pack_bin_body(chars(data), checked(data.size())); });
}

void wire_sink::begin_bytes(std::size_t size) {
  pack(out_, [&](auto& p) { p.pack_bin(checked(size)); });
}

void wire_sink::begin_list(std::size_t items) {
  pack(out_, [&](auto& p) { p.pack_array(checked(items)); });
}

void wire_sink::begin_map(std::size_t entries) {
  pack(out_, [&](auto& p) { p.pack_map(checked(entries)); });
}

void wire_sink::put_pid(pid p) { put_id(1, p.life(), p.id()); }
void wire_sink::put_ref(ref r) { put_id(2, r.life(), r.id()); }

void wire_sink::put_ext(std::int8_t type, std::span<const std::byte> data) {
  pack(out_, [&](auto& p) { p.pack_ext(checked(data.size()), type).pack_ext_body(chars(data), checked(data.size())); });
}

// Its length stands before it, so it is made aside: a legal name leaves it under 256 bytes, twice that is ample.
void wire_sink::put_id(std::int8_t type, const node_life* life, std::uint64_t id) {
  struct {
    std::array<char, 512> data;
    std::size_t size = 0;
    void write(const char* from, std::size_t count) {
      if (count > data.size() - size) throw std::length_error("node name too long");
      std::copy_n(from, count, data.data() + size);
      size += count;
    }
  } payload;
  msgpack::packer<decltype(payload)> p(payload);
  const std::string_view name = life ? std::string_view(life->name) : std::string_view();
  p.pack_array(3);
  p.pack_str(checked(name.size())).pack_str_body(name.data(), checked(name.size()));
  p.pack_uint64(life ? life->creation : 0);
  p.pack_uint64(id);
  put_ext(type, std::as_bytes(std::span(payload.data.data(), payload.size)));
}

void wire_sink::put_value(const value& v) { internal::put_tree(*this, v); }

std::unique_ptr<writer> wire_writer(wire_buffer& out) { return std::make_unique<wire_sink>(out); }

}  // namespace troupe
